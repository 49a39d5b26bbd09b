"""Lanes that are to compute without a pause: when a picture is laid that waits behind them."""

from __future__ import annotations

import math
import select
import threading
from collections.abc import Iterator

import pytest

from pipeline.clock import NS_PER_S, VirtualClock
from pipeline.detect.stub import StubDetector
from pipeline.detections import Detections
from pipeline.worker.lanes import Lane, Lanes

SERVICE_S, AHEAD_S = 0.02, 0.003
EXACT_S = 1e-4
TIMEOUT_S = 30.0


class ToldDetector(StubDetector):
    """Two lanes and two spare ones, each of which comes back when it is told to."""

    def __init__(self) -> None:
        super().__init__(input_wh=(8, 8), lanes=4)
        self.lanes, self.spare_lanes = 2, 2
        self.back = [threading.Semaphore(0) for _ in range(4)]

    def detect(self, lane: int, count: int) -> list[Detections]:
        assert self.back[lane].acquire(timeout=TIMEOUT_S)
        return super().detect(lane, count)


class Bench:
    """Lanes at a time that is told; they know that a detection takes `SERVICE_S`."""

    def __init__(self) -> None:
        self.clock, self.detector = VirtualClock(), ToldDetector()
        self.lanes = Lanes[str](self.detector, clock=self.clock)
        self.lanes.ahead_s = AHEAD_S
        self.lanes.start()
        for _ in range(40):
            lane = self.give()
            self.clock.advance(SERVICE_S)
            self.come_back(lane)
        self.began_s = self.now_s

    @property
    def now_s(self) -> float:
        return self.clock.monotonic_ns() / NS_PER_S

    def at(self, since_s: float) -> None:
        """Let it be so long after the lanes had learned."""
        self.clock.advance(self.began_s + since_s - self.now_s)

    def give(self) -> Lane[str]:
        lane = self.lanes.idle(self.now_s)
        assert lane is not None
        self.lanes.submit(lane, ["a picture"], self.now_s)
        return lane

    def come_back(self, lane: Lane[str]) -> None:
        self.detector.back[lane.index].release()
        assert select.select([self.lanes], [], [], TIMEOUT_S)[0]
        assert [finished.error for finished in self.lanes.collect()] == [None]

    @property
    def takes_s(self) -> float:
        """When the next picture is to be laid, since they had learned."""
        return self.lanes.takes_s() - self.began_s


@pytest.fixture
def bench() -> Iterator[Bench]:
    opened = Bench()
    yield opened
    for back in opened.detector.back:
        back.release()
    assert opened.lanes.close(TIMEOUT_S)


def test_lanes_one_behind_each_is_laid_just_before_that_may_be_back(bench: Bench):
    bench.give()
    bench.at(0.01)
    bench.give()
    assert bench.lanes.idle(bench.now_s) is None
    assert bench.takes_s == pytest.approx(SERVICE_S - AHEAD_S, abs=EXACT_S)
    bench.at(0.018)
    bench.give()
    assert (bench.lanes.busy, bench.lanes.supplied) == (2, True)
    assert bench.takes_s == pytest.approx(0.01 + SERVICE_S - AHEAD_S, abs=EXACT_S)
    bench.at(0.028)
    bench.give()
    assert (bench.lanes.busy, bench.takes_s) == (2, math.inf)


def test_lanes_one_that_waited_computes_from_when_another_is_back(bench: Bench):
    first = bench.give()
    bench.at(0.01)
    bench.give()
    bench.at(0.018)
    bench.give()
    bench.at(0.02)
    bench.come_back(first)
    assert (bench.lanes.busy, bench.lanes.supplied) == (2, False)
    bench.at(0.029)
    bench.give()
    assert bench.takes_s == pytest.approx(0.02 + SERVICE_S - AHEAD_S, abs=EXACT_S)
    assert bench.lanes.free_s(SERVICE_S, bench.now_s) == pytest.approx(bench.began_s + 0.03)


def test_lanes_none_is_laid_behind_where_fewer_are_to_compute(bench: Bench):
    bench.lanes.limit = 1
    bench.give()
    bench.at(5.0)
    assert bench.lanes.idle(bench.now_s) is None


def test_lanes_that_hang_give_back_what_waits_behind_them_too(bench: Bench):
    for since_s in (0.0, 0.01, 0.02):
        bench.at(since_s)
        bench.give()
    bench.at(9.0)
    assert len(bench.lanes.abandon(bench.now_s - 5.0, bench.now_s)) == 3
