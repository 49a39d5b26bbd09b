"""Giving way by what it costs: the controller with a promise of accuracy."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from pipeline.detections import Detections
from pipeline.link import Settings
from pipeline.plan import CameraPlan, StrideBounds
from pipeline.track.fill import FillMode
from pipeline.track.loss import LossCurve
from pipeline.wire import CameraState
from pipeline.worker.accuracy import CHANGE, Accuracy
from pipeline.worker.stride import MOST_OFFERED, Measured, StrideController
from pipeline.worker.virtual import VirtualLanes, VirtualWorker

FPS = 25.0
FREE = StrideBounds(1, 8)
SERVICE_S = 0.0267
"""Two lanes of this serve 75 frames a second."""


def losing(points: float) -> LossCurve:
    """A camera that loses so many points for each frame of age that its boxes have on average, at 25 fps."""
    return LossCurve(steepness=points * FPS)


def settled(
    capacity_hz: float,
    losses: Mapping[str, LossCurve],
    max_loss: float | None,
    *,
    saves: bool = False,
    bounds: Mapping[str, StrideBounds] | None = None,
    cameras: int = 6,
) -> dict[str, int]:
    """Strides of cameras of 25 fps after a while on a device that serves so many frames a second."""
    names = [f"cam{number}" for number in range(cameras)]
    controller = StrideController(dict.fromkeys(names, FREE) | dict(bounds or {}))
    controller.promise(max_loss, saves=saves)
    fps = dict.fromkeys(names, FPS)
    for turn in range(60):
        asked_hz = sum(FPS / stride for stride in controller.strides.values())
        busy = min(1.0, asked_hz / capacity_hz)
        controller.update(Measured(0.25, busy * capacity_hz / 4, 0.5 * busy, 2), fps, turn / 4, {}, losses)
    return controller.strides


def test_strides_without_a_promise_do_not_ask_what_they_cost():
    losses = {"cam0": losing(10), "cam1": losing(0.01)}
    assert settled(60, losses, None) == settled(60, {}, None)


def test_strides_of_unknown_cost_are_those_without_a_promise():
    assert settled(60, {}, 2.0) == settled(60, {}, None)


def test_cameras_that_lose_little_give_way_before_one_that_would_break_the_promise():
    losses = {"cam0": losing(3)} | {f"cam{number}": losing(0.1) for number in range(1, 6)}
    strides = settled(40, losses, 2.0)
    assert strides["cam0"] == 2
    assert all(strides[f"cam{number}"] > 2 for number in range(1, 6))


def test_where_not_all_can_keep_it_the_worst_excess_is_as_small_as_can_be():
    slopes = {"cam0": 4.0, "cam1": 2.0, "cam2": 1.0, "cam3": 4.0, "cam4": 2.0, "cam5": 1.0}
    strides = settled(75, {name: losing(slope) for name, slope in slopes.items()}, 0.5)
    excess = {name: slopes[name] * (strides[name] - 1) / 2 for name in slopes}
    equal = settled(75, {}, None)
    worst_of_equal = max(slopes[name] * (equal[name] - 1) / 2 for name in slopes)
    assert max(excess.values()) < worst_of_equal
    assert strides["cam0"] < strides["cam2"]


def test_priority_decides_where_not_all_can_keep_it():
    losses = {f"cam{number}": losing(5) for number in range(6)}
    strides = settled(40, losses, 1.0, bounds={"cam0": StrideBounds(1, 8, rank=2), "cam1": StrideBounds(1, 8, rank=0)})
    assert strides["cam0"] < min(strides[name] for name in strides if name != "cam0")
    assert strides["cam1"] == 8


def test_a_floor_of_detections_holds_whatever_is_promised():
    losses = {"cam0": losing(0.0)} | {f"cam{number}": losing(9) for number in range(1, 6)}
    assert settled(40, losses, 1.0, bounds={"cam0": StrideBounds(1, 8, min_detect_hz=10)})["cam0"] <= 2


def test_a_camera_of_which_nothing_is_known_is_taken_to_be_as_the_others():
    losses = {f"cam{number}": losing(3) for number in range(5)}
    strides = settled(75, losses, 2.0)
    assert strides["cam5"] <= max(strides.values())
    accuracy = Accuracy()
    accuracy.promise(2.0, saves=False)
    accuracy.update(losses)
    assert accuracy.excess("cam5", 3, FPS) == pytest.approx(accuracy.excess("cam0", 3, FPS)) == pytest.approx(1.0)


def test_another_way_to_fill_is_believed_although_the_scene_is_the_same():
    accuracy = Accuracy()
    accuracy.promise(2.0, saves=False)
    for fill in (FillMode.NONE, FillMode.PREDICT):
        accuracy.update({"cam": LossCurve(1.0, fill)})
    assert accuracy.excess("cam", 2, FPS) == 0


def test_small_changes_of_what_is_lost_are_not_believed():
    accuracy = Accuracy()
    accuracy.promise(1.0, saves=False)
    accuracy.update({"a": losing(2.0)})
    accuracy.update({"a": losing(2.0 * (CHANGE - 0.01))})
    assert accuracy.excess("a", 3, FPS) == pytest.approx(1.0)
    accuracy.update({"a": losing(2.0 * (CHANGE + 0.01))})
    assert accuracy.excess("a", 3, FPS) > 1.2


def test_idle_time_is_spent_with_a_promise_too():
    assert set(settled(1000, {f"cam{number}": losing(0.1) for number in range(6)}, 2.0).values()) == {1}


def test_saving_raises_strides_as_far_as_the_promise_allows():
    losses = {"cam0": losing(3), "cam1": losing(0.9), "cam2": losing(0.0)}
    strides = settled(1000, losses, 2.0, saves=True, cameras=4)
    assert (strides["cam0"], strides["cam1"], strides["cam2"]) == (2, 4, 8)
    assert strides["cam3"] == 1, "nothing is known of it"


def test_saving_keeps_to_what_the_device_can_do():
    strides = settled(40, {f"cam{number}": losing(9) for number in range(6)}, 2.0, saves=True)
    assert sum(FPS / stride for stride in strides.values()) <= MOST_OFFERED * 40


def walking(camera_id: str, frame_id: int) -> Detections:
    """In model pixels: people who turn about every half second; those of `still` stand."""
    rng = np.random.default_rng(7)
    centre = rng.uniform(10, 50, (6, 1))
    swing = 0.0 if camera_id == "still" else 1.6
    left = centre[:, 0] + swing * np.sin(frame_id / 25 * 2 * np.pi * 1.5 + np.arange(6))
    xyxy = np.column_stack([left, np.full(6, 20.0), left + 5, np.full(6, 34.0)]).astype(np.float32)
    return Detections(xyxy, np.full(6, 0.9, np.float32), np.zeros(6, np.int32))


def simulated(settings: Settings, seconds: float = 40.0) -> tuple[VirtualWorker, dict[str, CameraState]]:
    """A camera of people who turn about and one of people who stand, with room for both; their last words."""
    worker = VirtualWorker(VirtualLanes(2, lambda at_s: 0.005), settings, detect=walking)
    for name in ("lively", "still"):
        worker.join(CameraPlan(camera_id=name, stride=FREE), lambda at_s: FPS)
    worker.run(seconds - 10)
    worker.detected.clear()
    worker.run(seconds)
    return worker, {message.camera_id: message for message in worker.messages if isinstance(message, CameraState)}


def test_worker_that_saves_detects_the_still_camera_seldom_and_keeps_both_promises():
    worker, last = simulated(Settings(0.15, max_loss=2.0, saves=True))
    assert worker.detected["still"] <= 10 * FPS / 8 + 2
    assert worker.detected["still"] < worker.detected["lively"] < 10 * FPS
    losses = [state.loss for state in last.values()]
    assert all(loss is not None and loss <= 2.0 for loss in losses)


def test_worker_that_does_not_save_spends_what_it_has():
    worker, last = simulated(Settings(0.15, max_loss=2.0), seconds=15.0)
    assert min(worker.detected.values()) >= 0.98 * 10 * FPS
    assert all(state.loss is not None and state.loss < 0.1 for state in last.values())


def test_worker_tells_no_loss_before_a_camera_was_detected_twice():
    worker = VirtualWorker(VirtualLanes(1, lambda at_s: float("inf")), Settings(0.15, max_loss=2.0))
    worker.join(CameraPlan(camera_id="gate", stride=FREE), lambda at_s: FPS)
    worker.run(3.0)
    states = [message for message in worker.messages if isinstance(message, CameraState)]
    assert states
    assert all(state.loss is None for state in states)
