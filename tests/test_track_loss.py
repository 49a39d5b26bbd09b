"""The estimate of what a camera loses by not being detected on every frame."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from pipeline.detections import Detections, Origin
from pipeline.track.drift import WatchedTracker
from pipeline.track.fill import Filling, FillMode, filling
from pipeline.track.loss import EVERYTHING, Loss, LossCurve
from pipeline.track.tracker import TrackerConfig

FPS = 25.0
WH = (1280, 720)
Scene = Callable[[float], list[float]]
"""The left edges of the boxes that are to be seen at a time in s."""


def still(at_s: float) -> list[float]:
    return [100.0, 400.0, 700.0]


def lively(at_s: float) -> list[float]:
    """People who turn about more than once a second."""
    return [left + 25 * float(np.sin(7 * at_s + left)) for left in still(at_s)]


def coming_and_going(at_s: float) -> list[float]:
    """Somebody else in another place every second."""
    return [*still(at_s), 900.0 + 100 * (int(at_s) % 3)]


def empty(at_s: float) -> list[float]:
    return []


def detections(lefts: list[float]) -> Detections:
    xyxy = np.array([(left, 200.0, left + 40, 300.0) for left in lefts], np.float32).reshape(-1, 4)
    return Detections(xyxy, np.full(len(lefts), 0.9, np.float32), np.zeros(len(lefts), np.int32))


class Watched:
    """A camera that is detected on every `stride`-th frame."""

    def __init__(self, fill: FillMode = FillMode.PREDICT) -> None:
        self.tracker = WatchedTracker(TrackerConfig(), WH)
        self._filling: Filling[int] = filling(fill, self.tracker, 10.0)
        self._frame = 0

    def see(self, scene: Scene, seconds: float, stride: int) -> float | None:
        """The estimate after so long; 0 strides: it is not detected at all."""
        for _ in range(round(seconds * FPS)):
            at_s = self._frame / FPS
            if stride and self._frame % stride == 0:
                finished = self._filling.detected(self._frame, detections(scene(at_s)), at_s, at_s)
            else:
                finished = self._filling.skipped(self._frame, at_s, at_s)
            for filled in finished:
                self.loss.show(filled.origin, filled.unseen_s)
            self._frame += 1
        return self.loss.points

    @property
    def loss(self) -> Loss:
        return self.tracker.loss


def lost(scene: Scene, stride: int, fill: FillMode = FillMode.PREDICT, seconds: float = 20.0) -> float:
    found = Watched(fill).see(scene, seconds, stride)
    assert found is not None
    return found


def test_frames_before_the_first_detection_of_a_session_are_forgotten_in_time():
    camera = Watched(FillMode.INTERPOLATE)
    camera.see(still, 0.2, 0)
    assert (camera.see(still, 200.0, 2) or 0.0) < 0.1


def test_loss_of_a_camera_that_is_watched_again_is_of_what_is_seen_since_then():
    camera = Watched()
    camera.see(lively, 10.0, 4)
    camera.tracker.watch(False)
    camera.see(lively, 150.0, 4)
    camera.tracker.watch(True)
    assert camera.loss.points is None
    assert camera.see(lively, 20.0, 4) == pytest.approx(lost(lively, 4), rel=0.2)


def test_loss_is_unknown_before_the_second_detection():
    camera = Watched()
    assert camera.see(still, 4.0, 0) is None
    assert camera.loss.curve(FillMode.PREDICT, 0.3) is None
    camera = Watched()
    assert camera.see(still, 8 / FPS, 8) is None
    assert camera.see(still, 1 / FPS, 8) is not None


@pytest.mark.parametrize("scene", [still, lively, coming_and_going, empty])
def test_loss_of_a_camera_that_is_detected_on_every_frame_is_none(scene: Scene):
    assert lost(scene, 1) == 0.0


@pytest.mark.parametrize("scene", [still, empty])
def test_loss_of_a_scene_in_which_nothing_happens_is_hardly_any(scene: Scene):
    assert lost(scene, 8) < 0.5


@pytest.mark.parametrize("scene", [lively, coming_and_going])
def test_loss_grows_with_the_stride(scene: Scene):
    found = [lost(scene, stride) for stride in (1, 2, 4, 8)]
    assert found == sorted(found)
    assert found[-1] > 2.0


def test_loss_of_frames_without_boxes_is_all_there_is():
    assert lost(lively, 4, FillMode.NONE) == pytest.approx(0.75 * EVERYTHING, rel=0.05)


def test_loss_of_boxes_drawn_between_two_detections_is_smaller():
    assert lost(lively, 5, FillMode.INTERPOLATE) < 0.5 * lost(lively, 5, FillMode.PREDICT)


def test_loss_counts_the_age_of_detections_that_come_late():
    prompt, late = Watched(), Watched()
    for camera, late_s in ((prompt, 0.0), (late, 0.2)):
        camera.see(lively, 10.0, 4)
        for _ in range(1000):
            camera.loss.show(Origin.PREDICTED, 0.08 + late_s)
    assert (late.loss.points or 0.0) > 1.5 * (prompt.loss.points or 0.0)


def test_loss_forgets():
    camera = Watched()
    before = camera.see(lively, 30.0, 5)
    after = camera.see(still, 90.0, 5)
    assert before is not None and after is not None
    assert after < 0.2 * before


@pytest.mark.parametrize("fill", list(FillMode))
@pytest.mark.parametrize("stride", [1, 2, 5, 8])
def test_curve_says_of_the_stride_of_now_what_the_estimate_says(fill: FillMode, stride: int):
    camera = Watched(fill)
    found = camera.see(lively, 40.0, stride)
    curve = camera.loss.curve(fill, 10.0)
    assert curve is not None
    assert curve.at(stride, FPS) == pytest.approx(found, rel=0.25, abs=0.2)


def test_curve_follows_a_scene_that_wakes_up_before_the_estimate_does():
    camera = Watched()
    camera.see(still, 60.0, 5)
    calm = camera.loss.curve(FillMode.PREDICT, 0.3)
    camera.see(lively, 3.0, 5)
    woken = camera.loss.curve(FillMode.PREDICT, 0.3)
    assert calm is not None and woken is not None
    assert woken.at(5, FPS) > 2 * (camera.loss.points or 0.0)
    assert woken.at(5, FPS) > 2 * calm.at(5, FPS)


def test_curve_of_interpolation_that_may_not_wait_is_between_the_two():
    waits = LossCurve(50.0, FillMode.INTERPOLATE, 10.0)
    hardly = LossCurve(50.0, FillMode.INTERPOLATE, 0.1)
    predicts = LossCurve(50.0)
    assert waits.at(8, FPS) < hardly.at(8, FPS) < predicts.at(8, FPS)
    assert hardly.at(2, FPS) == waits.at(2, FPS)
