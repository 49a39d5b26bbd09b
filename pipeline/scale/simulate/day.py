"""A fleet's day in simulated time: cameras ask for more and less, nodes come and go, a part is lost, cameras move.

Every minute, and every second after a loss: shards are drawn from the table by what their cameras send; the policy of
scaling looks at them; the placement says who goes where. A camera that moves from a living node is taken up by the new
one before the old one lets go, so it is never dark; one whose node died is dark until that is noticed, all is placed
anew, and its new node has opened it, one after the other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pipeline.scale.headroom import Decision, Headroom, Policy, Shard
from pipeline.scale.simulate.crew import Crew
from pipeline.scale.simulate.measured import Measured
from pipeline.scale.simulate.placing import NOWHERE, Places, replace_cameras
from pipeline.scale.simulate.scenario import Scenario
from pipeline.scale.simulate.table import Floats, Rows, ShardTable

HOUR_S, DAY_S = 3600.0, 86_400.0
STEP_S, LOOK_S = 60.0, 120.0
"""Between two moments, and between two looks of the policy, while nothing is lost."""
CLOSE_S, NEAR_S, NEAR_STEP_S = 60.0, 900.0, 15.0
"""After a loss: every second for so long, then in such steps for so long."""

LEAST_WORK = 0.005
"""Usual cameras that one which sends nothing is placed as: its process is there all the same."""

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Moment:
    """How the fleet is at one moment.

    Attributes:
        at_s: Since midnight.
        until_s: When the next one is.
        asked: Share of the day's height that cameras ask for.
        ready: Nodes at work.
        nodes: That cost something.
        cameras: That there are.
        dark: Of them, those that do not publish.
        detected: Share of the detections that cameras want and get.
        stretch: Mean over cameras: how many times larger their strides are than with room.
        short: Cameras on shards that are short.
        late: Cameras on shards whose promise is not kept.
        p95_ms: Mean over cameras of their shards' 95th percentiles.
        worst_p95_ms: Of the slowest shard.
    """

    at_s: float
    until_s: float
    asked: float
    ready: int
    nodes: int
    cameras: int
    dark: int
    detected: float
    stretch: float
    short: int
    late: int
    p95_ms: float
    worst_p95_ms: float


@dataclass(slots=True)
class Lost:
    """What was lost, and when its cameras were back.

    Attributes:
        at_s: When.
        nodes: How many.
        cameras: Which cameras were on them.
    """

    at_s: float
    nodes: int
    cameras: Ints


class FleetDay:
    """One fleet, or one cell of it, from midnight to midnight."""

    def __init__(
        self,
        scenario: Scenario,
        costs: Measured,
        table: ShardTable,
        cameras: int,
        *,
        seed: int = 0,
        struck: bool = True,
    ) -> None:
        """Midnight: as many nodes as that hour needs, and every camera placed.

        Args:
            scenario: What happens.
            costs: What placing costs.
            table: What a shard makes of its cameras.
            cameras: How many.
            seed: Which ones, beside the scenario's own.
            struck: Whether the loss happens here.
        """
        self._scenario, self._table, self._struck = scenario, table, struck
        self._placing_s = cameras * costs.placing_us.value / 1e6
        rng = np.random.default_rng([scenario.seed, seed])
        self._weights = _unequal(rng, cameras, scenario.camera.unequal)
        self._apart_h = rng.uniform(-scenario.camera.apart_h, scenario.camera.apart_h, cameras)
        self.carries = table.carries(scenario.scaling.target)
        self._most = float(table.cameras[-1])
        self._full = table.carries(Policy().short_demand)
        self.needed_at_most = self._needed(max(self._work(hour * HOUR_S).sum() for hour in np.arange(0, 24, 0.5)))
        self.headroom = Headroom(self._policy())
        self.crew = Crew(scenario.node, scenario.domains)
        self.crew.begin(
            max(self.headroom.policy.least, self._needed(self._work(0.0).sum())) + self.headroom.policy.spare
        )
        self.owner: Ints = np.full(cameras, NOWHERE, np.int64)
        self.back_s: Floats = np.full(cameras, -math.inf)
        self.moves = 0
        self.told: list[str] = []
        self.lost: Lost | None = None
        self._places_before = tuple(self.crew.machines)
        self._place(self._work(0.0), self._places_before, 0.0)

    def run(self, turn: Callable[[float], None] = lambda at_s: None) -> list[Moment]:
        """The day, moment by moment; `turn` hears the time."""
        times, moments, looked_s = self._times(), [], -math.inf
        for at_s, until_s in pairwise(times):
            self._lose(at_s)
            work = self._work(at_s)
            loads, sending = self._loads(work, at_s)
            rows = self._table.at(loads)
            share = float(work.sum() / self._weights.sum())
            moments.append(self._moment(rows, loads, sending, (at_s, until_s), share))
            if at_s - looked_s >= LOOK_S or self._near(at_s):
                self._look(rows, loads, work, at_s)
                looked_s = at_s
            turn(at_s)
        return moments

    def _times(self) -> list[float]:
        """Every minute, and closely after a loss."""
        usual = set(np.arange(0.0, DAY_S + STEP_S, STEP_S).tolist())
        loss = self._scenario.loss
        if loss.what != "nothing":
            begin_s = loss.hour * HOUR_S
            usual |= set((begin_s + np.arange(0.0, CLOSE_S)).tolist())
            usual |= set((begin_s + np.arange(CLOSE_S, NEAR_S, NEAR_STEP_S)).tolist())
        return sorted(at_s for at_s in usual if at_s <= DAY_S)

    def _near(self, at_s: float) -> bool:
        return self.lost is not None and at_s - self.lost.at_s < NEAR_S

    def _work(self, at_s: float) -> Floats:
        """What each camera sends at this time, in usual cameras at the day's height, (N,) float64."""
        return self._weights * asked(self._scenario, at_s / HOUR_S + self._apart_h)

    def _policy(self) -> Policy:
        """The scenario's; where nodes neither come nor go, only those that die are replaced."""
        scaling = self._scenario.scaling
        spare = math.ceil(scaling.spare_share * self.needed_at_most)
        policy = scaling.policy(spare)
        if scaling.on:
            return policy
        return replace(policy, least=self.needed_at_most, most=self.needed_at_most + spare)

    def _needed(self, work: float) -> int:
        return max(1, math.ceil(work / self.carries))

    def _lose(self, at_s: float) -> None:
        loss = self._scenario.loss
        if not self._struck or self.lost is not None or loss.what == "nothing" or at_s < loss.hour * HOUR_S:
            return
        dead = self.crew.lose(loss.what, at_s, at_s + loss.hours * HOUR_S)
        struck = np.flatnonzero(np.isin(self.owner, dead))
        self.back_s[struck] = math.inf
        self.lost = Lost(at_s, len(dead), struck)

    def _loads(self, work: Floats, at_s: float) -> tuple[Floats, Bools]:
        """What every node carries, by its number, in usual cameras, and which cameras send."""
        sending = (self.owner >= 0) & (self.back_s <= at_s)
        count = 1 + max(self.crew.machines, default=0)
        return np.bincount(self.owner[sending], work[sending], count).astype(np.float64), sending

    def _moment(self, rows: Rows, loads: Floats, sending: Bools, span_s: tuple[float, float], share: float) -> Moment:
        at_s, until_s = span_s
        on = np.bincount(self.owner[sending], minlength=len(loads))
        count = max(1, int(on.sum()))
        short = (rows.stretch > self.headroom.policy.short_stretch) | (loads > self._full)
        used = on > 0
        return Moment(
            at_s=at_s,
            until_s=until_s,
            asked=share,
            ready=self.crew.ready(at_s),
            nodes=len(self.crew.machines),
            cameras=len(self.owner),
            dark=len(self.owner) - int(on.sum()),
            detected=float(rows.detected_hz.sum() / max(rows.wanted_hz.sum(), 1e-9)),
            stretch=float(rows.stretch @ on) / count,
            short=int(on[short].sum()),
            late=int(on[rows.p95_ms > self._scenario.p95_ms].sum()),
            p95_ms=float(rows.p95_ms @ on) / count,
            worst_p95_ms=float(rows.p95_ms[used].max(initial=0.0)),
        )

    def _look(self, rows: Rows, loads: Floats, work: Floats, at_s: float) -> None:
        """Let the policy see the fleet, and do what it says."""
        crew = self.crew
        holds = np.bincount(self.owner[self.owner >= 0], minlength=len(loads)) > 0
        crew.give_back([number for number, one in crew.machines.items() if one.drains and not holds[number]])
        crew.bury(at_s)
        found = rows.loads()
        names = {_name(number): number for number in crew.machines}
        shards = {name: Shard(crew.phase(number, at_s), found[number]) for name, number in names.items()}
        decision = self.headroom.update(shards, at_s)
        if decision.why:
            self._tell(at_s, decision)
        staying = sum(shard.phase != "draining" for shard in shards.values()) - len(decision.drain)
        crew.ask(max(0, decision.wanted - staying), at_s)
        self._follow(decision, names, work, at_s)

    def _follow(self, decision: Decision, names: Mapping[str, int], work: Floats, at_s: float) -> None:
        """Place cameras anew if others may have them than before, or if that is asked for."""
        for name in decision.drain:
            self.crew.machines[names[name]].drains = True
        places = tuple(names[name] for name in decision.places)
        # A move ends when the new shard has taken a camera up, and one that is dead and not yet known to be never does.
        dying = any(math.isfinite(one.lost_s) for one in self.crew.machines.values())
        if dying or (not decision.spread and places == self._places_before):
            return
        draining = frozenset(number for number, one in self.crew.machines.items() if one.drains)
        self._place(work, tuple(sorted({*places, *draining})), at_s, draining)
        self.headroom.placed(at_s)
        self._places_before = places

    def _place(self, work: Floats, nodes: Sequence[int], at_s: float, draining: frozenset[int] = frozenset()) -> None:
        """Place all cameras anew, and open those whose node is gone, one after the other on each new node."""
        places = Places(nodes, draining, self.carries, self._most)
        before, self.owner = self.owner, replace_cameras(np.maximum(work, LEAST_WORK), self.owner, places)
        taken = self.owner != before
        was_dark = np.isposinf(self.back_s) & (self.owner >= 0) & (at_s > 0)
        self.moves += int((taken & ~was_dark & (before >= 0)).sum())
        opening_s = at_s + self._placing_s + self._scenario.camera.opening_s
        for number in np.unique(self.owner[was_dark]).tolist():
            waiting = np.flatnonzero(was_dark & (self.owner == number))
            self.back_s[waiting] = opening_s + np.arange(len(waiting)) / self._scenario.node.opens_hz

    def _tell(self, at_s: float, decision: Decision) -> None:
        hours, minutes = divmod(int(at_s // 60), 60)
        self.told.append(f"{hours:02}:{minutes:02}  {decision.why}")


def asked(scenario: Scenario, hours: Floats | float) -> Floats:
    """Share of their frames that cameras send at these hours, round the clock."""
    points = scenario.day
    at_h, share = [point[0] for point in points], [point[1] for point in points]
    return np.interp(np.asarray(hours, np.float64), at_h, share, period=24.0)


def _unequal(rng: np.random.Generator, cameras: int, spread: float) -> Floats:
    """Weights around 1 with this standard deviation: log-normal, as frame rates and sizes of pictures are products."""
    sigma = math.sqrt(math.log1p(spread * spread))
    return np.exp(rng.normal(-sigma * sigma / 2, sigma, cameras))


def _name(number: int) -> str:
    return f"node-{number:06}"
