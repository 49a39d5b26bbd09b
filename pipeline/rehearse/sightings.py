"""Events as things that were seen: each once, as it was told last, in the time of its recording."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.clock import NS_PER_MS, NS_PER_S
from pipeline.rehearse.hear import HeardEvent
from pipeline.wire import Event

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Sighting:
    """Something that happened, as somebody saw it.

    Attributes:
        camera_id: Where.
        rule: At which zone or line.
        what: The direction over a line, else the condition: `in`, `enter`, `dwell > 30s`.
        at_s: When it began, seconds into the recording.
        error_ms: One standard deviation of that.
        class_name: Of the object; empty where it is about none.
        object_key: The object's session and track; the track is 0 where it is about none.
        xyxy: Its box when it was told, px.
        told_ms: From when it happened to when the message was heard; None where nobody told it.
        wanted: False where the truth does not ask for it: its object is tiny or hidden at that moment.
    """

    camera_id: str
    rule: str
    what: str
    at_s: float
    error_ms: float
    class_name: str
    object_key: tuple[str, int]
    xyxy: Box
    told_ms: float | None = None
    wanted: bool = True

    @property
    def kind(self) -> tuple[str, str, str]:
        """What it has in common with others like it: camera, rule, and what happened."""
        return self.camera_id, self.rule, self.what


def sightings(heard: Sequence[HeardEvent], zeros_ns: Mapping[str, int]) -> list[Sighting]:
    """What was told, in order of time; what was withdrawn later was not seen, what was revised is as it was told last.

    Args:
        heard: Every message about every event.
        zeros_ns: When the recording of each camera began; events of others are left out.
    """
    first: dict[str, HeardEvent] = {}
    last: dict[str, Event] = {}
    for one in heard:
        if one.event.camera_id in zeros_ns:
            first.setdefault(one.event.event_id, one)
            if one.event.phase in ("begin", "once") or one.event.withdrawn:
                last[one.event.event_id] = one.event
    found = [
        _sighting(event, first[event_id].at_ns, zeros_ns[event.camera_id])
        for event_id, event in last.items()
        if not event.withdrawn
    ]
    return sorted(found, key=lambda one: one.at_s)


def _sighting(event: Event, heard_ns: int, zero_ns: int) -> Sighting:
    return Sighting(
        camera_id=event.camera_id,
        rule=event.rule,
        what=event.direction or event.condition,
        at_s=(event.at_ns - zero_ns) / NS_PER_S,
        error_ms=event.error_ms,
        class_name=event.class_name,
        object_key=(event.session_id, event.track_id),
        xyxy=event.xyxy,
        told_ms=(heard_ns - event.at_ns) / NS_PER_MS if heard_ns else None,
    )
