"""What one shard makes of a number of cameras: the worker's own core, played frame by frame at a range of loads.

100,000 cameras frame by frame would take days, and the same shard would be played thousands of times. So one shard is
played from a quarter of what it carries to a multiple of it, and every shard of a fleet is drawn from what came out:
by how many usual cameras its own are worth, with straight lines between the loads that were played.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.capacity.figures import Rehearsal
from pipeline.capacity.processor import Device, always
from pipeline.capacity.rehearse import Span, Stage, rehearse
from pipeline.capacity.service import ServiceTimes
from pipeline.capacity.task import cameras
from pipeline.plan import StrideBounds
from pipeline.scale.headroom import Load
from pipeline.scale.simulate.scenario import Scenario

SHARES = (0.25, 0.5, 0.75, 1.0, 1.25, 1.75, 2.5, 4.0)
"""Loads that are played, as shares of what the shard carries by arithmetic."""
SPAN = Span(settle_s=3.0, measure_s=2.0, draws=1)
LAG_MS, LANE_MS, PUBLISH_MS = 6.0, 1.0, 0.5
"""Decoding and handing over, and what a detection and a message take beside; as `camfleet plan --check` measures them
on two cores of an AMD EPYC with 720p cameras."""
LEAST_CAMERAS = 2

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Rows:
    """How shards are, an entry each: `Load`'s figures, the mean stride and the 95th percentile of ages, ms."""

    wanted_hz: Floats
    detected_hz: Floats
    busy: Floats
    stretch: Floats
    stride: Floats
    p95_ms: Floats

    def loads(self) -> list[Load]:
        """How each of them is, for the policy."""
        columns = (self.wanted_hz, self.detected_hz, self.busy, self.stretch)
        return [Load(*figures) for figures in zip(*(column.tolist() for column in columns), strict=True)]


@dataclass(frozen=True, slots=True)
class ShardTable:
    """What came out, by rising numbers of usual cameras; (N,) float64 each.

    Attributes:
        cameras: Usual cameras on the shard.
        rows: How it was with them.
        demands: How many such shards they would keep fully busy.
    """

    cameras: Floats
    rows: Rows
    demands: Floats

    def at(self, load: Floats) -> Rows:
        """How shards are with so many usual cameras' worth of frames; beyond the last one that was played, as there.

        What is wanted goes on growing there.
        """
        rows, known = self.rows, self.cameras
        wanted_hz = load * (rows.wanted_hz[-1] / known[-1])

        def drawn(values: Floats) -> Floats:
            return np.interp(load, known, values)

        with_none = np.minimum(1.0, load / known[0])
        return Rows(
            wanted_hz=wanted_hz,
            detected_hz=np.minimum(drawn(rows.detected_hz) * with_none, wanted_hz),
            busy=drawn(rows.busy) * with_none,
            stretch=drawn(rows.stretch),
            stride=drawn(rows.stride),
            p95_ms=drawn(rows.p95_ms),
        )

    def carries(self, demand: float) -> float:
        """With how many usual cameras it would be so busy."""
        return float(np.interp(demand, self.demands, self.cameras))


def carried(scenario: Scenario) -> float:
    """Usual cameras that keep one shard fully busy at their least stride, by arithmetic.

    A frame takes its share of a detection and its own CPU time; lanes or cores are full first.
    """
    node, camera = scenario.node, scenario.camera
    detect_hz = camera.fps / camera.stride.min
    by_lanes = node.lanes * 1000 / node.service_ms / detect_hz
    camera_cores = (detect_hz * node.service_ms * node.lane_cores + camera.fps * node.frame_cpu_ms) / 1000
    return min(by_lanes, node.cores / camera_cores) if camera_cores else by_lanes


def play(scenario: Scenario, turn: Callable[[float], None] = lambda share: None) -> ShardTable:
    """Play one shard at all loads; takes seconds. `turn` hears which share of it is done."""
    full = carried(scenario)
    counts = sorted({max(LEAST_CAMERAS, round(share * full)) for share in SHARES})
    found, done = [], 0
    for count in counts:
        found.append(_rehearse(scenario, count))
        done += count
        turn(done / sum(counts))
    return _tabled(counts, found, scenario)


def _rehearse(scenario: Scenario, count: int) -> Rehearsal:
    node, camera = scenario.node, scenario.camera
    sources = cameras(count, camera.fps, StrideBounds(camera.stride.min, camera.stride.max))
    stage = Stage(
        sources=sources,
        device=Device(ServiceTimes.of({1: node.service_ms}), node.lanes, node.lane_cores),
        max_batch=1,
        wait_s=0.0,
        deadline_s=scenario.p95_ms / 1000,
        lag=(always(LAG_MS),),
        lane=always(LANE_MS),
        publish=always(PUBLISH_MS),
        cores=node.cores,
        frame_cpu_ms={source.camera_id: node.frame_cpu_ms for source in sources},
        turns=True,
    )
    return rehearse(stage, SPAN)


def _tabled(counts: list[int], found: list[Rehearsal], scenario: Scenario) -> ShardTable:
    camera, node = scenario.camera, scenario.node
    decoding = [count * camera.fps * node.frame_cpu_ms / 1000 / node.cores for count in counts]
    rows = Rows(
        wanted_hz=np.array([count * camera.fps / camera.stride.min for count in counts]),
        detected_hz=np.array([one.detected_hz for one in found]),
        busy=np.array([min(1.0, max(one.utilisation, cpu)) for one, cpu in zip(found, decoding, strict=True)]),
        stretch=np.array([max(1.0, one.stride / camera.stride.min) for one in found]),
        stride=np.array([one.stride for one in found]),
        p95_ms=np.array([one.age.p95_ms for one in found]),
    )
    demands = np.maximum.accumulate([load.demand for load in rows.loads()])
    return ShardTable(np.array(counts, np.float64), rows, demands)
