"""Which boxes lie in a camera's masks, and so are not published."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.config.rules import Point
from pipeline.geometry import Boxes, WidthHeight
from pipeline.privacy.stencil import draw

HALF = 0.5
"""A box of which more than this share is masked is not published. Not by its middle: that of a bus may lie in a mask of
a hundredth of its size."""
_LONGEST = 320
"""Of the grid in which shares are counted, cells: one has 4 px of 1280."""


class Hidden:
    """Tells which boxes are mostly masked; 15 µs for ten of them."""

    def __init__(self, masks: Sequence[Sequence[Point]], frame_wh: WidthHeight) -> None:
        """Draw the masks once.

        Args:
            masks: Polygons, as shares or in pixels of the camera's upright picture.
            frame_wh: Its size, px.
        """
        scale = _LONGEST / max(frame_wh)
        wide, high = (max(1, round(side * scale)) for side in frame_wh)
        self._to_cells = np.array([wide / frame_wh[0], high / frame_wh[1]] * 2)
        self._limits = np.array([wide, high] * 2)
        # The share of any box is four look-ups in the sums of all that lies left of and above each cell.
        self._sums = cv2.integral(draw(masks, frame_wh, (wide, high)) // 255)

    def of(self, xyxy: Boxes) -> NDArray[np.bool_]:
        """(N,) bool of (N, 4) boxes in pixels of the camera's picture: whether each is mostly masked."""
        cells = np.clip(xyxy * self._to_cells, 0, self._limits)
        left, top = np.minimum(np.floor(cells[:, :2]), self._limits[:2] - 1).astype(np.intp).T
        right, bottom = np.maximum(np.ceil(cells[:, 2:]).astype(np.intp).T, (left + 1, top + 1))
        sums = self._sums
        masked = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
        hidden: NDArray[np.bool_] = masked > HALF * (right - left) * (bottom - top)
        return hidden
