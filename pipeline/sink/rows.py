"""Messages as rows of tables, without any database: those of a batch, each once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from pipeline.sink.columns import KINDS, BoxRow, EventRow, EvidenceRow, FrameRow, Row, StateRow
from pipeline.sink.event_rows import event_row, evidence_row
from pipeline.sink.frame_rows import box_rows, frame_row
from pipeline.sink.readable import readable
from pipeline.sink.state_rows import Standing, state_row
from pipeline.wire import CameraState, Event, Evidence, FrameResult, Message

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
