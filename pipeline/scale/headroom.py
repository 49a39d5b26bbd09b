"""How many shards a fleet is to have: more when strides must give way for long, fewer when detectors idle for long.

The problem: within a shard strides give way at once, so that the promise is kept while nothing can be added; but what
gives way for an hour is accuracy lost. Nodes take minutes to come and cost by the hour, and each camera that moves
begins a session. So a fleet is to follow the day and not the minute.

1. A shard is *short* where its cameras' strides are more than `short_stretch` times what they would be with room, or
   its demand is above `short_demand`: strides begin to rise only where four tenths more is offered than can be served
   (`worker.stride.MOST_OFFERED`), and by then a quarter of what was to be detected is not. Short for `short_s` without
   a break, it asks for more.
2. How many: what all shards together would have to do ÷ what one does in a second, so that each is `target` busy
   (`Load.demand`). Shards that are on their way count as if they were there, so that nothing is asked for twice.
3. A shard is *idle* below `idle` demand. When one was for `idle_s` without a break, some are given back: what was not
   needed at any time in that span, so that those that stay are at `target` at most and nobody is short by it. The least
   busy go first, at most `most_share` of all at once, so that a fleet that is asked again at once has most of it left.
4. Between two changes lies a cool-down, longer before giving back than before asking; and a shard that was added or
   whose cameras changed begins its times anew.
5. A shard that is coming or warming up is never given cameras: `Decision.places` names those that may have some.
6. A shard that is short while all together are not has too many cameras, not too few neighbours: they are spread anew.
   So they are when a shard is lost, at once; another is on its way by itself, since as many are wanted as before.

`wanted` is an absolute number, as Ray's autoscaler is asked (`ray.autoscaler.sdk.request_resources`): to say it twice
does no harm. Pure arithmetic: what was measured and the time are arguments.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec

Phase = Literal["coming", "warming", "ready", "draining"]
"""A node was asked for; its detector loads and is warmed up; cameras may be there; cameras are leaving."""
ROUNDING = 1e-9


class Load(msgspec.Struct, frozen=True):
    """How a shard is, over the last seconds.

    Attributes:
        wanted_hz: Detections a second that its cameras would have at their least strides.
        detected_hz: Those that they get.
        busy: Share of what it has that is used, 0..1: of its lanes' time or of its cores, whichever is fuller.
        stretch: How many times larger strides are than the least that are allowed, by frame rates; 1 with room.
    """

    wanted_hz: float
    detected_hz: float
    busy: float
    stretch: float = 1.0

    @property
    def demand(self) -> float:
        """How many shards like this one its cameras would keep fully busy.

        What is wanted ÷ what it does when always busy; and no less than its strides say.
        """
        if self.wanted_hz <= 0:
            return 0.0
        does_hz = self.detected_hz / self.busy if self.busy > 0 else 0.0
        by_lanes = self.wanted_hz / does_hz if does_hz > 0 else self.stretch
        return max(by_lanes, self.stretch) if self.stretch > 1 else by_lanes


class Shard(msgspec.Struct, frozen=True):
    """One of the fleet's shards; its load is None while nothing is known of it, and `Load(0, 0, 0)` without cameras."""

    phase: Phase
    load: Load | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """When to ask and when to give back.

    Attributes:
        target: Demand of a shard that is aimed at: as `camfleet plan`, three quarters and not all, since frames wait.
        short_stretch: Strides that much larger than they might be are short of something.
        short_demand: And so is who is that full, whatever its strides.
        short_s: For how long, until more is asked for.
        idle: Demand below which a shard idles; well below `target`, or giving back would be followed by asking.
        idle_s: For how long, until something is given back.
        ask_again_s: After a change, before more is asked for.
        give_again_s: After a change, before something is given back.
        most_share: How many of the shards are given back at once.
        least: Shards that are kept in any case.
        most: And no more than that.
        spare: Shards beyond what is needed, warmed, with cameras as all others: what may be lost and not be missed.
    """

    target: float = 0.7
    short_stretch: float = 1.3
    short_demand: float = 0.9
    short_s: float = 60.0
    idle: float = 0.45
    idle_s: float = 600.0
    ask_again_s: float = 60.0
    give_again_s: float = 900.0
    most_share: float = 0.25
    least: int = 1
    most: int = 100_000
    spare: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done now.

    Attributes:
        wanted: Shards there are to be, those on their way included and those that drain left out.
        drain: Shards whose cameras are to move away; when they are gone, the shard is given back.
        places: Shards that may have cameras, in the order of their names.
        spread: Whether cameras are to be placed anew although nobody came or went.
        why: One sentence for people; empty while nothing changes.
    """

    wanted: int
    drain: tuple[str, ...]
    places: tuple[str, ...]
    spread: bool = False
    why: str = ""


class Headroom:
    """Watches the shards of a fleet and decides how many there are to be."""

    def __init__(self, policy: Policy | None = None) -> None:
        """Begin without having seen anything; the first look decides nothing that takes time to be sure of."""
        self.policy = policy or Policy()
        self._short_since: dict[str, float] = {}
        self._idle_since: dict[str, float] = {}
        self._needs: deque[tuple[float, int]] = deque()
        self._wanted = self._there = 0
        self._changed_s = -math.inf

    def update(self, shards: Mapping[str, Shard], now_s: float) -> Decision:
        """What is to be done, seeing these shards at this monotonic time, s.

        A shard that is no longer there was lost, unless it drained: `wanted` stays, so that another comes for it.
        """
        self._watch(shards, now_s)
        staying = {name: shard for name, shard in shards.items() if shard.phase != "draining"}
        lost, self._there = self._there - len(staying), len(staying)
        begins, self._wanted = not self._wanted, max(self._wanted, len(staying))
        places = tuple(sorted(name for name, shard in staying.items() if shard.phase == "ready"))
        needed = self._needed(staying)
        self._remember(needed, now_s)
        if begins:
            self._wanted = max(self._wanted, self.policy.least + self.policy.spare)
            return Decision(self._wanted, (), places, why=f"{_count(self._wanted)} to begin with")
        if why := self._asks(needed, len(staying), now_s):
            self._wanted, self._changed_s = needed, now_s
            return Decision(needed, (), places, why=why)
        if drain := self._gives(staying, now_s):
            self._wanted = self._there = len(staying) - len(drain)
            self._changed_s = now_s
            why = f"{self._wanted} were enough for {self.policy.idle_s:g} s: {_count(len(drain))} given back"
            return Decision(self._wanted, drain, tuple(name for name in places if name not in drain), why=why)
        if lost > 0:
            return Decision(self._wanted, (), places, spread=True, why=f"{_count(lost)} lost: the others take over")
        why = self._uneven(staying, needed, now_s)
        return Decision(self._wanted, (), places, spread=bool(why), why=why)

    def placed(self, now_s: float) -> None:
        """Cameras were placed anew: what was seen of short and idle shards until now says nothing any more."""
        self._short_since.clear()
        self._idle_since.clear()
        self._changed_s = now_s

    def _watch(self, shards: Mapping[str, Shard], now_s: float) -> None:
        """Since when each is short or idle; a look that finds it otherwise begins anew."""
        policy = self.policy
        loads = {name: one.load for name, one in shards.items() if one.phase == "ready" and one.load is not None}
        self._short_since = {
            name: self._short_since.get(name, now_s)
            for name, load in loads.items()
            if load.stretch > policy.short_stretch or load.demand > policy.short_demand
        }
        self._idle_since = {
            name: self._idle_since.get(name, now_s) for name, load in loads.items() if load.demand < policy.idle
        }

    def _needed(self, staying: Mapping[str, Shard]) -> int:
        """Shards on which everything would be at the target, spare ones included."""
        policy = self.policy
        demand = sum(shard.load.demand for shard in staying.values() if shard.load is not None)
        needed = math.ceil(demand / policy.target - ROUNDING)
        return min(policy.most, max(policy.least, needed) + policy.spare)

    def _asks(self, needed: int, there: int, now_s: float) -> str:
        """Why more is asked for; empty if it is not."""
        policy = self.policy
        if (least := policy.least + policy.spare) > max(there, self._wanted):
            return f"{_count(least)} are the least there are to be: {there} there"
        if needed <= max(there, self._wanted) or now_s - self._changed_s < policy.ask_again_s:
            return ""
        long = self._long_short(now_s)
        return f"{_count(long)} short for {policy.short_s:g} s: {needed} needed, {there} there" if long else ""

    def _gives(self, staying: Mapping[str, Shard], now_s: float) -> tuple[str, ...]:
        """Who is to be given back: the least busy, and no more than were needed at no time while one idled."""
        policy = self.policy
        long = any(now_s - since_s >= policy.idle_s for since_s in self._idle_since.values())
        settled = all(shard.phase == "ready" for shard in staying.values())
        if not long or not settled or self._short_since or now_s - self._changed_s < policy.give_again_s:
            return ()
        most = max(1, int(policy.most_share * len(staying)))
        count = max(0, min(len(staying) - max(needed for _, needed in self._needs), most))
        return tuple(sorted(sorted(staying, key=lambda name: (_demand(staying[name]), name))[:count]))

    def _remember(self, needed: int, now_s: float) -> None:
        """How many were needed of late."""
        self._needs.append((now_s, needed))
        while self._needs[0][0] < now_s - self.policy.idle_s:
            self._needs.popleft()

    def _uneven(self, staying: Mapping[str, Shard], needed: int, now_s: float) -> str:
        """Why cameras should be placed anew among the shards that are there; empty if they should not."""
        long, ready = self._long_short(now_s), sum(shard.phase == "ready" for shard in staying.values())
        if not long or needed > ready or now_s - self._changed_s < self.policy.ask_again_s:
            return ""
        return f"{_count(long)} short for {self.policy.short_s:g} s while {needed} of {ready} would do: spread anew"

    def _long_short(self, now_s: float) -> int:
        """How many have been short for so long that it counts."""
        return sum(now_s - since_s >= self.policy.short_s for since_s in self._short_since.values())


def _demand(shard: Shard) -> float:
    return shard.load.demand if shard.load is not None else 0.0


def _count(shards: int) -> str:
    return "1 shard" if shards == 1 else f"{shards} shards"
