"""Crops of rendered cars and vans with the names of their colours, as the worker cuts them out for a second look."""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.geometry import square_around
from town.camera import HEIGHT_PX, WIDTH_PX
from town.chance import NEAR, random_camera, random_light, random_moment, random_town
from town.colour import COLOURS, PAINTED, colour_name
from town.ground import Picture
from town.scene import Label, Stage
from town.scenery import TownPainter

SIDE_PX = 32
"""Width and height of a crop as the classifier takes it."""
CAMERAS_A_TOWN, MOMENTS_A_CAMERA = 3, 20
LEAST_SIDE_PX, LEAST_VISIBILITY = 16.0, 0.35
"""Smaller or more hidden vehicles are not learnt from."""
JITTER = 0.07
"""How far a detector's box may lie beside the true one, as a share of its sides."""


@dataclass(frozen=True, slots=True)
class Swatches:
    """N crops.

    Attributes:
        pictures: (N, 32, 32, 3) uint8, RGB.
        colour: (N,) int64, index into `COLOURS`.
        side_px: (N,) float32, the longer side of the box that each was cut out by, in the picture.
    """

    pictures: NDArray[np.uint8]
    colour: NDArray[np.int64]
    side_px: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.colour)

    @classmethod
    def together(cls, some: Iterable[Swatches]) -> Swatches:
        """All of them, one behind the other."""
        parts = list(some)
        return cls(
            np.concatenate([part.pictures for part in parts]),
            np.concatenate([part.colour for part in parts]),
            np.concatenate([part.side_px for part in parts]),
        )


def render(towns: Iterable[int], copies: int) -> Swatches:
    """Every vehicle of these towns, by their seeds; each `copies` times, differently cut out and compressed."""
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        return Swatches.together(pool.map(_town, towns, [copies] * len(list(towns))))


def _town(seed: int, copies: int) -> Swatches:
    cv2.setNumThreads(1)
    rng = np.random.default_rng([23, seed])
    town = random_town(seed)
    painter = TownPainter(town)
    pictures: list[Picture] = []
    names: list[str] = []
    sides: list[float] = []
    for _ in range(CAMERAS_A_TOWN):
        camera = random_camera(town, rng)
        stage = Stage(painter.backdrop(camera, random_light(rng)))
        for _ in range(MOMENTS_A_CAMERA):
            picture, labels = stage.moment(random_moment(town, camera, rng, NEAR), rng)
            for label in filter(_learnt, labels):
                pictures += [cut_out(picture, label, rng) for _ in range(copies)]
                names += [colour_name(label.colour)] * copies
                sides += [max(label.width, label.height)] * copies
    colour = np.array([COLOURS.index(name) for name in names], np.int64)
    cut = np.array(pictures, np.uint8).reshape(-1, SIDE_PX, SIDE_PX, 3)
    return Swatches(cut, colour, np.array(sides, np.float32))


def _learnt(label: Label) -> bool:
    large = max(label.width, label.height) >= LEAST_SIDE_PX
    return label.kind in PAINTED and large and label.visibility >= LEAST_VISIBILITY


def cut_out(picture: Picture, label: Label, rng: np.random.Generator) -> Picture:
    """(32, 32, 3) RGB: the square around a vehicle's box as a detector might have found it, compressed as video is."""
    wide, high = label.width, label.height
    moved = rng.normal(0, JITTER, 4) * (wide, high, wide, high)
    box = np.array([label.x, label.y, label.x + wide, label.y + high]) + moved
    left, top, right, bottom = square_around(box, (0, 0, WIDTH_PX, HEIGHT_PX))
    crop = picture[top:bottom, left:right]
    _, packed = cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(40, 95))])
    unpacked = cv2.imdecode(packed, cv2.IMREAD_COLOR_RGB)
    return np.asarray(cv2.resize(unpacked, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_LINEAR), np.uint8)
