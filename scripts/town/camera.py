"""The pinhole camera and the light every part of the town is drawn with."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

WIDTH_PX, HEIGHT_PX = 640, 360
OVERSAMPLE = 2
"""Drawn at twice the size and averaged down: two by two samples a pixel."""
CANVAS_W, CANVAS_H = WIDTH_PX * OVERSAMPLE, HEIGHT_PX * OVERSAMPLE
NEAR_M = 0.4


@dataclass(frozen=True, slots=True)
class Camera:
    """A pinhole camera without roll; world metres (x east, y north, z up) to canvas pixels."""

    position: Floats
    target: Floats
    fov_deg: float
    axes: Floats = field(init=False)
    focal_px: float = field(init=False)

    def __post_init__(self) -> None:
        """Derive the axes (rows: right, down, forward) and the focal length in canvas pixels."""
        forward = self.target - self.position
        forward = forward / np.linalg.norm(forward)
        right = np.cross(forward, (0.0, 0.0, 1.0))
        right = right / np.linalg.norm(right)
        object.__setattr__(self, "axes", np.stack([right, np.cross(forward, right), forward]))
        object.__setattr__(self, "focal_px", CANVAS_W / 2 / np.tan(np.radians(self.fov_deg) / 2))

    def to_camera(self, points: Floats) -> Floats:
        """World points (N, 3) in camera axes (right, down, forward), metres."""
        return (points - self.position) @ self.axes.T

    def project(self, points: Floats) -> tuple[Floats, Floats]:
        """Canvas pixels (N, 2) and depths (N,) in metres of world points (N, 3); depth is kept above the near plane."""
        seen = self.to_camera(points)
        depth = np.maximum(seen[:, 2], NEAR_M)
        pixels = seen[:, :2] * (self.focal_px / depth)[:, None]
        pixels[:, 0] += CANVAS_W / 2
        pixels[:, 1] += CANVAS_H / 2
        return pixels, depth

    def plane_to_canvas(self, origin: Floats, along_u: Floats, along_v: Floats) -> Floats:
        """Homography (3, 3) from (u, v) to canvas pixels, for the plane origin + u·along_u + v·along_v."""
        intrinsic = np.array([[self.focal_px, 0, CANVAS_W / 2], [0, self.focal_px, CANVAS_H / 2], [0, 0, 1.0]])
        columns = np.stack([self.axes @ along_u, self.axes @ along_v, self.axes @ (origin - self.position)], axis=1)
        return np.asarray(intrinsic @ columns)

    def horizon_row(self) -> float:
        """The canvas row of the horizon."""
        forward = self.axes[2]
        return float(CANVAS_H / 2 + self.focal_px * forward[2] / np.hypot(forward[0], forward[1]))


@dataclass(frozen=True, slots=True)
class Light:
    """Sun, sky and lamps. Colours are BGR factors of the surface's own colour."""

    sun: Floats
    sun_colour: Floats
    ambient: Floats
    sky_high: Floats
    sky_low: Floats
    dusk: bool
    noise: float

    def on(self, normal: Floats) -> Floats:
        """The light (3,) BGR that a surface with this unit normal receives."""
        facing = max(0.0, float(normal @ self.sun))
        return np.asarray(self.ambient * (0.86 + 0.14 * normal[2]) + self.sun_colour * facing)

    @property
    def exposure(self) -> float:
        """How much the camera brightens the picture."""
        return 1.06 if self.dusk else 1.12

    @property
    def on_ground(self) -> Floats:
        """The light (3,) BGR on open ground."""
        return self.on(np.array([0.0, 0.0, 1.0]))


def daylight(azimuth_deg: float, elevation_deg: float, warmth: float = 0.0, noise: float = 1.4) -> Light:
    """A clear day; warmth 0 is noon, 1 a golden late afternoon."""
    azimuth, elevation = np.radians(azimuth_deg), np.radians(elevation_deg)
    sun = np.array([np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation), np.sin(elevation)])
    colour = np.array([0.56 - 0.18 * warmth, 0.66 - 0.06 * warmth, 0.71 + 0.05 * warmth])
    ambient = np.array([0.60, 0.55, 0.52]) * (1 - 0.08 * warmth)
    high = np.array([225.0, 178, 128]) * (1 - 0.05 * warmth)
    low = np.array([244.0 - 40 * warmth, 232 - 12 * warmth, 216 + 14 * warmth])
    return Light(sun, colour, ambient, high, low, dusk=False, noise=noise)


def dusk_light(azimuth_deg: float, depth: float = 0.5, noise: float = 2.0) -> Light:
    """After sunset; depth 0 is a bright evening, 1 nearly night."""
    azimuth = np.radians(azimuth_deg)
    sun = np.array([np.cos(azimuth) * 0.7, np.sin(azimuth) * 0.7, 0.714])
    ambient = np.array([0.56, 0.42, 0.38]) * (1.05 - 0.35 * depth)
    colour = np.array([0.07, 0.07, 0.09]) * (1.2 - 0.6 * depth)
    high = np.array([122.0, 76, 56]) * (1.1 - 0.4 * depth)
    low = np.array([128.0, 140, 214]) * (1.1 - 0.35 * depth)
    return Light(sun, colour, ambient, high, low, dusk=True, noise=noise)
