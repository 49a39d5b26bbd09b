"""What stands in a town, drawn once for a camera into a picture with a depth for every pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from town.camera import CANVAS_H, CANVAS_W, NEAR_M, Camera, Floats, Light
from town.ground import LIGHT_SCALE, Picture, light_map, lit_ground, paint_ground, to_map, view_ground
from town.layout import Block, Building, Town, Tree
from town.textures import TEXELS, leaf_texture, roof_texture, wall_texture


@dataclass(slots=True)
class Backdrop:
    """A still picture BGR, the nearness (1 / metres) of what can hide an actor, and lamps as u, v, size, strength."""

    camera: Camera
    light: Light
    picture: Picture
    nearness: NDArray[np.float32]
    lights: NDArray[np.float32]
    glows: list[tuple[float, float, float, float]]

    def light_at(self, x: float, y: float) -> Floats:
        """Ground light (3,) BGR at a place in world metres."""
        column, row = to_map(np.array([[x, y]]), LIGHT_SCALE)[0].astype(int)
        side = self.lights.shape[0] - 1
        return np.asarray(self.lights[min(max(row, 0), side), min(max(column, 0), side)], np.float64)


class TownPainter:
    """Paints backdrops of one town; keeps the ground between cameras and the light between cameras of one hour."""

    def __init__(self, town: Town) -> None:
        """Paint the ground of a town."""
        self.town = town
        self._ground = paint_ground(town)
        self._lit: tuple[Light, Picture, NDArray[np.float32]] | None = None

    def backdrop(self, camera: Camera, light: Light) -> Backdrop:
        """The still picture for a camera at an hour."""
        if self._lit is None or self._lit[0] is not light:
            lights = light_map(self.town, light)
            self._lit = (light, lit_ground(self._ground, lights), lights)
        picture = view_ground(camera, self._lit[1], light)
        nearness = np.zeros((CANVAS_H, CANVAS_W), np.float32)
        drawn = Backdrop(camera, light, picture, nearness, self._lit[2], [])
        _skyline(drawn, self.town.seed)
        for house in self.town.buildings:
            _building(drawn, house)
        for block in self.town.blocks:
            _block(drawn, block)
        for x, y, side in self.town.lamps:
            _lamp(drawn, x, y, side)
        for tree in self.town.trees:
            _tree(drawn, tree)
        return drawn


def _skyline(drawn: Backdrop, seed: int) -> None:
    """Soft hills behind everything, so that the horizon is no ruled line."""
    horizon = int(drawn.camera.horizon_row())
    if horizon < 4:
        return
    rng = np.random.default_rng([3, seed])
    columns = np.arange(CANVAS_W)
    turn = np.arctan2(drawn.camera.axes[2][1], drawn.camera.axes[2][0])
    angle = turn - (columns - CANVAS_W / 2) / drawn.camera.focal_px
    for layer, fade in ((34, 0.55), (20, 0.35)):
        waves = sum(np.sin(angle * k + rng.uniform(0, 6)) / k for k in (3, 7, 13, 29)) * 12
        top = np.clip(horizon - layer - waves * 1.5, 0, horizon).astype(np.int32)
        shape = np.concatenate([np.stack([columns, top], axis=1), [[CANVAS_W - 1, horizon + 2], [0, horizon + 2]]])
        green = np.array([118.0, 142, 104]) * drawn.light.on_ground
        colour = green * (1 - fade) + drawn.light.sky_low * fade
        cv2.fillPoly(drawn.picture, [shape.astype(np.int32)], colour.tolist())


def _clip_near(points: Floats) -> Floats:
    """Camera-space polygon (N, 3) cut at the near plane."""
    kept: list[Floats] = []
    for here, there in zip(points, np.roll(points, -1, axis=0), strict=True):
        if here[2] >= NEAR_M:
            kept.append(here)
        if (here[2] >= NEAR_M) != (there[2] >= NEAR_M):
            share = (NEAR_M - here[2]) / (there[2] - here[2])
            kept.append(here + share * (there - here))
    return np.array(kept).reshape(-1, 3)


def _face(drawn: Backdrop, corners: Floats, paint: Floats | Picture, glow: NDArray[np.float32] | None = None) -> None:
    """Draw a planar polygon; a picture is stretched over its first, second and fourth corners (a parallelogram)."""
    camera = drawn.camera
    normal = np.cross(corners[1] - corners[0], corners[2] - corners[0])
    normal = normal / np.linalg.norm(normal)
    if normal @ (camera.position - corners[0]) <= 0:
        return
    seen = _clip_near(camera.to_camera(corners))
    if len(seen) < 3:
        return
    pixels = seen[:, :2] * (camera.focal_px / seen[:, 2])[:, None] + (CANVAS_W / 2, CANVAS_H / 2)
    low = np.maximum(np.floor(pixels.min(axis=0)), 0).astype(int)
    high = np.minimum(np.ceil(pixels.max(axis=0)) + 1, (CANVAS_W, CANVAS_H)).astype(int)
    if (high <= low).any():
        return
    wide, tall = int(high[0] - low[0]), int(high[1] - low[1])
    mask = np.zeros((tall, wide), np.uint8)
    cv2.fillPoly(mask, [((pixels - low) * 16).round().astype(np.int32)], 255, cv2.LINE_8, 4)
    tilt = camera.axes @ normal
    offset = float(tilt @ camera.to_camera(corners[:1])[0])
    across = (np.arange(low[0], high[0]) - CANVAS_W / 2) / camera.focal_px
    down = (np.arange(low[1], high[1]) - CANVAS_H / 2) / camera.focal_px
    near = ((tilt[0] * across[None, :] + tilt[1] * down[:, None] + tilt[2]) / offset).astype(np.float32)
    depth = drawn.nearness[low[1] : high[1], low[0] : high[0]]
    shown = ((near >= depth) & (mask > 0)).astype(np.uint8)
    part = drawn.picture[low[1] : high[1], low[0] : high[0]]
    shade = drawn.light.on(normal)
    far = float(np.linalg.norm(corners.mean(axis=0) - camera.position))
    haze = float(1 - np.exp(-far / 420))
    if paint.ndim == 3:
        factors: Any = (*shade.tolist(), 0.0)
        texels = np.asarray(cv2.multiply(np.asarray(paint, np.uint8), factors, dtype=cv2.CV_8U), np.uint8)
        if glow is not None and drawn.light.dusk:
            texels = np.maximum(texels, glow.astype(np.uint8))
        colours = _stretched(camera, corners, texels, (int(low[0]), int(low[1])), (wide, tall))
        distant = np.broadcast_to(drawn.light.sky_low, colours.shape).astype(np.uint8)
        cv2.copyTo(cv2.addWeighted(colours, 1 - haze, distant, haze, 0), shown, part)
    else:
        flat = np.clip(paint * shade * (1 - haze) + drawn.light.sky_low * haze, 0, 255)
        part[shown > 0] = flat.astype(np.uint8)
    cv2.copyTo(near, shown, depth)


def _stretched(
    camera: Camera, corners: Floats, texels: Picture, corner: tuple[int, int], size_wh: tuple[int, int]
) -> Picture:
    """A texture as it lies on a parallelogram: the part of the canvas from a corner on, of a size."""
    height, width = texels.shape[:2]
    plane = camera.plane_to_canvas(corners[3], (corners[2] - corners[3]) / width, (corners[0] - corners[3]) / height)
    reach = np.linalg.norm(corners - camera.position, axis=1).min()
    small = max(0, int(np.log2(max(1.0, reach * TEXELS / camera.focal_px))))
    if small:
        less_wh = max(1, width // 2**small), max(1, height // 2**small)
        texels = np.asarray(cv2.resize(texels, less_wh, interpolation=cv2.INTER_AREA), np.uint8)
        plane = plane @ np.diag([width / less_wh[0], height / less_wh[1], 1.0])
    shift = np.array([[1, 0, -corner[0]], [0, 1, -corner[1]], [0, 0, 1.0]])
    warped = cv2.warpPerspective(
        texels, shift @ plane, size_wh, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(warped, np.uint8)


def _building(drawn: Backdrop, house: Building) -> None:
    rng = np.random.default_rng(house.seed)
    x0, y0, x1, y1, h, rise = house.x0, house.y0, house.x1, house.y1, house.height, house.rise
    base = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
    for index in range(4):
        (ax, ay), (bx, by) = base[index], base[(index + 1) % 4]
        corners = np.array([[ax, ay, 0], [bx, by, 0], [bx, by, h], [ax, ay, h]], float)
        wall, glow = wall_texture(float(np.hypot(bx - ax, by - ay)), h, house, rng)
        _face(drawn, corners, wall, glow)
    roof = np.array(house.roof, float)
    if rise == 0:
        _box(drawn, (x0 - 0.15, y0 - 0.15, x1 + 0.15, y1 + 0.15), h, 0.5, np.array([198.0, 204, 208]))
        _box(drawn, (x0 + 0.3, y0 + 0.3, x1 - 0.3, y1 - 0.3), h + 0.49, 0.03, np.array([128.0, 132, 136]))
        _box(
            drawn,
            ((x0 + x1) / 2, (y0 + y1) / 2, (x0 + x1) / 2 + 1.6, (y0 + y1) / 2 + 1.4),
            h + 0.5,
            1.1,
            np.array([170.0, 174, 178]),
        )
        return
    o, e = 0.45, h - 0.15
    if x1 - x0 >= y1 - y0:
        m = (y0 + y1) / 2
        slopes = [[(x0 - o, y0 - o, e), (x1 + o, y0 - o, e), (x1 + o, m, h + rise), (x0 - o, m, h + rise)]]
        slopes += [[(x1 + o, y1 + o, e), (x0 - o, y1 + o, e), (x0 - o, m, h + rise), (x1 + o, m, h + rise)]]
        gables = [[(x1, y0, h), (x1, y1, h), (x1, m, h + rise)], [(x0, y1, h), (x0, y0, h), (x0, m, h + rise)]]
        stack = (x0 + (x1 - x0) * 0.24, m + 0.8)
    else:
        m = (x0 + x1) / 2
        slopes = [[(x1 + o, y0 - o, e), (x1 + o, y1 + o, e), (m, y1 + o, h + rise), (m, y0 - o, h + rise)]]
        slopes += [[(x0 - o, y1 + o, e), (x0 - o, y0 - o, e), (m, y0 - o, h + rise), (m, y1 + o, h + rise)]]
        gables = [[(x0, y0, h), (x1, y0, h), (m, y0, h + rise)], [(x1, y1, h), (x0, y1, h), (m, y1, h + rise)]]
        stack = (m + 0.8, y0 + (y1 - y0) * 0.24)
    for gable in gables:
        _face(drawn, np.array(gable), np.array(house.wall, float))
    for slope in slopes:
        corners = np.array(slope)
        wide, tall = np.linalg.norm(corners[1] - corners[0]), np.linalg.norm(corners[3] - corners[0])
        _face(drawn, corners, roof_texture(float(wide), float(tall), roof, rng))
    _box(
        drawn,
        (stack[0] - 0.35, stack[1] - 0.35, stack[0] + 0.35, stack[1] + 0.35),
        h,
        rise + 0.7,
        np.array([96.0, 112, 158]),
    )


def _box(
    drawn: Backdrop, span: tuple[float, float, float, float], base: float, height: float, colour: Floats | Picture
) -> None:
    x0, y0, x1, y1 = span
    ring = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
    z = base + height
    for index in range(4):
        (ax, ay), (bx, by) = ring[index], ring[(index + 1) % 4]
        _face(drawn, np.array([[ax, ay, base], [bx, by, base], [bx, by, z], [ax, ay, z]]), colour)
    _face(drawn, np.array([[x0, y0, z], [x1, y0, z], [x1, y1, z], [x0, y1, z]]), colour)


def _block(drawn: Backdrop, block: Block) -> None:
    span = (
        block.x - block.length / 2,
        block.y - block.width / 2,
        block.x + block.length / 2,
        block.y + block.width / 2,
    )
    paint: Floats | Picture = np.array(block.colour, float)
    if block.leafy:
        paint = leaf_texture(max(block.length, block.width), block.height, block.colour)
    _box(drawn, span, block.base, block.height, paint)


def _lamp(drawn: Backdrop, x: float, y: float, side: float) -> None:
    steel = np.array([86.0, 82, 80])
    _box(drawn, (x - 0.06, y - 0.06, x + 0.06, y + 0.06), 0, 4.6, steel)
    _box(drawn, (x - 0.11, y - 0.11, x + 0.11, y + 0.11), 0, 0.7, steel)
    reach = 0.9 * side
    if side:
        _box(drawn, (x - 0.04, min(y, y + reach), x + 0.04, max(y, y + reach)), 4.55, 0.08, steel)
    _box(drawn, (x - 0.17, y + reach - 0.17, x + 0.17, y + reach + 0.17), 4.62, 0.12, steel)
    white = (
        np.array([190.0, 236, 255]) / np.maximum(drawn.light.on_ground, 0.3)
        if drawn.light.dusk
        else np.array([226.0, 232, 234])
    )
    _box(drawn, (x - 0.15, y + reach - 0.15, x + 0.15, y + reach + 0.15), 4.40, 0.22, white)
    if drawn.light.dusk:
        head = np.array([[x, y + reach, 4.5]])
        pixels, depth = drawn.camera.project(head)
        u, v = pixels[0]
        if drawn.camera.to_camera(head)[0, 2] > 1 and -60 < u < CANVAS_W + 60 and -60 < v < CANVAS_H + 60:
            row, column = min(max(int(v), 0), CANVAS_H - 1), min(max(int(u), 0), CANVAS_W - 1)
            if drawn.nearness[row, column] <= 1 / depth[0] + 0.01:
                drawn.glows.append((u / 2, v / 2, float(0.62 * drawn.camera.focal_px / depth[0] / 2), 0.75))


def _tree(drawn: Backdrop, tree: Tree) -> None:
    camera = drawn.camera
    rng = np.random.default_rng(tree.seed)
    middle = np.array([tree.x, tree.y, tree.height - tree.radius])
    if camera.to_camera(middle[None])[0, 2] < 2.5:
        return
    trunk = 0.09 + tree.radius * 0.05
    _box(
        drawn,
        (tree.x - trunk, tree.y - trunk, tree.x + trunk, tree.y + trunk),
        0,
        tree.height - tree.radius,
        np.array([62.0, 86, 112]),
    )
    tones = [(62, 134, 96), (52, 122, 84), (70, 146, 120), (84, 150, 112), (66, 128, 128)]
    tone = np.array(tones[int(rng.integers(5))], float)
    spread = rng.normal(size=(110, 3))
    spread /= np.linalg.norm(spread, axis=1)[:, None]
    shell = spread * rng.uniform(0.62, 0.88, (110, 1)) * tree.radius * (1, 1, 0.95)
    centres = np.concatenate([middle[None], middle + shell])
    sizes = np.concatenate([[tree.radius * 0.82], rng.uniform(0.17, 0.30, 110) * tree.radius])
    lift = np.concatenate(
        [[0.52], 0.62 + 0.26 * (spread @ drawn.light.sun) + 0.18 * spread[:, 2] + rng.normal(0, 0.05, 110)]
    )
    pixels, depth = camera.project(centres)
    haze = 1 - np.exp(-float(depth[0]) / 420)
    light = drawn.light.ambient + drawn.light.sun_colour
    for index in np.argsort(-depth):
        radius = max(1.0, camera.focal_px * sizes[index] / depth[index])
        colour = tone * light * max(0.38, float(lift[index])) * (1 - haze) + drawn.light.sky_low * haze
        _blob(drawn, pixels[index], radius, 1 / float(depth[index]), np.clip(colour, 0, 255))


def _blob(drawn: Backdrop, centre: Floats, radius: float, near: float, colour: Floats) -> None:
    r = int(np.ceil(radius)) + 1
    u, v = int(centre[0]), int(centre[1])
    x0, x1, y0, y1 = max(u - r, 0), min(u + r + 1, CANVAS_W), max(v - r, 0), min(v + r + 1, CANVAS_H)
    if x1 <= x0 or y1 <= y0:
        return
    mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
    cv2.circle(mask, (u - x0, v - y0), round(radius), 255, -1)
    depth = drawn.nearness[y0:y1, x0:x1]
    shown = (mask > 0) & (depth <= near)
    drawn.picture[y0:y1, x0:x1][shown] = colour.astype(np.uint8)
    depth[shown] = near
