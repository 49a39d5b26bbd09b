from __future__ import annotations

import numpy as np
import pytest

from pipeline.plan import StrideBounds
from pipeline.worker.concurrency import FIRST_PAUSE_S, JUDGED, SETTLE_S, TRIAL_S, LaneLimit, ServiceTime
from pipeline.worker.simulate import Moment, Scene, simulate
from pipeline.worker.stride import StrideController

OVERDUE_S = 0.135


def after(limit: LaneLimit, *, late: int, of: int = JUDGED, service_s: float = 0.05, now_s: float = 0.0) -> int:
    for index in range(of):
        limit.note(late=index < late)
    limit.update(service_s, now_s)
    return limit.lanes


def scene(alone_s: float, contention: float, until_s: float = float("inf")) -> Scene:
    cameras = {f"cam{index}": (lambda at_s: 25.0) for index in range(6)}
    return Scene(cameras, lambda at_s: alone_s if at_s < until_s else alone_s / 3, contention=contention)


def play(scene: Scene, seconds: float = 30.0) -> list[Moment]:
    bounds = {name: StrideBounds(1, 8) for name in scene.fps}
    return simulate(scene, StrideController(bounds), seconds)


def in_time_hz(trace: list[Moment]) -> float:
    return sum(sum(moment.detected.values()) - moment.late for moment in trace) / (0.25 * len(trace))


@pytest.mark.parametrize(
    ("late", "lanes"),
    [
        pytest.param(0, 4, id="all in time"),
        pytest.param(2, 4, id="a quarter late is not yet too much"),
        pytest.param(3, 3, id="more than a quarter late"),
        pytest.param(8, 3, id="all late: one lane at a time"),
    ],
)
def test_lane_limit_gives_a_lane_up_when_detections_come_late(late: int, lanes: int):
    assert after(LaneLimit(4, OVERDUE_S), late=late) == lanes


def test_lane_limit_does_not_judge_by_a_few():
    assert after(LaneLimit(2, OVERDUE_S), late=7, of=JUDGED - 1) == 2


def test_lane_limit_keeps_the_last_lane():
    limit = LaneLimit(1, OVERDUE_S)
    assert after(limit, late=8) == 1


def test_lane_limit_takes_a_lane_back_when_there_is_room_and_time_has_passed():
    limit = LaneLimit(2, OVERDUE_S)
    after(limit, late=8, now_s=0.0)
    assert after(limit, late=0, service_s=0.02, now_s=FIRST_PAUSE_S - 0.1) == 1
    assert after(limit, late=0, service_s=0.075, now_s=FIRST_PAUSE_S) == 1
    assert after(limit, late=0, service_s=0.02, now_s=FIRST_PAUSE_S) == 2


def test_lane_limit_waits_longer_after_each_failure():
    limit = LaneLimit(2, OVERDUE_S)
    after(limit, late=8, now_s=0.0)
    after(limit, late=0, service_s=0.02, now_s=FIRST_PAUSE_S)
    after(limit, late=8, now_s=FIRST_PAUSE_S)
    assert after(limit, late=0, service_s=0.02, now_s=2.9 * FIRST_PAUSE_S) == 1
    assert after(limit, late=0, service_s=0.02, now_s=3 * FIRST_PAUSE_S) == 2


def test_service_time_expects_more_than_the_mean_where_it_varies():
    steady, varying = ServiceTime(), ServiceTime()
    for index in range(100):
        steady.learn(0.05)
        varying.learn(0.03 if index % 2 else 0.07)
    assert steady.expected_s == pytest.approx(0.05)
    assert varying.mean_s == pytest.approx(0.05, abs=0.005)
    assert varying.expected_s > 0.06
    assert ServiceTime().expected_s == 0


def test_slow_device_detects_in_time_with_fewer_lanes():
    trace = play(scene(alone_s=0.073, contention=0.8))
    assert {moment.lanes for moment in trace[-40:]} == {1}
    assert in_time_hz(trace[-80:]) >= 0.9 / 0.073
    assert max(moment.age_p95_s for moment in trace[4:]) <= 0.15


def test_slow_device_is_offered_frames_that_are_fresh():
    trace = play(scene(alone_s=0.04, contention=0.9))
    assert {moment.lanes for moment in trace} == {2}
    assert in_time_hz(trace[-80:]) >= 0.9 * 2 / (0.04 * 1.9)


def test_device_that_becomes_fast_gets_its_lanes_back():
    trace = play(scene(alone_s=0.073, contention=0.8, until_s=15.0), 60)
    assert trace[55].lanes == 1
    assert trace[-1].lanes == 2
    assert in_time_hz(trace[-20:]) >= 35


def test_limit_halves_batches_once_one_lane_is_left_and_comes_back():
    limit = LaneLimit(1, overdue_s=0.135, batch=8)

    def judged(late: bool, service_s: float, now_s: float) -> int:
        for _ in range(8):
            limit.note(late=late)
        limit.update(service_s, now_s)
        return limit.batch

    assert [judged(True, 0.18, at_s) for at_s in (0, 1, 2, 3)] == [4, 2, 1, 1]
    assert judged(False, 0.01, 4) == 1, "not before its pause is over"
    assert [judged(False, 0.02, at_s) for at_s in (100, 101, 102)] == [2, 4, 8]
    assert judged(False, 0.06, 103) == 8


def test_lane_limit_takes_back_what_was_of_no_use_and_waits_before_the_next_trial():
    limit = LaneLimit(4, OVERDUE_S)
    after(limit, late=0, now_s=0.0)
    limit.update(0.05, 2.0)
    assert after(limit, late=6, now_s=2.0) == 3, "one in three came in time, five a second"
    assert after(limit, late=8, now_s=3.5) == 2
    assert after(limit, late=8, now_s=5.0) == 1
    assert after(limit, late=6, now_s=5.5) == 1
    assert after(limit, late=7, now_s=5.0 + TRIAL_S) == 4, "fewer came in time with three, two and one"
    assert after(limit, late=8, now_s=6.0 + TRIAL_S + SETTLE_S) == 4, "not again so soon"
    assert after(limit, late=8, now_s=100.0) == 3


def test_lane_limit_tries_all_lanes_again_where_few_come_in_time_with_one():
    limit = LaneLimit(2, OVERDUE_S)
    after(limit, late=8, now_s=0.0)
    for turn in range(8):
        assert after(limit, late=3, now_s=1.0 + TRIAL_S * turn / 8) == 1
    assert after(limit, late=3, service_s=0.1, now_s=2 * FIRST_PAUSE_S) == 2, "there is no room by arithmetic"
    for turn in range(8):
        assert after(limit, late=2, now_s=2 * FIRST_PAUSE_S + SETTLE_S + turn) == 2, "more came in time than with one"


def test_lanes_with_cores_of_their_own_are_kept_although_a_slow_model_is_often_late():
    trace = play(scene(alone_s=0.1, contention=0.15), 60)
    of_one_lane = 1 / 0.1
    assert np.mean([moment.lanes for moment in trace[-160:]]) > 1.8
    assert sum(sum(moment.detected.values()) for moment in trace[-160:]) / 40 > 1.5 * of_one_lane
    assert max(moment.age_p95_s for moment in trace[4:]) <= 0.15
