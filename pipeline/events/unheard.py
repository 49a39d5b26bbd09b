"""Events that were given to the publisher and not yet heard from it: it may have died with them."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.clock import NS_PER_S
from pipeline.wire.event import Event

Name = tuple[str, str, int]
"""An event's id, its phase, and the frame that told: the same thing is told under the same name."""

AGAIN_S = 2.0
"""So long after the publisher was heard first may an event be on its way: what waits for a publisher that is being
started again goes out as soon as it is there, and nothing may be told twice."""


class Unheard:
    """Arithmetic on what comes and goes; time is what the caller says. Not thread-safe."""

    def __init__(self) -> None:
        """Begin with none."""
        self._events: dict[Name, tuple[Event, int]] = {}
        self._publisher = ""

    def put(self, events: Iterable[Event], now_ns: int) -> None:
        """They were given to the publisher now."""
        self._events |= {name_of(event): (event, now_ns) for event in events}

    def hear(self, name: Name) -> None:
        """The publisher has told it; harmless for any other."""
        self._events.pop(name, None)

    def overdue(self, publisher: str, now_ns: int) -> list[Event]:
        """Those that this publisher, who is heard now, should have told long ago; they are to be given to it again."""
        if publisher != self._publisher:
            self._publisher = publisher
            self.put([event for event, _ in self._events.values()], now_ns)
        late = [event for event, since_ns in self._events.values() if now_ns - since_ns > AGAIN_S * NS_PER_S]
        self.put(late, now_ns)
        return late


def name_of(event: Event) -> Name:
    """Under which it is told."""
    return event.event_id, event.phase, event.frame_id
