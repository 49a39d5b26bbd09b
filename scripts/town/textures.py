"""Small pictures that walls, roofs and hedges are covered with."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from town.camera import Floats
from town.layout import Building

TEXELS = 20
"""Texture pixels a metre."""
Picture = NDArray[np.uint8]
GLASS = [(150, 130, 104), (168, 150, 122), (132, 112, 92), (186, 172, 150)]
LAMPLIGHT = [(120, 206, 255), (150, 220, 255), (96, 180, 250), (170, 226, 250)]
AWNINGS = [(72, 84, 186), (98, 128, 66), (160, 112, 70), (64, 150, 214), (128, 76, 116)]


def wall_texture(
    width_m: float, height_m: float, house: Building, rng: np.random.Generator
) -> tuple[Picture, NDArray[np.float32]]:
    """A wall and its own light at dusk, both (H, W, 3) BGR, top row first."""
    wide, tall = max(8, round(width_m * TEXELS)), max(8, round(height_m * TEXELS))
    wall = np.empty((tall, wide, 3), np.uint8)
    wall[:] = house.wall
    glow = np.zeros((tall, wide, 3), np.float32)
    if house.seed % 3 == 0:
        for row in range(0, tall, 4):
            cv2.line(wall, (0, row), (wide, row), tuple(int(c * 0.93) for c in house.wall), 1)
    grain = rng.normal(0, 3, (tall, wide)).astype(np.int16)
    wall = np.asarray(cv2.add(wall, cv2.merge([grain] * 3), dtype=cv2.CV_8U))
    trim = (232, 236, 238)
    cv2.rectangle(wall, (0, 0), (wide, 6), trim, -1)
    cv2.rectangle(wall, (0, tall - 9), (wide, tall), (118, 124, 130), -1)
    floors = round((height_m - 0.6) / 3)
    columns = max(1, int(width_m / 2.5))
    for floor in range(floors):
        if floor == 0 and house.shop:
            _shop(wall, glow, wide, tall, rng)
            continue
        for column in range(columns):
            x = round((column + 0.5) * wide / columns)
            y = tall - round((3 * floor + 0.95) * TEXELS)
            if floor == 0 and column == columns // 2:
                _door(wall, x, tall, rng)
            else:
                _window(wall, glow, x, y, rng)
    return wall, glow


def _window(wall: Picture, glow: NDArray[np.float32], x: int, y: int, rng: np.random.Generator) -> None:
    w, h = 11, 29
    cv2.rectangle(wall, (x - w - 2, y - h - 2), (x + w + 2, y + 2), (236, 240, 242), -1)
    glass = GLASS[int(rng.integers(len(GLASS)))]
    cv2.rectangle(wall, (x - w, y - h), (x + w, y), glass, -1)
    shine = np.array([[x - w, y - h], [x + w, y - h], [x - w, y - 6]])
    cv2.fillConvexPoly(wall, shine.astype(np.int32), tuple(min(255, c + 26) for c in glass))
    for line in (((x, y - h), (x, y)), ((x - w, y - h + 10), (x + w, y - h + 10))):
        cv2.line(wall, *line, (236, 240, 242), 2)
    cv2.rectangle(wall, (x - w - 4, y + 2), (x + w + 4, y + 5), (206, 210, 214), -1)
    if rng.random() < 0.48:
        lit = np.array(LAMPLIGHT[int(rng.integers(len(LAMPLIGHT)))]) * rng.uniform(0.7, 1.0)
        cv2.rectangle(glow, (x - w, y - h), (x + w, y), lit.tolist(), -1)
        cv2.line(glow, (x, y - h), (x, y), (lit * 0.6).tolist(), 2)


def _door(wall: Picture, x: int, tall: int, rng: np.random.Generator) -> None:
    cv2.rectangle(wall, (x - 13, tall - 47), (x + 13, tall), (232, 236, 238), -1)
    colour = AWNINGS[int(rng.integers(len(AWNINGS)))]
    cv2.rectangle(wall, (x - 10, tall - 44), (x + 10, tall), colour, -1)
    cv2.rectangle(wall, (x - 7, tall - 40), (x + 7, tall - 26), (170, 156, 132), -1)


def _shop(wall: Picture, glow: NDArray[np.float32], wide: int, tall: int, rng: np.random.Generator) -> None:
    colour = np.array(AWNINGS[int(rng.integers(len(AWNINGS)))])
    top = tall - round(2.5 * TEXELS)
    cv2.rectangle(wall, (5, top - 14), (wide - 5, top - 3), (colour * 0.75).tolist(), -1)
    for at in range(0, 3):
        x = round(wide * (0.3 + 0.2 * at))
        cv2.rectangle(wall, (x - 8, top - 11), (x + 8, top - 7), (224, 230, 234), -1)
    door = round(wide * float(rng.choice([0.2, 0.5, 0.8])))
    lit = np.array(LAMPLIGHT[int(rng.integers(len(LAMPLIGHT)))]) * 0.92
    panes = [(10, door - 16), (door + 16, wide - 10)]
    for a, b in panes:
        if b - a > 12:
            cv2.rectangle(wall, (a, top + 6), (b, tall - 12), (150, 134, 112), -1)
            cv2.rectangle(wall, (a, top + 6), (b, top + 18), (176, 162, 140), -1)
            cv2.rectangle(glow, (a, top + 6), (b, tall - 12), lit.tolist(), -1)
            for x in range(a, b, 34):
                cv2.line(wall, (x, top + 6), (x, tall - 12), (92, 88, 84), 2)
                cv2.line(glow, (x, top + 6), (x, tall - 12), (40, 50, 60), 2)
            for x in range(a + 10, b - 8, 17):
                blob = rng.integers(60, 200, 3)
                cv2.circle(wall, (x, tall - 18), 5, blob.tolist(), -1)
                cv2.circle(glow, (x, tall - 18), 5, (blob * 0.6).tolist(), -1)
    cv2.rectangle(wall, (door - 12, top + 4), (door + 12, tall), (92, 96, 104), -1)
    cv2.rectangle(wall, (door - 9, top + 8), (door + 9, tall - 8), (164, 150, 126), -1)
    for index, x in enumerate(range(4, wide - 4, 8)):
        tone = colour if index % 2 else np.array([232, 236, 238])
        cv2.rectangle(wall, (x, top - 4), (min(x + 8, wide - 4), top + 8), tone.tolist(), -1)


def roof_texture(width_m: float, height_m: float, colour: Floats, rng: np.random.Generator) -> Picture:
    """Rows of tiles (H, W, 3) BGR."""
    wide, tall = max(4, round(width_m * TEXELS)), max(4, round(height_m * TEXELS))
    roof = np.empty((tall, wide, 3), np.uint8)
    roof[:] = np.clip(colour, 0, 255)
    patches = cv2.resize(
        rng.normal(0, 9, (tall // 6 + 1, wide // 6 + 1)).astype(np.float32),
        (wide, tall),
        interpolation=cv2.INTER_NEAREST,
    )
    roof = np.asarray(cv2.add(roof, cv2.merge([patches] * 3).astype(np.int16), dtype=cv2.CV_8U))
    for row in range(0, tall, 6):
        cv2.line(roof, (0, row), (wide, row), (colour * 0.78).tolist(), 1)
    return roof


def leaf_texture(width_m: float, height_m: float, colour: tuple[int, int, int]) -> Picture:
    """A clipped hedge (H, W, 3) BGR."""
    rng = np.random.default_rng(round(width_m * 100))
    wide, tall = max(4, round(width_m * TEXELS)), max(4, round(height_m * TEXELS))
    patches = rng.normal(0, 16, (tall // 4 + 1, wide // 4 + 1)).astype(np.float32)
    field = cv2.resize(patches, (wide, tall), interpolation=cv2.INTER_LINEAR)
    base = np.empty((tall, wide, 3), np.uint8)
    base[:] = colour
    return np.asarray(cv2.add(base, cv2.merge([field] * 3).astype(np.int16), dtype=cv2.CV_8U))
