"""The arithmetic of a camera process: no clock, no stream."""

from __future__ import annotations

import itertools
import random

import pytest

from pipeline.camera.backoff import SETTLED_S, Backoff
from pipeline.camera.capture import Arrival, Capture, CaptureTimes
from pipeline.camera.pace import MAX_LAG_S, LoopTimestamps, Pacer, max_gap_s
from pipeline.camera.session import StreamPoint, continues, new_session
from pipeline.clock import NS_PER_S

WALL_NS = 1_700_000_000 * NS_PER_S


class Dice(random.Random):
    """Always the same throw."""

    def __init__(self, throw: float) -> None:
        super().__init__(0)
        self._throw = throw

    def random(self) -> float:
        return self._throw


def pauses(throw: float, lives_s: list[float]) -> list[float]:
    backoff, found = Backoff(initial_s=0.5, max_s=30.0), []
    for live_s in lives_s:
        backoff = backoff.lost(live_s)
        found.append(backoff.pause_s(Dice(throw)))
    return found


@pytest.mark.parametrize(
    ("throw", "lives_s", "expected_s"),
    [
        pytest.param(1.0, [0] * 8, [0.5, 1, 2, 4, 8, 16, 30, 30], id="doubles-up-to-max"),
        pytest.param(0.5, [0] * 4, [0.25, 0.5, 1, 2], id="jitter-takes-part-of-it"),
        pytest.param(0.0, [0] * 3, [0.05, 0.1, 0.2], id="never-at-once"),
        pytest.param(1.0, [0, 0, SETTLED_S, 0], [0.5, 1, 0.5, 1], id="settled-starts-again"),
        pytest.param(1.0, [0, 0, SETTLED_S / 2], [0.5, 1, 2], id="flapping-does-not"),
    ],
)
def test_backoff_losses_give_growing_pauses(throw: float, lives_s: list[float], expected_s: list[float]) -> None:
    assert pauses(throw, lives_s) == pytest.approx(expected_s)


def test_backoff_camera_away_for_a_year_still_has_a_pause() -> None:
    assert Backoff(0.5, 30.0, failures=2_000_000).pause_s(Dice(1.0)) == 30.0


def test_backoff_password_that_is_refused_three_times_waits_minutes_and_says_so() -> None:
    backoff, paused_s, said = Backoff(initial_s=0.5, max_s=30.0), [], []
    for refused in (True, True, True, True, False, True):
        backoff = backoff.lost(0, refused=refused)
        paused_s.append(backoff.pause_s(Dice(1.0)))
        said.append(bool(backoff.words))
    assert paused_s == [0.5, 1, 300, 300, 8, 16]
    assert said == [False, False, True, True, False, False]
    assert "every 5 minutes" in Backoff(0.5, 30.0, refusals=3).words
    assert Backoff(0.5, 900.0, refusals=3).pause_s(Dice(1.0)) == 900, "never sooner than the fleet file says"


def test_backoff_cameras_lost_together_come_back_apart() -> None:
    backoff = Backoff(1.0, 30.0).lost(0).lost(0).lost(0)
    found = {round(backoff.pause_s(random.Random(seed)), 2) for seed in range(20)}
    assert len(found) > 15


def capture_at(times: CaptureTimes, at_s: float, delay_s: float | None) -> Capture:
    arrival = Arrival(round(at_s * NS_PER_S), WALL_NS + round(at_s * NS_PER_S))
    return times.capture(arrival, None if delay_s is None else arrival.at_ns - round(delay_s * NS_PER_S))


@pytest.mark.parametrize(
    ("delays_s", "clock", "age_s", "error_s"),
    [
        pytest.param([None], "arrival", 0, None, id="no-sender-reports"),
        pytest.param([0.08], "rtcp", 0.08, None, id="usual"),
        pytest.param([0.1, 3.0], "rtcp", 3.0, None, id="a-burst-shows-its-age"),
        pytest.param([-0.2], "rtcp", 0, None, id="slightly-fast-clock-is-never-in-the-future"),
        pytest.param([3.0, 3.1], "arrival", 0, 3.0, id="clock-three-seconds-behind"),
        pytest.param([-40.0], "arrival", 0, -40.0, id="clock-ahead"),
        pytest.param([3.0, 2.0, 0.1, 0.2], "rtcp", 0.2, None, id="began-in-a-burst"),
    ],
)
def test_capture_reported_times_are_believed_if_the_clock_is_right(
    delays_s: list[float | None], clock: str, age_s: float, error_s: float | None
) -> None:
    times = CaptureTimes()
    for number, delay_s in enumerate(delays_s):
        found = capture_at(times, 100 + number * 0.04, delay_s)
    arrived_ns = round((100 + (len(delays_s) - 1) * 0.04) * NS_PER_S)
    assert found.clock == clock
    assert (arrived_ns - found.ns) / NS_PER_S == pytest.approx(age_s)
    assert times.clock_error_s == (None if error_s is None else pytest.approx(error_s))


def test_capture_wall_time_is_the_cameras_own_word_where_it_is_believed() -> None:
    found = capture_at(CaptureTimes(), 100, 0.08)
    assert found.at_ns == WALL_NS + round(99.92 * NS_PER_S)


def test_capture_clock_set_wrong_in_mid_session_is_noticed_within_half_a_minute() -> None:
    times = CaptureTimes()
    assert capture_at(times, 0, 0.1).clock == "rtcp"
    clocks = [capture_at(times, at_s, 5.1).clock for at_s in range(1, 60)]
    assert clocks[0] == "rtcp" and clocks.index("arrival") <= 32 and clocks[-1] == "arrival"
    assert "rtcp" not in clocks[clocks.index("arrival") :]


START = StreamPoint(100.0, 50 * NS_PER_S, (640, 360), "yuv420p", 5.0)


def after(stream_s: float, passed_s: float, wh: tuple[int, int] = (640, 360), name: str = "yuv420p") -> StreamPoint:
    return StreamPoint(START.pts_s + stream_s, START.received_ns + round(passed_s * NS_PER_S), wh, name, 5.0)


@pytest.mark.parametrize(
    ("now", "same"),
    [
        pytest.param(after(0.04, 0.04), True, id="next-frame"),
        pytest.param(after(-0.04, 0.04), True, id="small-step-back"),
        pytest.param(after(-1.0, 0.04), False, id="back"),
        pytest.param(after(4.0, 0.04), True, id="small-gap"),
        pytest.param(after(26.5, 0.04), False, id="ahead"),
        pytest.param(after(3600.0, 3600.0), True, id="one-frame-an-hour"),
        pytest.param(after(0.04, 30.0), True, id="stream-stood-still"),
        pytest.param(after(0.04, 0.04, wh=(1280, 720)), False, id="other-size"),
        pytest.param(after(0.04, 0.04, name="yuvj420p"), False, id="other-format"),
    ],
)
def test_session_goes_on_or_ends_with_shape_and_time(now: StreamPoint, same: bool) -> None:
    assert continues(START, now) is same


def test_session_numbers_grow_with_time_and_differ_within_a_second() -> None:
    rng = random.Random(1)
    numbers = [new_session(WALL_NS + second * NS_PER_S, rng) for second in (0, 0, 0, 1)]
    assert len(set(numbers)) == 4
    assert numbers[3] > max(numbers[:3])
    assert numbers[0] >> 16 == 1_700_000_000


def test_pacer_small_lags_do_not_add_up() -> None:
    pacer = Pacer(25)
    due_s = [pacer.due_ns(7 + n * 0.04, round((n * 0.04 + 0.03) * NS_PER_S)) / NS_PER_S for n in range(1000)]
    steps_s = [later - earlier for earlier, later in itertools.pairwise(due_s)]
    assert max(steps_s) == pytest.approx(0.04) and min(steps_s) == pytest.approx(0.04)


@pytest.mark.parametrize(
    ("position_s", "now_s", "due_s"),
    [
        pytest.param(1.0, 1.5, 1.0, id="behind-catches-up"),
        pytest.param(1.0, 1.0 + MAX_LAG_S + 1, 1.0 + MAX_LAG_S + 1, id="far-behind-goes-on-from-now"),
        pytest.param(4.0, 0.1, 4.0, id="hole-is-waited-out"),
        pytest.param(3600.0, 0.1, 0.1, id="long-hole-is-skipped"),
        pytest.param(-5.0, 0.1, 0.1, id="jump-back-goes-on-from-now"),
    ],
)
def test_pacer_after_a_first_picture_at_0_next_is_due(position_s: float, now_s: float, due_s: float) -> None:
    pacer = Pacer(25)
    assert pacer.due_ns(0.0, 0) == 0
    assert pacer.due_ns(position_s, round(now_s * NS_PER_S)) == pytest.approx(due_s * NS_PER_S)


def test_gap_of_a_slow_stream_is_longer() -> None:
    assert max_gap_s(None) == 5.0 and max_gap_s(0.1) == 35.0


def test_timeline_repeats_without_a_seam_whatever_the_file_begins_with() -> None:
    timeline = LoopTimestamps(frame_ticks=10)
    placed = []
    for _ in range(3):
        placed += [timeline.place(ticks, None) for ticks in (500, 510, 520)]
        timeline.repeat()
    assert placed == list(range(500, 590, 10))


def test_timeline_without_file_times_counts_frames() -> None:
    timeline = LoopTimestamps(frame_ticks=10)
    assert [timeline.place(None, None) for _ in range(3)] == [0, 10, 20]
