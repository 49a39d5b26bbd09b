"""The squares around detected boxes, cut out of what the detector saw, before its memory is written again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.detections import Detections
from pipeline.geometry import Letterbox, square_around

BLUR = 6.0
"""Mean step between neighbouring pixels, of 255, at which a crop counts half. Vehicles of the samples have 5.4 (5 %
below 2.3, 5 % above 14), the same blurred by two pixels 2.4 (0.9, 5)."""


@dataclass(frozen=True, slots=True)
class Crop:
    """One object as the detector saw it.

    Attributes:
        row: Of its detection.
        pixels: (h, w, 3) uint8, RGB; a copy.
        left_top: Where that begins in the model's input, px.
        area_px: Of the object's box in the model's input, px²: how much there is to see.
    """

    row: int
    pixels: NDArray[np.uint8]
    left_top: tuple[int, int]
    area_px: float

    @property
    def sharpness(self) -> float:
        """0..1: how much neighbouring pixels differ. A blurred crop tells less than its size promises."""
        green = self.pixels[:, :, 1].astype(np.int16)
        across, down = np.abs(green[:, 1:] - green[:, :-1]), np.abs(green[1:] - green[:-1])
        step = (float(across.mean()) if across.size else 0.0) + (float(down.mean()) if down.size else 0.0)
        return step / (step + 2 * BLUR)


@dataclass(frozen=True, slots=True)
class Cutter:
    """Cuts out what any second model may want to see.

    Attributes:
        of_class: (C,) bool: the detector's classes that are looked at.
        least_px: Boxes whose longer side is shorter, in the model's input, are not cut out.
    """

    of_class: NDArray[np.bool_]
    least_px: float

    def cut(self, picture: NDArray[np.uint8], letterbox: Letterbox, found: Detections) -> tuple[Crop, ...]:
        """One crop for each detection that is of a class and a size to be looked at.

        Args:
            picture: (H, W, 3) uint8, RGB: the model's input; may be written to afterwards.
            letterbox: How the camera's picture lies in it.
            found: In model pixels.
        """
        if not len(found):
            return ()
        sides = found.xyxy[:, 2:] - found.xyxy[:, :2]
        rows = (self.of_class[found.class_id] & (sides.max(axis=1) >= self.least_px)).nonzero()[0]
        (left, top), (width, height) = letterbox.pad_xy, letterbox.content_wh
        content = (left, top, left + width, top + height)
        return tuple([self._crop(row, picture, content, found.xyxy[row], sides[row]) for row in rows.tolist()])

    @staticmethod
    def _crop(
        row: int,
        picture: NDArray[np.uint8],
        content: tuple[int, int, int, int],
        xyxy: NDArray[np.float32],
        sides: NDArray[np.float32],
    ) -> Crop:
        left, top, right, bottom = square_around(xyxy.tolist(), content)
        return Crop(row, picture[top:bottom, left:right].copy(), (left, top), float(sides[0] * sides[1]))


def of_kept(crops: Sequence[Crop], kept: NDArray[np.bool_]) -> tuple[Crop, ...]:
    """Those of the detections that are kept, (N,) of all that there were, by their rows among these."""
    rows = kept.cumsum() - 1
    return tuple([replace(crop, row=int(rows[crop.row])) for crop in crops if kept[crop.row]])


def cutter(class_names: Sequence[str], wanted: Sequence[tuple[frozenset[str] | None, float]]) -> Cutter:
    """For second models that want these classes (None: all) from these lengths in px on."""
    of_class = [any(of is None or name in of for of, _ in wanted) for name in class_names]
    return Cutter(np.array(of_class, np.bool_), min(least_px for _, least_px in wanted))
