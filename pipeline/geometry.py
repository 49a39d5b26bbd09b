"""Boxes and pictures: the only letterbox, the only IoU.

Boxes are `xyxy`: left, top, right, bottom in pixels, origin at the top left corner of the picture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float32]
"""(N, 4) float32, xyxy, pixels."""

WidthHeight = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Letterbox:
    """How a picture of `src_wh` lies in a model input of `dst_wh`: scaled alike on both axes, centred, padded.

    Attributes:
        src_wh: The source picture's width and height, px.
        dst_wh: The model input's width and height, px.
        content_wh: The scaled picture's width and height inside the input, px.
        pad_xy: Left and top padding, px; the rest is right and bottom.
    """

    src_wh: WidthHeight
    dst_wh: WidthHeight
    content_wh: WidthHeight
    pad_xy: tuple[int, int]

    @classmethod
    def fit(cls, src_wh: WidthHeight, dst_wh: WidthHeight) -> Letterbox:
        """The largest picture of the source's shape that fits into `dst_wh`; it may be larger than the source.

        Raises:
            ValueError: A width or height is not positive.
        """
        if min(*src_wh, *dst_wh) <= 0:
            raise ValueError(f"sizes must be positive: source {src_wh}, model input {dst_wh}")
        scale = min(dst_wh[0] / src_wh[0], dst_wh[1] / src_wh[1])
        content_wh = (
            min(dst_wh[0], max(1, round(src_wh[0] * scale))),
            min(dst_wh[1], max(1, round(src_wh[1] * scale))),
        )
        pad_xy = ((dst_wh[0] - content_wh[0]) // 2, (dst_wh[1] - content_wh[1]) // 2)
        return cls(src_wh, dst_wh, content_wh, pad_xy)

    @property
    def scale_xy(self) -> tuple[float, float]:
        """Model pixels for one source pixel, by axis; they differ by the rounding of `content_wh` alone."""
        return self.content_wh[0] / self.src_wh[0], self.content_wh[1] / self.src_wh[1]

    def to_model(self, xyxy: Boxes) -> Boxes:
        """Source pixels → model pixels; (N, 4) → (N, 4) float32."""
        scale = np.array(self.scale_xy * 2, np.float32)
        pad = np.array(self.pad_xy * 2, np.float32)
        return np.asarray(xyxy * scale + pad, np.float32)

    def to_source(self, xyxy: Boxes) -> Boxes:
        """Model pixels → source pixels, clipped to the picture; (N, 4) → (N, 4) float32."""
        scale = np.array(self.scale_xy * 2, np.float32)
        pad = np.array(self.pad_xy * 2, np.float32)
        return clip((xyxy - pad) / scale, self.src_wh)


def square_around(
    xyxy: Sequence[float] | NDArray[np.floating], within: tuple[int, int, int, int]
) -> tuple[int, int, int, int]:
    """Whole pixels of the smallest square that holds a box, moved into a picture where it would reach beyond.

    So a crop shows its object whole and not distorted, and real surroundings instead of padding; only a box longer than
    the picture is high, or wide, gives no square.

    Args:
        xyxy: One box, px.
        within: Left, top, right and bottom of the picture, px.
    """
    left, top, right, bottom = (float(edge) for edge in xyxy)
    side = max(1, math.ceil(max(right - left, bottom - top)))
    first, last = _stretch((left + right) / 2, side, within[0], within[2])
    upper, lower = _stretch((top + bottom) / 2, side, within[1], within[3])
    return first, upper, last, lower


def _stretch(middle: float, length: int, least: int, most: int) -> tuple[int, int]:
    """Begin and end of so long a stretch around `middle`, inside of `least` and `most`."""
    length = min(length, most - least)
    begin = min(max(round(middle - length / 2), least), most - length)
    return begin, begin + length


def clip(xyxy: Boxes, picture_wh: WidthHeight) -> Boxes:
    """Boxes cut off at the picture's edges; a box outside becomes one of zero area on the edge."""
    limits = np.array((*picture_wh, *picture_wh), np.float32)
    return np.asarray(np.minimum(np.maximum(xyxy, 0.0), limits), np.float32)


def areas(xyxy: Boxes) -> NDArray[np.float32]:
    """(N,) float32, px²; a box whose right lies left of its left has area 0."""
    return _areas(xyxy.T)


def iou_matrix(a: Boxes, b: Boxes) -> NDArray[np.float32]:
    """(N, M) float32 in 0..1: intersection over union of each box of `a` with each of `b`; 0 where both are empty."""
    # One array a coordinate and results in place: six times faster at 200 × 200 than broadcasting pairs of corners.
    lines, lines_b = np.ascontiguousarray(a.T), np.ascontiguousarray(b.T)
    sides = np.minimum(lines[2:, :, None], lines_b[2:, None])
    sides -= np.maximum(lines[:2, :, None], lines_b[:2, None])
    np.maximum(sides, 0.0, out=sides)
    overlap: NDArray[np.float32] = sides[0]
    overlap *= sides[1]
    union = _areas(lines)[:, None] + _areas(lines_b)
    union -= overlap
    np.maximum(union, 1e-9, out=union)
    overlap /= union
    return overlap


def _areas(lines: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N,) float32, px², of boxes (4, N)."""
    sides = lines[2:] - lines[:2]
    np.maximum(sides, 0.0, out=sides)
    area: NDArray[np.float32] = sides[0]
    area *= sides[1]
    return area
