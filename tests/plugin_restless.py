"""A slow detector that sees something else in every bright picture, and nothing in dark ones."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from pipeline.config.values import Model
from pipeline.detections import Detections
from tests.plugin_example import Brightest

BRIGHT = 160
DETECTION_S = 0.05


class Restless(Brightest):
    def __init__(self) -> None:
        super().__init__()
        self._random = np.random.default_rng(0)

    def detect(self, lane: int, count: int) -> list[Detections]:
        time.sleep(DETECTION_S * count)
        return [self._seen(picture) for picture in self.pictures[:count]]

    def _seen(self, picture: NDArray[np.uint8]) -> Detections:
        if picture.max() < BRIGHT:
            return Detections.empty()
        left_top = self._random.uniform(0, 16, (3, 2)) * (3, 1)
        xyxy = np.concatenate([left_top, left_top + 6], axis=1).astype(np.float32)
        return Detections(xyxy, np.full(3, 0.9, np.float32), np.zeros(3, np.int32))


def make(model: Model) -> Restless:
    return Restless()
