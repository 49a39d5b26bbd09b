"""Changes of a fleet over several machines, from the file that was read until every shard follows it."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass

import structlog

from pipeline.config.values import Fleet
from pipeline.errors import ControlError
from pipeline.scale.conductor import Conductor
from pipeline.scale.swap import FleetSwap
from pipeline.supervise.changes import Changes, compare, keep_fixed
from pipeline.supervise.sinks import Sinks, require_libraries
from pipeline.supervise.supervisor import BEING_LOADED

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Change:
    """A change that somebody waits for."""

    fleet: Fleet
    changes: Changes
    answer: Future[Changes]


class Following:
    """Not thread-safe; the answers may be awaited in any thread."""

    def __init__(self, conductor: Conductor, sinks: Sinks) -> None:
        """Nothing changes."""
        self._conductor, self._sinks = conductor, sinks
        self._waiting: list[_Change] = []
        self._swapping: tuple[FleetSwap, _Change] | None = None

    @property
    def changing(self) -> bool:
        """Whether shards still follow, or load another model."""
        return bool(self._waiting) or self._swapping is not None

    def apply(self, fleet: Fleet, now_s: float) -> Future[Changes]:
        """Run as this fleet file says from now on; the answer waits until every shard does.

        Where it names another model, nothing changes until every shard has loaded that, and nothing if one cannot.

        Raises:
            ConfigError: A sink needs a library that is not installed.
            ControlError: Another model is being loaded.
        """
        require_libraries(fleet)
        if self._swapping is not None:
            raise ControlError(BEING_LOADED)
        changes, wanted = compare(self._conductor.fleet, fleet), keep_fixed(self._conductor.fleet, fleet)
        change = _Change(wanted, changes, Future())
        if changes.model:
            self._swapping = FleetSwap(wanted, now_s), change
            log.info("another model is loaded on every machine")
        else:
            self._become(change)
        return change.answer

    def tend(self, now_s: float) -> None:
        """Look how far the shards are."""
        self._tend_swap(now_s)
        refusals = self._conductor.refusals
        if not self._waiting or not (refusals or self._conductor.settled):
            return
        waiting, self._waiting = self._waiting, []
        words = "; ".join(f"shard {name} stays as it was: {why}" for name, why in refusals.items())
        for change in waiting:
            if refusals:
                change.answer.set_exception(ControlError(words))
            else:
                change.answer.set_result(change.changes)

    def close(self) -> None:
        """Nothing changes any more."""
        waiting = [*self._waiting, *([] if self._swapping is None else [self._swapping[1]])]
        self._waiting, self._swapping = [], None
        for change in waiting:
            change.answer.set_exception(ControlError("the fleet has ended"))

    def _tend_swap(self, now_s: float) -> None:
        if self._swapping is None:
            return
        swap, change = self._swapping
        try:
            if not swap.tend(self._conductor.held, now_s):
                return
        except ControlError as error:
            self._swapping = None
            log.error(str(error))
            change.answer.set_exception(error)
            return
        self._swapping = None
        self._become(change)

    def _become(self, change: _Change) -> None:
        """Have every shard follow."""
        self._conductor.apply(change.fleet)
        self._sinks.change(change.fleet)
        self._waiting.append(change)
        log.info("the fleet changes", what=change.changes.words, version=self._conductor.version)
