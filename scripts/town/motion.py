"""Who goes where in a recording: trips along the town's ways that meet their own beginning."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from town.camera import CANVAS_H, CANVAS_W, Camera, Floats
from town.layout import Bay, Town, Way
from town.look import Look, dress
from town.scene import Pose

STEP_M = 0.25
SPEEDS = {"street": 8.0, "cross": 6.0, "yard": 3.4, "parking": 3.4, "park": 3.4}
RADIUS = {"person": 0.42, "bicycle": 0.8, "car": 1.25, "van": 1.4}


@dataclass(frozen=True, slots=True)
class Trip:
    """A look on its way at a speed in metres a second, from start metres along it; speed 0 stands still."""

    look: Look
    path: Floats
    speed: float
    start: float
    heading: float = 0.0

    def poses(self, time_s: float, period_s: float, first_id: int) -> list[Pose]:
        """Where its copies are, one period apart on the way, so that a recording ends where it began."""
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
    """Place (2,) and heading in radians at metres along an even path, the heading taken over reach metres both ways."""

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


def in_view(camera: Camera, points: Floats, margin: float = 0.0, far_m: float = 50.0) -> NDArray[np.bool_]:
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


@dataclass(frozen=True, slots=True)
class Cast:
    """Whom a recording shall show: how many of each kind, in which parts of the town, and the seed they come from."""

    spots: tuple[str, ...]
    wanted: dict[str, int]
    seed: int


def cast_trips(town: Town, camera: Camera, cast: Cast, period_s: float) -> list[Trip]:
    """Trips past a camera that never run into each other, as many as are wanted if they fit; parked ones come first."""
    rng = np.random.default_rng([13, cast.seed])
    trips: list[Trip] = []
    taken: list[list[Floats]] = [[] for _ in _times(period_s)]
    for bay in town.bays:
        if bay.spot in cast.spots and rng.random() < 0.55:
            _keep(trips, taken, _parked(bay, rng), period_s)
    for kind, count in cast.wanted.items():
        ways = [w for w in town.ways if w.spot in cast.spots and kind in w.kinds]
        ways = [w for w in ways if in_view(camera, even(w.points)).sum() > 16]
        for _ in range(count if ways else 0):
            for _ in range(60):
                trip = _trip(ways[int(rng.integers(len(ways)))], kind, camera, period_s, rng)
                if trip is not None and _keep(trips, taken, trip, period_s):
                    break
    return trips


def _parked(bay: Bay, rng: np.random.Generator) -> Trip:
    look = dress(str(rng.choice(["car", "car", "car", "van"])), int(rng.integers(1 << 30)))
    return Trip(look, np.array([[bay.x, bay.y]]), 0.0, 0.0, bay.heading + np.pi * int(rng.integers(2)))


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
    mine = [[circles(p) for p in trip.poses(t, period_s, 0)] for t in _times(period_s)]
    for here, others in zip(mine, taken, strict=True):
        for body in here:
            for other in others:
                if gap(body, other) < (0.15 if min(body[0, 2], other[0, 2]) > 1 else -0.25):
                    return False
    for here, others in zip(mine, taken, strict=True):
        others.extend(here)
    trips.append(trip)
    return True


def gap(body: Floats, other: Floats) -> float:
    """Metres between two actors given as circles; negative where they overlap."""
    apart = np.linalg.norm(body[:, None, :2] - other[None, :, :2], axis=2)
    return float((apart - body[:, None, 2] - other[None, :, 2]).min())


def circles(pose: Pose) -> Floats:
    """Circles (N, 3) of x, y, radius that cover an actor."""
    radius, half = RADIUS[pose.look.kind], pose.look.length / 2
    reach = np.linspace(-1, 1, 3) * max(0.0, half - radius * 0.6)
    ahead = np.array([np.cos(pose.heading), np.sin(pose.heading)])
    return np.column_stack([pose.spot + reach[:, None] * ahead, np.full(3, radius)])
