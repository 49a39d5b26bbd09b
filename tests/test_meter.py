from __future__ import annotations

import pytest

from pipeline.link import Admitted, Tick
from pipeline.worker.meter import Meter


def tick(starved_ms: float, admitted: Admitted = "stride") -> Tick:
    return Tick(1, 0, 0.0, 0, 0, "arrival", 0, 0, (640, 360), admitted, round(starved_ms * 1e6))


def test_meter_tells_how_long_most_frames_waited_for_a_processor_and_forgets_it() -> None:
    meter = Meter(0.0, deadline_s=0.1)
    for starved_ms in [1.0] * 90 + [40.0] * 10:
        meter.heard("a", tick(starved_ms))
    measured, _ = meter.read(lanes=2, window_s=0.1, now_s=0.25)
    assert measured.starved == pytest.approx(0.4)
    measured, _ = meter.read(lanes=2, window_s=0.1, now_s=0.5)
    assert measured.starved == 0.0


def test_meter_takes_a_picture_that_was_left_out_for_one_that_waited_too_long() -> None:
    meter = Meter(0.0, deadline_s=0.1)
    for number in range(20):
        meter.heard("a", tick(0.0, "behind" if number < 2 else "slot"))
    measured, _ = meter.read(lanes=2, window_s=0.1, now_s=0.25)
    assert measured.starved == pytest.approx(1.0, abs=0.1)
