"""What a detector sees and what a tracker knows, as arrays of one frame."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from pipeline.geometry import Boxes


class Origin(IntEnum):
    """How a box, or the boxes of a frame, came to be."""

    DETECTED = 0
    """The detector saw it in this very frame."""
    PREDICTED = 1
    """Carried here from earlier detections."""
    INTERPOLATED = 2
    """Between an earlier and a later detection."""
    SKIPPED = 3
    """Only for frames: the detector did not run and nothing was filled in. Not the same as seeing nothing."""

    @property
    def label(self) -> str:
        """The word on the wire."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Detections:
    """N boxes on one frame.

    Attributes:
        xyxy: (N, 4) float32, source-frame pixels.
        score: (N,) float32 in 0..1.
        class_id: (N,) int32, index into the model's class names.
    """

    xyxy: Boxes
    score: NDArray[np.float32]
    class_id: NDArray[np.int32]

    def __post_init__(self) -> None:
        count = len(self.xyxy)
        if self.xyxy.shape != (count, 4) or self.score.shape != (count,) or self.class_id.shape != (count,):
            shapes = f"xyxy {self.xyxy.shape}, score {self.score.shape}, class_id {self.class_id.shape}"
            raise ValueError(f"expected (N, 4), (N,) and (N,); found {shapes}")

    def __len__(self) -> int:
        return len(self.xyxy)

    def __getitem__(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> Detections:
        return Detections(self.xyxy[rows], self.score[rows], self.class_id[rows])

    @classmethod
    def empty(cls) -> Detections:
        """The detector ran and found nothing."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int32))


@dataclass(frozen=True, slots=True)
class Tracks:
    """N tracked objects on one frame.

    Attributes:
        track_id: (N,) int64, from 1, never used again within a (camera, session).
        xyxy: (N, 4) float32, source-frame pixels, clipped to the picture.
        score: (N,) float32 in 0..1, of the last detection.
        class_id: (N,) int32.
        origin: (N,) uint8 of `Origin`.
        since_detected_s: (N,) float32, seconds since the object was last detected; 0 where it was in this frame.
        uncertainty_px: (N,) float32, one standard deviation of the box centre by the filter.
        velocity_px_s: (N, 4) float32, how fast each edge of `xyxy` moves, px/s, by the filter.
        uncertainty_px_s: (N,) float32, one standard deviation of that.
    """

    track_id: NDArray[np.int64]
    xyxy: Boxes
    score: NDArray[np.float32]
    class_id: NDArray[np.int32]
    origin: NDArray[np.uint8]
    since_detected_s: NDArray[np.float32]
    uncertainty_px: NDArray[np.float32]
    velocity_px_s: Boxes
    uncertainty_px_s: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.track_id)

    def __getitem__(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> Tracks:
        return Tracks(
            self.track_id[rows],
            self.xyxy[rows],
            self.score[rows],
            self.class_id[rows],
            self.origin[rows],
            self.since_detected_s[rows],
            self.uncertainty_px[rows],
            self.velocity_px_s[rows],
            self.uncertainty_px_s[rows],
        )

    @classmethod
    def empty(cls) -> Tracks:
        """No objects."""
        return cls(
            np.zeros(0, np.int64),
            np.zeros((0, 4), np.float32),
            np.zeros(0, np.float32),
            np.zeros(0, np.int32),
            np.zeros(0, np.uint8),
            np.zeros(0, np.float32),
            np.zeros(0, np.float32),
            np.zeros((0, 4), np.float32),
            np.zeros(0, np.float32),
        )
