"""What a detector sees and what a tracker knows, as arrays of one frame."""

from __future__ import annotations

from collections.abc import Sequence
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
class Sighted:
    """Which objects a tracker saw in the last detection, N of them, and which it knows at all.

    Attributes:
        track_id: (N,) int64.
        xyxy: (N, 4) float32: the very boxes that were detected, source-frame pixels.
        all_ids: Of every object that it has not let go of.
    """

    track_id: NDArray[np.int64]
    xyxy: Boxes
    all_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Tracks:
    """N tracked objects on one frame, or on several, one behind the other.

    What is known lies in two tables, a column an object: so taking some and joining many costs two copies and not nine.

    Attributes:
        names: (3, N) int64: `track_id`, `class_id`, `origin`.
        figures: (12, N) float32: `xyxy`, `score`, `since_detected_s`, `uncertainty_px`, `uncertainty_px_s`,
            `velocity_px_s`.
    """

    names: NDArray[np.int64]
    figures: NDArray[np.float32]

    def __len__(self) -> int:
        count: int = self.names.shape[1]
        return count

    def __getitem__(self, columns: NDArray[np.bool_] | NDArray[np.intp] | slice) -> Tracks:
        return Tracks(self.names[:, columns], self.figures[:, columns])

    @property
    def track_id(self) -> NDArray[np.int64]:
        """(N,) int64, from 1, never used again within a (camera, session)."""
        line: NDArray[np.int64] = self.names[0]
        return line

    @property
    def class_id(self) -> NDArray[np.int32]:
        """(N,) int32, index into the model's class names; a copy."""
        line: NDArray[np.int32] = self.names[1].astype(np.int32)
        return line

    @property
    def origin(self) -> NDArray[np.int64]:
        """(N,) int64 of `Origin`."""
        line: NDArray[np.int64] = self.names[2]
        return line

    @property
    def xyxy(self) -> Boxes:
        """(N, 4) float32, source-frame pixels, clipped to the picture."""
        return self.figures[:4].T

    @property
    def score(self) -> NDArray[np.float32]:
        """(N,) float32 in 0..1, of the last detection."""
        line: NDArray[np.float32] = self.figures[4]
        return line

    @property
    def since_detected_s(self) -> NDArray[np.float32]:
        """(N,) float32, seconds since the object was last detected; 0 where it was in this frame."""
        line: NDArray[np.float32] = self.figures[5]
        return line

    @property
    def uncertainty_px(self) -> NDArray[np.float32]:
        """(N,) float32, one standard deviation of the box centre by the filter."""
        line: NDArray[np.float32] = self.figures[6]
        return line

    @property
    def uncertainty_px_s(self) -> NDArray[np.float32]:
        """(N,) float32, one standard deviation of its velocity."""
        line: NDArray[np.float32] = self.figures[7]
        return line

    @property
    def velocity_px_s(self) -> Boxes:
        """(N, 4) float32, how fast each edge of `xyxy` moves, px/s, by the filter."""
        return self.figures[8:].T

    @classmethod
    def of(
        cls,
        *,
        track_id: NDArray[np.integer],
        xyxy: Boxes,
        score: NDArray[np.floating],
        class_id: NDArray[np.integer],
        origin: NDArray[np.integer],
        since_detected_s: NDArray[np.floating],
        uncertainty_px: NDArray[np.floating],
        velocity_px_s: Boxes,
        uncertainty_px_s: NDArray[np.floating],
    ) -> Tracks:
        """Of one array a property; copies."""
        names = np.array([track_id, class_id, origin], np.int64)
        rows = [*np.asarray(xyxy).T, score, since_detected_s, uncertainty_px, uncertainty_px_s, *velocity_px_s.T]
        return cls(names, np.array(rows, np.float32))

    @classmethod
    def together(cls, some: Sequence[Tracks]) -> Tracks:
        """The objects of all of them, one behind the other; at least one is needed."""
        if len(some) == 1:
            return some[0]
        names, figures = [one.names for one in some], [one.figures for one in some]
        return cls(np.concatenate(names, axis=1), np.concatenate(figures, axis=1))

    @classmethod
    def empty(cls) -> Tracks:
        """No objects."""
        return cls(np.zeros((3, 0), np.int64), np.zeros((12, 0), np.float32))
