"""Autoscaling on headroom with shards that are the worker's own core, frame by frame on a virtual clock."""

from __future__ import annotations

from random import Random

import pytest

from pipeline.capacity.processor import Device, Processor, SharedLanes, always
from pipeline.capacity.service import ServiceTimes
from pipeline.link import Settings
from pipeline.plan import CameraPlan, StrideBounds
from pipeline.scale.headroom import Headroom, Load, Phase, Policy, Shard
from pipeline.scale.place import CameraNeed, Node, place
from pipeline.worker.virtual import VirtualWorker

FPS, SERVICE_MS, LANES = 15.0, 40.0, 2
FULL_HZ = 1000 * LANES / SERVICE_MS
LOOK_S, BOOT_S, WARM_S = 1.0, 4.0, 2.0
BOUNDS = StrideBounds(1, 8)
POLICY = Policy(short_s=4.0, idle_s=8.0, ask_again_s=5.0, give_again_s=12.0, most_share=0.5)


class CoreShard:
    """A worker's core, its lanes, and what it did since it was last looked at."""

    def __init__(self, born_s: float) -> None:
        self.born_s, self.drains = born_s, False
        self.lanes = SharedLanes(
            Device(ServiceTimes.of({1: SERVICE_MS}), LANES), Processor(1000), always(0.0), Random(0)
        )
        self.worker = VirtualWorker(self.lanes, Settings(0.15))
        self.worker.run(born_s)

    def phase(self, now_s: float) -> Phase:
        age_s = now_s - self.born_s
        if self.drains:
            return "draining"
        return "coming" if age_s < BOOT_S else "warming" if age_s < BOOT_S + WARM_S else "ready"

    def serve(self, cameras: set[str]) -> None:
        """These and no others from now on."""
        for name in list(self.worker.cameras):
            if name not in cameras:
                self.worker.leave(self.worker.cameras.pop(name))
        for name in sorted(cameras - self.worker.cameras.keys()):
            self.worker.join(CameraPlan(camera_id=name, stride=BOUNDS), lambda at_s: FPS)

    def look(self, now_s: float) -> Load:
        """Go on until now, and how it was meanwhile."""
        self.lanes.busy_s = 0.0
        self.worker.detected.clear()
        self.worker.run(now_s)
        self.worker.messages.clear()
        strides = [camera.admission.stride for camera in self.worker.cameras.values() if camera.admission is not None]
        wanted_hz, asked_hz = FPS * len(strides), sum(FPS / stride for stride in strides)
        busy = min(1.0, self.lanes.busy_s / LOOK_S / LANES)
        return Load(
            wanted_hz,
            self.worker.detected.total() / LOOK_S,
            busy,
            max(1.0, wanted_hz / max(asked_hz, wanted_hz / 8, 1e-9)),
        )


class CoreFleet:
    """Shards under the policy; nodes come as soon as they can."""

    def __init__(self) -> None:
        self.now_s, self.number = 0.0, 0
        self.shards: dict[str, CoreShard] = {}
        self.headroom = Headroom(POLICY)
        self.where: dict[str, str] = {}
        self.loads: dict[str, Load] = {}
        self.cameras: set[str] = set()
        self.places: tuple[str, ...] = ()
        self.add(-BOOT_S - WARM_S)

    def add(self, born_s: float) -> None:
        shard = CoreShard(max(0.0, born_s))
        shard.born_s = born_s
        self.shards[f"shard-{self.number}"] = shard
        self.number += 1

    def have(self, cameras: int) -> None:
        self.cameras = {f"camera-{number}" for number in range(cameras)}
        self.spread([name for name, shard in self.shards.items() if shard.phase(self.now_s) == "ready"])

    def run(self, seconds: float) -> None:
        end_s = self.now_s + seconds
        while self.now_s < end_s:
            self.now_s += LOOK_S
            self.loads = {name: shard.look(self.now_s) for name, shard in self.shards.items()}
            self.follow()

    def follow(self) -> None:
        seen = {name: Shard(shard.phase(self.now_s), self.loads[name]) for name, shard in self.shards.items()}
        decision = self.headroom.update(seen, self.now_s)
        for name in decision.drain:
            self.shards[name].drains = True
        if decision.spread or decision.drain or decision.places != self.places:
            self.places = decision.places
            self.spread(list(self.places))
            self.headroom.placed(self.now_s)
        self.shards = {name: shard for name, shard in self.shards.items() if not shard.drains}
        for _ in range(decision.wanted - len(self.shards)):
            self.add(self.now_s)

    def spread(self, places: list[str]) -> None:
        """Cameras where the placement has them; never on a shard that is not warm."""
        assert all(self.shards[name].phase(self.now_s) == "ready" for name in places)
        carries = POLICY.target * FULL_HZ / FPS
        nodes = [Node(name, carries, 8 * carries) for name in places]
        self.where = dict(place([CameraNeed(name) for name in sorted(self.cameras)], nodes, self.where).where)
        for name, shard in self.shards.items():
            shard.serve({camera for camera, where in self.where.items() if where == name})


def served(fleet: CoreFleet) -> float:
    """Share of the detections wanted that there were in the last second."""
    loads = fleet.loads.values()
    return sum(load.detected_hz for load in loads) / sum(load.wanted_hz for load in loads)


def test_headroom_with_the_workers_core_adds_shards_and_gives_them_back() -> None:
    fleet = CoreFleet()
    fleet.have(2)
    fleet.run(10)
    assert len(fleet.shards) == 1
    assert served(fleet) == pytest.approx(1.0, abs=0.1)
    fleet.have(8)
    fleet.run(5)
    # 120 frames a second for 50: strides have given way at once, and nothing has come yet.
    assert served(fleet) < 0.55
    fleet.run(25)
    assert len(fleet.shards) >= 4
    assert served(fleet) > 0.9
    assert all(load.stretch == 1.0 for load in fleet.loads.values())
    fleet.have(2)
    fleet.run(60)
    assert len(fleet.shards) == 1
    assert served(fleet) == pytest.approx(1.0, abs=0.1)
