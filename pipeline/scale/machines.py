"""The machines of a cluster for one fleet: which there are, which are to be empty, and which may have shards now."""

from __future__ import annotations

from dataclasses import replace

import structlog

from pipeline.config.scale import Scale
from pipeline.errors import ControlError
from pipeline.scale.capacity import shards_on, why_unfit
from pipeline.scale.cluster import Cluster, Machine

log = structlog.get_logger()


class Machines:
    """Not thread-safe.

    Attributes:
        drained: Ids of those that somebody has told the fleet to leave.
    """

    def __init__(self, cluster: Cluster) -> None:
        """None is known before the first `look`."""
        self._cluster = cluster
        self._there: dict[str, Machine] = {}
        self.drained: set[str] = set()
        self._unfit_until_s: dict[str, float] = {}
        self._told: dict[str, str] = {}

    def look(self) -> None:
        """See which live, and which of them are to be empty, by the cluster's wish or our own."""
        self._there = {
            one.node_id: replace(one, drains=one.drains or one.node_id in self.drained)
            for one in self._cluster.machines()
        }

    def get(self, node_id: str) -> Machine | None:
        """The one of that id, if it lives."""
        return self._there.get(node_id)

    def drain(self, node: str) -> str:
        """Have one be empty, by its address or the beginning of its id; its id.

        Raises:
            ControlError: There is no such machine, or several.
        """
        found = [one for one in self._there.values() if node and (one.node_id.startswith(node) or one.address == node)]
        if len(found) != 1:
            there = ", ".join(f"{one.node_id[:8]} ({one.address})" for one in self._there.values()) or "none"
            called = f"{len(found)} machines are" if found else "no machine is"
            raise ControlError(f"{called} called “{node}”; there {'are' if ',' in there else 'is'} {there}")
        self.drained.add(found[0].node_id)
        self.look()
        return found[0].node_id

    def rooms(self, scale: Scale, now_s: float) -> list[tuple[Machine, int]]:
        """Those that may have shards now, and how many; says of one, once, why it may have none."""
        may = [one for one in self._there.values() if not one.drains and not self._is_avoided(one, now_s)]
        for machine in may:
            if why := why_unfit(machine, scale):
                self.say_unfit(machine, why)
        return [(machine, shards_on(machine, scale)) for machine in may]

    def kept_empty(self, scale: Scale) -> int:
        """Shards that there would be room for on those that were drained."""
        drained = [self._there[node_id] for node_id in self.drained if node_id in self._there]
        return sum(shards_on(machine, scale) for machine in drained)

    def avoid(self, machine: Machine, until_s: float) -> None:
        """Have no shard begin there before this monotonic time, s."""
        self._unfit_until_s[machine.node_id] = until_s

    def say_unfit(self, machine: Machine, why: str) -> None:
        """Say it, once."""
        if self._told.get(machine.node_id) != why:
            self._told[machine.node_id] = why
            log.warning(f"no shard on {machine.address} ({machine.node_id[:8]}): {why}")

    @property
    def why_none(self) -> str:
        """Why none of them has a shard, for people."""
        told = [f"{one.address}: {self._told.get(node_id, 'it drains')}" for node_id, one in self._there.items()]
        return f"no machine of the cluster can have a shard ({'; '.join(told) or 'there is none'})"

    def _is_avoided(self, machine: Machine, now_s: float) -> bool:
        return now_s < self._unfit_until_s.get(machine.node_id, now_s)
