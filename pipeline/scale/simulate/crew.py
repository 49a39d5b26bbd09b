"""The nodes of a simulated fleet: asked for, coming, warming up, ready, draining, lost; and where they stand."""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.scale.headroom import Phase
from pipeline.scale.simulate.scenario import Domains, Node

Place = tuple[int, int]
"""Zone, and rack within it."""


@dataclass(slots=True)
class Machine:
    """One node.

    Attributes:
        slot: Where it stands.
        asked_s: When it was asked for.
        drains: Whether its cameras leave.
        lost_s: When it died; infinite while it lives.
    """

    slot: int
    asked_s: float
    drains: bool = False
    lost_s: float = math.inf


class Crew:
    """All nodes that cost something, by number; a number is never given again.

    Slots are filled so that zones have equally many, and within a zone rack by rack.
    """

    def __init__(self, kind: Node, domains: Domains) -> None:
        """Begin without a node."""
        self.machines: dict[int, Machine] = {}
        self.asked = self.given = 0
        self._kind, self._domains = kind, domains
        self._free: list[int] = []
        self._next = self._next_slot = 0
        self._shut: dict[Place, float] = {}
        self._kept_back: list[int] = []

    def begin(self, count: int) -> None:
        """So many are ready from the first moment on."""
        for _ in range(count):
            self._add(-math.inf)

    def ask(self, count: int, now_s: float) -> None:
        """So many are to come; they stand where nothing is lost."""
        self.asked += count
        for _ in range(count):
            self._add(now_s)

    def phase(self, number: int, now_s: float) -> Phase:
        """How far it is; one that died is what it was until that is noticed."""
        machine = self.machines[number]
        age_s = now_s - machine.asked_s
        if machine.drains:
            return "draining"
        if age_s < self._kind.boot_s:
            return "coming"
        return "warming" if age_s < self._kind.boot_s + self._kind.warm_s else "ready"

    def ready(self, now_s: float) -> int:
        """How many may have cameras."""
        since_s = now_s - self._kind.boot_s - self._kind.warm_s
        return sum(one.asked_s <= since_s and not one.drains for one in self.machines.values())

    def give_back(self, numbers: Iterable[int]) -> None:
        """They are gone, and cost nothing any more."""
        for number in numbers:
            heapq.heappush(self._free, self.machines.pop(number).slot)
            self.given += 1

    def bury(self, now_s: float) -> list[int]:
        """Those whose death has been noticed by now; they are no more."""
        dead = [number for number, one in self.machines.items() if now_s >= one.lost_s + self._domains.notice_s]
        for number in dead:
            heapq.heappush(self._free, self.machines.pop(number).slot)
        return dead

    def lose(self, what: str, now_s: float, until_s: float) -> list[int]:
        """A node, rack or zone dies, the one that holds the most nodes; nothing stands there again before `until_s`."""
        if not self.machines:
            return []
        if what == "node":
            dead = [min(self.machines)]
        else:
            where = {number: self._where(one.slot, what) for number, one in self.machines.items()}
            counted = Counter(where.values())
            fullest = max(sorted(counted), key=lambda place: counted[place])
            dead = [number for number, place in where.items() if place == fullest]
            self._shut[fullest] = until_s
        for number in dead:
            self.machines[number].lost_s = now_s
        return dead

    def _add(self, asked_s: float) -> None:
        self.machines[self._next] = Machine(self._slot(asked_s), asked_s)
        self._next += 1

    def _slot(self, now_s: float) -> int:
        """The next that is free and not in what was lost."""
        while True:
            if self._free:
                slot = heapq.heappop(self._free)
            else:
                slot, self._next_slot = self._next_slot, self._next_slot + 1
            if not self._is_shut(slot, now_s):
                for kept in self._kept_back:
                    heapq.heappush(self._free, kept)
                self._kept_back.clear()
                return slot
            self._kept_back.append(slot)

    def _is_shut(self, slot: int, now_s: float) -> bool:
        places = (self._where(slot, "rack"), self._where(slot, "zone"))
        return any(now_s < self._shut.get(place, -math.inf) for place in places)

    def _where(self, slot: int, what: str) -> Place:
        zone = slot % self._domains.zones
        return (zone, -1) if what == "zone" else (zone, slot // self._domains.zones // self._domains.rack_nodes)
