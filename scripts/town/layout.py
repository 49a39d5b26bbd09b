"""What a town consists of: streets, quarters, houses, trees, lamps and the ways its people take."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from town.camera import Floats

REACH_M = 80.0
"""The town is the square from -REACH_M to REACH_M."""
PAVEMENT_M = 3.2


@dataclass(frozen=True, slots=True)
class Building:
    """A house: footprint, wall height and roof rise (0 is flat) in metres, BGR colours, a texture seed."""

    x0: float
    y0: float
    x1: float
    y1: float
    height: float
    rise: float
    wall: tuple[int, int, int]
    roof: tuple[int, int, int]
    seed: int
    shop: bool


@dataclass(frozen=True, slots=True)
class Block:
    """A plain box such as a hedge, bench, bin or pillar: centre, sizes and height in metres, BGR colour."""

    x: float
    y: float
    length: float
    width: float
    height: float
    colour: tuple[int, int, int]
    base: float = 0.0
    leafy: bool = False


@dataclass(frozen=True, slots=True)
class Tree:
    """A tree: place, crown radius and total height in metres, and a seed."""

    x: float
    y: float
    radius: float
    height: float
    seed: int


@dataclass(frozen=True, slots=True)
class Way:
    """A polyline (N, 2) that some kinds of actor follow, and how wide they spread; spot is the part of the town."""

    points: Floats
    kinds: tuple[str, ...]
    spot: str
    width: float = 0.0


@dataclass(frozen=True, slots=True)
class Bay:
    """A parking bay: centre and heading in radians."""

    x: float
    y: float
    heading: float
    spot: str


@dataclass(slots=True)
class Town:
    """Everything that stands still, and the ways of what moves."""

    cx: float
    cy: float
    half_main: float
    half_cross: float
    quarters: dict[str, tuple[int, int]]
    buildings: list[Building] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    trees: list[Tree] = field(default_factory=list)
    lamps: list[tuple[float, float, float]] = field(default_factory=list)
    ways: list[Way] = field(default_factory=list)
    bays: list[Bay] = field(default_factory=list)
    zebras: list[tuple[float, float, bool]] = field(default_factory=list)
    seed: int = 0

    def place(self, quarter: str, u: float, v: float) -> tuple[float, float]:
        """World x, y of a point u metres along the main street and v metres away from it, in a quarter."""
        sx, sy = self.quarters[quarter]
        return self.cx + sx * (self.half_cross + PAVEMENT_M + u), self.cy + sy * (self.half_main + PAVEMENT_M + v)

    def span(self, quarter: str, u0: float, v0: float, u1: float, v1: float) -> tuple[float, float, float, float]:
        """World x0, y0, x1, y1 of a rectangle given in a quarter's own coordinates."""
        ax, ay = self.place(quarter, u0, v0)
        bx, by = self.place(quarter, u1, v1)
        return min(ax, bx), min(ay, by), max(ax, bx), max(ay, by)

    def line(self, quarter: str, *points: tuple[float, float]) -> Floats:
        """World polyline (N, 2) of points given in a quarter's own coordinates."""
        return np.array([self.place(quarter, u, v) for u, v in points])
