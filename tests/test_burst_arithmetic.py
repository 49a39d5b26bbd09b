"""The burst lab's arithmetic: matching departures, figures, recovery and the verdict. No processes, no clocks."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.burst.judge import Facts, Told, judge, named, recovery_s, share
from pipeline.burst.listen import FRAME, Heard, Loss
from pipeline.burst.match import true_ages_ms
from pipeline.burst.observed import CameraDepartures, Observed, ages, figures, observe
from pipeline.burst.result import AgePercentiles, CameraFigures
from pipeline.burst.scenario import Expect
from pipeline.burst.series import series, truth

MS = 1_000_000
NOTHING = AgePercentiles(p50=None, p95=None, p99=None)


def matched(
    captured_ms: list[float], published_ms: list[float], presented_ms: list[float], left_ms: list[float]
) -> list[float | None]:
    def ns(values: list[float]) -> np.ndarray:
        return np.array([round(value * MS) for value in values], np.int64)

    found = true_ages_ms(ns(captured_ms), ns(published_ms), ns(presented_ms), ns(left_ms))
    return [None if np.isnan(age) else round(float(age), 3) for age in found]


@pytest.mark.parametrize(
    ("captured", "published", "presented", "left", "expected"),
    [
        pytest.param([], [], [], [], [], id="nothing"),
        pytest.param([100], [150], [], [], [None], id="no departures"),
        pytest.param([100, 140], [150, 200], [100, 140], [101, 142], [49, 58], id="one each"),
        pytest.param([100.012], [150], [100], [101], [49], id="rounded by RTP's clock and FFmpeg"),
        pytest.param([99.988], [150], [100], [101], [49], id="rounded down"),
        pytest.param([120], [150], [100, 140], [101, 141], [None], id="a picture that never left"),
        pytest.param([0], [150], [0.4], [1], [None], id="a capture time that is not the camera's"),
        pytest.param([140, 100], [200, 150], [140, 100], [141, 103], [59, 47], id="in any order"),
        pytest.param([100, 100], [150, 950], [100, 100], [101, 901], [49, 49], id="a clock that jumped back"),
        pytest.param([100], [100.5], [100], [101], [None], id="published before it left: another one"),
    ],
)
def test_true_age_is_from_departure_to_publication(
    captured: list[float],
    published: list[float],
    presented: list[float],
    left: list[float],
    expected: list[float | None],
):
    assert matched(captured, published, presented, left) == expected


def heard(rows: list[tuple], reasons: tuple[str, ...] = (), losses: tuple[Loss, ...] = ()) -> Heard:
    return Heard(np.array(rows, FRAME), reasons, losses, (), 0)


def row(
    camera: int, at_ms: float, age_ms: float, *, because: int = -1, stride: float = 1.0, rtcp: bool = True
) -> tuple:
    published = round(at_ms * MS)
    return (camera, published, round((at_ms - age_ms) * MS), rtcp, age_ms, because < 0, because, stride)


def two_cameras() -> Observed:
    """`a`: 10 frames a second for 2 s, aged 20 ms, every other filled. `b`: 3 frames aged 40 ms, after losing 2."""
    rows = [row(0, 1000 + 100 * index + 50, 20, because=0 if index % 2 else -1, stride=2) for index in range(20)]
    rows += [row(1, 2000 + 100 * index, 40, rtcp=False) for index in range(3)]
    left_ns = np.array([round((1000 + 100 * index + 30 + 5) * MS) for index in range(20)], np.int64)
    departures = {"a": CameraDepartures(left_ns - 5 * MS, left_ns)}
    losses = (Loss(1, 2000 * MS, "decode", 2),)
    return observe(heard(rows, ("stride",), losses), ("a", "b"), departures, 1000 * MS)


def test_figures_count_what_was_published_in_the_time():
    found = figures(two_cameras(), ["a"], (0.0, 1.0), 10.0)
    assert (found.camera_id, found.published, found.detected, found.filled, found.lost) == (
        "a",
        10,
        5,
        {"stride": 5},
        {},
    )
    assert (found.age.p50, found.fleet_age.p50, found.stride) == (15.0, 20.0, 2.0)
    both = figures(two_cameras(), ["a", "b"], (1.0, 2.0), 20.0, "all")
    assert (both.camera_id, both.published, both.lost) == ("all", 13, {"decode": 2})
    assert both.age.p99 is not None and both.age.p99 > 35, "frames without departure count with the fleet's own age"


def test_figures_of_nothing_say_so():
    found = figures(two_cameras(), ["b"], (0.0, 1.0), 10.0)
    assert (found.published, found.age, found.stride) == (0, NOTHING, None)


def test_series_has_a_figure_for_every_second_and_gaps():
    found = series(two_cameras(), -1.0, 2.0)
    assert found.at_s == [-0.5, 0.5, 1.5]
    assert found.published == [0, 10, 13]
    assert found.detected == [0, 5, 8]
    assert found.filled == {"stride": [0, 5, 5]}
    assert found.lost == {"decode": [0, 0, 2]}
    assert found.p50 == [None, 15.0, 15.0]
    assert found.cameras["b"].published == [0, 0, 3]
    assert found.cameras["b"].p95 == [None, None, 40.0]


def test_truth_compares_only_frames_whose_departure_is_known():
    found = truth(two_cameras())
    assert (found.published, found.matched) == (23, 20)
    assert (found.age.p95, found.fleet_age.p95, found.difference.p99) == (15.0, 20.0, 5.0)


def test_ages_ignore_what_is_not_known():
    assert ages(np.array([np.nan, 10.0, np.nan])) == AgePercentiles(p50=10.0, p95=10.0, p99=10.0)


def every(step_s: float, start_s: float, end_s: float) -> np.ndarray:
    return np.arange(start_s, end_s, step_s)


@pytest.mark.parametrize(
    ("at_s", "age_ms", "expected"),
    [
        pytest.param(every(0.1, 0, 10), 20.0, 0.0, id="never away"),
        pytest.param(every(0.1, 7.5, 10), 20.0, 2.5, id="back after a while"),
        pytest.param(every(0.1, 9.5, 10), 20.0, None, id="back too late to be seen for a second"),
        pytest.param(every(0.5, 5, 10), 20.0, None, id="back, and slower"),
        pytest.param(every(0.1, 5, 10), 200.0, None, id="back, and too old"),
        pytest.param(np.array([]), 20.0, None, id="gone"),
        pytest.param(np.concatenate([every(0.1, 5, 5.4), every(0.1, 7, 10)]), 20.0, 2.0, id="a false start"),
    ],
)
def test_recovery_is_the_first_second_at_usual_rate_and_age(at_s: np.ndarray, age_ms: float, expected: float | None):
    found = recovery_s(at_s, np.full(len(at_s), age_ms), end_s=5.0, usual_hz=10.0, limit_ms=150.0)
    assert found == (None if expected is None else pytest.approx(expected, abs=0.11))


def facts(**changes: object) -> Facts:
    fleet = CameraFigures(
        camera_id="all",
        offered=1000,
        published=900,
        detected=450,
        filled={"stride": 450},
        lost={"decode": 3},
        age=AgePercentiles(p50=20, p95=100, p99=160),
        fleet_age=NOTHING,
        stride=2,
    )
    given: dict[str, object] = {
        "fleet": fleet,
        "live_cameras": 5,
        "recovery_s": 2.0,
        "others_p95_ms": 109.0,
        "others_p95_before_ms": 100.0,
        "difference": AgePercentiles(p50=1, p95=4, p99=9),
    }
    return Facts(**{**given, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("expect", "changes", "passed", "words"),
    [
        pytest.param({"p95_ms": 100}, {}, True, "100 ms", id="p95 at its limit"),
        pytest.param({"p95_ms": 80}, {}, False, "20 ms too much (+25 %)", id="p95 above"),
        pytest.param({"p99_ms": 160}, {}, True, "160 ms", id="p99"),
        pytest.param({"min_published_share": 0.9}, {}, True, "0.900", id="enough published"),
        pytest.param({"min_published_share": 0.95}, {}, False, "0.050 missing", id="too few published"),
        pytest.param({"min_detected_share": 0.6}, {}, False, "0.100 missing", id="too few detected"),
        pytest.param({"max_lost": 2}, {}, False, "1 frames too much", id="one lost too many"),
        pytest.param({"max_lost": 0}, {}, False, "3 frames too much", id="none may be lost"),
        pytest.param({"min_cameras": 6}, {}, False, "1 missing", id="a camera missing"),
        pytest.param({"max_recovery_s": 2}, {}, True, "2 s", id="back in time"),
        pytest.param({"max_recovery_s": 2}, {"recovery_s": None}, False, "never came back", id="never back"),
        pytest.param({"others_unaffected": True}, {}, True, "109 ms", id="others 9 % worse"),
        pytest.param(
            {"others_unaffected": True}, {"others_p95_ms": 111.0}, False, "1 ms too much", id="others 11 % worse"
        ),
        pytest.param({"others_unaffected": True}, {"others_p95_ms": None}, False, "nothing", id="others gone"),
        pytest.param({"others_unaffected": True}, {"others_p95_before_ms": None}, False, "nothing", id="no before"),
        pytest.param({"others_p95_ms": 110}, {}, True, "109 ms", id="others' p95"),
        pytest.param({"max_clock_difference_ms": 5}, {}, True, "4 ms", id="clocks agree"),
        pytest.param({"max_clock_difference_ms": 5}, {"difference": NOTHING}, False, "nothing", id="clocks unknown"),
    ],
)
def test_judge_says_whether_and_by_how_much(expect: dict, changes: dict, passed: bool, words: str):
    (check,) = judge(Expect(**expect), facts(**changes))
    assert check.passed is passed
    assert words in (check.found if passed else check.miss)
    assert bool(check.miss) is not passed


def test_judge_of_a_phase_without_expectations_says_nothing():
    assert judge(Expect(), facts()) == []


def test_judge_of_a_fault_that_could_not_be_made_fails():
    checks = judge(Expect(max_recovery_s=5), facts(error="the worker does not run", recovery_s=None))
    assert [check.passed for check in checks] == [False, False]
    assert checks[0].found == "the worker does not run"


@pytest.mark.parametrize(("part", "whole", "expected"), [(5, 10, 0.5), (11, 10, 1.0), (0, 10, 0.0), (3, 0, None)])
def test_share_is_at_most_one(part: float, whole: float, expected: float | None):
    assert share(part, whole) == expected


LIVE, BLIND = Told(0.0, "live", ""), Told(13.0, "blind", "its pictures do not change")


@pytest.mark.parametrize(
    ("told", "wanted", "passed", "words"),
    [
        pytest.param([LIVE, BLIND], "blind", True, "blind after 3.0 s: its pictures do not change", id="named in time"),
        pytest.param([], "blind", False, "never told", id="nothing was heard"),
        pytest.param([LIVE], "blind", False, "never told", id="green all the time"),
        pytest.param([LIVE, Told(16.0, "blind", "why")], "blind", False, "1.0 s too late", id="too late"),
        pytest.param([LIVE, Told(21.0, "blind", "why")], "blind", False, "never told", id="after the fault"),
        pytest.param([LIVE, Told(12.0, "blind", "")], "blind", False, "no reason told", id="without a reason"),
        pytest.param([LIVE, Told(12.0, "retrying", "why")], "blind", False, "never told", id="another state"),
        pytest.param(
            [LIVE, BLIND, Told(17.5, "live", "")], "blind", False, "called live again after 7.5 s", id="green too soon"
        ),
        pytest.param([LIVE, BLIND, Told(20.5, "live", "")], "blind", True, "3.0 s", id="green when it is over"),
        pytest.param([Told(2.0, "blind", "why")], "blind", True, "blind after 0.0 s: why", id="so before"),
        pytest.param(
            [Told(1.0, "blind", "why"), Told(9.0, "live", "")], "blind", False, "never told", id="not any more"
        ),
        pytest.param([LIVE], "live", True, "live after 0.0 s", id="live needs no reason"),
    ],
)
def test_state_is_named_in_time_with_its_reason_and_not_green(told: list[Told], wanted: str, passed: bool, words: str):
    found = named("gate", wanted, told, begin_s=10.0, end_s=20.0)
    (check,) = judge(Expect(states={"gate": wanted}, max_state_s=5), facts(named=(found,)))
    assert check.what == "state of gate"
    assert check.passed is passed
    assert words in (check.found if passed else check.miss)
