from __future__ import annotations

import pytest

from pipeline.worker.use import LaneUse


def test_use_is_the_mean_over_the_time():
    use = LaneUse(10.0)
    use.note(2, 10.5)
    use.note(1, 10.75)
    assert use.take(10.9) is None, "a second is not over"
    assert use.take(11.0) == pytest.approx((0.25 * 2 + 0.25 * 1) / 1.0)


def test_use_goes_on_with_lanes_that_compute_on():
    use = LaneUse(0.0)
    use.note(2, 0.0)
    assert use.take(4.0) == 2.0
    assert use.take(4.5) is None
    use.note(0, 4.5)
    assert use.take(5.0) == 1.0


def test_use_of_a_detector_that_idles_is_nothing():
    assert LaneUse(0.0).take(1.0) == 0.0
