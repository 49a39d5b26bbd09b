"""What a detection is worth, and how the controller shares detections by it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from pipeline.plan import StrideBounds
from pipeline.track.loss import LossCurve
from pipeline.worker.simulate import Moment, Scene, simulate
from pipeline.worker.stride import Measured, StrideController
from pipeline.worker.worth import CHANGE, LEAST_WRONG_HZ, Worth

DEADLINE_S = 0.15
CONTENT = StrideBounds(1, 8, by_content=True)
SERVICE_S = 0.0267
"""Two lanes of this serve 75 frames a second."""


def worths(wrong_hz: Mapping[str, float], weights: Mapping[str, float], fps: Mapping[str, float]) -> dict[str, float]:
    worth = Worth()
    worth.update(wrong_hz)
    return worth.among(weights, fps)


@pytest.mark.parametrize(
    ("wrong_hz", "weights", "fps", "expected"),
    [
        pytest.param({}, {"a": 1, "b": 1}, {"a": 9, "b": 9}, {}, id="nothing known"),
        pytest.param({"a": 3}, {"a": 1}, {"a": 9}, {"a": 1}, id="alone"),
        pytest.param({"a": 4, "b": 4}, {"a": 1, "b": 1}, {"a": 9, "b": 9}, {"a": 1, "b": 1}, id="alike"),
        pytest.param({"a": 4, "b": 4}, {"a": 1, "b": 1}, {"a": 30, "b": 10}, {"a": 1.5, "b": 0.5}, id="frames count"),
        pytest.param({"a": 27, "b": 1}, {"a": 1, "b": 1}, {"a": 9, "b": 9}, {"a": 1.5, "b": 0.5}, id="the root counts"),
        pytest.param(
            {"a": 27, "b": 1}, {"a": 1, "b": 3}, {"a": 9, "b": 9}, {"a": 2, "b": 2 / 3}, id="together what weights give"
        ),
        pytest.param(
            {"a": 0, "b": LEAST_WRONG_HZ}, {"a": 1, "b": 1}, {"a": 9, "b": 9}, {"a": 1, "b": 1}, id="nobody is stiller"
        ),
        pytest.param({"a": -5, "b": 0}, {"a": 1, "b": 1}, {"a": 9, "b": 9}, {"a": 1, "b": 1}, id="less than nothing"),
        pytest.param(
            {"a": 27, "b": 1},
            {"a": 1, "b": 1, "c": 1},
            {"a": 9, "b": 9, "c": 9},
            {"a": 1.5, "b": 0.5, "c": 1},
            id="the unknown is as the mean",
        ),
        pytest.param({"a": 27, "b": 1}, {"b": 1}, {"a": 9, "b": 9}, {"b": 1}, id="only among those asked for"),
    ],
)
def test_worth_table(
    wrong_hz: dict[str, float], weights: dict[str, float], fps: dict[str, float], expected: dict[str, float]
):
    assert worths(wrong_hz, weights, fps) == pytest.approx(expected)


def test_worth_small_changes_are_not_believed():
    worth, weights, fps = Worth(), {"a": 1.0, "b": 1.0}, {"a": 25.0, "b": 25.0}
    worth.update({"a": 8.0, "b": 8.0})
    worth.update({"a": 8.0 * (CHANGE - 0.01) ** 3, "b": 8.0 / (CHANGE - 0.01) ** 3})
    assert worth.among(weights, fps) == {"a": 1.0, "b": 1.0}
    worth.update({"a": 8.0 * (CHANGE + 0.01) ** 3, "b": 8.0})
    assert worth.among(weights, fps)["a"] > 1.05


def settled(
    bounds: Mapping[str, StrideBounds], wrong_hz: Mapping[str, float], capacity_hz: float, fps: float = 25.0
) -> dict[str, int]:
    """Strides that are due after some seconds in which the device was always busy and served that many."""
    controller = StrideController(bounds)
    for turn in range(80):
        controller.update(Measured(0.25, capacity_hz / 4, 0.5, 2), dict.fromkeys(bounds, fps), turn / 4, wrong_hz)
    return {name: round(controller.strides[name] / due) for name, due in controller.due.items()}


def test_stride_content_lively_camera_gets_more_and_still_ones_wait():
    strides = settled(dict.fromkeys("abcd", CONTENT), {"a": 64.0, "b": 0.0, "c": 0.0, "d": 0.0}, 25.0)
    assert strides["a"] <= 2
    assert min(strides[name] for name in "bcd") >= 7


def test_stride_content_gives_nothing_up_without_need():
    assert set(settled(dict.fromkeys("abcd", CONTENT), {"a": 25.0, "b": 0.0}, 1000.0).values()) == {1}


def test_stride_content_leaves_the_others_what_they_had():
    both = dict.fromkeys("ab", StrideBounds(1, 8)) | dict.fromkeys("cd", CONTENT)
    equal = settled(dict.fromkeys("abcd", StrideBounds(1, 8)), {}, 25.0)
    shared = settled(both, {"c": 27.0, "d": 1.0}, 25.0)
    assert all(abs(shared[name] - equal[name]) <= 1 for name in "ab")
    assert shared["c"] < equal["c"] < shared["d"]


def test_stride_content_counts_among_equals_of_priority():
    high, low = StrideBounds(1, 8, rank=2, by_content=True), StrideBounds(1, 8, rank=0, by_content=True)
    bounds = {"high": high, "plain": StrideBounds(1, 8, rank=0), "low": low}
    strides = settled(bounds, {"high": 100.0, "low": 0.0}, 40.0)
    assert strides["high"] == 1
    assert abs(strides["low"] - strides["plain"]) <= 1


def test_stride_content_never_crosses_a_floor():
    still = StrideBounds(1, 8, min_detect_hz=10, by_content=True)
    strides = settled({"a": CONTENT, "b": still}, {"a": 100.0, "b": 0.0}, 20.0)
    assert strides["b"] == 2


class Watching(StrideController):
    """Told what goes wrong as a function of the time in s."""

    def __init__(self, bounds: Mapping[str, StrideBounds], wrong_hz: Mapping[str, Callable[[float], float]]) -> None:
        super().__init__(bounds)
        self._wrong_hz = wrong_hz

    def update(
        self,
        measured: Measured,
        fps: Mapping[str, float],
        now_s: float,
        wrong_hz: Mapping[str, float] | None = None,
        losses: Mapping[str, LossCurve] | None = None,
    ) -> dict[str, int]:
        return super().update(measured, fps, now_s, {name: hz(now_s) for name, hz in self._wrong_hz.items()})


def between(trace: list[Moment], from_s: float, to_s: float) -> list[Moment]:
    return [moment for moment in trace if from_s < moment.at_s <= to_s]


def rates_hz(trace: list[Moment], name: str) -> float:
    return sum(moment.detected.get(name, 0) for moment in trace) / (0.25 * len(trace))


def steps(trace: list[Moment], name: str) -> int:
    """How far apart the strides of a camera are."""
    strides = [moment.strides[name] for moment in trace]
    return max(strides) - min(strides)


def test_stride_content_camera_that_becomes_lively_gets_the_detections_and_gives_them_back():
    names = [f"cam{index:02}" for index in range(8)]
    still = {name: (lambda at_s: 1.0) for name in names[1:]}
    wrong_hz = still | {"cam00": lambda at_s: 64.0 if 10 <= at_s < 20 else 1.0}
    scene = Scene({name: (lambda at_s: 25.0) for name in names}, lambda at_s: SERVICE_S)
    trace = simulate(scene, Watching(dict.fromkeys(names, CONTENT), wrong_hz), 35)
    before, during, after = between(trace, 6, 10), between(trace, 12, 20), between(trace, 23, 35)
    assert rates_hz(during, "cam00") >= 1.6 * rates_hz(before, "cam00")
    assert rates_hz(after, "cam00") <= 1.2 * rates_hz(before, "cam00")
    assert max(moment.age_p95_s for moment in between(trace, 1, 35)) <= DEADLINE_S
    total_hz = [sum(rates_hz(part, name) for name in names) for part in (before, during, after)]
    assert min(total_hz) >= 0.85 * max(total_hz)
    for name in names:
        assert steps(between(trace, 12, 19.9), name) <= 1
        assert steps(between(trace, 23, 35), name) <= 1


def test_stride_content_room_is_made_at_once():
    bounds = dict.fromkeys("abcdef", CONTENT)
    controller = StrideController(bounds)
    fps, measured = dict.fromkeys(bounds, 25.0), Measured(0.25, 10, 0.5, 2)
    for turn in range(40):
        controller.update(measured, fps, turn / 4, dict.fromkeys(bounds, 1.0))
    lively_from_s = 10.0
    for turn in range(2):
        wrong_hz = dict.fromkeys(bounds, 1.0) | {"a": 32.0 * (turn + 1)}
        controller.update(measured, fps, lively_from_s + turn / 4, wrong_hz)
    assert controller.strides["a"] <= 2 < min(controller.strides[name] for name in "bcdef")
