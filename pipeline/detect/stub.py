"""A detector that sees the same boxes on every picture after a fixed time: for testing everything around it."""

from __future__ import annotations

import itertools
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipeline.detect.options import Options
from pipeline.detect.protocol import PAD_GREY
from pipeline.detections import Detections
from pipeline.errors import DetectorError
from pipeline.geometry import Boxes, WidthHeight

if TYPE_CHECKING:
    from pipeline.config.values import Model


@dataclass(frozen=True, slots=True)
class ServiceTime:
    """A batch of n pictures takes `a_ms + b_ms * n`, with no jitter and without using the CPU."""

    a_ms: float = 0.0
    b_ms: float = 0.0

    def of_s(self, count: int) -> float:
        """Seconds for `count` pictures."""
        return (self.a_ms + self.b_ms * count) / 1e3


class StubDetector:
    """Fixed boxes after a fixed time, on as many lanes as asked, each lane as fast as if it were alone."""

    def __init__(
        self,
        *,
        input_wh: WidthHeight = (640, 640),
        max_batch: int = 8,
        lanes: int = 1,
        class_names: tuple[str, ...] = ("object",),
        service: ServiceTime = ServiceTime(),
        boxes: int = 3,
        hang_at: int = 0,
        device: Path | None = None,
    ) -> None:
        self.batches = tuple(range(1, max_batch + 1))
        self.computes_in_caller = False
        self.input_wh, self.max_batch, self.lanes, self.class_names = input_wh, max_batch, lanes, class_names
        self._service = service
        self._inputs = [self._grey() for _ in range(lanes)]
        self._calls, self._hang_at = itertools.count(1), hang_at
        self._device = device
        self._closed = threading.Event()
        self._xyxy = _row_of_boxes(boxes, input_wh)

    def input(self, lane: int) -> NDArray[np.uint8]:
        """(max_batch, H, W, 3) uint8, which nobody looks at."""
        return self._inputs[lane]

    def detect(self, lane: int, count: int) -> list[Detections]:
        """The same boxes for each picture; blocks for the service time, or until `close`.

        Raises:
            DetectorError: Its device is gone.
        """
        self._require_device()
        service_s = None if next(self._calls) == self._hang_at else self._service.of_s(count)
        if service_s is None or service_s > 0:
            self._closed.wait(service_s)
        return [self._boxes() for _ in range(count)]

    def rebuild(self, lane: int) -> None:
        """Gives the lane new memory; an abandoned `detect` goes on waiting."""
        self._inputs[lane] = self._grey()

    def warm_up(self) -> None:
        """Nothing is cold.

        Raises:
            DetectorError: Its device is gone.
        """
        self._require_device()

    def close(self) -> None:
        """Ends the waiting of every lane."""
        self._closed.set()

    def _require_device(self) -> None:
        if self._device is not None and not self._device.exists():
            raise DetectorError(f"there is no device {self._device}")

    def _grey(self) -> NDArray[np.uint8]:
        return np.full((self.max_batch, self.input_wh[1], self.input_wh[0], 3), PAD_GREY, np.uint8)

    def _boxes(self) -> Detections:
        count = len(self._xyxy)
        class_id = np.arange(count, dtype=np.int32) % len(self.class_names)
        return Detections(self._xyxy.copy(), np.full(count, 0.9, np.float32), class_id)


def load(model: Model, max_batch: int | None) -> StubDetector:
    """The stub that `model.options` describe; the path means nothing.

    `a_ms` and `b_ms` (0) are the service time; `boxes` (3) are seen on each picture; the detection numbered `hang_at`,
    from 1, never comes back (0: all do). `dev` is a folder that stands for /dev: the device is there while that has a
    file of its name, such as `cuda:1`; without `dev` it always is.

    Raises:
        DetectorError: An option that the stub does not have, or of the wrong type.
    """
    options = Options(model.options, "stub", allowed=("a_ms", "b_ms", "boxes", "hang_at", "dev"))
    dev = options.text("dev", "")
    return StubDetector(
        input_wh=model.input_wh or (640, 640),
        max_batch=max_batch or 8,
        lanes=model.lanes or 1,
        class_names=model.classes or ("object",),
        service=ServiceTime(options.number("a_ms", 0.0), options.number("b_ms", 0.0)),
        boxes=int(options.number("boxes", 3)),
        hang_at=int(options.number("hang_at", 0)),
        device=Path(dev) / model.device if dev else None,
    )


def _row_of_boxes(count: int, input_wh: WidthHeight) -> Boxes:
    """(count, 4) float32: boxes side by side, of half the pitch, a third of the input high, never overlapping."""
    width, height = input_wh
    left = (np.arange(count, dtype=np.float32) + 0.25) * width / max(count, 1)
    xyxy = np.empty((count, 4), np.float32)
    xyxy[:, 0], xyxy[:, 2] = left, left + width / max(count, 1) / 2
    xyxy[:, 1], xyxy[:, 3] = height / 3, height * 2 / 3
    return xyxy
