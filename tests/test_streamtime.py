"""Pictures' times where a camera's stamps are not what they should be."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise

import pytest

from pipeline.camera.session import StreamPoint, continues
from pipeline.camera.streamtime import Placed, StreamTime
from pipeline.clock import NS_PER_S

FPS = 25
GAP_S = 5.0


def placed(stamps_s: Callable[[int], float | None], *, fps: float = FPS, pictures: int = 500) -> list[Placed]:
    time = StreamTime(GAP_S)
    return [time.place(stamps_s(number), round(number / fps * NS_PER_S)) for number in range(pictures)]


def sessions(times: list[Placed]) -> int:
    points = [StreamPoint(one.pts_s, round(at / FPS * NS_PER_S), (4, 4), "gray", GAP_S) for at, one in enumerate(times)]
    return 1 + sum(not continues(one, two) for one, two in pairwise(points))


@pytest.mark.parametrize("off_s", [20_000.0, -20_000.0, 7.0, -3.0])
def test_a_stray_stamp_lies_between_its_neighbours(off_s: float) -> None:
    times = placed(lambda number: 100 + number / FPS + (off_s if number % 50 == 49 else 0))
    assert [later.pts_s - one.pts_s for one, later in pairwise(times)] == pytest.approx([1 / FPS] * 499)
    assert [number for number, one in enumerate(times) if not one.believed] == list(range(49, 500, 50))
    assert sessions(times) == 1


@pytest.mark.parametrize("shared", [2, 3, 5])
def test_pictures_that_share_a_stamp_come_one_after_the_other(shared: int) -> None:
    times = placed(lambda number: number // shared * shared / FPS)
    steps = [later.pts_s - one.pts_s for one, later in pairwise(times)]
    assert all(0 < step <= shared / FPS for step in steps[shared:]) and sessions(times) == 1


def test_a_clock_that_stands_still_is_replaced_by_arrival() -> None:
    times = placed(lambda number: 7.0)
    assert times[-1].pts_s - times[0].pts_s == pytest.approx(499 / FPS)


@pytest.mark.parametrize("speed", [1 / 90, 11.1, 1000, 0.2])
def test_a_clock_of_another_unit_is_replaced_by_arrival(speed: float) -> None:
    times = placed(lambda number: number / FPS * speed)
    believed = [one.believed for one in times]
    assert not any(believed[5 * FPS :]), "five seconds are enough"
    assert times[-1].pts_s - times[-101].pts_s == pytest.approx(100 / FPS)


@pytest.mark.parametrize("fps", [24.75, 21, 30])
def test_a_clock_that_is_a_little_wrong_is_believed(fps: float) -> None:
    assert all(one.believed for one in placed(lambda number: number / FPS, fps=fps))


@pytest.mark.parametrize("pause_s", [1.0, 5.0, 20.0])
def test_a_pause_of_the_network_and_the_burst_after_it_say_nothing_about_a_clock(pause_s: float) -> None:
    time = StreamTime(GAP_S)
    for number in range(1500):
        sent_s = number / FPS
        arrived_s = max(sent_s, 10 + pause_s) if sent_s > 10 else sent_s
        assert time.place(sent_s, round(arrived_s * NS_PER_S)) == Placed(sent_s, believed=True)


def test_a_jump_is_believed_with_its_second_picture_and_begins_a_session() -> None:
    times = placed(lambda number: number / FPS + (500 if number >= 100 else 0))
    assert [number for number, one in enumerate(times) if not one.believed] == [100]
    assert times[101].pts_s == pytest.approx(500 + 101 / FPS) and sessions(times) == 2


def test_stamps_without_any_sense_are_replaced_by_arrival() -> None:
    rng = random.Random(7)
    times = placed(lambda number: rng.uniform(0, 1e6))
    assert times[-1].pts_s - times[-101].pts_s == pytest.approx(100 / FPS)


def test_without_stamps_arrival_counts() -> None:
    time = StreamTime(GAP_S, believed=False)
    assert [time.place(number / 25, number * NS_PER_S // 2).pts_s for number in range(4)] == [0, 0.5, 1.0, 1.5]
