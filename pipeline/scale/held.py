"""A shard as the conductor knows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.config.values import Fleet
from pipeline.scale.cluster import Actor, Call, Machine
from pipeline.scale.headroom import Load, Phase
from pipeline.scale.shard import ShardReady, ShardState
from pipeline.scale.store import KnownShard

WAITS_S = 60.0
"""How long a shard may wait for its share of the machine: as long as Ray itself waits for a process of its own."""


@dataclass(slots=True)
class Held:
    """A shard that there is, or will be.

    Attributes:
        name: Of its actor.
        machine: Where it is.
        actor: The way to it.
        ready: How it is to be heard, and what it follows; None until it serves.
        asked: What it has not answered yet, by method.
        asked_s: When it was last asked how it is.
        begun_s: When it was first looked at, monotonic.
        answers: Whether it has ever answered: until then its machine has not given it its share.
        seeing: Cameras of which it has detections.
        load: How full it is; None while nothing is known of it.
        wanted_hz: Detections a second that each of its cameras would have with room.
        drains: Whether it is to be empty and then to end, whatever becomes of its machine.
        asks: The version and the cameras that it was last asked to follow.
        refused: Versions and cameras that it could not follow.
        rests: The paused cameras of the fleet, as it knows them; None before it was told.
        asks_rest: The same, as it was last told.
        fleets: The whole fleet of each version that it was asked to follow, from the one that it follows on.
    """

    name: str
    machine: Machine
    actor: Actor
    ready: ShardReady | None = None
    asked: dict[str, Call] = field(default_factory=dict)
    asked_s: float = 0.0
    begun_s: float | None = None
    answers: bool = False
    seeing: frozenset[str] = frozenset()
    load: Load | None = None
    wanted_hz: Mapping[str, float] = field(default_factory=dict)
    drains: bool = False
    asks: tuple[int, frozenset[str]] = (0, frozenset())
    refused: set[tuple[int, frozenset[str]]] = field(default_factory=set)
    rests: frozenset[str] | None = None
    asks_rest: frozenset[str] = frozenset()
    fleets: dict[int, Fleet] = field(default_factory=dict)

    def ask(self, method: str, *arguments: Any) -> None:
        """Call a method; the answer is looked at later."""
        self.asked[method] = self.actor.call(method, *arguments)

    def follow(self, ready: ShardReady) -> None:
        """It serves so now; fleets before that one are not needed any more."""
        self.ready = ready
        self.fleets = {version: fleet for version, fleet in self.fleets.items() if version >= ready.version}

    def hear(self, state: ShardState) -> None:
        """It has said how it is."""
        self.answers = True
        self.seeing, self.load, self.wanted_hz = state.seeing, state.load, state.wanted_hz

    def waits(self, now_s: float) -> bool:
        """Whether it has waited too long for its share of the machine, at this monotonic time."""
        self.begun_s = now_s if self.begun_s is None else self.begun_s
        return not self.answers and self.ready is None and now_s - self.begun_s > WAITS_S

    def follows(self, version: int, cameras: frozenset[str]) -> bool:
        """Whether it serves these cameras by this version."""
        return self.ready is not None and (self.ready.version, self.ready.cameras) == (version, cameras)

    def due(self, newest: int, wanted: frozenset[str]) -> int | None:
        """Which version it is to be asked to follow with these cameras; None where it does what it can.

        One that cannot follow the newest goes on as before, and still takes up and lets go of cameras.
        """
        if self.ready is None or self.follows(newest, wanted):
            return None
        if (newest, wanted) not in self.refused:
            return newest
        before = self.ready.version
        if before not in self.fleets or wanted == self.ready.cameras or (before, wanted) in self.refused:
            return None
        return before

    @property
    def known(self) -> KnownShard:
        """What a front needs of it that is started again."""
        name, node_id, ready = self.name, self.machine.node_id, self.ready
        if ready is None:
            return KnownShard(name=name, node_id=node_id, endpoint="", cameras=())
        return KnownShard(
            name=name,
            node_id=node_id,
            endpoint=ready.endpoint,
            cameras=tuple(sorted(ready.cameras)),
            pictures=ready.pictures,
        )

    @property
    def where(self) -> str:
        """Its machine, for people."""
        return f"{self.machine.address} ({self.machine.node_id[:8]})"

    @property
    def ends(self) -> bool:
        """Whether it was told to end."""
        return "end" in self.asked

    @property
    def leaves(self) -> bool:
        """Whether it is to be empty, with its machine or alone; see also `camfleet drain`."""
        return self.drains or self.machine.drains or self.ends

    @property
    def phase(self) -> Phase:
        """How far it is."""
        if self.leaves:
            return "draining"
        return "warming" if self.ready is None else "ready"


@dataclass(frozen=True, slots=True)
class ShardStatus:
    """A shard for people.

    Attributes:
        name: Its name.
        machine: The beginning of the machine's id, and its address.
        condition: `starting`, `serving` or `ending`.
        cameras: Its cameras.
        drains: Whether it is to be empty.
    """

    name: str
    machine: str
    condition: str
    cameras: tuple[str, ...]
    drains: bool
