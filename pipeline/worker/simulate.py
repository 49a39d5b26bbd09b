"""What a worker does in a minute of trouble, seen within a second: the real core on a virtual clock.

For looking at a policy, and for tests that need no luck.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from pipeline.link import Settings
from pipeline.plan import CameraPlan
from pipeline.wire import FrameResult
from pipeline.worker.stride import INTERVAL_S, StrideController
from pipeline.worker.virtual import VirtualLanes, VirtualWorker

APART_S = 0.007
"""Between the first pictures of two cameras."""
OFFERED = (None, "replaced", "stale", "overdue")
"""Why frames were not detected that were offered to the detector; None for those that were."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What happens, as functions of the time in s.

    Attributes:
        fps: Frame rate of each camera; 0 while it is off.
        service_s: How long a lane needs for a frame; infinite while the device stalls.
        lanes: How many lanes.
        deadline_s: The age promised.
        contention: How much longer a lane needs for each other at work, as a share of `service_s`.
        starved_ms: How long every camera waits for a processor before a picture.
        plans: How cameras are to be served; those left out live within the controller's bounds.
    """

    fps: Mapping[str, Callable[[float], float]]
    service_s: Callable[[float], float]
    lanes: int = 2
    deadline_s: float = 0.15
    contention: float = 0.0
    starved_ms: Callable[[float], float] = lambda at_s: 0.0
    plans: Mapping[str, CameraPlan] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Moment:
    """One interval of the trace.

    Attributes:
        at_s: Its end.
        strides: By camera.
        detected: Frames detected in it, by camera, in time or not.
        late: How many of them were not in time.
        lanes: How many lanes may compute at once.
        age_p95_s: 95th percentile of the age at which frames left in it that had been offered to the detector.
    """

    at_s: float
    strides: Mapping[str, int]
    detected: Mapping[str, int]
    late: int
    lanes: int
    age_p95_s: float


def simulate(scene: Scene, controller: StrideController, seconds: float) -> list[Moment]:
    """What the core does in this scene with this controller, one `Moment` an interval."""
    lanes = VirtualLanes(scene.lanes, scene.service_s, scene.contention)
    worker = VirtualWorker(lanes, Settings(scene.deadline_s), controller=controller)
    for index, (name, fps) in enumerate(scene.fps.items()):
        plan = scene.plans.get(name) or CameraPlan(camera_id=name, stride=controller.bounds[name])
        worker.join(plan, fps, starts_s=index * APART_S).starved_ms = scene.starved_ms
    return [_watch(worker, controller, turn * INTERVAL_S) for turn in range(1, round(seconds / INTERVAL_S) + 1)]


def _watch(worker: VirtualWorker, controller: StrideController, until_s: float) -> Moment:
    worker.messages, worker.late = [], 0
    worker.detected.clear()
    worker.run(until_s)
    results = (message for message in worker.messages if isinstance(message, FrameResult))
    ages_ms = [result.age_ms for result in results if result.filled_because in OFFERED]
    age_p95_s = float(np.percentile(ages_ms, 95)) / 1000 if ages_ms else 0.0
    found, lanes = dict(worker.detected), worker.core.lanes
    return Moment(until_s, dict(controller.strides), found, worker.late, lanes, age_p95_s)
