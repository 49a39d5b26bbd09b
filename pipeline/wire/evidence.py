"""What is kept of an event: told when its picture and clip are on disk."""

from __future__ import annotations

from typing import ClassVar

from pipeline.wire.base import CameraMessage, published
from pipeline.wire.event import Happening
from pipeline.wire.values import SCHEMA, Count, Name, Number


@published
class Evidence(CameraMessage, frozen=True, kw_only=True):
    """What is kept of an event.

    Attributes:
        event_id: The event's.
        rule: The zone or line.
        happening: What happened.
        at_ns: When, wall time, ns since 1970-01-01 UTC.
        class_name: Of its object; empty where it is about none.
        score: Of the object in the picture, or of its last detection where there is none, 0..1.
        record: The JSON file that tells all of it, on the fleet's machine.
        clip: The clip; empty where there is none.
        clip_from_ns: Wall time of its first picture, ns since 1970-01-01 UTC; 0 without a clip.
        clip_to_ns: And of its last.
        snapshot: The picture; empty where there is none.
        snapshot_at_ns: Wall time of its capture; 0 without one.
        snapshot_wh: Its width and height, px.
        xyxy: The object in it, px of that picture; all 0 where it is about no object.
        error_ms: How far the picture may be from the moment of the box; None where that is not known.
        detail: Why something is missing, in one sentence; empty where nothing is.
        schema: Version of this message.
    """

    kind: ClassVar[str] = "evidence"

    event_id: str
    rule: Name
    happening: Happening
    at_ns: Count
    class_name: str = ""
    score: Number = 0.0
    record: str
    clip: str = ""
    clip_from_ns: Count = 0
    clip_to_ns: Count = 0
    snapshot: str = ""
    snapshot_at_ns: Count = 0
    snapshot_wh: tuple[Count, Count] = (0, 0)
    xyxy: tuple[Number, Number, Number, Number] = (0.0, 0.0, 0.0, 0.0)
    error_ms: Number | None = 0.0
    detail: str = ""
    schema: int = SCHEMA
