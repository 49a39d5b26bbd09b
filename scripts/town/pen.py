"""Draws one actor from solid parts, keeps its extent, and lays it over a backdrop behind whatever is nearer."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from town.camera import CANVAS_H, CANVAS_W, Camera, Floats, Light

TURNS = np.linspace(0, 2 * np.pi, 14, endpoint=False)
CIRCLE = np.stack([np.cos(TURNS), np.sin(TURNS)], axis=1)


class Pen:
    """Collects the coloured polygons of one actor, in drawing order, in canvas pixels."""

    def __init__(self, camera: Camera, light: Light, here: Floats) -> None:
        """Draw for a camera, in the light (3,) BGR found on the ground where the actor is."""
        self.camera = camera
        self.light = light
        self._level = here / np.maximum(light.on_ground, 1e-3)
        side = np.array([light.sun @ camera.axes[0], light.sun @ camera.axes[1]])
        self._towards = side / (np.linalg.norm(side) + 1e-6)
        self.shapes: list[tuple[NDArray[np.int32], tuple[float, ...], int]] = []
        self.glows: list[tuple[float, float, float, float]] = []
        self._low = np.array([np.inf, np.inf])
        self._high = -self._low

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """x0, y0, x1, y1 in canvas pixels of everything drawn, whether inside the picture or not."""
        return float(self._low[0]), float(self._low[1]), float(self._high[0]), float(self._high[1])

    def shade(self, colour: Floats, normal: Floats) -> Floats:
        """A colour (3,) BGR in the light a surface with this normal receives here."""
        return np.asarray(colour * self.light.on(normal) * self._level)

    def flat(self, pixels: Floats, colour: Floats, thickness: int = 0) -> None:
        """Add a polygon (N, 2) in canvas pixels; a thickness draws its outline only."""
        self._low = np.minimum(self._low, pixels.min(axis=0) - thickness / 2)
        self._high = np.maximum(self._high, pixels.max(axis=0) + thickness / 2)
        blue, green, red = np.clip(colour, 0, 255).tolist()
        self.shapes.append(((pixels * 16).round().astype(np.int32), (blue, green, red, 255.0), thickness))

    def face(self, points: Floats, colour: Floats, normal: Floats) -> None:
        """Add a polygon (N, 3) in world metres, shaded by its normal."""
        self.flat(self.camera.project(points)[0], self.shade(colour, normal))

    def own(self, points: Floats, colour: Floats) -> None:
        """Add a polygon (N, 3) in world metres that gives its own light."""
        self.flat(self.camera.project(points)[0], colour)

    def limb(self, points: Floats, radii: Floats, colour: Floats) -> None:
        """Add the rounded hull of spheres (N, 3) with radii (N,) in metres, lighter towards the sun."""
        pixels, depth = self.camera.project(points)
        sizes = np.maximum(self.camera.focal_px * radii / depth, 0.6)
        tone = colour * (self.light.ambient + self.light.sun_colour * 0.55) * self._level
        self.flat(_hull(pixels, sizes), tone * 0.80)
        if sizes.max() > 2.2:
            self.flat(_hull(pixels + self._towards * sizes[:, None] * 0.24, sizes * 0.70), tone * 1.06)

    def ring(self, centre: Floats, plane: tuple[Floats, Floats], radius: float, width: float, colour: Floats) -> None:
        """Add a circle's outline in the plane of two unit vectors."""
        points = centre + (CIRCLE[:, :1] * plane[0] + CIRCLE[:, 1:] * plane[1]) * radius
        pixels, depth = self.camera.project(points)
        thick = max(1, round(self.camera.focal_px * width / float(depth.mean())))
        self.flat(pixels, colour * self.light.ambient * self._level, thick)

    def disc(self, centre: Floats, plane: tuple[Floats, Floats], radius: float, colour: Floats) -> None:
        """Add a filled circle in the plane of two unit vectors."""
        points = centre + (CIRCLE[:, :1] * plane[0] + CIRCLE[:, 1:] * plane[1]) * radius
        self.flat(
            self.camera.project(points)[0], colour * (self.light.ambient + self.light.sun_colour * 0.3) * self._level
        )

    def glow(self, point: Floats, size_m: float, strength: float) -> None:
        """Add a halo around a lamp that faces the camera."""
        pixels, depth = self.camera.project(point[None])
        size = self.camera.focal_px * size_m / float(depth[0]) / 2
        self.glows.append((float(pixels[0, 0]) / 2, float(pixels[0, 1]) / 2, size, strength))


def _hull(pixels: Floats, sizes: Floats) -> Floats:
    rims = (pixels[:, None, :] + CIRCLE[None] * sizes[:, None, None]).reshape(-1, 2).astype(np.float32)
    return np.asarray(cv2.convexHull(rims)[:, 0, :], np.float64)


@dataclass(frozen=True, slots=True)
class Sheet:
    """What actors are laid on: colours BGR, whose each pixel is, and the nearness (1 / metres) of what stands there."""

    canvas: NDArray[np.uint8]
    owner: NDArray[np.uint8]
    nearness: NDArray[np.float32]


def lay(pen: Pen, sheet: Sheet, near: float, mark: int) -> int:
    """Draw the pen's shapes where nothing nearer stands; returns how many canvas pixels the whole actor covers."""
    x0, y0, x1, y1 = pen.extent
    left, top = max(int(x0) - 1, 0), max(int(y0) - 1, 0)
    right, bottom = min(int(x1) + 2, CANVAS_W), min(int(y1) + 2, CANVAS_H)
    if right <= left or bottom <= top:
        return 0
    layer = np.zeros((bottom - top, right - left, 4), np.uint8)
    shift = np.array([left, top], np.int32) * 16
    for points, colour, thickness in pen.shapes:
        if thickness:
            cv2.polylines(layer, [points - shift], True, colour, thickness, cv2.LINE_8, 4)
        else:
            cv2.fillPoly(layer, [points - shift], colour, cv2.LINE_8, 4)
    whole = layer[..., 3]
    part = (slice(top, bottom), slice(left, right))
    shown = cv2.bitwise_and(whole, (sheet.nearness[part] <= near).view(np.uint8) * 255)
    cv2.copyTo(layer[..., :3], shown, sheet.canvas[part])
    sheet.owner[part][shown > 0] = mark
    return int(cv2.countNonZero(whole))
