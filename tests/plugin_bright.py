"""A detector of the tests' own: one box around all that is bright."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.detect.protocol import PAD_GREY
from pipeline.detections import Detections

BRIGHT = 170
"""From here on; the padding is darker."""


class Bright:
    """Finds what is bright, exact to a pixel of its input."""

    input_wh, max_batch, batches, class_names, lanes = (640, 384), 4, (1, 2, 3, 4), ("bright",), 1
    computes_in_caller = True

    def __init__(self) -> None:
        self.rebuild(0)

    def input(self, lane: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
        return self.pictures

    def detect(self, lane: int, count: int) -> list[Detections]:
        return [self._found(picture) for picture in self.pictures[:count]]

    def rebuild(self, lane: int) -> None:
        width, height = self.input_wh
        self.pictures = np.full((self.max_batch, height, width, 3), PAD_GREY, np.uint8)

    def warm_up(self) -> None:
        self.detect(0, self.max_batch)

    def close(self) -> None:
        """Nothing to free."""

    def _found(self, picture: np.ndarray[Any, np.dtype[np.uint8]]) -> Detections:
        rows, columns = np.nonzero(picture.min(axis=2) >= BRIGHT)
        if not len(rows):
            return Detections.empty()
        box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        return Detections(np.array([box], np.float32), np.array([0.9], np.float32), np.zeros(1, np.int32))


def make(model: object) -> Bright:
    """What a fleet file's `backend` names."""
    return Bright()
