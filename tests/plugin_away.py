"""A detector that is away for a while from its third picture on, as a server is that is started again."""

from __future__ import annotations

import threading
import time

import numpy as np

from pipeline.config.values import Model
from pipeline.detect import PAD_GREY, DetectorAway
from pipeline.detections import Detections

AWAY_S = 1.5
BOX = Detections(np.array([[8, 8, 24, 24]], np.float32), np.array([0.9], np.float32), np.zeros(1, np.int32))


class Away:
    input_wh, max_batch, batches, class_names, lanes, computes_in_caller = (64, 64), 1, (1,), ("thing",), 1, False

    def __init__(self) -> None:
        self._calls, self._back_s = 0, 0.0
        self.rebuild(0)

    def input(self, lane: int) -> np.ndarray:
        return self.pictures

    def detect(self, lane: int, count: int) -> list[Detections]:
        self._calls += 1
        if self._calls == 3:
            self._back_s = time.monotonic() + AWAY_S
        if time.monotonic() < self._back_s:
            threading.Event().wait(0.2)
            raise DetectorAway("the server is away")
        return [BOX] * count

    def rebuild(self, lane: int) -> None:
        self.pictures = np.full((1, 64, 64, 3), PAD_GREY, np.uint8)

    def warm_up(self) -> None:
        pass

    def close(self) -> None:
        pass


def make(model: Model) -> Away:
    return Away()
