"""Second looks on a virtual clock: a worker whose lanes look, too, at crops that are grey."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pipeline.detections import Detections
from pipeline.look.crop import Crop
from pipeline.look.looks import Batch, Look
from pipeline.worker.virtual import VirtualLanes, VirtualWorker


class LookingLanes(VirtualLanes):
    """Lanes that take `look_s` for each crop of a second look.

    Attributes:
        look_s: How long one needs for a crop, s.
    """

    def __init__(self, count: int, service_s: Callable[[float], float], look_s: float) -> None:
        super().__init__(count, service_s)
        self.look_s = look_s
        self._looking: list[tuple[int, Batch]] = []

    @property
    def busy(self) -> int:
        """How many compute or look."""
        return super().busy + len(self._looking)

    @property
    def due_ns(self) -> int | None:
        """When the next comes back, monotonic ns; None while none will."""
        due = [end_ns for end_ns, _ in self._looking]
        detecting_ns = super().due_ns
        return min([*due, *([] if detecting_ns is None else [detecting_ns])], default=None)

    def look(self, batch: Batch, now_s: float) -> None:
        """Let one look."""
        end_ns = round((now_s + self.look_s * len(batch.looks)) * 1e9)
        self._looking.append((end_ns, batch))

    def looked(self, now_ns: int) -> list[Batch]:
        """The looks that are done."""
        done = [batch for end_ns, batch in self._looking if end_ns <= now_ns]
        self._looking = [(end_ns, batch) for end_ns, batch in self._looking if end_ns > now_ns]
        return done


class LookingWorker(VirtualWorker):
    """A worker with second looks; its lanes have to be `LookingLanes`.

    Attributes:
        answer: What a look finds, boxes in pixels of the crop.
        looked: Every look that has come back.
    """

    lanes: LookingLanes
    answer: Callable[[Look], Detections]
    looked: list[Look]

    def _collect(self) -> None:
        looks = self.core.looks
        for batch in self.lanes.looked(self.clock.monotonic_ns()):
            assert looks is not None
            looks.finish(batch, [self.answer(look) for look in batch.looks])
            self.looked += batch.looks
            self.core.lanes_busy(self.lanes.busy)
        super()._collect()

    def _fill_lanes(self) -> None:
        while self.lanes.is_free:
            if self._look(pressing=True):
                continue
            jobs = self.core.next_batch(lambda row, picture: None)
            if not jobs:
                return
            self.lanes.submit(jobs, self.now_s)
            self.core.lanes_busy(self.lanes.busy)

    def _look_in_gaps(self) -> None:
        while self.lanes.is_free and self._look(pressing=False):
            pass

    def _look(self, *, pressing: bool) -> bool:
        batch = self.core.next_looks(0, self.lanes.limit, pressing=pressing)
        if batch is not None:
            self.lanes.look(batch, self.now_s)
            self.core.lanes_busy(self.lanes.busy)
        return batch is not None

    def _cut(self, found: list[Detections]) -> list[tuple[Crop, ...]]:
        return [tuple([_grey(row, xyxy.tolist()) for row, xyxy in enumerate(each.xyxy)]) for each in found]


def _grey(row: int, xyxy: list[float]) -> Crop:
    side = max(1, round(max(xyxy[2] - xyxy[0], xyxy[3] - xyxy[1])))
    noise = np.indices((side, side, 3)).sum(axis=0) % 2 * 255
    area_px = (xyxy[2] - xyxy[0]) * (xyxy[3] - xyxy[1])
    return Crop(row, noise.astype(np.uint8), (int(xyxy[0]), int(xyxy[1])), area_px)
