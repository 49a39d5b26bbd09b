"""Lays a town out from a seed: two streets that cross, and between them a park, a parking place, a yard and homes."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from town.camera import Floats
from town.layout import PAVEMENT_M, REACH_M, Bay, Block, Building, Town, Tree, Way

FACADES = [
    (196, 222, 238), (150, 178, 222), (186, 206, 190), (214, 204, 176), (206, 212, 218),
    (128, 150, 196), (170, 208, 236), (206, 190, 200), (160, 190, 214), (226, 230, 232),
]  # fmt: skip
ROOFS = [(72, 86, 150), (84, 84, 92), (66, 74, 118), (92, 104, 128), (70, 92, 142)]


def plan_town(seed: int, quarters: tuple[str, str, str, str] = ("park", "parking", "yard", "homes")) -> Town:
    """A town laid out from a seed; quarters names what lies north-east, south-east, south-west and north-west."""
    rng = np.random.default_rng([7, seed])
    signs = [(1, 1), (1, -1), (-1, -1), (-1, 1)]
    town = Town(
        cx=float(rng.uniform(-6, 6)),
        cy=float(rng.uniform(-6, 6)),
        half_main=float(rng.uniform(3.3, 3.8)),
        half_cross=float(rng.uniform(3.0, 3.5)),
        quarters=dict(zip(quarters, signs, strict=True)),
        seed=seed,
    )
    _streets(town, rng)
    _park(town, rng)
    _parking(town, rng)
    _yard(town, rng)
    _homes(town, rng)
    return town


def _house(town: Town, rng: np.random.Generator, rect: tuple[float, float, float, float], *, shop: bool) -> None:
    floors = int(rng.integers(2, 4))
    town.buildings.append(
        Building(
            *rect,
            height=3.0 * floors + 0.6,
            rise=float(rng.choice([0.0, 2.2, 2.8, 3.2])),
            wall=FACADES[int(rng.integers(len(FACADES)))],
            roof=ROOFS[int(rng.integers(len(ROOFS)))],
            seed=int(rng.integers(1 << 30)),
            shop=shop,
        )
    )


def _row(
    town: Town, rng: np.random.Generator, quarter: str, span: tuple[float, float, float, float], *, shop: bool
) -> None:
    """Houses side by side along the longer side of u0, v0, u1, v1."""
    u0, v0, u1, v1 = span
    along_u = u1 - u0 >= v1 - v0
    at, end = (u0, u1) if along_u else (v0, v1)
    while at < end - 5:
        size = min(float(rng.uniform(7.5, 12.5)), end - at)
        last = at + size - float(rng.choice([0.05, 0.05, 1.6]))
        rect = town.span(quarter, at, v0, last, v1) if along_u else town.span(quarter, u0, at, u1, last)
        _house(town, rng, rect, shop=shop)
        at += size


def _tree(town: Town, rng: np.random.Generator, x: float, y: float, size: float = 1.0) -> None:
    radius = float(rng.uniform(1.4, 2.3)) * size
    town.trees.append(Tree(x, y, radius, radius * 2 + float(rng.uniform(1.6, 2.6)), int(rng.integers(1 << 30))))


def _streets(town: Town, rng: np.random.Generator) -> None:
    cx, cy, hm, hc = town.cx, town.cy, town.half_main, town.half_cross
    far = REACH_M - 2
    cars = ("car", "car", "car", "van", "bicycle")
    for side in (-1, 1):
        y, x = cy - side * hm / 2, cx + side * hc / 2
        town.ways.append(Way(np.array([[-side * far, y], [side * far, y]]), cars, "street"))
        town.ways.append(Way(np.array([[x, -side * far], [x, side * far]]), cars, "cross"))
        turn = [
            [-side * far, y],
            [cx - side * 7, y],
            [cx - side * 3.5, y - side * 0.5],
            [cx - side * hc / 2, y - side * 3.5],
        ]
        turn += [[cx - side * hc / 2, y - side * 8], [cx - side * hc / 2, -side * far]]
        town.ways.append(Way(np.array(turn), ("car", "bicycle"), "cross"))
        walk_y, walk_x = cy + side * (hm + PAVEMENT_M * 0.55), cx + side * (hc + PAVEMENT_M * 0.55)
        town.ways.append(Way(np.array([[-far, walk_y], [far, walk_y]]), ("person",), "street", 1.9))
        town.ways.append(Way(np.array([[walk_x, -far], [walk_x, far]]), ("person",), "cross", 1.9))
        zx, zy = cx + side * (hc + 3.4), cy + side * (hm + 3.4)
        town.zebras += [(zx, cy, False), (cx, zy, True)]
        town.ways.append(Way(np.array([[zx, cy - hm - 30], [zx, cy + hm + 30]]), ("person",), "cross", 1.6))
        town.ways.append(Way(np.array([[cx - hc - 30, zy], [cx + hc + 30, zy]]), ("person",), "cross", 1.6))
        for step in range(-70, 71, int(rng.integers(15, 19))):
            if abs(step - cx) > 9:
                town.lamps.append((float(step), cy + side * (hm + 0.5), -side))
            if abs(step - cy) > 11:
                town.lamps.append((cx + side * (hc + 0.5), float(step + 6), 0.0))


def _park(town: Town, rng: np.random.Generator) -> None:
    sx, sy = town.quarters["park"]
    path = [(-3, 12), (6, 13), (14, 17), (22, 22), (32, 23), (44, 19), (66, 18)]
    other = [(20, -3), (21, 6), (22, 14), (22, 22), (18, 32), (17, 44), (18, 66)]
    for points in (path, other):
        town.ways.append(Way(town.line("park", *points), ("person", "person", "bicycle"), "park", 1.4))
    for _ in range(60):
        u, v = rng.uniform(2, 66, 2)
        spot = np.array(town.place("park", u, v))
        clear = min(float(np.min(np.linalg.norm(_dense(way.points) - spot, axis=1))) for way in town.ways)
        pond = np.hypot((u - 36) / 8, (v - 34) / 6) > 1.25
        apart = all(np.hypot(t.x - spot[0], t.y - spot[1]) > 3.6 for t in town.trees)
        if clear > 3.2 and pond and apart:
            _tree(town, rng, float(spot[0]), float(spot[1]), 1.15)
    for u, v in ((10, 17.4), (27, 25.4), (24.4, 9), (38, 24.3), (14.6, 36)):
        x, y = town.place("park", u, v)
        town.blocks.append(Block(x, y, 1.8, 0.5, 0.12, (70, 110, 160), base=0.38))
        town.blocks.append(Block(x - sx * 0.6, y, 0.12, 0.45, 0.4, (70, 70, 74)))
        town.blocks.append(Block(x + sx * 0.6, y, 0.12, 0.45, 0.4, (70, 70, 74)))
        town.blocks.append(Block(x, y + sy * 0.28, 1.8, 0.1, 0.5, (64, 100, 150), base=0.5))
        town.lamps.append((*town.place("park", u + 3, v - 0.3), 0.0))
    for u0, u1 in ((0.6, 17), (25, 40), (43, 60)):
        x, y = town.place("park", (u0 + u1) / 2, 0.7)
        town.blocks.append(Block(x, y, u1 - u0, 0.9, 0.8, (62, 112, 74), leafy=True))


def _parking(town: Town, rng: np.random.Generator) -> None:
    sy = town.quarters["parking"][1]
    for index in range(14):
        for row, facing in ((7.0, 1), (19.0, -1)):
            x, y = town.place("parking", 5.3 + 2.7 * index, row)
            town.bays.append(Bay(x, y, float(sy * facing * np.pi / 2), "parking"))
    loop = town.line(
        "parking",
        (-4.9, 60),
        (-4.9, 20),
        (-4.6, 16),
        (-2, 13.4),
        (3, 13.2),
        (38, 13.2),
        (43.5, 13.4),
        (45.5, 10),
        (45.5, -4.7),
        (45.5, -6),
    )
    town.ways.append(Way(loop, ("car", "van", "car"), "parking"))
    town.ways.append(Way(town.line("parking", (-3, 13), (20, 12.2), (42, 12.6)), ("person", "bicycle"), "parking", 1.6))
    town.ways.append(Way(town.line("parking", (1, 2.6), (20, 2.8), (42, 2.6)), ("person",), "parking", 1.2))
    town.ways.append(Way(town.line("parking", (12, -1), (12.4, 12), (13, 24)), ("person",), "parking", 1.6))
    for u in np.arange(3, 44, 8.5):
        for v in (1.5, 24.2):
            _tree(town, rng, *town.place("parking", float(u + rng.uniform(-1, 1)), v), 0.72)
    for u, v in ((14, 13.2 + 10.6), (32, 23.8), (22, 1.6)):
        town.lamps.append((*town.place("parking", u, v), 0.0))
    _row(town, rng, "parking", (0, 27.5, 46, 37), shop=True)
    _row(town, rng, "parking", (50, 0.2, 70, 10), shop=True)
    _row(town, rng, "parking", (0.2, 38, 9, 70), shop=False)
    x, y = town.place("parking", 24, 25.6)
    town.blocks.append(Block(x, y, 40, 0.8, 0.9, (60, 108, 72), leafy=True))


def _yard(town: Town, rng: np.random.Generator) -> None:
    _row(town, rng, "yard", (0.2, 0.2, 19, 9.5), shop=True)
    _row(town, rng, "yard", (28, 0.2, 70, 9.5), shop=True)
    _row(town, rng, "yard", (0.2, 11, 9, 70), shop=False)
    _row(town, rng, "yard", (12, 40, 46, 49), shop=False)
    _row(town, rng, "yard", (46, 12, 55, 40), shop=False)
    drive = town.line(
        "yard",
        (-50, -4.9),
        (10, -4.9),
        (18.5, -4.7),
        (21.6, -3),
        (22.4, 2),
        (22.4, 14),
        (22.8, 22),
        (26, 27),
        (36, 29),
        (60, 30),
    )
    town.ways.append(Way(drive, ("car", "van", "van", "bicycle"), "yard"))
    back = town.line(
        "yard", (60, 26), (34, 25), (28.6, 21), (25.4, 15), (25.2, 2), (25.6, -4), (29, -6.5), (34, -7), (70, -7.2)
    )
    town.ways.append(Way(back, ("car", "van", "bicycle"), "yard"))
    town.ways.append(Way(town.line("yard", (20.4, -2), (20.4, 14), (17, 22), (16, 36)), ("person",), "yard", 0.6))
    town.ways.append(
        Way(town.line("yard", (12, 17), (26, 18), (40, 33), (44, 37)), ("person", "person", "bicycle"), "yard", 2.0)
    )
    town.ways.append(Way(town.line("yard", (12, 33), (24, 32), (44, 16)), ("person",), "yard", 2.0))
    for index in range(5):
        x, y = town.place("yard", 18 + 3.2 * index, 37)
        town.bays.append(Bay(x, y, float(town.quarters["yard"][1] * np.pi / 2), "yard"))
        x, y = town.place("yard", 42.6, 17 + 3.1 * index)
        town.bays.append(Bay(x, y, 0.0 if town.quarters["yard"][0] > 0 else np.pi, "yard"))
    for u in (19.3, 27.7):
        x, y = town.place("yard", u, 10.2)
        town.blocks.append(Block(x, y, 0.8, 0.8, 3.5, (120, 140, 170)))
        town.blocks.append(Block(x, y, 1.0, 1.0, 0.16, (200, 205, 210), base=3.5))
    x, y = town.place("yard", 23.5, 10.2)
    town.blocks.append(Block(x, y, 9.4, 0.4, 0.55, (92, 116, 70), base=3.66))
    town.blocks.append(Block(x, y, 3.4, 0.5, 0.8, (214, 226, 232), base=3.54))
    x, y = town.place("yard", 23.9, 9.4)
    town.blocks.append(Block(x, y, 0.4, 0.4, 1.1, (60, 150, 230)))
    hut_x, hut_y = town.place("yard", 29.2, 12.6)
    town.blocks.append(Block(hut_x, hut_y, 2.2, 2.2, 2.4, (206, 214, 222)))
    town.blocks.append(Block(hut_x, hut_y, 2.7, 2.7, 0.18, (96, 104, 116), base=2.4))
    town.blocks.append(Block(hut_x, hut_y, 2.24, 2.24, 0.8, (120, 92, 70), base=1.1))
    for u, v in ((13, 20), (13, 27), (30, 36.4), (38, 15.5)):
        _tree(town, rng, *town.place("yard", u, v), 0.8)
        x, y = town.place("yard", u, v)
        town.blocks.append(Block(x, y, 1.8, 1.8, 0.45, (120, 132, 146)))
    for u, v in ((14, 12), (33, 14), (15, 38), (43.5, 34)):
        town.lamps.append((*town.place("yard", u, v), 0.0))
    for u, v in ((11.2, 23), (11.2, 24.4), (11.2, 30)):
        x, y = town.place("yard", u, v)
        town.blocks.append(Block(x, y, 0.9, 1.1, 1.2, (70, 104, 62)))


def _homes(town: Town, rng: np.random.Generator) -> None:
    _row(town, rng, "homes", (0.2, 0.2, 70, 9.5), shop=True)
    _row(town, rng, "homes", (0.2, 11, 9.5, 70), shop=False)
    for _ in range(14):
        u, v = rng.uniform(14, 66, 2)
        _tree(town, rng, *town.place("homes", float(u), float(v)), 1.1)
    for side in ("homes", "yard", "parking"):
        for u in np.arange(8, 66, 13.0):
            _tree(town, rng, *town.place(side, float(u), -1.9 - 0.35), 0.58)


def _dense(points: Floats) -> Floats:
    parts = [np.linspace(a, b, 24) for a, b in pairwise(points)]
    return np.concatenate(parts)
