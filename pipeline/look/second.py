"""A second model, as deciding about looks needs to know it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Second:
    """What it is shown, and what it can do.

    Attributes:
        name: Of the attribute that it gives.
        labels: What it calls things, by class id.
        max_batch: Crops in one inference at most.
        lanes: How many may be under way; one a lane of the detector, the first ones.
        of: The detector's classes that it looks at, by name; None for all.
        least_px: Boxes whose longer side is shorter, in the detector's input, are not shown to it.
        min_score: Answers with a lower score are not told.
        better: It looks again at a crop that is so many times better than the last.
        again_s: And when its last look is so long ago, s; None where what it tells does not change.
    """

    name: str
    labels: Sequence[str]
    max_batch: int = 1
    lanes: int = 1
    of: frozenset[str] | None = None
    least_px: float = 24.0
    min_score: float = 0.5
    better: float = 2.0
    again_s: float | None = None

    def wants(self, quality: float, looked: Looked | None, now_s: float) -> bool:
        """Whether a crop of this quality is worth a look, after the last one there was."""
        if looked is None or quality >= self.better * looked.quality:
            return True
        return self.again_s is not None and now_s - looked.at_s >= self.again_s


@dataclass(frozen=True, slots=True)
class Looked:
    """The last look at an object: of what quality the crop was, and when it was asked for, monotonic s."""

    quality: float
    at_s: float
