"""Random towns, hours, cameras and moments, to train and to measure on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from town.camera import Camera, Floats, Light, daylight, dusk_light
from town.layout import REACH_M, Town, Way
from town.look import dress
from town.motion import circles, even, gap, in_view
from town.plan import plan_town
from town.scene import Pose

QUARTERS = ("park", "parking", "yard", "homes")


@dataclass(frozen=True, slots=True)
class Taste:
    """What random pictures show: the share of dusks, how far off anybody is, whether cameras look down the streets."""

    dusk_share: float = 0.36
    far_m: float = 50.0
    down_the_street: bool = False


NEAR = Taste()
FAR = Taste(dusk_share=0.65, far_m=110.0, down_the_street=True)
"""Long streets, mostly at dusk, with people as far off as they are still ten pixels high."""


def random_town(seed: int) -> Town:
    """A town with its quarters shuffled."""
    order = np.random.default_rng([17, seed]).permutation(4)
    names = [QUARTERS[int(i)] for i in order]
    return plan_town(seed, (names[0], names[1], names[2], names[3]))


def random_light(rng: np.random.Generator, taste: Taste = NEAR) -> Light:
    """A day or, as often as the taste asks for, a dusk."""
    azimuth, noise = float(rng.uniform(0, 360)), float(rng.uniform(0.8, 3.0))
    if rng.random() < taste.dusk_share:
        return dusk_light(azimuth, float(rng.uniform(0, 0.9)), noise)
    return daylight(azimuth, float(rng.uniform(28, 70)), float(rng.uniform(0, 1)), noise)


def random_camera(town: Town, rng: np.random.Generator, taste: Taste = NEAR) -> Camera:
    """A camera with a free view of a place where something moves."""
    ways = [w for w in town.ways if not taste.down_the_street or w.spot in ("street", "cross")]
    while True:
        way = ways[int(rng.integers(len(ways)))]
        path = even(way.points)
        aim = path[int(rng.integers(len(path)))]
        if abs(aim).max() > 48:
            continue
        turn, distance = rng.uniform(0, 2 * np.pi), rng.uniform(6, 30)
        if taste.down_the_street:
            along = path[-1] - path[0]
            turn = float(np.arctan2(along[1], along[0])) + np.pi * int(rng.integers(2)) + float(rng.normal(0, 0.22))
        height = float(rng.uniform(2.6, 5.0) if distance < 12 else rng.uniform(3.5, 12))
        position = np.array([aim[0] + np.cos(turn) * distance, aim[1] + np.sin(turn) * distance, height])
        if abs(position[:2]).max() < REACH_M - 6 and _free(town, position, np.array([*aim, 1.0])):
            return Camera(position, np.array([*aim, float(rng.uniform(0, 1.6))]), float(rng.uniform(44, 72)))


def _free(town: Town, position: Floats, aim: Floats) -> bool:
    line = position + np.linspace(0, 0.96, 26)[:, None] * (aim - position)
    for house in town.buildings:
        inside = (
            (line[:, 0] > house.x0 - 1)
            & (line[:, 0] < house.x1 + 1)
            & (line[:, 1] > house.y0 - 1)
            & (line[:, 1] < house.y1 + 1)
        )
        if (inside & (line[:, 2] < house.height + house.rise)).any():
            return False
    near = line[:16]
    return all(np.hypot(near[:, 0] - t.x, near[:, 1] - t.y).min() > t.radius + 0.6 for t in town.trees)


class Crowd:
    """Actors put down one by one, none inside another."""

    def __init__(self, rng: np.random.Generator) -> None:
        """Start with nobody; rng gives their looks."""
        self.poses: list[Pose] = []
        self._taken: list[Floats] = []
        self._rng = rng

    def add(self, kind: str, spot: Floats, heading: float, *, moving: bool) -> None:
        """Put somebody on spot (2,) metres unless somebody else is there."""
        look = dress(kind, int(self._rng.integers(1 << 30)))
        pose = Pose(len(self.poses) + 1, look, spot, heading, float(self._rng.uniform(0, 20)), moving)
        body = circles(pose)
        if all(gap(body, other) >= 0.05 for other in self._taken):
            self._taken.append(body)
            self.poses.append(pose)


def random_moment(town: Town, camera: Camera, rng: np.random.Generator, taste: Taste = NEAR) -> list[Pose]:
    """About three to seventeen actors in view, on the ways and in the bays they use, and a few where none would go."""
    wanted = int(rng.integers(3, 15))
    crowd = Crowd(rng)
    for bay in town.bays:
        if rng.random() < 0.5 and in_view(camera, np.array([[bay.x, bay.y]]), 0.1).all() and len(crowd.poses) < 9:
            kind = str(rng.choice(["car", "car", "van"]))
            turned = bay.heading + np.pi * int(rng.integers(2))
            crowd.add(kind, np.array([bay.x, bay.y]), turned, moving=False)
    paths = [(w, p[in_view(camera, p, 0.03, taste.far_m)]) for w in town.ways for p in [even(w.points)]]
    paths = [(w, p) for w, p in paths if len(p) > 8]
    for _ in range(wanted * 3):
        if len(crowd.poses) >= wanted + 3 or not paths:
            break
        way, path = paths[int(rng.integers(len(paths)))]
        _add_passer(crowd, way, path, rng, _weights(path, camera, taste))
    return crowd.poses


def _weights(path: Floats, camera: Camera, taste: Taste) -> Floats:
    """How likely each place (N,) of a way is: rather near the camera than far, less so where far is looked for."""
    distance = np.linalg.norm(path - camera.position[:2], axis=1)
    weight = 1 / ((30 if taste.down_the_street else 4) + distance)
    return np.asarray(weight / weight.sum())


def _add_passer(crowd: Crowd, way: Way, path: Floats, rng: np.random.Generator, weights: Floats) -> None:
    """Put somebody on a way, where the weights make it likely."""
    index = min(int(rng.choice(len(path), p=weights)), len(path) - 2)
    ahead = path[index + 1] - path[index]
    heading = float(np.arctan2(ahead[1], ahead[0])) + float(rng.normal(0, 0.12))
    kind = (
        str(rng.choice(way.kinds)) if rng.random() < 0.8 else str(rng.choice(["person", "bicycle", "bicycle", "van"]))
    )
    if way.width or rng.random() < 0.25:
        heading += np.pi * int(rng.integers(2))
    if kind == "person" and rng.random() < 0.25:
        heading = float(rng.uniform(0, 2 * np.pi))
    side = float(rng.normal(0, 0.9 if kind in ("person", "bicycle") else 0.25))
    spot = path[index] + np.array([-np.sin(heading), np.cos(heading)]) * side
    crowd.add(kind, spot, heading, moving=bool(rng.random() < 0.85))
