"""The events of a zone."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, field

import msgspec

from pipeline.clock import NS_PER_S
from pipeline.config.condition import Condition
from pipeline.config.rules import Zone
from pipeline.rules.attributes import judged
from pipeline.rules.calm import Calm
from pipeline.rules.crowd import Crowd
from pipeline.rules.early import Answer, Unsure, settle
from pipeline.rules.geometry import Area
from pipeline.rules.objects import Here, Look, Seen
from pipeline.rules.tell import Teller, concerns, concerns_all
from pipeline.rules.visits import Told, Turn, Visit
from pipeline.wire.event import Event, Phase

AGAIN_S = 10.0
"""What lasts is told again so often."""
LASTING = ("enter", "dwell", "stopped")
"""What goes on for an object that is inside."""
CROWDS = ("count", "nothing")
NEVER_NS = (1 << 63) - 1


class ZoneState(msgspec.Struct):
    """What is remembered of a zone.

    Attributes:
        visits: How each object is to it, by its id.
        early: The same carried on by predicted boxes, since the last detection; of a rule that does not wait for one.
        unsure: What was told by that.
        crowds: By condition.
    """

    visits: dict[str, Visit] = {}
    early: dict[str, Visit] = {}
    unsure: dict[str, Unsure] = {}
    crowds: dict[str, Crowd] = {}


@dataclass(slots=True)
class AtZone:
    """A zone of a camera whose pictures are of one size.

    Attributes:
        zone: The rule.
        state: What is remembered of it.
        teller: Makes its events; it says which frame is judged.
        area: The zone in pixels.
    """

    zone: Zone
    state: ZoneState
    teller: Teller
    area: Area
    _lasting: tuple[Condition, ...] = field(init=False)
    _crowded: tuple[Condition, ...] = field(init=False)
    _eager: bool = field(init=False)
    _counts_all: bool = field(init=False)
    _calm: Calm | None = None
    _waits: bool = True
    """Whether a number of objects is, or may soon be, what a condition speaks of; else only another number matters."""

    def __post_init__(self) -> None:
        self._lasting = tuple(one for one in self.zone.when if one.happening in LASTING)
        self._crowded = tuple(one for one in self.zone.when if one.happening in CROWDS)
        self._eager = self.zone.rests_on == "any"
        self._counts_all = concerns_all(self.zone)

    def is_quiet(self, ids: Sequence[str], inside: Sequence[bool], now_ns: int) -> bool:
        """Whether `see` would neither tell nor note anything."""
        return not self._waits and self._calm is not None and not self._calm.is_over(ids, inside, now_ns)

    def known(self, ids: Sequence[str]) -> Sequence[bool]:
        """Whether each object was in the zone when that was last certain."""
        if self._calm is not None and self._calm.ids == ids:
            return self._calm.inside
        return [visit is not None and visit.inside for visit in map(self.state.visits.get, ids)]

    def see(self, here: Sequence[Here], ids: Sequence[str], inside: Sequence[bool]) -> Iterator[Event]:
        """The events that a frame brings.

        Args:
            here: The objects on it.
            ids: Of each.
            inside: Whether each is in the zone.
        """
        calm = self._calm
        if calm is None or calm.is_over(ids, inside, self._now_ns):
            calm = yield from self._see_each(here, ids, inside)
            self._calm = calm if calm.due_ns else None
        yield from self._crowds(calm.count)

    def _see_each(
        self, here: Sequence[Here], ids: Sequence[str], inside: Sequence[bool]
    ) -> Generator[Event, None, Calm]:
        """The events of each object; how they are behind that."""
        visits, now_ns, count, due_ns = self.state.visits, self._now_ns, 0, NEVER_NS if self._counts_all else 0
        for one, object_id, is_in in zip(here, ids, inside, strict=True):
            visit = visits.get(object_id)
            if visit is None or visit.inside != is_in or visit.turn is not None or self._eager:
                yield from self._look(one, is_in=is_in)
                visit, due_ns = visits.get(object_id), 0
            if visit is not None and visit.inside and (self._counts_all or concerns(self.zone, one.seen)):
                count += self._counts_all or judged(self.zone, one.seen) == "yes"
                if now_ns >= visit.due_ns:
                    yield from self._stays(one.seen, visit)
                due_ns = min(due_ns, visit.due_ns)
        return Calm(ids, inside, count, due_ns)

    def lose(self, seen: Seen) -> Iterator[Event]:
        """The events of an object that is gone: what lasted for it ends when it was last seen."""
        self._calm = None
        self.state.early.pop(seen.object_id, None)
        visit = self.state.visits.pop(seen.object_id, None)
        if visit is None:
            return
        yield from self._withdraw(seen)
        yield from self._ends(seen, visit, seen.seen_ns)
        if visit.inside and concerns(self.zone, seen) and seen.session_id == self.teller.frame.session_id:
            for condition in self._of("gone"):
                if self.teller.is_on(seen.seen_ns):
                    yield self.teller.tell(condition, "once", seen.seen_ns, visit.number, seen=seen)

    def _look(self, one: Here, *, is_in: bool) -> Iterator[Event]:
        """Something may change for an object."""
        if one.look is not None:
            yield from self._detected(one.seen, one.look, is_in=is_in)
        elif (early := self.state.early.get(one.seen.object_id)) is not None:
            yield from self._predicted(one, early, is_in=is_in)

    def _detected(self, seen: Seen, look: Look, *, is_in: bool) -> Iterator[Event]:
        visit = self.state.visits.get(seen.object_id)
        if visit is None:
            self.state.visits[seen.object_id] = visit = Visit(is_in, Turn(look.at_ns, 0.0))
            if is_in and seen.appeared and concerns(self.zone, seen):
                yield from self._moment("appeared", seen, visit)
            return
        turned = visit.update(seen, seen.before, look, self.area, self.zone.on, inside=is_in)
        if self._eager:
            self.state.early[seen.object_id] = copy(visit)
        certain = Unsure(visit.since.at_ns, visit.number, visit.inside) if turned else None
        answer = settle(self.state.unsure.get(seen.object_id), certain, back=visit.turn is None)
        if answer == "withdraw":
            yield from self._withdraw(seen)
        if turned:
            self.state.unsure.pop(seen.object_id, None)
            yield from self._came(seen, visit, answer) if visit.inside else self._left(seen, visit, answer)

    def _came(self, seen: Seen, visit: Visit, answer: Answer) -> Iterator[Event]:
        """A detection shows that an object has come in; `answer`: what that makes of what was told before."""
        for condition in self._of("enter") if concerns(self.zone, seen) else ():
            told = Told(visit.since.at_ns, visit.number, self._now_ns)
            if answer == "tell":
                yield from self._begin(condition, seen, visit, told)
            elif self.teller.is_on(told.at_ns):
                visit.told[condition.text] = told
                if answer == "revise":
                    yield self._tell(condition, "update", seen, visit, told, revised=True)

    def _left(self, seen: Seen, visit: Visit, answer: Answer) -> Iterator[Event]:
        yield from self._ends(seen, visit, visit.since.at_ns)
        if concerns(self.zone, seen) and answer != "confirm":
            yield from self._moment("leave", seen, visit, revised=answer == "revise")

    def _predicted(self, one: Here, early: Visit, *, is_in: bool) -> Iterator[Event]:
        """What predicted boxes say of an object, where nobody waits for a detection."""
        turned = early.update(one.seen, one.seen.last, one.glance(self._now_ns), self.area, self.zone.on, inside=is_in)
        if not turned or not concerns(self.zone, one.seen) or not self.teller.is_on(early.since.at_ns):
            return
        self.state.unsure[one.seen.object_id] = Unsure(early.since.at_ns, early.number, early.inside)
        if not early.inside:
            yield from self._moment("leave", one.seen, early)
        for condition in self._of("enter") if early.inside else ():
            yield self._tell(condition, "begin", one.seen, early, Told(early.since.at_ns, early.number, 0))

    def _withdraw(self, seen: Seen) -> Iterator[Event]:
        unsure = self.state.unsure.pop(seen.object_id, None)
        if unsure is not None:
            for condition in self._of("enter" if unsure.forward else "leave"):
                phase: Phase = "end" if unsure.forward else "once"
                yield self.teller.tell(condition, phase, unsure.at_ns, unsure.number, seen=seen, withdrawn=True)

    def _stays(self, seen: Seen, visit: Visit) -> Iterator[Event]:
        """What lasts for an object that is inside: it begins, is told again, or is over."""
        for condition in self._lasting:
            lasts_ns = round(condition.lasts_s * NS_PER_S)
            stands_ns = max(seen.still_ns, visit.since.at_ns)
            stops = condition.happening == "stopped"
            since_ns = stands_ns if stops else visit.since.at_ns
            if (told := visit.told.get(condition.text)) is not None:
                if stops and self._now_ns - stands_ns <= lasts_ns:
                    yield self._end(condition, seen, visit, stands_ns)
                elif self._now_ns - told.newest_ns >= AGAIN_S * NS_PER_S:
                    told.newest_ns = self._now_ns
                    yield self._tell(condition, "update", seen, visit, told)
            elif condition.happening in ("dwell", "stopped") and self._now_ns - since_ns > lasts_ns:
                number = stands_ns if stops else visit.number
                yield from self._begin(condition, seen, visit, Told(since_ns + lasts_ns, number, self._now_ns))
        visit.due_ns = min((self._due_ns(condition, visit) for condition in self._lasting), default=NEVER_NS)

    def _due_ns(self, condition: Condition, visit: Visit) -> int:
        """Before which moment nothing is to be told of what lasts; whether an object stands has to be looked at."""
        if condition.happening == "stopped":
            return 0
        if (told := visit.told.get(condition.text)) is not None:
            return told.newest_ns + round(AGAIN_S * NS_PER_S)
        return visit.since.at_ns + round(condition.lasts_s * NS_PER_S) if condition.happening == "dwell" else NEVER_NS

    def _begin(self, condition: Condition, seen: Seen, visit: Visit, told: Told) -> Iterator[Event]:
        if self.teller.is_on(told.at_ns):
            visit.told[condition.text] = told
            yield self._tell(condition, "begin", seen, visit, told)

    def _ends(self, seen: Seen, visit: Visit, over_ns: int) -> Iterator[Event]:
        for condition in self.zone.when:
            if condition.text in visit.told:
                yield self._end(condition, seen, visit, over_ns)

    def _end(self, condition: Condition, seen: Seen, visit: Visit, over_ns: int) -> Event:
        return self._tell(condition, "end", seen, visit, visit.told.pop(condition.text), until_ns=over_ns)

    def _tell(
        self,
        condition: Condition,
        phase: Phase,
        seen: Seen,
        visit: Visit,
        told: Told,
        *,
        until_ns: int | None = None,
        revised: bool = False,
    ) -> Event:
        """Something that lasts; until now, if nothing else is said."""
        return self.teller.tell(
            condition,
            phase,
            told.at_ns,
            told.number,
            seen=seen,
            error_ms=visit.since.error_ms,
            lasted_ns=max(0, (self._now_ns if until_ns is None else until_ns) - told.at_ns),
            revised=revised,
        )

    def _moment(self, happening: str, seen: Seen, visit: Visit, *, revised: bool = False) -> Iterator[Event]:
        at = visit.since
        for condition in self._of(happening):
            if self.teller.is_on(at.at_ns):
                yield self.teller.tell(
                    condition, "once", at.at_ns, visit.number, seen=seen, error_ms=at.error_ms, revised=revised
                )

    def _crowds(self, count: int) -> Iterator[Event]:
        """So many objects are inside."""
        self._waits, now_ns = False, self._now_ns
        for condition in self._crowded:
            crowd = self.state.crowds.get(condition.text)
            if crowd is None:
                crowd = self.state.crowds[condition.text] = Crowd()
            if crowd.update(now_ns, count, condition):
                since_ns, most = crowd.since_ns, crowd.most
                yield self._crowd(condition, "end", since_ns, crowd.end(), most)
            elif crowd.is_due(now_ns, condition) and self.teller.is_on(now_ns):
                crowd.told_ns = now_ns
                yield self._crowd(condition, "begin", crowd.since_ns, now_ns, count)
            elif crowd.told_ns and now_ns - crowd.told_ns >= AGAIN_S * NS_PER_S:
                crowd.told_ns = now_ns
                yield self._crowd(condition, "update", crowd.since_ns, now_ns, count)
            self._waits |= bool(crowd.since_ns)

    def _crowd(self, condition: Condition, phase: Phase, since_ns: int, until_ns: int, count: int) -> Event:
        return self.teller.tell(condition, phase, since_ns, since_ns, lasted_ns=until_ns - since_ns, count=count)

    @property
    def _now_ns(self) -> int:
        return self.teller.now_ns

    def _of(self, happening: str) -> list[Condition]:
        return [condition for condition in self.zone.when if condition.happening == happening]
