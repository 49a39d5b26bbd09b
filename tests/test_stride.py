from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping

import pytest

from pipeline.plan import StrideBounds
from pipeline.worker.simulate import Moment, Scene, simulate
from pipeline.worker.stride import LEAST_OFFERED, MOST_OFFERED, Measured, StrideController

SERVICE_S = 0.0267
"""Two lanes of this serve 75 frames a second."""
DEADLINE_S = 0.15


def cameras(count: int, fps: float = 25.0) -> dict[str, Callable[[float], float]]:
    return {f"cam{index:02}": lambda at_s: fps for index in range(count)}


def run(scene: Scene, seconds: float, bounds: Mapping[str, StrideBounds] | None = None) -> list[Moment]:
    limits = {name: StrideBounds(1, 8) for name in scene.fps} | dict(bounds or {})
    return simulate(scene, StrideController(limits), seconds)


def between(trace: list[Moment], from_s: float, to_s: float) -> list[Moment]:
    return [moment for moment in trace if from_s < moment.at_s <= to_s]


def detected_hz(trace: list[Moment], name: str | None = None) -> float:
    """Of one camera, or of all."""
    found = (moment.detected.get(name, 0) if name else sum(moment.detected.values()) for moment in trace)
    return sum(found) / (0.25 * len(trace))


def turns(trace: list[Moment], name: str) -> int:
    """How often the stride turned from falling to rising or back."""
    strides = [moment.strides[name] for moment in trace]
    moves = [after - before for before, after in itertools.pairwise(strides) if after != before]
    return sum((a > 0) != (b > 0) for a, b in itertools.pairwise(moves))


def test_stride_steady_load_settles_and_uses_the_device():
    trace = run(Scene(cameras(6), lambda at_s: SERVICE_S), 30)
    assert detected_hz(between(trace, 10, 30)) >= 0.96 * 75
    assert max(moment.age_p95_s for moment in between(trace, 1, 30)) <= DEADLINE_S
    assert all(turns(trace, name) <= 2 for name in trace[0].strides)


def test_stride_small_load_is_left_alone():
    trace = run(Scene(cameras(2), lambda at_s: SERVICE_S), 10)
    assert all(stride == 1 for moment in trace for stride in moment.strides.values())


def test_stride_load_tripled_for_ten_seconds_keeps_the_bound_and_comes_back():
    extra = {f"extra{index:02}": lambda at_s: 25.0 if 10 <= at_s < 20 else 0.0 for index in range(12)}
    trace = run(Scene(cameras(6) | extra, lambda at_s: SERVICE_S), 30)
    assert max(moment.age_p95_s for moment in between(trace, 12, 30)) <= DEADLINE_S
    before, after = between(trace, 9, 10)[-1].strides, between(trace, 24, 25)[-1].strides
    assert sum(after[name] for name in cameras(6)) <= sum(before[name] for name in cameras(6)) + 1


@pytest.mark.parametrize("capacity_hz", [40, 52, 72, 84, 96])
def test_stride_that_comes_down_offers_enough_for_every_lane_and_not_too_much(capacity_hz: int):
    controller = StrideController({name: StrideBounds(1, 8) for name in cameras(6)})
    fps = dict.fromkeys(controller.strides, 25.0)
    for turn in range(60):
        served_hz = 20 if turn < 20 else capacity_hz
        controller.update(Measured(0.25, served_hz / 4, 0.5, 2), fps, turn / 4)
    offered_hz = sum(25.0 / stride for stride in controller.strides.values())
    assert LEAST_OFFERED * capacity_hz <= offered_hz <= MOST_OFFERED * capacity_hz


def test_stride_ramp_gives_way_step_by_step():
    ramp = {name: (lambda at_s: 5 + at_s) for name in cameras(6)}
    trace = run(Scene(ramp, lambda at_s: SERVICE_S), 25)
    assert max(moment.age_p95_s for moment in between(trace, 1, 25)) <= DEADLINE_S
    assert all(turns(trace, name) <= 3 for name in ramp)


def test_stride_device_that_slows_down_by_half_and_recovers():
    trace = run(Scene(cameras(6), lambda at_s: SERVICE_S * (2 if 10 <= at_s < 20 else 1)), 30)
    assert max(moment.age_p95_s for moment in between(trace, 12, 30)) <= DEADLINE_S
    assert detected_hz(between(trace, 14, 20)) >= 0.75 * 37.5
    assert detected_hz(between(trace, 25, 30)) >= 0.8 * 75


def test_stride_device_that_stalls_for_a_second_comes_back():
    trace = run(Scene(cameras(6), lambda at_s: math.inf if 10 <= at_s < 11 else SERVICE_S), 25)
    assert max(between(trace, 10.9, 11)[-1].strides.values()) == 8
    assert detected_hz(between(trace, 17, 25)) >= 0.75 * 75


def test_stride_camera_three_times_as_fast_pays_for_itself():
    fast = cameras(5) | {"fast": lambda at_s: 75.0}
    late = between(run(Scene(fast, lambda at_s: SERVICE_S), 30), 10, 30)
    others = [detected_hz(late, name) for name in cameras(5)]
    assert detected_hz(late, "fast") <= 1.25 * sum(others) / len(others)
    assert detected_hz(late) >= 0.95 * 75


def test_stride_high_priority_keeps_its_own_until_the_others_have_given_all():
    bounds = {"cam00": StrideBounds(1, 8, rank=2), "cam01": StrideBounds(1, 8, rank=0)}
    trace = run(Scene(cameras(6), lambda at_s: SERVICE_S), 30, bounds)
    assert trace[-1].strides["cam00"] == 1
    assert trace[-1].strides["cam01"] == 8
    found = {name: detected_hz(between(trace, 10, 30), name) for name in cameras(6)}
    assert found["cam00"] >= 0.96 * 25
    assert found["cam01"] <= 25 / 8 + 0.1
    assert all(8 <= found[name] <= 14.5 for name in ("cam02", "cam03", "cam04", "cam05"))


def test_stride_floor_holds_when_everything_else_gives_way():
    bounds = {"cam00": StrideBounds(1, 8, min_detect_hz=10)}
    end = run(Scene(cameras(18), lambda at_s: 2 * SERVICE_S), 15, bounds)[-1].strides
    assert end["cam00"] <= 2
    assert end["cam01"] == 8


def test_stride_bound_of_detections_holds_however_much_room_there_is():
    bounds = {"cam00": StrideBounds(1, 8, max_detect_hz=10), "cam01": StrideBounds(1, 1, max_detect_hz=5)}
    trace = run(Scene(cameras(3), lambda at_s: 0.002), 5, bounds)
    assert trace[-1].strides == {"cam00": 3, "cam01": 5, "cam02": 1}
    assert detected_hz(between(trace, 1, 5), "cam00") <= 10
    assert detected_hz(between(trace, 1, 5), "cam01") <= 5.3
    assert turns(trace, "cam00") == 0


def test_stride_bound_of_detections_follows_the_frame_rate():
    bounds = {"cam00": StrideBounds(1, 8, max_detect_hz=5)}
    trace = run(Scene({"cam00": lambda at_s: 5.0 if at_s < 5 else 25.0}, lambda at_s: 0.002), 12, bounds)
    assert between(trace, 4, 5)[-1].strides["cam00"] == 1
    assert trace[-1].strides["cam00"] == 5


@pytest.mark.parametrize(
    ("bounds", "fps", "allowed"),
    [
        pytest.param(StrideBounds(1, 8), 25.0, (1, 8), id="no bound"),
        pytest.param(StrideBounds(1, 8, max_detect_hz=10), 25.0, (3, 8), id="at most"),
        pytest.param(StrideBounds(1, 8, max_detect_hz=12.5), 25.1, (2, 8), id="a frame rate measured too high"),
        pytest.param(StrideBounds(1, 8, max_detect_hz=100), 25.0, (1, 8), id="more than there is"),
        pytest.param(StrideBounds(2, 2, max_detect_hz=5), 25.0, (5, 5), id="before the largest stride"),
        pytest.param(StrideBounds(4, 8, max_detect_hz=10), 25.0, (4, 8), id="a larger least stride"),
        pytest.param(StrideBounds(1, 8, min_detect_hz=5, max_detect_hz=10), 25.0, (3, 5), id="between the two"),
        pytest.param(StrideBounds(1, 8, min_detect_hz=10, max_detect_hz=10), 25.0, (2, 2), id="no stride between"),
        pytest.param(StrideBounds(1, 8, min_detect_hz=30, max_detect_hz=40), 25.0, (1, 1), id="a floor never met"),
    ],
)
def test_stride_bounds_floor_and_ceiling(bounds: StrideBounds, fps: float, allowed: tuple[int, int]):
    assert (bounds.floor(fps), bounds.ceiling(fps)) == allowed


def test_stride_weight_keeps_more_detections():
    end = run(Scene(cameras(6), lambda at_s: 2 * SERVICE_S), 15, {"cam00": StrideBounds(1, 8, weight=2)})[-1].strides
    assert end["cam00"] <= min(end[name] for name in end if name != "cam00") / 1.5


def test_stride_fixed_is_never_changed():
    bounds = {name: StrideBounds(2, 2) for name in cameras(12)}
    trace = run(Scene(cameras(12), lambda at_s: SERVICE_S), 5, bounds)
    assert {stride for moment in trace for stride in moment.strides.values()} == {2}


@pytest.mark.parametrize(
    "measured",
    [
        pytest.param(Measured(0.25, 0, 0.0, 2), id="nothing happened"),
        pytest.param(Measured(0.25, 0, 0.5, 2), id="busy and nothing came back"),
        pytest.param(Measured(0.25, 1, 0.001, 1), id="one frame at no cost"),
    ],
)
def test_stride_from_the_first_moment_on_stays_within_its_bounds(measured: Measured):
    controller = StrideController({"a": StrideBounds(2, 5)})
    for turn in range(20):
        controller.update(measured, {"a": 25.0}, 0.25 * turn)
        assert 2 <= controller.strides["a"] <= 5


def beside_decoding(controller: StrideController, offered_hz: Callable[[float], float], seconds: float) -> list[float]:
    """Frames offered a second, by interval, where cameras wait the longer the nearer that comes to `offered_hz`."""
    fps, offered = dict.fromkeys(controller.strides, 15.0), []
    for turn in range(round(seconds / 0.25)):
        now_s = turn * 0.25
        asked_hz = sum(fps[name] / stride for name, stride in controller.strides.items())
        starved = min(1.0, 0.03 / max(1 - asked_hz / offered_hz(now_s), 0.03))
        controller.update(Measured(0.25, asked_hz / 4, 0.05, 2, starved=starved), fps, now_s)
        offered.append(asked_hz)
    return offered


def test_stride_cameras_that_wait_for_a_processor_are_given_it_within_two_seconds():
    controller = StrideController({name: StrideBounds(1, 8) for name in cameras(60)})
    offered = beside_decoding(controller, lambda at_s: 300.0, 40)
    assert offered[0] == 900.0
    assert max(offered[8:]) <= 300.0
    assert min(offered[20:]) >= 0.6 * 300.0


def test_stride_comes_back_when_no_camera_waits_for_a_processor_any_more():
    controller = StrideController({name: StrideBounds(1, 8) for name in cameras(60)})
    offered = beside_decoding(controller, lambda at_s: 150.0 if at_s < 10 else 2000.0, 40)
    assert max(offered[12:40]) <= 150.0
    assert offered[-1] == 900.0


def test_stride_cameras_that_starve_whatever_is_offered_keep_their_largest():
    controller = StrideController({"a": StrideBounds(1, 8), "b": StrideBounds(1, 8, min_detect_hz=5.0)})
    beside_decoding(controller, lambda at_s: 0.1, 10)
    assert controller.strides == {"a": 8, "b": 3}


def test_stride_cameras_that_starve_before_the_first_frame_is_out_are_no_burden_later():
    controller = StrideController({"a": StrideBounds(1, 8)})
    controller.update(Measured(0.25, 0, 0.0, 2, starved=1.0), {}, 0.0)
    for turn in range(1, 60):
        controller.update(Measured(0.25, 0, 0.0, 2), {"a": 25.0}, 0.25 * turn)
    assert controller.strides == {"a": 1}
