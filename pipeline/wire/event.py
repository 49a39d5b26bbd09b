"""What happened in a zone or at a line: one event, from its begin to its end."""

from __future__ import annotations

from typing import ClassVar, Literal

from pipeline.wire.base import CameraMessage, published
from pipeline.wire.box import Attribute
from pipeline.wire.values import SCHEMA, Count, Name, Number

Happening = Literal["enter", "leave", "appeared", "gone", "dwell", "stopped", "count", "nothing", "cross"]
Phase = Literal["begin", "update", "end", "once"]
"""`begin`, any number of `update`, and `end` of something that lasts; `once` of what takes no time."""
Direction = Literal["in", "out"]


@published
class Event(CameraMessage, frozen=True, kw_only=True):
    """One thing that happened, told once or several times under the same `event_id`.

    Attributes:
        event_id: Names it for ever: whatever is started again, the same thing has the same name.
        phase: Which part of it this message tells.
        rule: The zone or line, as the fleet file calls it.
        happening: What happened.
        condition: As the fleet file says it, such as `dwell > 30s`.
        at_ns: Wall time at which it began, ns since 1970-01-01 UTC, interpolated between frames.
        error_ms: One standard deviation of that time.
        lasted_s: For how long it lasts or has lasted, seconds; 0 of what takes no time.
        direction: Of what crosses a line.
        object_id: Names the object over identity switches: the session and track under which it was first seen; empty
            where it is about no object.
        session_id: The session of the frame that told.
        track_id: The object's track in that session; 0 where it is about no object.
        class_name: Of the object.
        score: Of its last detection, 0..1.
        attributes: What second looks had found of it when it was told, by the name that the fleet file gives each.
        xyxy: Its box when it was told, px of the source picture; all 0 where it is about no object.
        count: Objects in the zone; those that crossed the line in this direction so far, this one included.
        frame_id: The frame that told.
        revised: Whether this corrects what was told before: its time, or, with `withdrawn`, all of it.
        withdrawn: It did not happen: a later detection shows the object elsewhere.
        schema: Version of this message.
    """

    kind: ClassVar[str] = "events"

    event_id: str
    phase: Phase
    rule: Name
    happening: Happening
    condition: str
    at_ns: Count
    error_ms: Number = 0.0
    lasted_s: Number = 0.0
    direction: Direction | None = None
    object_id: str = ""
    session_id: str = ""
    track_id: Count = 0
    class_name: str = ""
    score: Number = 0.0
    attributes: dict[str, Attribute] = {}  # noqa: RUF012  msgspec makes a new one each time
    xyxy: tuple[Number, Number, Number, Number] = (0.0, 0.0, 0.0, 0.0)
    count: Count = 0
    frame_id: Count = 0
    revised: bool = False
    withdrawn: bool = False
    schema: int = SCHEMA
