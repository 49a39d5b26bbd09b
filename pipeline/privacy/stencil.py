"""A camera's masks, drawn once for a size of pictures and then only painted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.config.rules import Point, are_shares
from pipeline.errors import PrivacyError
from pipeline.geometry import WidthHeight

Picture = NDArray[np.uint8]
"""(H, W, 3) uint8; its colours may be in any order."""
Raster = NDArray[np.uint8]
"""(H, W) uint8, 255 where a mask is."""
GREY = 114
"""What a detector's input is padded with, so that a model that knows padding sees nothing in it."""
_BLEEDS_PX = 4
"""How far a pixel is spread where a picture is scaled: chroma at half the size, halved by areas, then bilinear, reaches
3.5 px of the picture that comes out; of one that is enlarged, as many of the picture that goes in."""
_SHIFT = 8
"""Bits behind the point that OpenCV draws with."""


@dataclass(frozen=True, slots=True)
class _Patch:
    """One mask: where it lies, (h, w) uint8 where it covers, (h, w, 3) uint8 with what."""

    rows: slice
    columns: slice
    raster: Raster
    ink: Picture


class Stencil:
    """The masks of a camera for pictures of one size; 7 µs a picture for an eighth of 640x360."""

    def __init__(self, polygons: Sequence[Sequence[Point]], frame_wh: WidthHeight, picture_wh: WidthHeight) -> None:
        """Draw them, a little larger than they are: no pixel under one has a part in any that is left.

        Args:
            polygons: Their corners, as shares or in pixels of the camera's upright picture.
            frame_wh: Size of that picture, px.
            picture_wh: Size of those that are painted on, px.

        Raises:
            PrivacyError: One is outside the camera's picture, so it was drawn for another.
        """
        require_inside(polygons, frame_wh)
        scale = max(1.0, *(picture / frame for picture, frame in zip(picture_wh, frame_wh, strict=True)))
        grow_px = math.ceil(_BLEEDS_PX * scale)
        self.picture_wh = picture_wh
        self._patches = [_patch(grown(draw([one], frame_wh, picture_wh), grow_px)) for one in polygons]

    def paint(self, picture: Picture) -> None:
        """Paint over what is masked, in place."""
        for patch in self._patches:
            # Six hundred times faster than NumPy's own way to write where a mask is.
            cv2.copyTo(patch.ink, patch.raster, picture[patch.rows, patch.columns])


def require_inside(polygons: Sequence[Sequence[Point]], frame_wh: WidthHeight) -> None:
    """Make sure that masks fit the picture.

    Raises:
        PrivacyError: One lies beyond; it hides something else than was meant.
    """
    wide, high = frame_wh
    for number, corners in enumerate(polygons):
        beyond = [(x, y) for x, y in corners if not are_shares(corners) and (x > wide or y > high)]
        if beyond:
            x, y = beyond[0]
            raise PrivacyError(
                f"privacy.masks.{number}: [{x:g}, {y:g}] is outside the camera's picture, which is {wide}x{high}, so "
                "nothing is shown; shares of it, 0 to 1, fit pictures of every size"
            )


def draw(polygons: Sequence[Sequence[Point]], frame_wh: WidthHeight, picture_wh: WidthHeight) -> Raster:
    """The polygons in a picture of this size, every pixel that one touches."""
    raster = np.zeros((picture_wh[1], picture_wh[0]), np.uint8)
    for corners in polygons:
        whole = (1, 1) if are_shares(corners) else frame_wh
        shares = np.array(corners, np.float64) / whole
        # A corner between two pixels lies half a pixel from the middle of either.
        points = np.rint((shares * picture_wh - 0.5) * (1 << _SHIFT)).astype(np.int32)
        cv2.fillPoly(raster, [points], 255, shift=_SHIFT)
    return raster


def grown(raster: Raster, by_px: int) -> Raster:
    """The same, so many pixels larger on all sides."""
    side = 2 * by_px + 1
    return np.asarray(cv2.dilate(raster, np.ones((side, side), np.uint8)), np.uint8)


def _patch(raster: Raster) -> _Patch:
    x, y, wide, high = cv2.boundingRect(raster)
    rows, columns = slice(y, y + high), slice(x, x + wide)
    part = np.ascontiguousarray(raster[rows, columns])
    return _Patch(rows, columns, part, np.full((high, wide, 3), GREY, np.uint8))
