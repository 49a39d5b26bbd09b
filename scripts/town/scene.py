"""Puts actors before a backdrop: one finished picture and the exact boxes of everything in it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from town.actors import draw_actor, shadow
from town.camera import CANVAS_H, CANVAS_W, HEIGHT_PX, OVERSAMPLE, WIDTH_PX, Floats
from town.ground import Picture
from town.look import Colour, Look, Stance
from town.pen import Pen, Sheet, lay
from town.scenery import Backdrop


@dataclass(frozen=True, slots=True)
class Pose:
    """One actor at one moment: a look, a place (2,) in metres, a heading in radians and the metres it has come."""

    actor_id: int
    look: Look
    spot: Floats
    heading: float
    walked: float
    moving: bool

    @property
    def stance(self) -> Stance:
        """Where it stands and which way it faces."""
        return Stance.at(self.spot, self.heading)


@dataclass(frozen=True, slots=True)
class Label:
    """An actor's exact box: x, y, width, height in picture pixels, cut at the picture's edge; visibility in 0..1.

    `colour` is that of its paint or clothes, BGR, in no light at all.
    """

    actor_id: int
    kind: str
    x: float
    y: float
    width: float
    height: float
    visibility: float
    colour: Colour


class Stage:
    """Draws moments before one backdrop."""

    def __init__(self, backdrop: Backdrop) -> None:
        """Prepare the vignette, which is the same for every moment."""
        self.backdrop = backdrop
        across = np.linspace(-1, 1, WIDTH_PX)[None, :] ** 2
        down = np.linspace(-1, 1, HEIGHT_PX)[:, None] ** 2
        fall = (255 * (1 - 0.13 * np.clip(across * 0.7 + down * 0.5, 0, 1) ** 1.4)).astype(np.uint8)
        self._vignette = cv2.merge([fall] * 3)
        self._open = (backdrop.nearness == 0).astype(np.float32)
        lamps = np.zeros((HEIGHT_PX, WIDTH_PX, 3), np.uint8)
        for u, v, size, strength in backdrop.glows:
            _halo(lamps, u, v, size, strength)
        self._lamps = lamps

    def moment(self, poses: list[Pose], rng: np.random.Generator) -> tuple[Picture, list[Label]]:
        """The picture (HEIGHT_PX, WIDTH_PX, 3) BGR and its labels; rng gives only the sensor noise."""
        camera, light = self.backdrop.camera, self.backdrop.light
        canvas = self.backdrop.picture.copy()
        seen = [p for p in poses if camera.to_camera(np.array([[*p.spot, 0.8]]))[0, 2] > 1.2 + p.look.length / 2]
        seen.sort(key=lambda p: -float(np.linalg.norm(np.array([*p.spot, 0.8]) - camera.position)))
        for pose in seen:
            self._shade(canvas, pose)
        owner = np.zeros((CANVAS_H, CANVAS_W), np.uint8)
        sheet = Sheet(canvas, owner, self.backdrop.nearness)
        drawn: list[tuple[Pose, Pen, int]] = []
        for mark, pose in enumerate(seen, start=1):
            pen = Pen(camera, light, self.backdrop.light_at(float(pose.spot[0]), float(pose.spot[1])))
            draw_actor(pen, pose.look, pose.stance, pose.walked, moving=pose.moving)
            near = 1 / float(camera.to_camera(np.array([[*pose.spot, 0.6]]))[0, 2])
            drawn.append((pose, pen, lay(pen, sheet, near * 1.01, mark)))
        counts = np.bincount(owner.ravel(), minlength=len(seen) + 1)
        labels = [_label(p, pen.extent, whole, int(counts[i])) for i, (p, pen, whole) in enumerate(drawn, 1) if whole]
        return self._develop(canvas, [g for _, pen, whole in drawn if whole for g in pen.glows], rng), labels

    def _shade(self, canvas: Picture, pose: Pose) -> None:
        backdrop = self.backdrop
        light = backdrop.light
        here = backdrop.light_at(float(pose.spot[0]), float(pose.spot[1]))
        direct = max(
            0.0, float((here - light.ambient).mean() / max(1e-3, float((light.sun_colour * light.sun[2]).mean())))
        )
        depth_of = [(shadow(pose.look, pose.stance, np.array([0.0, 0, 1])), 0.30)]
        if not light.dusk:
            depth_of.append((shadow(pose.look, pose.stance, light.sun), 0.40 * min(1.0, direct)))
        for points, strength in depth_of:
            pixels, depth = backdrop.camera.project(points)
            soft = max(1.0, float(backdrop.camera.focal_px / depth.mean()) * 0.06)
            pad = int(soft * 3) + 2
            low = np.maximum(np.floor(pixels.min(axis=0)) - pad, 0).astype(int)
            high = np.minimum(np.ceil(pixels.max(axis=0)) + pad, (CANVAS_W, CANVAS_H)).astype(int)
            if (high <= low).any() or strength < 0.02:
                continue
            part = (slice(low[1], high[1]), slice(low[0], high[0]))
            mask = np.zeros((high[1] - low[1], high[0] - low[0]), np.float32)
            hull = cv2.convexHull(((pixels - low) * 16).round().astype(np.int32))
            cv2.fillConvexPoly(mask, hull, strength, cv2.LINE_AA, 4)
            width = 2 * int(soft) + 1
            mask = cv2.blur(mask, (width, width)) * self._open[part]
            canvas[part] = cv2.multiply(canvas[part], cv2.merge([1 - mask] * 3), dtype=cv2.CV_8U)

    def _develop(
        self, canvas: Picture, glows: list[tuple[float, float, float, float]], rng: np.random.Generator
    ) -> Picture:
        picture = cv2.resize(canvas, (WIDTH_PX, HEIGHT_PX), interpolation=cv2.INTER_AREA)
        if self.backdrop.light.dusk:
            lamps = self._lamps.copy()
            for u, v, size, strength in glows:
                _halo(lamps, u, v, size, strength)
            picture = cv2.add(picture, lamps)
        picture = cv2.multiply(picture, self._vignette, scale=self.backdrop.light.exposure / 255)
        noise = rng.standard_normal((HEIGHT_PX, WIDTH_PX), np.float32) * self.backdrop.light.noise
        return np.asarray(cv2.add(picture, cv2.merge([noise] * 3), dtype=cv2.CV_8U))


def _halo(picture: Picture, u: float, v: float, size: float, strength: float) -> None:
    """Add a soft round light; a negative strength is a red one."""
    r = int(min(60, max(2.0, size * 2.4)))
    x0, x1, y0, y1 = (
        max(int(u) - r, 0),
        min(int(u) + r + 1, WIDTH_PX),
        max(int(v) - r, 0),
        min(int(v) + r + 1, HEIGHT_PX),
    )
    if x1 <= x0 or y1 <= y0:
        return
    across, down = np.meshgrid(np.arange(x0, x1) - u, np.arange(y0, y1) - v)
    fall = np.clip(1 - np.hypot(across, down) / r, 0, 1) ** 2.2 * 150 * abs(strength)
    tint = np.array([0.66, 0.88, 1.0]) if strength > 0 else np.array([0.15, 0.15, 0.9])
    part = picture[y0:y1, x0:x1]
    part[:] = np.clip(part + fall[..., None] * tint, 0, 255).astype(np.uint8)


def _label(pose: Pose, extent: tuple[float, float, float, float], whole: int, seen: int) -> Label:
    x0, y0, x1, y1 = (value / OVERSAMPLE for value in extent)
    cx0, cy0, cx1, cy1 = max(x0, 0.0), max(y0, 0.0), min(x1, float(WIDTH_PX)), min(y1, float(HEIGHT_PX))
    inside = (cx1 - cx0) * (cy1 - cy0) / max(1e-6, (x1 - x0) * (y1 - y0))
    visibility = seen / max(1, whole) * inside
    return Label(pose.actor_id, pose.look.kind, cx0, cy0, cx1 - cx0, cy1 - cy0, visibility, pose.look.colour)


def picture_labels(labels: list[Label]) -> NDArray[np.float64]:
    """Labels as rows (N, 5) of x, y, width, height, visibility."""
    return np.array([[a.x, a.y, a.width, a.height, a.visibility] for a in labels]).reshape(-1, 5)
