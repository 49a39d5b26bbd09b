"""Who belongs to the fleet and how each process is, for the publisher, which tells it to everybody once a second."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from pipeline.clock import NS_PER_S, Clock
from pipeline.config.values import Fleet
from pipeline.publish import Publisher, Roster
from pipeline.supervise.status import ProcessStatus
from pipeline.wire import ProcessFigures, SinkState

EVERY_S = 0.9
"""Below the publisher's second, so that each of its messages has news."""


class RosterTeller:
    """Tells the publisher when something has changed, and now and then: it may be a new one. Not thread-safe."""

    def __init__(self, inbox: str, clock: Clock) -> None:
        """Connect to the publisher's inbox; nothing is said yet."""
        self._publisher, self._clock = Publisher(inbox), clock
        self._told: Roster | None = None
        self._told_s = 0.0

    def tell(self, fleet: Fleet, processes: Iterable[ProcessStatus]) -> None:
        """Say how things are, if it is time."""
        roster = Roster(
            p95_ms=fleet.slo.p95_ms,
            max_loss=fleet.slo.max_loss,
            cameras=tuple(fleet.cameras),
            processes=tuple(figures_of(one) for one in processes),
        )
        now_s = self._clock.monotonic_ns() / NS_PER_S
        if roster != self._told or now_s - self._told_s >= EVERY_S:
            self._told, self._told_s = roster, now_s
            self._publisher.tell(roster)

    def close(self) -> None:
        """Hang up."""
        self._publisher.close()


def figures_of(process: ProcessStatus) -> ProcessFigures:
    """A process as subscribers are told of it."""
    return ProcessFigures(
        name=process.name,
        role=process.role,
        condition=process.condition,
        restarts=process.restarts,
        detail=process.detail,
        pid=process.pid or 0,
        sink=None if process.sink is None else msgspec.convert(process.sink, SinkState, from_attributes=True),
    )
