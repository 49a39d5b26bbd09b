"""What travels through a browser's WebSocket: messages of records, each a head in JSON, and bytes.

    length of the head, length of the bytes: two uint32, little-endian; the head; the bytes

`c` names the camera, `s` and `f` the session and the frame as the camera counts them. By `t`:

    unit    a coded picture: `n` counts them; key pictures have `key`, `codec`, `turns`, `mirrored`, and `x`, the length
            of the extradata that precedes the picture
    shown   which frame picture `n` became: `s`, `f`
    still   `s`, `f`, `wh`; a JPEG follows
    result  `s`, `f`, `at` wall time of the capture in ms, `wh`, `o` origin; `b` boxes: id, class, first letter of the
            origin, x1, y1, x2, y2, score in percent, and where known, how they change: four times px/s;
            where known, `l` labels of second looks, by track id, then by attribute
    fleet   `drops` of the last second by camera and cause, events `begun` in it by camera and rule; a `FleetState`
            follows
    camera  a `CameraState` follows
    rules   zones and lines follow, by camera, as a fleet file has them; told once they are known, and when they change
    events  `counts` of lines: how many have crossed, by camera, line and direction; a list of `Event`s follows, the
            newest of each, told at the beginning
    event   an `Event` of `pipeline.wire.event` follows
    notice  a `Notice` of `pipeline.web.notices` follows
    hello   `fleet`, its name; `controls`, whether this browser may change it

The browser says: `{"watch": {camera: "units" | "stills"}}`, and `{"ack": n}` for messages that it has read.
"""

from __future__ import annotations

import struct
from typing import Any

import msgspec

from pipeline.viewing import Shown, Still, Unit
from pipeline.wire import FrameResult, first_frame_of

_LENGTHS = struct.Struct("<II")
_encoder = msgspec.json.Encoder()


def record(head: dict[str, Any], data: bytes = b"") -> bytes:
    """One record."""
    encoded = _encoder.encode(head)
    return b"".join((_LENGTHS.pack(len(encoded), len(data)), encoded, data))


def of_unit(camera_id: str, unit: Unit, data: bytes) -> bytes:
    """A coded picture; the extradata goes with key pictures only, where decoding begins."""
    head: dict[str, Any] = {"t": "unit", "c": camera_id, "n": unit.unit}
    if not unit.key:
        return record(head, data)
    head |= {"key": 1, "codec": unit.codec, "turns": unit.turns, "mirrored": unit.mirrored, "x": len(unit.extradata)}
    return record(head, unit.extradata + data)


def of_shown(camera_id: str, shown: Shown) -> bytes:
    """Which frame a coded picture became."""
    return record({"t": "shown", "c": camera_id, "n": shown.unit, "s": shown.session, "f": shown.frame_id})


def of_still(camera_id: str, still: Still, jpeg: bytes) -> bytes:
    """A still."""
    return record({"t": "still", "c": camera_id, "s": still.session, "f": still.frame_id, "wh": still.frame_wh}, jpeg)


def of_result(result: FrameResult) -> bytes:
    """What is drawn of a frame, by the camera's own names of it."""
    boxes = [
        [
            *(box.track_id, box.class_name, box.origin[0]),
            *(round(value) for value in box.xyxy),
            round(100 * box.score),
            *(box.velocity_px_s or ()),
        ]
        for box in result.tracks
    ]
    head = {
        "t": "result",
        "c": result.camera_id,
        "s": result.session,
        "f": result.frame_id + first_frame_of(result.session_id),
        "at": result.captured_at_ns / 1e6,
        "wh": result.frame_wh,
        "o": result.origin,
        "b": boxes,
    }
    if found := {box.track_id: box.attributes for box in result.tracks if box.attributes}:
        head["l"] = {str(track_id): {name: one.label for name, one in of.items()} for track_id, of in found.items()}
    return record(head)
