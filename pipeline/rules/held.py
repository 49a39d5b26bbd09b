"""Events of a zone that wait until it is known whether their object has the attributes that the zone asks for.

The zone itself tells of every object of its classes; here is decided which of that leaves. What lasts is decided when
it begins: one that was told is told to its end, whatever a later look finds; of others nothing more is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec
from msgspec.structs import replace

from pipeline.clock import NS_PER_S
from pipeline.config.rules import Rule
from pipeline.rules.attributes import WAIT_S, judged, released
from pipeline.rules.objects import Seen
from pipeline.rules.tell import Teller
from pipeline.wire.event import Event


class Waiting(msgspec.Struct):
    """An event that is held.

    Attributes:
        event: As it would have been told.
        until_ns: When it is given up.
    """

    event: Event
    until_ns: int


class HeldState(msgspec.Struct):
    """What is remembered; what can be kept on disk as it is.

    Attributes:
        waiting: Events that are held, by the object's id.
        told: Names of events of each object that were told and may go on or be corrected, by its id.
    """

    waiting: dict[str, list[Waiting]] = {}
    told: dict[str, list[str]] = {}


class Held:
    """Between a zone and who hears of it."""

    def __init__(self, rule: Rule, state: HeldState, teller: Teller) -> None:
        """Of a rule that asks for attributes.

        Args:
            rule: What it asks for.
            state: What is remembered.
            teller: Says which frame is judged.
        """
        self._rule, self._state, self._teller = rule, state, teller

    def update(self, events: Iterable[Event], seen: Mapping[str, Seen]) -> Iterator[Event]:
        """What is told on this frame.

        Args:
            events: What the zone tells.
            seen: The objects that are here, by their ids.
        """
        # What is new may take back what is held, which is let go only after that.
        new = list(self._pass(events, seen))
        yield from self._release(seen)
        yield from new

    def lose(self, events: Iterable[Event], seen: Seen) -> Iterator[Event]:
        """What is told of an object that is gone: nobody will look at it any more."""
        yield from self.update(events, {seen.object_id: seen})
        self._state.waiting.pop(seen.object_id, None)
        self._state.told.pop(seen.object_id, None)

    def _pass(self, events: Iterable[Event], here: Mapping[str, Seen]) -> Iterator[Event]:
        """Those that leave at once; others are held or dropped."""
        for event in events:
            one = here.get(event.object_id)
            told = self._state.told.get(event.object_id, [])
            if one is None or event.event_id in told:
                yield event
                if one is not None and event.phase == "end":
                    told.remove(event.event_id)
            elif not self._joins(event):
                yield from self._first(event, one)

    def _first(self, event: Event, seen: Seen) -> Iterator[Event]:
        """Something new; what goes on, ends or is corrected here belongs to what was not told."""
        if event.phase in ("update", "end") or event.withdrawn:
            return
        answer = judged(self._rule, seen)
        if answer == "yes":
            self._state.told.setdefault(event.object_id, []).append(event.event_id)
            yield event
        elif answer == "unknown":
            until_ns = self._teller.now_ns + round(WAIT_S * NS_PER_S)
            self._state.waiting.setdefault(event.object_id, []).append(Waiting(event, until_ns))

    def _joins(self, event: Event) -> bool:
        """Whether this is about something that is held, and is held with it."""
        waiting = self._state.waiting.get(event.object_id, [])
        first = next((one for one in waiting if one.event.event_id == event.event_id), None)
        if first is None:
            return False
        if event.withdrawn:
            waiting[:] = [one for one in waiting if one.event.event_id != event.event_id]
        elif event.revised:
            first.event = replace(first.event, at_ns=event.at_ns, error_ms=event.error_ms)
        elif event.phase == "end":
            waiting.append(Waiting(event, first.until_ns))
        return True

    def _release(self, here: Mapping[str, Seen]) -> Iterator[Event]:
        """Those of which it is known now, told by this frame."""
        for seen, waiting in released(self._rule, self._state.waiting, here, self._teller.now_ns):
            yield from self._let_go(waiting, seen)

    def _let_go(self, waiting: list[Waiting], seen: Seen) -> Iterator[Event]:
        told = self._state.told.setdefault(seen.object_id, [])
        for one in waiting:
            if one.event.phase == "end":
                told.remove(one.event.event_id)
            else:
                told.append(one.event.event_id)
            yield replace(
                one.event,
                frame_id=self._teller.frame.frame_id,
                session_id=seen.session_id,
                track_id=seen.track_id,
                class_name=seen.class_name,
                score=seen.score,
                attributes=seen.attributes,
                xyxy=seen.last.xyxy,
            )
