"""How far a detection had to correct the boxes that would have been shown without it.

It is seen for nothing: the tracker is asked for its prediction just before, and both are compared. How soon a camera's
boxes go wrong (`drift`) and what that costs (`loss`) are worked out from it.

Detectors tremble: boxes of the same thing differ by 0.04 to 0.08 in IoU however short the time (MOT17-02, 05, 10, 11,
gaps from 1/30 s to 1/2 s, carried back to a gap of 0). That is no drift, and at short gaps it would be most of what is
seen, so that a camera with many detections seemed to need them; so `TREMBLE` is taken off.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from pipeline.detections import Tracks
from pipeline.geometry import Boxes, areas

TREMBLE = 0.07
"""Of 1 − IoU between a prediction and a detection of the same object: the part that does not grow with time."""


@dataclass(frozen=True, slots=True)
class Correction:
    """What a detection made of the boxes that would have been shown without it.

    Attributes:
        shown: Boxes that are shown with it.
        moved: Summed over boxes that it saw again, by how much of each they were off; less than 0 where the detector
            trembles less than most.
        seen: How many it saw again.
        squared: Summed over these, (1 − IoU)², trembling included.
        missing: Boxes that there are with it alone.
        ended: Boxes that there would have been without it alone.
        first_seen: Objects it found that have no box yet.
    """

    shown: int
    moved: float
    missing: int
    ended: int
    first_seen: int = 0
    seen: int = 0
    squared: float = 0.0

    @classmethod
    def between(cls, before: Tracks, after: Tracks, first_seen: int = 0) -> Self:
        """Of what would have been shown and what is; both have their ids in ascending order."""
        if not len(before) or not len(after):
            return cls(len(after), 0.0, len(after), len(before), first_seen)
        place = np.searchsorted(after.track_id, before.track_id)
        np.minimum(place, len(after) - 1, out=place)
        stays = after.track_id[place] == before.track_id
        seen = stays & (after.since_detected_s[place] == 0)
        off = 1 - _paired_iou(before.xyxy, after.xyxy[place])[seen]
        moved = float(off.sum()) - TREMBLE * len(off)
        both = int(np.count_nonzero(stays))
        return cls(
            len(after), moved, len(after) - both, len(before) - both, first_seen, len(off), float(np.square(off).sum())
        )

    @property
    def wrong(self) -> float:
        """How many boxes were wrong, or missing; a little off is a part of one."""
        return self.moved + self.missing + self.ended


def _paired_iou(a: Boxes, b: Boxes) -> NDArray[np.float32]:
    """(N,): of the n-th with the n-th."""
    sides = np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2])
    overlap = np.maximum(sides, 0.0).prod(axis=1)
    return np.asarray(overlap / np.maximum(areas(a) + areas(b) - overlap, 1e-9), np.float32)
