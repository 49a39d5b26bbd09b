"""A lane copies its pictures itself, and gives each back before it computes."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.detect.protocol import PAD_GREY
from pipeline.detect.stub import StubDetector
from pipeline.detections import Detections
from pipeline.geometry import Letterbox
from pipeline.worker.lanes import Finished, Lanes, Picture

INPUT_WH = (64, 40)
DEADLINE_S = 10


class Looking(StubDetector):
    """Keeps what lay in its input, and whether the pictures had been given back by then."""

    def __init__(self) -> None:
        super().__init__(input_wh=INPUT_WH, max_batch=2, lanes=1)
        self.seen: list[NDArray[np.uint8]] = []
        self.released: list[str] = []
        self.released_before: list[int] = []

    def detect(self, lane: int, count: int) -> list[Detections]:
        self.seen.append(self.input(lane)[:count].copy())
        self.released_before.append(len(self.released))
        return super().detect(lane, count)

    def picture(self, name: str, wh: tuple[int, int], value: int) -> Picture:
        """A picture of one colour; its memory is drawn over as soon as it is given back."""
        letterbox = Letterbox.fit(wh, INPUT_WH)
        content = np.full((letterbox.content_wh[1], letterbox.content_wh[0], 3), value, np.uint8)

        def release() -> None:
            content[:] = 0
            self.released.append(name)

        return Picture(content, letterbox, release)


@pytest.fixture
def detector() -> Looking:
    return Looking()


@pytest.fixture
def lanes(detector: Looking) -> Iterator[Lanes[str]]:
    made: Lanes[str] = Lanes(detector)
    made.start()
    yield made
    detector.close()
    assert made.close(DEADLINE_S)


def finish(lanes: Lanes[str], jobs: list[str]) -> Finished[str]:
    lane = lanes.idle
    assert lane is not None
    lanes.submit(lane, jobs, 0.0)
    give_up = threading.Event()
    for _ in range(100 * DEADLINE_S):
        if found := lanes.collect():
            return found[0]
        give_up.wait(0.01)
    raise AssertionError("the detection has not come back")


def test_lane_has_each_picture_in_its_row_and_gives_it_back_before_it_computes(
    detector: Looking, lanes: Lanes[str]
) -> None:
    lane = lanes.idle
    assert lane is not None
    lane.lay(0, detector.picture("wide", (64, 32), 200))
    lane.lay(1, detector.picture("square", (40, 40), 90))
    assert detector.released == [], "they are the lane's until it has copied them"
    assert finish(lanes, ["wide", "square"]).error is None
    wide, square = detector.seen[0]
    assert (wide[4:36] == 200).all()
    assert (wide[:4] == PAD_GREY).all()
    assert (square[:, 12:52] == 90).all()
    assert (square[:, :12] == PAD_GREY).all()
    assert (detector.released, detector.released_before) == (["wide", "square"], [2])


def test_lane_paints_the_padding_anew_for_a_picture_of_another_shape(detector: Looking, lanes: Lanes[str]) -> None:
    for name, wh in (("wide", (64, 32)), ("square", (40, 40))):
        lane = lanes.idle
        assert lane is not None
        lane.lay(0, detector.picture(name, wh, 200))
        finish(lanes, [name])
    [square] = detector.seen[1]
    assert (square[:, :12] == PAD_GREY).all()
    assert (square[:, 52:] == PAD_GREY).all()
