"""Messages as rows of tables: what the columns of `schema/*.sql` are filled with, without any database.

The fields of each row are the columns, by name and in order. PostgreSQL has no text with a zero character in it, and no
database has half of a surrogate pair: both become the sign that stands for what cannot be read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple, get_args, get_type_hints

import msgspec

from pipeline.wire import CameraState, Event, Evidence, FrameResult, Message, TrackedBox

_REPLACEMENT = "\ufffd"
_SHORT = 64
"""Names of classes and sessions come again with each object; longer texts are not worth their memory."""


class FrameRow(NamedTuple):
    """A row of `frames`."""

    fleet: str
    camera_id: str
    session_id: str
    session: int
    frame_id: int
    pts_s: float
    captured_at_ns: int
    capture_clock: str
    published_at_ns: int
    age_ms: float
    frame_width: int
    frame_height: int
    origin: str
    filled_because: str | None
    detection_age_ms: float | None
    stride: int
    objects: int
    lost: str
    latency_ms: str


class BoxRow(NamedTuple):
    """A row of `boxes`."""

    fleet: str
    camera_id: str
    session_id: str
    frame_id: int
    track_id: int
    captured_at_ns: int
    class_id: int
    class_name: str
    score: float
    x1: float
    y1: float
    x2: float
    y2: float
    box_origin: str
    since_detected_ms: float
    uncertainty_px: float


class StateRow(NamedTuple):
    """A row of `camera_states`."""

    fleet: str
    camera_id: str
    told_at_ns: int
    state: str
    detail: str
    since_ns: int
    session_id: str
    reconnects: int
    codec: str
    decoder: str
    frame_width: int
    frame_height: int
    detection_age_ms: float | None


class EventRow(NamedTuple):
    """A row of `events`."""

    fleet: str
    camera_id: str
    event_id: str
    phase: str
    session_id: str
    frame_id: int
    happened_at_ns: int
    error_ms: float
    rule: str
    happening: str
    condition: str
    lasted_s: float
    direction: str | None
    object_id: str
    track_id: int
    class_name: str
    score: float
    x1: float
    y1: float
    x2: float
    y2: float
    objects: int
    revised: int
    withdrawn: int


class EvidenceRow(NamedTuple):
    """A row of `evidence`."""

    fleet: str
    camera_id: str
    event_id: str
    happened_at_ns: int
    rule: str
    happening: str
    class_name: str
    score: float
    record: str
    clip: str
    clip_from_ns: int
    clip_to_ns: int
    snapshot: str
    snapshot_at_ns: int
    snapshot_width: int
    snapshot_height: int
    x1: float
    y1: float
    x2: float
    y2: float
    error_ms: float | None
    detail: str


class Standing(NamedTuple):
    """What of a camera's state makes a row where it changes."""

    session_id: str
    state: str
    detail: str


Row = FrameRow | BoxRow | StateRow | EventRow | EvidenceRow
KINDS: dict[str, type[Row]] = {
    "frames": FrameRow,
    "boxes": BoxRow,
    "camera_states": StateRow,
    "events": EventRow,
    "evidence": EvidenceRow,
}
"""The tables, in the order in which they are filled."""
SINCE = {"frames": 1, "boxes": 1, "camera_states": 1, "events": 2, "evidence": 3}
"""The version of the tables that each came with."""
TIME_COLUMN = {
    "frames": "captured_at_ns",
    "boxes": "captured_at_ns",
    "camera_states": "told_at_ns",
    "events": "happened_at_ns",
    "evidence": "happened_at_ns",
}
"""The column of each table by which rows become too old."""


def column_types(row: type[Row]) -> dict[str, type]:
    """`str`, `int` or `float` by column; whether it may be None is not told."""
    hints = get_type_hints(row)
    return {name: (get_args(hint) or (hint,))[0] for name, hint in hints.items()}


LastStanding = Callable[[str, str], Standing | None]
"""How a camera of a fleet stood by the newest row about it; None where there is none."""


@dataclass(frozen=True, slots=True)
class Rows:
    """What a batch of messages adds to each table, without repeats."""

    frames: list[FrameRow] = field(default_factory=list)
    boxes: list[BoxRow] = field(default_factory=list)
    camera_states: list[StateRow] = field(default_factory=list)
    events: list[EventRow] = field(default_factory=list)
    evidence: list[EvidenceRow] = field(default_factory=list)

    @property
    def messages(self) -> int:
        """How many messages have a row here."""
        return len(self.frames) + len(self.camera_states) + len(self.events) + len(self.evidence)

    def halves(self) -> tuple[Rows, Rows]:
        """The same in two parts, the objects of a frame together with it; of two messages or more, neither is empty."""
        apart = [name for name in ("frames", "camera_states", "events", "evidence") if getattr(self, name)]
        if len(apart) > 1:
            one = {name: getattr(self, name) for name in apart[:1]}
            others = {name: getattr(self, name) for name in apart[1:]}
            return (Rows(**one, boxes=self.boxes), Rows(**others)) if self.frames else (Rows(**one), Rows(**others))
        half = {name: len(getattr(self, name)) // 2 for name in apart}
        boxes = sum(frame.objects for frame in self.frames[: half.get("frames", 0)])
        return (
            Rows(**{name: getattr(self, name)[:at] for name, at in half.items()}, boxes=self.boxes[:boxes]),
            Rows(**{name: getattr(self, name)[at:] for name, at in half.items()}, boxes=self.boxes[boxes:]),
        )

    def tables(self) -> list[tuple[str, list[Row]]]:
        """The tables that get any."""
        named = {name: getattr(self, name) for name in KINDS}
        return [(name, list(rows)) for name, rows in named.items() if rows]


class Book:
    """Turns messages into rows; of the states of a camera only those that differ from the one before."""

    def __init__(self, last: LastStanding) -> None:
        """Begin with what is written already.

        Args:
            last: Asked once for each camera.
        """
        self._last = last
        self._standings: dict[tuple[str, str], Standing | None] = {}

    def rows(self, batch: Iterable[Message]) -> Rows:
        """The rows of these messages; kinds that have no table are left out."""
        rows = Rows()
        seen: set[tuple[str | int, ...]] = set()
        for message in batch:
            if isinstance(message, FrameResult):
                row = frame_row(message)
                key = (row.fleet, row.camera_id, row.session_id, row.frame_id)
                if key not in seen:
                    seen.add(key)
                    rows.frames.append(row)
                    rows.boxes.extend(box_rows(message))
            elif isinstance(message, CameraState) and self._is_news(message):
                rows.camera_states.append(state_row(message))
            elif isinstance(message, Event) and (event := event_row(message))[:6] not in seen:
                seen.add(event[:6])
                rows.events.append(event)
            elif isinstance(message, Evidence) and (kept := evidence_row(message))[:3] not in seen:
                seen.add(kept[:3])
                rows.evidence.append(kept)
        return rows

    def _is_news(self, state: CameraState) -> bool:
        key = (state.fleet, state.camera_id)
        if key not in self._standings:
            self._standings[key] = self._last(*key)
        standing = Standing(readable(state.session_id), state.state, readable(state.detail))
        before, self._standings[key] = self._standings[key], standing
        return before != standing


def frame_row(frame: FrameResult) -> FrameRow:
    """A frame without its objects."""
    return FrameRow(
        fleet=frame.fleet,
        camera_id=frame.camera_id,
        session_id=readable(frame.session_id),
        session=frame.session,
        frame_id=frame.frame_id,
        pts_s=frame.pts_s,
        captured_at_ns=frame.captured_at_ns,
        capture_clock=frame.capture_clock,
        published_at_ns=frame.published_at_ns,
        age_ms=frame.age_ms,
        frame_width=frame.frame_wh[0],
        frame_height=frame.frame_wh[1],
        origin=frame.origin,
        filled_because=None if frame.filled_because is None else readable(frame.filled_because),
        detection_age_ms=frame.detection_age_ms,
        stride=frame.stride,
        objects=len(_once(frame.tracks)),
        lost=_json(frame.lost),
        latency_ms=_json(frame.latency_ms),
    )


def box_rows(frame: FrameResult) -> list[BoxRow]:
    """The objects of a frame; one that is in it twice is taken once."""
    fleet, camera_id, session_id = frame.fleet, frame.camera_id, readable(frame.session_id)
    frame_id, captured_at_ns = frame.frame_id, frame.captured_at_ns
    return [
        BoxRow(
            fleet,
            camera_id,
            session_id,
            frame_id,
            box.track_id,
            captured_at_ns,
            box.class_id,
            readable(box.class_name),
            box.score,
            *box.xyxy,
            box.origin,
            box.since_detected_ms,
            box.uncertainty_px,
        )
        for box in _once(frame.tracks)
    ]


def state_row(state: CameraState) -> StateRow:
    """How a camera was told to be."""
    return StateRow(
        fleet=state.fleet,
        camera_id=state.camera_id,
        told_at_ns=state.at_ns,
        state=state.state,
        detail=readable(state.detail),
        since_ns=state.since_ns,
        session_id=readable(state.session_id),
        reconnects=state.reconnects,
        codec=readable(state.codec),
        decoder=readable(state.decoder),
        frame_width=state.frame_wh[0],
        frame_height=state.frame_wh[1],
        detection_age_ms=state.detection_age_ms,
    )


def event_row(event: Event) -> EventRow:
    """What was told of an event."""
    return EventRow(
        fleet=event.fleet,
        camera_id=event.camera_id,
        event_id=readable(event.event_id),
        phase=event.phase,
        session_id=readable(event.session_id),
        frame_id=event.frame_id,
        happened_at_ns=event.at_ns,
        error_ms=event.error_ms,
        rule=event.rule,
        happening=event.happening,
        condition=readable(event.condition),
        lasted_s=event.lasted_s,
        direction=event.direction,
        object_id=readable(event.object_id),
        track_id=event.track_id,
        class_name=readable(event.class_name),
        score=event.score,
        x1=event.xyxy[0],
        y1=event.xyxy[1],
        x2=event.xyxy[2],
        y2=event.xyxy[3],
        objects=event.count,
        revised=int(event.revised),
        withdrawn=int(event.withdrawn),
    )


def evidence_row(kept: Evidence) -> EvidenceRow:
    """What is kept of an event."""
    left, top, right, bottom = kept.xyxy
    return EvidenceRow(
        fleet=kept.fleet,
        camera_id=kept.camera_id,
        event_id=readable(kept.event_id),
        happened_at_ns=kept.at_ns,
        rule=kept.rule,
        happening=kept.happening,
        class_name=readable(kept.class_name),
        score=kept.score,
        record=readable(kept.record),
        clip=readable(kept.clip),
        clip_from_ns=kept.clip_from_ns,
        clip_to_ns=kept.clip_to_ns,
        snapshot=readable(kept.snapshot),
        snapshot_at_ns=kept.snapshot_at_ns,
        snapshot_width=kept.snapshot_wh[0],
        snapshot_height=kept.snapshot_wh[1],
        x1=left,
        y1=top,
        x2=right,
        y2=bottom,
        error_ms=kept.error_ms,
        detail=readable(kept.detail),
    )


def readable(text: str) -> str:
    r"""`text` as every database keeps it.

    Example:
        >>> readable("per\0son")
        'per�son'
    """
    return _remembered(text) if len(text) <= _SHORT else _replaced(text)


def _replaced(text: str) -> str:
    return text.replace("\0", _REPLACEMENT).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


_remembered = lru_cache(maxsize=4096)(_replaced)


def _once(tracks: tuple[TrackedBox, ...]) -> tuple[TrackedBox, ...]:
    by_id = {box.track_id: box for box in tracks}
    return tracks if len(by_id) == len(tracks) else tuple(by_id.values())


def _json(values: Mapping[str, float]) -> str:
    return msgspec.json.encode({readable(key): value for key, value in values.items()}).decode() if values else "{}"
