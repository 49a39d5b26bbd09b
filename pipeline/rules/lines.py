"""The events of a line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass

import msgspec

from pipeline.clock import NS_PER_S
from pipeline.config.condition import Condition
from pipeline.config.rules import Line
from pipeline.rules.attributes import WAIT_S, judged, released
from pipeline.rules.crossings import Crossing, Side
from pipeline.rules.early import Unsure, settle
from pipeline.rules.geometry import Barrier
from pipeline.rules.objects import Here, Look, Seen
from pipeline.rules.tell import Teller, concerns
from pipeline.wire.event import Direction, Event


class Late(msgspec.Struct):
    """A crossing of an object of which it is not known yet whether it counts.

    Attributes:
        crossing: It.
        number: How often the object had crossed, this time included.
        until_ns: When it is given up.
    """

    crossing: Crossing
    number: int
    until_ns: int


class LineState(msgspec.Struct):
    """What is remembered of a line.

    Attributes:
        sides: On which side each object is, by its id.
        early: The same carried on by predicted boxes, since the last detection; of a rule that does not wait for one.
        unsure: What was told by that.
        inwards: How many have crossed it so, since this was begun.
        outwards: Likewise.
        late: What waits for the attributes of each object, by its id; where the rule asks for some.
    """

    sides: dict[str, Side] = {}
    early: dict[str, Side] = {}
    unsure: dict[str, Unsure] = {}
    inwards: int = 0
    outwards: int = 0
    late: dict[str, list[Late]] = {}

    def count(self, crossing: Crossing) -> None:
        """One more has crossed."""
        self.inwards += crossing.inwards
        self.outwards += not crossing.inwards

    def crossed(self, direction: Direction) -> int:
        """How many have crossed so."""
        return self.inwards if direction == "in" else self.outwards


@dataclass(frozen=True, slots=True)
class AtLine:
    """A line of a camera whose pictures are of one size.

    Attributes:
        line: The rule.
        state: What is remembered of it.
        teller: Makes its events; it says which frame is judged.
        barrier: The line in pixels.
    """

    line: Line
    state: LineState
    teller: Teller
    barrier: Barrier

    def see(self, here: Sequence[Here], ids: Sequence[str], sides_px: Sequence[float]) -> Iterator[Event]:
        """The events that a frame brings.

        Args:
            here: The objects on it.
            ids: Of each.
            sides_px: How far each is from the line drawn on without end, negative on its left.
        """
        if self.state.late:
            yield from self._known_now({one.seen.object_id: one.seen for one in here})
        sides, eager = self.state.sides, self.line.rests_on == "any"
        for one, object_id, distance_px in zip(here, ids, sides_px, strict=True):
            side = sides.get(object_id)
            if side is not None and not eager and side.rests(distance_px):
                continue
            if one.look is not None:
                yield from self._detected(one.seen, one.look, distance_px)
            elif (early := self.state.early.get(object_id)) is not None:
                yield from self._predicted(one, early)

    def lose(self, seen: Seen) -> Iterator[Event]:
        """The events of an object that is gone: what no detection has shown is taken back."""
        self.state.sides.pop(seen.object_id, None)
        self.state.early.pop(seen.object_id, None)
        self.state.late.pop(seen.object_id, None)
        yield from self._withdraw(seen)

    def _detected(self, seen: Seen, look: Look, distance_px: float) -> Iterator[Event]:
        side = self.state.sides.get(seen.object_id)
        if side is None:
            self.state.sides[seen.object_id] = Side(1 if distance_px > 0 else -1, traced=not seen.appeared)
            return
        crossing = side.update(seen, seen.before, look, self.barrier, self.line.on)
        if self.line.rests_on == "any":
            self.state.early[seen.object_id] = copy(side)
        certain = None if crossing is None else Unsure(crossing.at_ns, side.count, crossing.inwards)
        answer = settle(self.state.unsure.get(seen.object_id), certain, back=not side.over_ns)
        if answer == "withdraw":
            yield from self._withdraw(seen)
        if crossing is not None and concerns(self.line, seen):
            self.state.unsure.pop(seen.object_id, None)
            known = "yes" if answer in ("confirm", "revise") else judged(self.line, seen)
            if known == "unknown":
                late = Late(crossing, side.count, self.teller.now_ns + round(WAIT_S * NS_PER_S))
                self.state.late.setdefault(seen.object_id, []).append(late)
            elif known == "yes":
                self.state.count(crossing)
                if answer != "confirm":
                    yield from self._tell(seen, side.count, crossing, revised=answer == "revise")

    def _known_now(self, here: Mapping[str, Seen]) -> Iterator[Event]:
        """Crossings from before it was known whether they count, counted and told now."""
        for seen, waiting in released(self.line, self.state.late, here, self.teller.now_ns):
            for late in waiting:
                self.state.count(late.crossing)
                yield from self._tell(seen, late.number, late.crossing)

    def _predicted(self, one: Here, early: Side) -> Iterator[Event]:
        """What predicted boxes say of an object, where nobody waits for a detection."""
        look = one.glance(self.teller.now_ns)
        crossing = early.update(one.seen, one.seen.last, look, self.barrier, self.line.on)
        if crossing is not None and concerns(self.line, one.seen) and judged(self.line, one.seen) == "yes":
            self.state.unsure[one.seen.object_id] = Unsure(crossing.at_ns, early.count, crossing.inwards)
            yield from self._tell(one.seen, early.count, crossing, ahead=1)

    def _tell(
        self, seen: Seen, number: int, crossing: Crossing, *, ahead: int = 0, revised: bool = False
    ) -> Iterator[Event]:
        """Tell a crossing; `ahead` of its being counted."""
        direction: Direction = "in" if crossing.inwards else "out"
        for condition in self._of(direction) if self.teller.is_on(crossing.at_ns) else ():
            yield self.teller.tell(
                condition,
                "once",
                crossing.at_ns,
                number,
                seen=seen,
                error_ms=crossing.error_ms,
                count=ahead + self.state.crossed(direction),
                direction=direction,
                revised=revised,
            )

    def _withdraw(self, seen: Seen) -> Iterator[Event]:
        unsure = self.state.unsure.pop(seen.object_id, None)
        if unsure is None or not self.teller.is_on(unsure.at_ns):
            return
        direction: Direction = "in" if unsure.forward else "out"
        for condition in self._of(direction):
            yield self.teller.tell(
                condition,
                "once",
                unsure.at_ns,
                unsure.number,
                seen=seen,
                count=self.state.crossed(direction),
                direction=direction,
                withdrawn=True,
            )

    def _of(self, direction: Direction) -> list[Condition]:
        return [condition for condition in self.line.when if condition.happening in ("cross", direction)]
