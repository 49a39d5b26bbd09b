"""Ultralytics' ByteTrack on the same detections, to compare with. The only place that imports it; never at run time."""

from __future__ import annotations

import os
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
from numpy.typing import NDArray

from pipeline.detect.quiet import quiet_environment
from pipeline.detections import Detections, Origin, Tracks

os.environ.update(quiet_environment())  # Ultralytics reads it once, when it is imported.

from ultralytics.trackers.byte_tracker import BYTETracker

THRESHOLDS = SimpleNamespace(
    track_high_thresh=0.6,
    track_low_thresh=0.1,
    new_track_thresh=0.7,
    track_buffer=30,
    match_thresh=0.8,
    fuse_score=True,
)
"""ByteTrack's own for YOLOX on MOT17; `track_buffer` counts updates."""


@dataclass(frozen=True, slots=True)
class _Results:
    """The part of Ultralytics' `Boxes` that its tracker reads."""

    xyxy: NDArray[np.float32]
    conf: NDArray[np.float32]
    cls: NDArray[np.int32]

    @property
    def xywh(self) -> NDArray[np.float32]:
        """Centre x, centre y, width, height."""
        low, high = self.xyxy[:, :2], self.xyxy[:, 2:]
        return np.concatenate([(low + high) / 2, high - low], axis=1)

    def __len__(self) -> int:
        return len(self.conf)

    def __getitem__(self, rows: NDArray[np.bool_]) -> _Results:
        return _Results(self.xyxy[rows], self.conf[rows], self.cls[rows])


class ReferenceTracker:
    """ByteTrack behind our `update`. It counts updates and knows no time."""

    def __init__(self) -> None:
        self._tracker = BYTETracker(THRESHOLDS)  # type: ignore[no-untyped-call]

    def update(self, detections: Detections) -> Tracks:
        """Its active tracks, boxes by its filter; all count as detected."""
        found = _Results(detections.xyxy, detections.score, detections.class_id)
        rows = np.asarray(self._tracker.update(found), np.float32).reshape(-1, 8)
        count = len(rows)
        return Tracks.of(
            track_id=rows[:, 4].astype(np.int64),
            xyxy=rows[:, :4].copy(),
            score=rows[:, 5].copy(),
            class_id=rows[:, 6].astype(np.int32),
            origin=np.full(count, Origin.DETECTED, np.uint8),
            since_detected_s=np.zeros(count, np.float32),
            uncertainty_px=np.zeros(count, np.float32),
            velocity_px_s=np.zeros((count, 4), np.float32),
            uncertainty_px_s=np.zeros(count, np.float32),
        )
