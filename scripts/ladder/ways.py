"""Ways to choose what a camera's next detection looks at."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ladder.views import View, tiles
from pipeline.detections import Tracks
from pipeline.geometry import WidthHeight

MEMORY_S = 3.0
"""Boxes of the last seconds count: an object that the small input does not see is not forgotten at once."""
SMALL_SHARE = 20
"""The percentile of box heights that is to be seen well."""


@dataclass(frozen=True)
class Known:
    """What is known of a camera besides its boxes.

    Attributes:
        width: Of its pictures, px.
        stride: At full input and its share of the device.
        wrong_hz: Boxes that go wrong a second where nobody looks; None where it is not known.
    """

    width: int
    stride: float
    wrong_hz: float | None


class Fixed:
    """Always the same views in turn."""

    def __init__(self, *views: View) -> None:
        self._turn = itertools.cycle(views)
        self.view = next(self._turn)

    def saw(self, tracks: Tracks, at_s: float, known: Known) -> None:
        """The next one's turn."""
        self.view = next(self._turn)


class ByHeight:
    """The smallest input at which the small boxes of the last seconds are as high as the model needs them."""

    def __init__(self, sizes: Sequence[WidthHeight], want_px: float, *, look_every: int = 0, calm: float = 1e9) -> None:
        """Begin at the largest.

        Args:
            sizes: Inputs, px.
            want_px: How high a small box is to be in the model's input.
            calm: Beyond this stride at full input, boxes need not be as high: half as high at twice the stride.
            look_every: The largest input is taken once in so many detections, whatever was seen; 0: never.
        """
        self._sizes = sorted(sizes)
        self._want_px, self._look_every, self._calm = want_px, look_every, calm
        self._asked_px = want_px
        self._heights: deque[tuple[float, np.ndarray]] = deque()
        self._count, self._width = 0, 1
        self.view = View(self._sizes[-1])

    def saw(self, tracks: Tracks, at_s: float, known: Known) -> None:
        """Learn how high boxes are."""
        self._count, self._width = self._count + 1, known.width
        self._asked_px = self._want_px * min(1.0, self._calm / known.stride)
        fresh = tracks.since_detected_s == 0
        self._heights.append((at_s, (tracks.xyxy[:, 3] - tracks.xyxy[:, 1])[fresh]))
        while self._heights[0][0] < at_s - MEMORY_S:
            self._heights.popleft()
        self.view = View(self._choose())

    def _choose(self) -> WidthHeight:
        if self._look_every and self._count % self._look_every == 0:
            return self._sizes[-1]
        heights = np.concatenate([heights for _, heights in self._heights])
        if not len(heights):
            return self._sizes[len(self._sizes) // 2]
        small_px = float(np.percentile(heights, SMALL_SHARE))
        enough = [size for size in self._sizes if small_px * size[0] / self._width >= self._asked_px]
        return enough[0] if enough else self._sizes[-1]


class ByDrift:
    """A small input, and so more detections, where boxes go wrong soon; else the large one."""

    def __init__(self, large: WidthHeight, small: WidthHeight, *, from_hz: float, least_px: float = 0.0) -> None:
        """Begin at the large one.

        Args:
            large: Where boxes last.
            small: Where of each box `from_hz` go wrong a second.
            from_hz: As told by the tracker, divided by the boxes it has.
            least_px: Not where boxes would be lower than this in the small input, px.
        """
        self._large, self._small = View(large), View(small)
        self._from_hz, self._least_px = from_hz, least_px
        self.view = self._large

    def saw(self, tracks: Tracks, at_s: float, known: Known) -> None:
        """Learn how soon boxes go wrong."""
        if known.wrong_hz is None or not len(tracks):
            return
        small_px = float(np.percentile(tracks.xyxy[:, 3] - tracks.xyxy[:, 1], SMALL_SHARE))
        high = small_px * self._small.input_wh[0] / known.width >= self._least_px
        self.view = self._small if high and known.wrong_hz / len(tracks) >= self._from_hz else self._large


class PartsOfSmall:
    """The whole picture once in a while, and in between the part that holds most of the small boxes."""

    def __init__(self, whole: WidthHeight, part: WidthHeight, *, parts: int, below_px: float) -> None:
        """Begin with the whole.

        Args:
            whole: The input for the whole picture.
            part: The input for a part of half its width and height.
            parts: So many parts after each whole picture.
            below_px: Boxes lower than this are small, source px.
        """
        self._whole, self._tiles = View(whole), tiles(part)
        self._parts, self._below_px = parts, below_px
        self._left = parts
        self._served = dict.fromkeys(self._tiles, 0.0)
        self.view = self._whole

    def saw(self, tracks: Tracks, at_s: float, known: Known) -> None:
        """Next, the part with most that is small and has waited longest; the whole where nothing is small."""
        self._served[self.view] = at_s
        if self._left == 0:
            self._left, self.view = self._parts, self._whole
            return
        self._left -= 1
        small = tracks[(tracks.xyxy[:, 3] - tracks.xyxy[:, 1]) < self._below_px]
        centres = (small.xyxy[:, :2] + small.xyxy[:, 2:]) / 2
        worth = {tile: _held(centres, tile) * (0.04 + at_s - self._served[tile]) for tile in self._tiles}
        best = max(worth, key=lambda tile: worth[tile])
        self.view = best if worth[best] > 0 else self._whole


def _held(centres: np.ndarray, tile: View) -> int:
    left, top, right, bottom = tile.part or (0, 0, 0, 0)
    within = (centres >= (left, top)) & (centres < (right, bottom))
    return int(within.all(axis=1).sum())
