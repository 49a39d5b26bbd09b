"""The policy of scaling (`headroom`) joined to a fleet: what it sees of the shards, and what comes of it.

Shards that the policy wants and that are not there yet are *coming*: the cluster is asked for machines, and a shard
begins on the next that has room for one. Without `scale.autoscale` every machine has its shards, and all that serve may
have cameras.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import structlog

from pipeline.config.values import Fleet
from pipeline.errors import ClusterError
from pipeline.scale.capacity import share_of
from pipeline.scale.cluster import Cluster, Share
from pipeline.scale.headroom import Decision, Headroom, Phase, Policy, Shard
from pipeline.scale.held import Held
from pipeline.scale.load import Steady

log = structlog.get_logger()

LOOK_S = 1.0
"""How often the policy looks: shards tell once a second how full they are."""
RENEW_S = 60.0
"""How often the cluster is told the same again, in case it has forgotten."""
STEADY_SHARE = 1 / 3
"""Of `short_s`: loads are taken over so long. Strides of shards that idled were seen to double for a second or two, ten
seconds apart, on a machine with other work: without this nothing would ever be given back."""


def policy_of(fleet: Fleet) -> Policy | None:
    """What the fleet file says of scaling; None where it says nothing.

    Where it says how many cameras a shard carries, there are as many shards as all of them need: a camera that has no
    place keeps nobody busy.
    """
    settings = fleet.scale.autoscale
    if settings is None:
        return None
    policy = Policy(**settings.model_dump())
    if fleet.scale.cameras is None:
        return policy
    carried = math.ceil(len(fleet.cameras) / fleet.scale.cameras)
    return replace(policy, least=max(policy.least, min(carried, policy.most - policy.spare)))


class Autoscale:
    """Not thread-safe.

    Attributes:
        places: Shards that may have cameras; None where all that serve may.
        spreads: How many times cameras were to be spread evenly over those.
        words: What is wanted and what was decided last, for people; empty without `scale.autoscale`.
    """

    def __init__(self, fleet: Fleet, cluster: Cluster) -> None:
        """Nothing is asked of the cluster yet."""
        self._cluster = cluster
        self._headroom: Headroom | None = None
        self.places: tuple[str, ...] | None = None
        self.spreads, self.words = 0, ""
        self._coming = 0
        self._phases: dict[str, Phase] = {}
        self._loads: dict[str, Steady] = {}
        self._looked_s = self._asked_s = -math.inf
        self._asked: tuple[Share, int] | None = None
        self._why, self._moving = "", False
        self.follow(fleet)

    @property
    def coming(self) -> bool:
        """Whether shards are wanted that have not begun."""
        return self._coming > 0

    @property
    def may_begin(self) -> bool:
        """Whether another shard may begin now."""
        return self._headroom is None or self.coming

    def begun(self) -> None:
        """One has."""
        self._coming = max(0, self._coming - 1)

    def follow(self, fleet: Fleet) -> None:
        """Decide by what this fleet says from now on."""
        self._share, policy = share_of(fleet.scale), policy_of(fleet)
        if policy is None:
            self._headroom, self.places, self.words = None, None, ""
            self._coming, self._phases = 0, {}
        elif self._headroom is None:
            self._headroom = Headroom(policy)
        else:
            self._headroom.policy = policy

    def look(self, shards: Mapping[str, Held], moving: bool, kept_empty: int, now_s: float) -> None:
        """See how the shards are, decide, mark those that are to go, and ask for others.

        Args:
            shards: All there are.
            moving: Whether cameras are on their way from one to another.
            kept_empty: Shards that would have room where none is to be: the cluster takes that room for free.
            now_s: Monotonic time, s.
        """
        if self._headroom is None:
            self.end()
        elif now_s - self._looked_s >= LOOK_S:
            self._looked_s = now_s
            decision = self._headroom.update(self._seen(shards, self._headroom.policy, now_s), now_s)
            self._tell(decision)
            for name in decision.drain:
                shards[name].drains = True
            self._phases = {name: one.phase for name, one in shards.items()}
            staying = sum(phase != "draining" for phase in self._phases.values())
            self._coming = max(0, decision.wanted - staying)
            self._follow(self._headroom, decision, moving, now_s)
            self._ask(decision.wanted + kept_empty, now_s)
            serving = sum(phase == "ready" for phase in self._phases.values())
            self.words = f"{serving} of {decision.wanted} shards serve; {self._why}"

    def end(self) -> None:
        """Want nothing of the cluster any more."""
        if self._asked is not None:
            self._asked = None
            self._request(0)

    def _seen(self, shards: Mapping[str, Held], policy: Policy, now_s: float) -> dict[str, Shard]:
        """As the policy sees them; one that never served is not lost, but still to come."""
        self._coming += sum(phase == "warming" for name, phase in self._phases.items() if name not in shards)
        self._loads = {name: self._loads.get(name) or Steady(STEADY_SHARE * policy.short_s) for name in shards}
        seen = {name: Shard(one.phase, self._loads[name].update(one.load, now_s)) for name, one in shards.items()}
        return {**{f"coming {number}": Shard("coming") for number in range(self._coming)}, **seen}

    def _follow(self, headroom: Headroom, decision: Decision, moving: bool, now_s: float) -> None:
        """Have cameras spread anew if more shards may have them than before, or if that is asked for and none moves.

        Those of a shard that goes find their place without that, and no other has to move.
        """
        # Those of a front before this one stay where they are.
        before, self.places = decision.places if self.places is None else self.places, decision.places
        arrived, self._moving = self._moving and not moving, moving
        same = before == decision.places
        if not set(decision.places) <= set(before) or (decision.spread and same and not moving):
            self.spreads += 1
        if decision.spread or arrived or not same:
            headroom.placed(now_s)

    def _tell(self, decision: Decision) -> None:
        if decision.why:
            self._why = decision.why
            log.info(f"autoscale: {decision.why}", wanted=decision.wanted, drained=", ".join(decision.drain))

    def _ask(self, wanted: int, now_s: float) -> None:
        if self._asked != (self._share, wanted) or now_s - self._asked_s >= RENEW_S:
            self._asked, self._asked_s = (self._share, wanted), now_s
            self._request(wanted)

    def _request(self, count: int) -> None:
        try:
            self._cluster.request(self._share, count)
        except ClusterError as error:
            log.warning(f"the cluster was not asked for machines: {error}", wanted=count)
