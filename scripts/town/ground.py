"""The ground of a town as one picture seen from above, and its light."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from town.camera import CANVAS_H, CANVAS_W, Camera, Floats, Light
from town.layout import PAVEMENT_M, REACH_M, Town

SCALE = 18
"""Map pixels a metre: near ground stays sharp at twice 640 pixels, and a town still takes under half a second."""
LIGHT_SCALE = 4
SIDE = int(2 * REACH_M * SCALE)
Picture = NDArray[np.uint8]
ASPHALT, PAVING, GRASS = (112, 108, 104), (176, 182, 188), (92, 152, 118)
KERB, PAINT, GRAVEL = (204, 208, 210), (226, 230, 232), (150, 182, 206)
COBBLE, WATER = (146, 158, 168), (170, 146, 100)


def to_map(points: Floats, scale: float = SCALE) -> Floats:
    """Map pixels (N, 2) of world metres (N, 2); the map's first row is north."""
    return np.stack([(points[:, 0] + REACH_M) * scale, (REACH_M - points[:, 1]) * scale], axis=1)


def _rect(image: Picture, span: tuple[float, float, float, float], colour: tuple[int, int, int]) -> None:
    (x0, y1), (x1, y0) = to_map(np.array([[span[0], span[1]], [span[2], span[3]]])).round().astype(int)
    cv2.rectangle(image, (int(x0), int(y0)), (int(x1), int(y1)), colour, -1)


def _stroke(image: Picture, points: Floats, width_m: float, colour: tuple[int, int, int]) -> None:
    path = (to_map(points) * 16).round().astype(np.int32)
    cv2.polylines(image, [path], False, colour, max(1, round(width_m * SCALE)), cv2.LINE_AA, 4)


def _smooth(points: Floats, steps: int = 3) -> Floats:
    for _ in range(steps):
        a, b = points[:-1], points[1:]
        inner = np.stack([a * 0.75 + b * 0.25, a * 0.25 + b * 0.75], axis=1).reshape(-1, 2)
        points = np.concatenate([points[:1], inner[1:-1], points[-1:]])
    return points


def paint_ground(town: Town) -> Picture:
    """The town's ground (SIDE, SIDE, 3) BGR without light: grass, streets, marks, paving."""
    rng = np.random.default_rng([11, town.seed])
    image = np.empty((SIDE, SIDE, 3), np.uint8)
    image[:] = GRASS
    _speckle(image, rng, 9.0)
    _quarters(image, town)
    _roads(image, town)
    grain = cv2.resize(
        rng.normal(0, 5, (SIDE // 2, SIDE // 2)).astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_LINEAR
    )
    blotch = cv2.resize(rng.normal(0, 4, (60, 60)).astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    texture = cv2.merge([(grain + blotch).astype(np.int16)] * 3)
    return np.asarray(cv2.add(image, texture, dtype=cv2.CV_8U), np.uint8)


def _speckle(image: Picture, rng: np.random.Generator, spread: float) -> None:
    for cells in (90, 420):
        field = cv2.resize(
            rng.normal(0, spread, (cells, cells)).astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_LINEAR
        )
        np.copyto(image, cv2.add(image, cv2.merge([field * 0.6, field, field * 0.8]).astype(np.int16), dtype=cv2.CV_8U))
    stripe = (np.arange(SIDE) // (3 * SCALE) % 2 * 7).astype(np.uint8)
    image[:, :, 1] = cv2.add(image[:, :, 1], np.repeat(stripe[:, None], SIDE, axis=1))


def _tiles(
    image: Picture, span: tuple[float, float, float, float], step_m: float, colour: tuple[int, int, int]
) -> None:
    for x in np.arange(np.ceil(span[0] / step_m) * step_m, span[2], step_m):
        _stroke(image, np.array([[x, span[1]], [x, span[3]]]), 0.06, colour)
    for y in np.arange(np.ceil(span[1] / step_m) * step_m, span[3], step_m):
        _stroke(image, np.array([[span[0], y], [span[2], y]]), 0.06, colour)


def _quarters(image: Picture, town: Town) -> None:
    for quarter in ("yard", "parking", "homes"):
        _rect(image, town.span(quarter, 0, 0, 70, 10.5), PAVING)
        _rect(image, town.span(quarter, 0, 0, 10, 70), PAVING)
    court = town.span("yard", 9, 10, 47, 41)
    _rect(image, court, COBBLE)
    _tiles(image, court, 0.9, (130, 142, 152))
    _rect(image, town.span("yard", 46, 22, 70, 32), COBBLE)
    _rect(image, town.span("yard", 19.5, 0, 27.5, 12), (134, 140, 146))
    lot = town.span("parking", 2, 4.2, 47.5, 21.8)
    _rect(image, town.span("parking", 0, 0, 49, 27), PAVING)
    _rect(image, town.span("parking", 1.8, 4.0, 47.7, 22), KERB)
    _rect(image, lot, (104, 102, 100))
    _rect(image, town.span("parking", -0.2, 10.2, 3, 16.2), (104, 102, 100))
    _rect(image, town.span("parking", 43.2, -0.2, 47.5, 8), (104, 102, 100))
    for index in range(15):
        for low, high in ((4.4, 9.6), (16.4, 21.6)):
            u = 5.3 + 2.7 * index - 1.35
            _stroke(image, town.line("parking", (u, low), (u, high)), 0.12, PAINT)
    for u in (0.2, 44.8):
        _rect(image, town.span("parking", u, 1.0, u + 0.1, 1.1), PAVING)
    for spot in (1.0, 23.0):
        _rect(image, town.span("parking", 2.2, spot - 0.4, 43, spot + 2.2), (98, 150, 120))
    centre = to_map(np.array([town.place("park", 36, 34)]))[0]
    axes = (int(8 * SCALE), int(6 * SCALE))
    cv2.ellipse(
        image,
        (int(centre[0]), int(centre[1])),
        (axes[0] + 12, axes[1] + 12),
        0,
        0,
        360,
        (168, 190, 196),
        -1,
        cv2.LINE_AA,
    )
    cv2.ellipse(image, (int(centre[0]), int(centre[1])), axes, 0, 0, 360, WATER, -1, cv2.LINE_AA)
    for way in town.ways:
        if way.spot == "park":
            _stroke(image, _smooth(way.points), 3.5, (132, 160, 178))
            _stroke(image, _smooth(way.points), 3.1, GRAVEL)


def _roads(image: Picture, town: Town) -> None:
    cx, cy, hm, hc, far = town.cx, town.cy, town.half_main, town.half_cross, REACH_M
    main_walk = (-far, cy - hm - PAVEMENT_M, far, cy + hm + PAVEMENT_M)
    cross_walk = (cx - hc - PAVEMENT_M, -far, cx + hc + PAVEMENT_M, far)
    for span in (main_walk, cross_walk):
        _rect(image, span, PAVING)
        _tiles(image, span, 0.8, (160, 166, 172))
    _rect(image, (-far, cy - hm - 0.22, far, cy + hm + 0.22), KERB)
    _rect(image, (cx - hc - 0.22, -far, cx + hc + 0.22, far), KERB)
    _rect(image, (-far, cy - hm, far, cy + hm), ASPHALT)
    _rect(image, (cx - hc, -far, cx + hc, far), ASPHALT)
    _rect(image, town.span("yard", 19.7, -3.5, 27.3, 0.2), (134, 140, 146))
    _rect(image, town.span("parking", -PAVEMENT_M - 0.2, 10.2, 0, 16.2), (108, 105, 102))
    _rect(image, town.span("parking", 43.2, -PAVEMENT_M - 0.2, 47.5, 0), (108, 105, 102))
    clear = hc + 7.6
    for side in (-1, 1):
        for at in np.arange(clear, far, 4.0):
            _rect(image, (cx + side * at - 1, cy - 0.06, cx + side * at + 1, cy + 0.06), PAINT)
            _rect(image, (cx - 0.06, cy + side * at - 1, cx + 0.06, cy + side * at + 1), PAINT)
        stop, half = side * (hc + 6.3), side * (hm + 6.3)
        _rect(image, (cx + stop - 0.2, min(cy, cy - side * hm * -1), cx + stop + 0.2, max(cy, cy + side * hm)), PAINT)
        _rect(image, (min(cx, cx - side * hc), cy + half - 0.2, max(cx, cx - side * hc), cy + half + 0.2), PAINT)
    for x, y, across in town.zebras:
        half = hc if across else hm
        for at in np.arange(-half + 0.3, half - 0.3, 0.95):
            span = (x + at, y - 1.5, x + at + 0.5, y + 1.5) if across else (x - 1.5, y + at, x + 1.5, y + at + 0.5)
            _rect(image, span, (234, 237, 238))


def light_map(town: Town, light: Light) -> NDArray[np.float32]:
    """Light (H, W, 3) BGR on the ground from above, LIGHT_SCALE pixels a metre: sun, shadows and lamps."""
    side = int(2 * REACH_M * LIGHT_SCALE)
    sun, feet = np.ones((side, side), np.float32), np.zeros((side, side), np.float32)
    lean = -light.sun[:2] / max(0.25, float(light.sun[2]))
    for house in town.buildings:
        corners = np.array([[house.x0, house.y0], [house.x1, house.y0], [house.x1, house.y1], [house.x0, house.y1]])
        cast = np.concatenate([corners, corners + lean * (house.height + house.rise * 0.5)])
        _fill(sun, cast, 0.0)
        _fill(feet, corners, 1.0)
    for block in town.blocks:
        half = np.array([block.length / 2, block.width / 2])
        corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half + (block.x, block.y)
        _fill(sun, np.concatenate([corners + lean * block.base, corners + lean * (block.base + block.height)]), 0.1)
    turns = np.linspace(0, 2 * np.pi, 18, endpoint=False)
    circle = np.stack([np.cos(turns), np.sin(turns)], axis=1)
    for tree in town.trees:
        crown = np.array([tree.x, tree.y]) + lean * (tree.height - tree.radius)
        _fill(sun, crown + circle * tree.radius * 0.95, 0.12)
    sun = np.asarray(cv2.GaussianBlur(sun, (0, 0), 1.1), np.float32)
    near = cv2.GaussianBlur(feet, (0, 0), 4.0)
    shade = light.ambient * (1 - 0.38 * near[..., None]) + light.sun_colour * light.sun[2] * sun[..., None]
    if light.dusk:
        pools = np.zeros((side, side), np.float32)
        for x, y, _ in town.lamps:
            _fill(pools, np.array([x, y]) + circle * 2.6, 1.0)
        glow = cv2.GaussianBlur(pools, (0, 0), 7.0) * 1.25
        for house in town.buildings:
            if house.shop:
                _fill(
                    feet,
                    np.array(
                        [
                            [house.x0 - 2, house.y0 - 2],
                            [house.x1 + 2, house.y0 - 2],
                            [house.x1 + 2, house.y1 + 2],
                            [house.x0 - 2, house.y1 + 2],
                        ]
                    ),
                    1.0,
                )
        glow = glow + cv2.GaussianBlur(feet, (0, 0), 6.0) * 0.16
        shade = shade + glow[..., None] * np.array([0.20, 0.42, 0.56])
    return np.asarray(shade, np.float32)


def _fill(field: NDArray[np.float32], points: Floats, value: float) -> None:
    pixels = (to_map(points, LIGHT_SCALE) * 16).round().astype(np.int32)
    cv2.fillConvexPoly(field, cv2.convexHull(pixels), value, cv2.LINE_AA, 4)


def lit_ground(ground: Picture, lights: NDArray[np.float32]) -> Picture:
    """The ground with its light, BGR."""
    full = cv2.resize(lights, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.multiply(ground, full, dtype=cv2.CV_8U), np.uint8)


def view_ground(camera: Camera, ground: Picture, light: Light) -> Picture:
    """The canvas (CANVAS_H, CANVAS_W, 3) BGR with sky and ground, softer with distance so that it does not shimmer."""
    horizon = camera.horizon_row()
    rows = np.arange(CANVAS_H)
    forward, down = camera.axes[2], camera.axes[1]
    drop = (rows - CANVAS_H / 2) / camera.focal_px
    fall = -(forward[2] + drop * down[2])
    distance = np.where(fall > 1e-4, camera.position[2] / np.maximum(fall, 1e-4), 1e4)
    footprint = distance / camera.focal_px * np.sqrt(np.clip(distance / camera.position[2], 1, 60))
    level = np.clip(np.log2(np.maximum(footprint * SCALE, 1e-3)), 0, 5)
    out = np.zeros((CANVAS_H, CANVAS_W, 3), np.float32)
    picture = ground
    for step in range(6):
        scale = SCALE / 2**step
        weight = np.clip(1 - np.abs(level - step), 0, 1)
        used = np.flatnonzero(weight > 0)
        if used.size:
            y0, y1 = int(used[0]), int(used[-1]) + 1
            plane = camera.plane_to_canvas(
                np.array([-REACH_M, REACH_M, 0.0]), np.array([1 / scale, 0, 0]), np.array([0, -1 / scale, 0])
            )
            shift = np.array([[1, 0, 0], [0, 1, -y0], [0, 0, 1.0]])
            warped = cv2.warpPerspective(
                picture, shift @ plane, (CANVAS_W, y1 - y0), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
            )
            out[y0:y1] += warped * weight[y0:y1, None, None].astype(np.float32)
        picture = np.asarray(cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.uint8)
    haze = (1 - np.exp(-distance / 420))[:, None, None]
    out = out * (1 - haze) + light.sky_low * haze
    sky = np.clip((horizon - rows) / (CANVAS_H * 0.55), 0, 1)[:, None]
    gradient = light.sky_low * (1 - sky) + light.sky_high * sky
    above = rows < horizon + 1
    out[above] = gradient[above][:, None, :]
    return np.asarray(np.clip(out, 0, 255), np.uint8)
