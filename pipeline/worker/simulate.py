"""A worker on a virtual clock: cameras, slots and lanes as arithmetic, the real scheduler and controller between them.

For seeing what a policy does in a minute of trouble within a second, and for tests that need no luck.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from pipeline.worker.concurrency import LaneLimit, ServiceTime
from pipeline.worker.patience import Patience
from pipeline.worker.scheduler import BatchPolicy, Scheduler
from pipeline.worker.stride import INTERVAL_S, Measured, StrideController

STEP_S = 0.001


@dataclass(frozen=True, slots=True)
class Scene:
    """What happens, as functions of the time in s.

    Attributes:
        fps: Frame rate of each camera; 0 while it is off.
        service_s: How long a lane needs for a frame; infinite while the device stalls.
        contention: How much longer it needs for each other lane at work, as a share of `service_s`.
        lanes: How many lanes.
        deadline_s: The age promised.
    """

    fps: Mapping[str, Callable[[float], float]]
    service_s: Callable[[float], float]
    lanes: int = 2
    deadline_s: float = 0.15
    contention: float = 0.0


@dataclass(frozen=True, slots=True)
class Moment:
    """One interval of the trace.

    Attributes:
        at_s: Its end.
        strides: By camera.
        detected: Frames detected in it, by camera, in time or not.
        late: How many of them were not in time.
        lanes: How many lanes may compute at once.
        age_p95_s: 95th percentile of the age at which frames left in it, detected or given up.
    """

    at_s: float
    strides: Mapping[str, int]
    detected: Mapping[str, int]
    late: int
    lanes: int
    age_p95_s: float


@dataclass(slots=True)
class _State:
    due_s: dict[str, float]
    frame_id: dict[str, int]
    limit: LaneLimit
    slot_s: dict[str, float] = field(default_factory=dict)
    running: list[tuple[float, float, float, str]] = field(default_factory=list)
    """(end, start, captured, camera) of each busy lane, soonest end first."""
    ages_s: list[float] = field(default_factory=list)
    detected: dict[str, int] = field(default_factory=dict)
    late: int = 0
    busy_s: float = 0.0
    service: ServiceTime = field(default_factory=ServiceTime)


def simulate(scene: Scene, controller: StrideController, seconds: float) -> list[Moment]:
    """What the controller does in this scene, one `Moment` an interval."""
    scheduler = Scheduler(BatchPolicy(max_batch=1, max_wait_s=0.0))
    names = list(scene.fps)
    overdue_s = Patience.within(scene.deadline_s, 0.0).overdue_s
    state = _State(
        {name: 0.007 * index for index, name in enumerate(names)},
        dict.fromkeys(names, 0),
        LaneLimit(scene.lanes, overdue_s),
    )
    trace = []
    for step in range(round(seconds / STEP_S)):
        now_s = step * STEP_S
        _finish(state, overdue_s, now_s)
        _capture(scene, state, scheduler, controller.strides, now_s)
        _give_up(scene, state, scheduler, now_s)
        _dispatch(scene, state, scheduler, now_s)
        state.busy_s += STEP_S * len(state.running)
        if step and step % round(INTERVAL_S / STEP_S) == 0:
            trace.append(_decide(scene, state, scheduler, controller, now_s))
    return trace


def _finish(state: _State, overdue_s: float, now_s: float) -> None:
    while state.running and state.running[0][0] <= now_s:
        end_s, start_s, captured_s, name = heapq.heappop(state.running)
        age_s = end_s - captured_s
        late = age_s > overdue_s
        state.ages_s.append(min(age_s, overdue_s))
        if late:
            state.late += 1
        state.detected[name] = state.detected.get(name, 0) + 1
        state.limit.note(late=late)
        state.service.learn(end_s - start_s)


def _capture(scene: Scene, state: _State, scheduler: Scheduler, strides: Mapping[str, int], now_s: float) -> None:
    for index, (name, fps) in enumerate(scene.fps.items()):
        if fps(now_s) <= 0:
            state.due_s[name] = now_s
        elif now_s >= state.due_s[name]:
            state.due_s[name] += 1 / fps(now_s)
            state.frame_id[name] += 1
            if (state.frame_id[name] + index) % strides[name] == 0:
                state.slot_s[name] = now_s
                scheduler.offer(name, now_s)


def _give_up(scene: Scene, state: _State, scheduler: Scheduler, now_s: float) -> None:
    patience = Patience.within(scene.deadline_s, state.service.expected_s)
    for name, captured_s in list(state.slot_s.items()):
        if now_s - captured_s >= patience.window_s:
            del state.slot_s[name]
            scheduler.withdraw(name)
            state.ages_s.append(now_s - captured_s)


def _dispatch(scene: Scene, state: _State, scheduler: Scheduler, now_s: float) -> None:
    while len(state.running) < state.limit.lanes and (batch := scheduler.next_batch(now_s)):
        (name,) = batch
        service_s = scene.service_s(now_s) * (1 + scene.contention * len(state.running))
        end_s = now_s + service_s
        if math.isinf(end_s):
            end_s = _stall_end(scene, now_s)
        heapq.heappush(state.running, (end_s, now_s, state.slot_s.pop(name), name))


def _stall_end(scene: Scene, now_s: float) -> float:
    while math.isinf(scene.service_s(now_s)):
        now_s += STEP_S
    return now_s + scene.service_s(now_s)


def _decide(scene: Scene, state: _State, scheduler: Scheduler, controller: StrideController, now_s: float) -> Moment:
    detected = sum(state.detected.values())
    window_s = Patience.within(scene.deadline_s, state.service.expected_s).window_s
    measured = Measured(INTERVAL_S, detected, state.busy_s, state.limit.lanes, window_s)
    state.limit.update(state.service.mean_s, now_s)
    controller.update(measured, {name: fps(now_s) for name, fps in scene.fps.items() if fps(now_s) > 0}, now_s)
    scheduler.share(controller.due)
    age_p95_s = float(np.percentile(state.ages_s, 95)) if state.ages_s else 0.0
    strides, found = dict(controller.strides), dict(state.detected)
    moment = Moment(now_s, strides, found, state.late, state.limit.lanes, age_p95_s)
    state.ages_s, state.detected, state.late, state.busy_s = [], {}, 0, 0.0
    return moment
