"""A detector that finds each bright figure of `endurance.parade`, exact to a pixel of its input."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.config.values import Model
from pipeline.detect.protocol import PAD_GREY
from pipeline.detections import Detections

BRIGHT = 170
"""From here on; the padding is darker."""
LEAST_WIDE_PX = 2


class Bright:
    """Connected bright pixels are one object."""

    input_wh, max_batch, batches, class_names, lanes = (320, 192), 4, (1, 2, 3, 4), ("figure",), 1
    computes_in_caller = True

    def __init__(self) -> None:
        self.rebuild(0)

    def input(self, lane: int) -> NDArray[np.uint8]:
        """As the protocol says."""
        return self._pictures

    def detect(self, lane: int, count: int) -> list[Detections]:
        """As the protocol says."""
        return [_found(picture) for picture in self._pictures[:count]]

    def rebuild(self, lane: int) -> None:
        """New memory."""
        width, height = self.input_wh
        self._pictures = np.full((self.max_batch, height, width, 3), PAD_GREY, np.uint8)

    def warm_up(self) -> None:
        """Nothing is cold."""

    def close(self) -> None:
        """Nothing to free."""


def _found(picture: NDArray[np.uint8]) -> Detections:
    _, _, stats, _ = cv2.connectedComponentsWithStats((picture[..., 1] >= BRIGHT).astype(np.uint8))
    ltwh = stats[1:, :4].astype(np.float32)
    ltwh = ltwh[ltwh[:, 2] >= LEAST_WIDE_PX]
    xyxy = np.hstack([ltwh[:, :2], ltwh[:, :2] + ltwh[:, 2:]])
    return Detections(xyxy, np.full(len(xyxy), 0.9, np.float32), np.zeros(len(xyxy), np.int32))


def make(model: Model) -> Bright:
    """What a fleet file's `backend` names."""
    return Bright()
