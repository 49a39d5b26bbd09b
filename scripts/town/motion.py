"""Who goes where: looping traffic for a recording, and random moments for training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from town.actors import Look, dress
from town.camera import CANVAS_H, CANVAS_W, Camera, Floats, Light, daylight, dusk_light
from town.layout import REACH_M, Town, Way, plan_town
from town.scene import Pose

STEP_M = 0.25
SPEEDS = {"street": 8.0, "cross": 6.0, "yard": 3.4, "parking": 3.4, "park": 3.4}
RADIUS = {"person": 0.42, "bicycle": 0.8, "car": 1.25, "van": 1.4}
QUARTERS = ("park", "parking", "yard", "homes")


@dataclass(frozen=True, slots=True)
class Trip:
    """One look following one way at a speed in metres a second, from start metres; speed 0 stands still."""

    look: Look
    path: Floats
    speed: float
    start: float
    heading: float = 0.0

    def poses(self, time_s: float, period_s: float, first_id: int) -> list[Pose]:
        """Where its copies are. A copy follows one period behind another, so that the end of a recording meets its start."""
        if self.speed == 0:
            return [Pose(first_id, self.look, self.path[0], self.heading, 0.0, moving=False)]
        length = STEP_M * (len(self.path) - 1)
        found = []
        for copy in range(self.copies(period_s)):
            at = self.start + self.speed * (time_s + copy * period_s)
            if 0 <= at <= length:
                spot, heading = follow(self.path, at, 1.2 if self.look.kind in ("car", "van") else 0.7)
                found.append(Pose(first_id + copy, self.look, spot, heading, at, moving=True))
        return found

    def copies(self, period_s: float) -> int:
        """How many copies the way is long enough for."""
        if self.speed == 0:
            return 1
        return int(STEP_M * len(self.path) / (self.speed * period_s)) + 2


def follow(path: Floats, at: float, reach: float) -> tuple[Floats, float]:
    """Place (2,) and heading in radians at metres along an even path, the heading averaged over reach metres both ways."""

    def point(metres: float) -> Floats:
        index = min(max(metres / STEP_M, 0.0), len(path) - 1.001)
        low = int(index)
        return np.asarray(path[low] + (path[low + 1] - path[low]) * (index - low))

    ahead = point(at + reach) - point(at - reach)
    return point(at), float(np.arctan2(ahead[1], ahead[0]))


def even(points: Floats, offset: float = 0.0) -> Floats:
    """A polyline with rounded corners as points (N, 2) every STEP_M, moved offset metres to its left."""
    for _ in range(3):
        a, b = points[:-1], points[1:]
        inner = np.stack([a * 0.75 + b * 0.25, a * 0.25 + b * 0.75], axis=1).reshape(-1, 2)
        points = np.concatenate([points[:1], inner[1:-1], points[-1:]])
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    along = np.concatenate([[0], np.cumsum(steps)])
    at = np.arange(0, along[-1], STEP_M)
    path = np.stack([np.interp(at, along, points[:, 0]), np.interp(at, along, points[:, 1])], axis=1)
    turn = np.gradient(path, axis=0)
    turn /= np.linalg.norm(turn, axis=1)[:, None] + 1e-9
    return path + np.stack([-turn[:, 1], turn[:, 0]], axis=1) * offset


def in_view(
    camera: Camera, points: Floats, margin: float = 0.0, far_m: float = 50.0
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which ground points (N, 2) lie in the picture, widened by a share of it, nearer than far_m."""
    solid = np.column_stack([points, np.full(len(points), 0.8)])
    pixels, _ = camera.project(solid)
    depth = camera.to_camera(solid)[:, 2]
    wide, tall = CANVAS_W * margin, CANVAS_H * margin
    inside = (
        (pixels[:, 0] > -wide)
        & (pixels[:, 0] < CANVAS_W + wide)
        & (pixels[:, 1] > -tall)
        & (pixels[:, 1] < CANVAS_H + tall)
    )
    return np.asarray(inside & (depth > 2.0) & (depth < far_m))


def cast_trips(
    town: Town, camera: Camera, spots: tuple[str, ...], wanted: dict[str, int], period_s: float, seed: int
) -> list[Trip]:
    """Trips past a camera that never run into each other, in the spots named; as many of each kind as wanted, if they fit."""
    rng = np.random.default_rng([13, seed])
    trips: list[Trip] = []
    taken: list[list[Floats]] = [[] for _ in _times(period_s)]
    for bay in town.bays:
        if bay.spot in spots and rng.random() < 0.55:
            _keep(
                trips,
                taken,
                Trip(
                    dress(str(rng.choice(["car", "car", "car", "van"])), int(rng.integers(1 << 30))),
                    np.array([[bay.x, bay.y]]),
                    0.0,
                    0.0,
                    bay.heading + np.pi * rng.integers(2),
                ),
                period_s,
            )
    for kind, count in wanted.items():
        ways = [
            w for w in town.ways if w.spot in spots and kind in w.kinds and in_view(camera, even(w.points)).sum() > 16
        ]
        for number in range(count):
            for _ in range(60):
                trip = _trip(ways[int(rng.integers(len(ways)))], kind, camera, period_s, rng) if ways else None
                if trip is not None and _keep(trips, taken, trip, period_s):
                    break
    return trips


def _trip(way: Way, kind: str, camera: Camera, period_s: float, rng: np.random.Generator) -> Trip | None:
    offset = float(rng.uniform(-way.width / 2, way.width / 2)) if kind == "person" else 0.0
    if kind == "bicycle":
        offset = -1.0 if way.width == 0 and way.spot in ("street", "cross") else float(rng.uniform(-0.4, 0.4))
    points = way.points[::-1] if way.width and rng.random() < 0.5 else way.points
    path = even(points, offset)
    seen = np.flatnonzero(in_view(camera, path, 0.25, 90.0))
    if not seen.size:
        return None
    pad = 26 if kind in ("car", "van") else 8
    path = path[max(0, int(seen[0]) - pad) : int(seen[-1]) + pad]
    speed = SPEEDS[way.spot]
    if kind == "person":
        speed = float(rng.uniform(1.15, 1.6))
    elif kind == "bicycle":
        speed = float(rng.uniform(3.2, 4.4))
    look = dress(kind, int(rng.integers(1 << 30)))
    return Trip(look, path, speed, -float(rng.uniform(0, speed * period_s)))


def _times(period_s: float) -> Floats:
    return np.arange(0, period_s, 0.4)


def _keep(trips: list[Trip], taken: list[list[Floats]], trip: Trip, period_s: float) -> bool:
    """Add a trip unless it comes too near another at any moment."""
    mine = [[_circles(p) for p in trip.poses(t, period_s, 0)] for t in _times(period_s)]
    for here, others in zip(mine, taken, strict=True):
        for body in here:
            for other in others:
                gap = (
                    np.linalg.norm(body[:, None, :2] - other[None, :, :2], axis=2)
                    - body[:, None, 2]
                    - other[None, :, 2]
                )
                if gap.min() < (0.15 if min(body[0, 2], other[0, 2]) > 1 else -0.25):
                    return False
    for here, others in zip(mine, taken, strict=True):
        others.extend(here)
    trips.append(trip)
    return True


def _circles(pose: Pose) -> Floats:
    """Circles (N, 3) of x, y, radius that cover an actor."""
    radius, half = RADIUS[pose.look.kind], pose.look.length / 2
    reach = np.linspace(-1, 1, 3) * max(0.0, half - radius * 0.6)
    ahead = np.array([np.cos(pose.heading), np.sin(pose.heading)])
    return np.column_stack([pose.spot + reach[:, None] * ahead, np.full(3, radius)])


def random_town(seed: int) -> Town:
    """A town with its quarters shuffled."""
    order = np.random.default_rng([17, seed]).permutation(4)
    names = [QUARTERS[int(i)] for i in order]
    return plan_town(seed, (names[0], names[1], names[2], names[3]))


def random_light(rng: np.random.Generator) -> Light:
    """A day or, one time in three, a dusk."""
    azimuth, noise = float(rng.uniform(0, 360)), float(rng.uniform(0.8, 3.0))
    if rng.random() < 0.36:
        return dusk_light(azimuth, float(rng.uniform(0, 0.9)), noise)
    return daylight(azimuth, float(rng.uniform(28, 70)), float(rng.uniform(0, 1)), noise)


def random_camera(town: Town, rng: np.random.Generator) -> Camera:
    """A camera with a free view of a place where something moves."""
    while True:
        way = town.ways[int(rng.integers(len(town.ways)))]
        path = even(way.points)
        aim = path[int(rng.integers(len(path)))]
        if abs(aim).max() > 48:
            continue
        turn, distance = rng.uniform(0, 2 * np.pi), rng.uniform(6, 30)
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


def random_moment(town: Town, camera: Camera, rng: np.random.Generator) -> list[Pose]:
    """Three to fourteen actors in view, on the ways and in the bays they would use, a few anywhere."""
    wanted = int(rng.integers(3, 15))
    poses: list[Pose] = []
    taken: list[Floats] = []
    for bay in town.bays:
        if rng.random() < 0.5 and in_view(camera, np.array([[bay.x, bay.y]]), 0.1).all() and len(poses) < 9:
            kind = str(rng.choice(["car", "car", "van"]))
            _put(poses, taken, kind, np.array([bay.x, bay.y]), bay.heading + np.pi * int(rng.integers(2)), False, rng)
    paths = [(w, p[in_view(camera, p, 0.03)]) for w in town.ways for p in [even(w.points)]]
    paths = [(w, p) for w, p in paths if len(p) > 8]
    for _ in range(wanted * 3):
        if len(poses) >= wanted + 3 or not paths:
            break
        way, path = paths[int(rng.integers(len(paths)))]
        near = np.linalg.norm(path - camera.position[:2], axis=1)
        weight = 1 / (4 + near)
        index = min(int(rng.choice(len(path), p=weight / weight.sum())), len(path) - 2)
        ahead = path[index + 1] - path[index]
        heading = float(np.arctan2(ahead[1], ahead[0])) + float(rng.normal(0, 0.12))
        kind = (
            str(rng.choice(way.kinds))
            if rng.random() < 0.8
            else str(rng.choice(["person", "bicycle", "bicycle", "van"]))
        )
        if way.width or rng.random() < 0.25:
            heading += np.pi * int(rng.integers(2))
        if kind == "person" and rng.random() < 0.25:
            heading = float(rng.uniform(0, 2 * np.pi))
        side = float(rng.normal(0, 0.9 if kind in ("person", "bicycle") else 0.25))
        spot = path[index] + np.array([-np.sin(heading), np.cos(heading)]) * side
        _put(poses, taken, kind, spot, heading, rng.random() < 0.85, rng)
    return poses


def _put(
    poses: list[Pose], taken: list[Floats], kind: str, spot: Floats, heading: float, moving: bool, rng: np.random.Generator
) -> None:  # fmt: skip
    pose = Pose(
        len(poses) + 1, dress(kind, int(rng.integers(1 << 30))), spot, heading, float(rng.uniform(0, 20)), moving
    )
    body = _circles(pose)
    for other in taken:
        gap = np.linalg.norm(body[:, None, :2] - other[None, :, :2], axis=2) - body[:, None, 2] - other[None, :, 2]
        if gap.min() < 0.05:
            return
    taken.append(body)
    poses.append(pose)
