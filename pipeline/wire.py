"""The messages on the wire, and their only encoder and decoder.

Subscribers get two kinds, each one msgpack map behind its topic:

- `detections/<camera_id>/`: one `FrameResult` for every frame that was decoded, in frame order.
- `cameras/<camera_id>/`: one `CameraState` when a camera's state changes, and once a second.

Topics end in `/`, so that a subscription to `detections/cam1/` never matches `cam10`. `schema` goes up when a field
changes its meaning or goes away; new fields may come at any time, and readers skip what they do not know.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from pipeline.errors import WireError

SCHEMA = 1

DETECTIONS = "detections"
CAMERAS = "cameras"

FrameOrigin = Literal["detected", "predicted", "interpolated", "skipped"]
BoxOrigin = Literal["detected", "predicted", "interpolated"]
CaptureClock = Literal["rtcp", "arrival", "file"]
"""Where a capture time comes from: the camera's RTCP sender reports (RFC 3550 §6.4.1), the moment the packet was
received here, or the moment a recording's frame was due."""
State = Literal["connecting", "live", "retrying", "ended", "failed"]


class TrackedBox(msgspec.Struct, frozen=True, kw_only=True):
    """One object on one frame.

    Attributes:
        track_id: From 1; means something within (camera_id, session_id) only.
        class_id: Index into the model's class names.
        class_name: The model's name of the class.
        score: 0..1, of the last detection.
        xyxy: Left, top, right, bottom in pixels of the source picture.
        origin: How this box came to be.
        since_detected_ms: Milliseconds since the detector last saw the object; 0 where it did in this frame.
        uncertainty_px: One standard deviation of the box centre.
    """

    track_id: int
    class_id: int
    class_name: str
    score: float
    xyxy: tuple[float, float, float, float]
    origin: BoxOrigin
    since_detected_ms: float
    uncertainty_px: float


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a session's frames so far: decoded = detected + filled + the sum of lost.

    Attributes:
        decoded: Frames decoded, this one included.
        detected: Frames the detector ran on.
        filled: Frames it did not run on, by reason: `stride`, `replaced`, `stale`, `corrupt`, ….
        lost: Frames that were never published, by cause.
    """

    decoded: int
    detected: int
    filled: dict[str, int]
    lost: dict[str, int]


class FrameResult(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one decoded frame.

    Attributes:
        fleet: The fleet's name.
        camera_id: The camera's name in the fleet file.
        session_id: One unbroken stream of a camera; a reconnect opens a new one.
        frame_id: Counts a session's decoded frames, from 0.
        pts_s: The stream's own time of the frame, seconds.
        captured_at_ns: Wall time of the capture, ns since 1970-01-01 UTC.
        capture_clock: Where `captured_at_ns` comes from.
        published_at_ns: Wall time of the publication, ns since 1970-01-01 UTC.
        age_ms: From capture to publication by the monotonic clock: what the latency goal speaks of.
        frame_wh: Width and height of the source picture, px.
        origin: `detected`: the detector ran on this frame. `predicted`, `interpolated`: it did not and the tracker
            filled in. `skipped`: it did not and nothing was filled in.
        filled_because: Why the detector did not run; None where it did.
        stride: Every how many frames the detector is offered one.
        lost: Frames lost since the last message of this camera, by cause.
        counts: Totals of the session.
        latency_ms: Milliseconds by stage: decode, slot, inference, track, publish, ….
        tracks: The objects in the frame.
        schema: Version of this message.
    """

    fleet: str
    camera_id: str
    session_id: str
    frame_id: int
    pts_s: float
    captured_at_ns: int
    capture_clock: CaptureClock
    published_at_ns: int
    age_ms: float
    frame_wh: tuple[int, int]
    origin: FrameOrigin
    filled_because: str | None
    stride: int
    lost: dict[str, int]
    counts: Counts
    latency_ms: dict[str, float]
    tracks: tuple[TrackedBox, ...]
    schema: int = SCHEMA


class CameraState(msgspec.Struct, frozen=True, kw_only=True):
    """How a camera is.

    Attributes:
        state: `connecting`, `live`, `retrying` (it broke and will be tried again), `ended` (a recording came to its
            end), `failed` (given up: a mistake that trying again cannot mend).
        detail: The last error in words, credentials masked; empty while all is well.
        reconnects: How often the connection was made again since the camera process began.
        codec: As FFmpeg names it; empty until known.
        frame_wh: Width and height, px; (0, 0) until known.
    """

    fleet: str
    camera_id: str
    session_id: str
    state: State
    detail: str = ""
    reconnects: int = 0
    codec: str = ""
    frame_wh: tuple[int, int] = (0, 0)
    at_ns: int = 0
    schema: int = SCHEMA


_encoder = msgspec.msgpack.Encoder()
_frame_decoder = msgspec.msgpack.Decoder(FrameResult)
_state_decoder = msgspec.msgpack.Decoder(CameraState)
_version_decoder = msgspec.msgpack.Decoder(dict[str, msgspec.Raw])


def topic(kind: str, camera_id: str) -> bytes:
    """The topic of a camera's messages, such as b"detections/gate/"."""
    return f"{kind}/{camera_id}/".encode()


def encode(message: FrameResult | CameraState) -> bytes:
    """One msgpack map."""
    return _encoder.encode(message)


def decode(topic_bytes: bytes, body: bytes) -> FrameResult | CameraState:
    """The message behind a topic.

    Raises:
        WireError: The topic is none of ours, or the body is no message of a version this client knows.
    """
    kind = topic_bytes.partition(b"/")[0].decode("utf-8", "replace")
    decoders: dict[str, msgspec.msgpack.Decoder[FrameResult] | msgspec.msgpack.Decoder[CameraState]] = {
        DETECTIONS: _frame_decoder,
        CAMERAS: _state_decoder,
    }
    if kind not in decoders:
        raise WireError(f"topic {topic_bytes!r} is none of camfleet's; expected {DETECTIONS}/… or {CAMERAS}/…")
    try:
        message = decoders[kind].decode(body)
    except msgspec.MsgspecError as error:
        raise WireError(f"a message on {topic_bytes!r} cannot be read{_version_hint(body)}: {error}") from error
    if message.schema != SCHEMA:
        raise WireError(f"a message on {topic_bytes!r} cannot be read{_version_hint(body)}")
    return message


def _version_hint(body: bytes) -> str:
    """Words about the version a sender used, where it can be told and is not ours."""
    try:
        version = _version_decoder.decode(body).get("schema")
    except msgspec.MsgspecError:
        return ": it is no msgpack map"
    found = bytes(version) if version is not None else b""
    if found == msgspec.msgpack.encode(SCHEMA):
        return ""
    return f": this client knows schema {SCHEMA}, the sender uses another; install the sender's version of camfleet"
