"""The file beside a clip and a picture, which tells what they show; and what all three are called."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import msgspec

from pipeline.clock import NS_PER_S
from pipeline.errors import SinkError
from pipeline.wire import AlignedBy
from pipeline.wire.event import Event

VERSION = 1
PICTURE, RECORD = ".jpg", ".json"
UNFINISHED = "."
"""What the names of files begin with that are not finished."""


class Shot(msgspec.Struct, frozen=True, kw_only=True):
    """The picture.

    Attributes:
        file: Its name, in the same folder.
        at_ns: Wall time of its capture, ns since 1970-01-01 UTC.
        frame_id: The frame of the detected stream that it shows, in `session_id`.
        session_id: Of that frame.
        wh: Its width and height, px.
        xyxy: The object in it, px of this picture; None of an event that is about none.
        score: Of the object on that frame, 0..1.
        sharpness: Of the object, by the variance of its Laplacian; compares pictures of one object only.
        error_ms: How far the picture may be from the moment of the box; None where that is not known.
    """

    file: str
    at_ns: int
    frame_id: int
    session_id: str
    wh: tuple[int, int]
    xyxy: tuple[float, float, float, float] | None = None
    score: float = 0.0
    sharpness: float = 0.0
    error_ms: float | None = 0.0


class Footage(msgspec.Struct, frozen=True, kw_only=True):
    """The clip.

    Attributes:
        file: Its name, in the same folder.
        from_ns: Wall time of its first picture, ns since 1970-01-01 UTC.
        to_ns: And of its last.
        frames: Pictures in it.
        codec: As FFmpeg names it.
        wh: Width and height, px.
        aligned_by: Of a second stream, what makes its time that of the events; None of the stream that is detected.
        error_ms: How far the two may be apart; None where that is not known.
    """

    file: str
    from_ns: int
    to_ns: int
    frames: int
    codec: str
    wh: tuple[int, int]
    aligned_by: AlignedBy | None = None
    error_ms: float | None = 0.0


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of one event.

    Attributes:
        camfleet_evidence: Version of this file's form.
        event: As it was told last.
        clip: None where there is none.
        snapshot: None where there is none.
        detail: Why something is missing; empty where nothing is.
    """

    camfleet_evidence: int = VERSION
    event: Event
    clip: Footage | None = None
    snapshot: Shot | None = None
    detail: str = ""


def stem_of(folder: Path, event: Event) -> Path:
    """What the files of an event are called, without their endings: by the machine's own time."""
    at = dt.datetime.fromtimestamp(event.at_ns / NS_PER_S).astimezone()
    name = f"{at:%H%M%S}-{event.rule}-{event.happening}-{event.event_id[:8]}"
    return folder / event.camera_id / f"{at:%Y-%m-%d}" / name


def beside(stem: Path, ending: str, *, finished: bool = True) -> Path:
    """A file of an event."""
    return stem.with_name(f"{'' if finished else UNFINISHED}{stem.name}{ending}")


def write_record(stem: Path, record: Record, *, finished: bool = True) -> None:
    """Write it; it appears when it is whole.

    Raises:
        SinkError: It cannot be written.
    """
    body = msgspec.json.format(msgspec.json.encode(record), indent=2)
    write_whole(beside(stem, RECORD, finished=finished), body + b"\n")


def read_record(file: Path) -> Record | None:
    """What stands in a file; None where it is none of these."""
    try:
        record = msgspec.json.decode(file.read_bytes(), type=Record)
    except (OSError, ValueError, RecursionError):
        return None
    return record if record.camfleet_evidence <= VERSION else None


def write_whole(file: Path, content: bytes) -> None:
    """Write a file that appears when it is whole.

    Raises:
        SinkError: It cannot be written.
    """
    new = file.with_name(f"{UNFINISHED}{file.name}.new")
    try:
        new.write_bytes(content)
        new.replace(file)
    except OSError as error:
        new.unlink(missing_ok=True)
        raise SinkError(f"{file} cannot be written: {error.strerror}") from None
