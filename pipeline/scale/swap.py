"""Another model in a fleet over several machines: every shard loads and warms it, and all use it, or none.

First each shard prepares: it loads the model beside the one at work, as the workers of a single machine do. When all
have it, the fleet file that names it is applied, and takes a moment on each. If one cannot have it, the others let go
of it and nothing has changed. A machine that dies meanwhile is not waited for; one that is silent is, for a while.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from pipeline.config.values import Fleet
from pipeline.errors import ControlError, PipelineError
from pipeline.scale.cluster import ActorAway, ActorLost, Call
from pipeline.scale.held import Held
from pipeline.supervise.swap import STAYS

log = structlog.get_logger()

PREPARE_S = 600.0
"""How long all of them may take: a large model is exported and compiled on each machine."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """A shard that was asked, and what it has not answered yet; None once it has the model."""

    held: Held
    call: Call | None


class FleetSwap:
    """One change under way. Not thread-safe; never blocks."""

    def __init__(self, fleet: Fleet, now_s: float) -> None:
        """Begin with the next `tend`; `fleet` is the one that names the model."""
        self._fleet = fleet.model_copy(update={"cameras": {}, "sinks": {}})
        self._until_s = now_s + PREPARE_S
        self._asked: dict[str, _Asked] = {}

    def tend(self, held: Mapping[str, Held], now_s: float) -> bool:
        """Ask and listen; True while every shard has the model.

        Raises:
            ControlError: One cannot have it, or has not said so in time; all others were told to let go of it.
        """
        shards = {name: one for name, one in held.items() if not one.ends}
        self._asked = {name: one for name, one in self._asked.items() if name in shards}
        for name, one in shards.items():
            if name not in self._asked and one.ready is not None:
                self._asked[name] = _Asked(one, one.actor.call("prepare", self._fleet))
        for name in list(self._asked):
            self._hear(name)
        waits = [one for name, one in shards.items() if name not in self._asked or self._asked[name].call is not None]
        if waits and now_s >= self._until_s:
            self._give_up(f"{waits[0].where} has not loaded it within {PREPARE_S:.0f} s")
        return not waits

    def abort(self) -> None:
        """Have every shard let go of the model; does not wait for that."""
        for one in self._asked.values():
            one.held.actor.call("unprepare")
        self._asked.clear()

    def _hear(self, name: str) -> None:
        asked = self._asked[name]
        if asked.call is None or not asked.call.done:
            return
        try:
            asked.call.result()
        except (ActorAway, ActorLost):
            del self._asked[name]  # It is asked again, as long as the cluster has it.
        except PipelineError as error:
            self._give_up(f"{asked.held.where}: {str(error).removeprefix(STAYS)}")
        else:
            self._asked[name] = _Asked(asked.held, None)
            log.info(f"shard {name} has loaded the model", machine=asked.held.machine.address)

    def _give_up(self, why: str) -> None:
        self.abort()
        raise ControlError(f"the model stays as it was on every machine: {why}")
