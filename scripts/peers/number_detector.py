"""A detector that reads the numbers drawn into footage (`blocks`), and tells them by the scores of two boxes.

Scores are rounded to thousandths on their way, so each box carries half of the bits.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from peers.blocks import BITS, read
from pipeline.config.values import Model
from pipeline.detect import PAD_GREY
from pipeline.detections import Detections
from pipeline.wire import TrackedBox

WH = (640, 360)
_LEAST = 0.5
_HALF = 1 << BITS // 2
_BOXES = np.array([[0, 0, 200, 100], [400, 200, 600, 300]], np.float32)
_CLASSES = np.array([0, 1], np.int32)


def number_in(tracks: Sequence[TrackedBox]) -> int | None:
    """The number of a frame that was detected; None where there is none."""
    halves = {track.class_id: track.score for track in tracks if not track.since_detected_ms}
    if set(halves) != {0, 1}:
        return None
    high, low = (round((halves[part] - _LEAST) * 2 * _HALF) for part in (0, 1))
    return high * _HALF + low


class NumberDetector:
    """Reads pictures that are not scaled: the cameras' size must be `WH`."""

    input_wh, max_batch, batches, class_names, lanes = WH, 1, (1,), ("high", "low"), 1

    def __init__(self) -> None:
        self.rebuild(0)

    def input(self, lane: int) -> NDArray[np.uint8]:
        """Where the next picture goes."""
        return self.pictures

    def detect(self, lane: int, count: int) -> list[Detections]:
        """Two boxes a picture that has a number."""
        return [_found(picture) for picture in self.pictures[:count]]

    def rebuild(self, lane: int) -> None:
        """Fresh memory."""
        self.pictures = np.full((1, WH[1], WH[0], 3), PAD_GREY, np.uint8)

    def warm_up(self) -> None:
        """Nothing to warm."""

    def close(self) -> None:
        """Nothing to free."""


def make(model: Model) -> NumberDetector:
    """For `backend: peers.number_detector:make`."""
    return NumberDetector()


def _found(picture: NDArray[np.uint8]) -> Detections:
    number = read(picture)
    if number is None:
        return Detections.empty()
    scores = np.array(divmod(number, _HALF), np.float32) / (2 * _HALF) + _LEAST
    return Detections(_BOXES.copy(), scores, _CLASSES.copy())
