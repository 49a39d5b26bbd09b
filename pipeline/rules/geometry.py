"""Zones and lines of one camera in pixels of its picture. Shapely (GEOS) does the geometry; only this file knows it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import shapely
from numpy.typing import NDArray

from pipeline.config.rules import Anchor, Line, Point, Rule, Rules, Zone, are_shares
from pipeline.errors import RuleError
from pipeline.geometry import WidthHeight

Points = NDArray[np.float64]
"""(N, 2) float64, x and y in pixels of the source picture."""

_ACROSS = {"bottom": (0.5, 0.5, 0.0, 1.0), "center": (0.5, 0.5, 0.5, 0.5), "top": (0.5, 0.5, 1.0, 0.0)}
_ACROSS |= {"left": (1.0, 0.0, 0.5, 0.5), "right": (0.0, 1.0, 0.5, 0.5)}
"""Shares of left and right that make x, and of top and bottom that make y."""

_MADE_OF = {on: np.array([[a, 0], [0, c], [b, 0], [0, d]]) for on, (a, b, c, d) in _ACROSS.items()}
"""(4, 2) float64: the same, to multiply boxes by."""


def anchor(xyxy: tuple[float, float, float, float], on: Anchor) -> tuple[float, float]:
    """The point of a box that is looked at, px."""
    from_left, from_right, from_top, from_bottom = _ACROSS[on]
    left, top, right, bottom = xyxy
    return from_left * left + from_right * right, from_top * top + from_bottom * bottom


def anchors(boxes: NDArray[np.float64], on: Anchor) -> Points:
    """The same of (N, 4) boxes."""
    points: Points = boxes @ _MADE_OF[on]
    return points


@dataclass(frozen=True, slots=True)
class Area:
    """A zone in pixels; its corners in turn, the first at the end again."""

    polygon: shapely.Polygon
    corners: tuple[tuple[float, float], ...]

    @classmethod
    def of(cls, zone: Zone, picture_wh: WidthHeight) -> Area:
        """The zone in pictures of this size."""
        polygon = shapely.Polygon(_in_px(zone.polygon, picture_wh))
        shapely.prepare(polygon)
        return cls(polygon, tuple((float(x), float(y)) for x, y in polygon.exterior.coords))

    def distance_px(self, point: tuple[float, float]) -> float:
        """How far a point is from the zone's edge, inside or outside.

        By hand: GEOS has to be given a new point for it, which takes three times as long for four corners.
        """
        return min(_from_edge_px(point, first, second) for first, second in pairwise(self.corners))

    def crossed_at(self, path: Sequence[tuple[float, float]]) -> float:
        """Where a path from one side to the other crosses the edge for the last time, as a share of its length."""
        return max([share for share, _ in self._crossings(path)], default=1.0)

    def passes(self, path: Sequence[tuple[float, float]]) -> tuple[float, float] | None:
        """The same of a path of which it is not known whether it does; None if it ends on the side where it began.

        Returns:
            Where, as a share of its length; and how much of its way leads away from the edge, 0 along it to 1.
        """
        found = self._crossings(path)
        return max(found) if len(found) % 2 else None

    def _crossings(self, path: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
        """Every crossing: its share of the path, and the sine of its angle.

        By hand: GEOS takes 80 µs to intersect two lines, and tells no shares.
        """
        (x, y), (to_x, to_y) = path
        found: list[tuple[float, float]] = []
        for (x1, y1), (x2, y2) in pairwise(self.corners):
            edge_x, edge_y = x2 - x1, y2 - y1
            before = edge_x * (y - y1) - edge_y * (x - x1)
            behind = edge_x * (to_y - y1) - edge_y * (to_x - x1)
            if before == behind or (before > 0) == (behind > 0):
                continue
            first = (to_x - x) * (y1 - y) - (to_y - y) * (x1 - x)
            second = (to_x - x) * (y2 - y) - (to_y - y) * (x2 - x)
            if (first > 0) != (second > 0):
                long = math.hypot(edge_x, edge_y) * math.hypot(to_x - x, to_y - y)
                found.append((before / (before - behind), abs(behind - before) / long))
        return found


@dataclass(frozen=True, slots=True)
class Barrier:
    """A line in pixels."""

    first: tuple[float, float]
    second: tuple[float, float]

    @classmethod
    def of(cls, line: Line, picture_wh: WidthHeight) -> Barrier:
        """The line in pictures of this size."""
        first, second = _in_px(line.points, picture_wh)
        return cls(first, second)

    def side_px(self, point: tuple[float, float]) -> float:
        """How far a point is from the line drawn on without end, negative on its left.

        Left as seen from the first end towards the second, in a picture whose y grows downwards.
        """
        return float(_sides_px(np.array([(*self.first, *self.second)]), np.array([point]))[0, 0])

    def meets(self, path: Sequence[tuple[float, float]]) -> bool:
        """Whether a path meets the line between its ends."""
        return bool(shapely.intersects(shapely.LineString(path), shapely.LineString([self.first, self.second])))


@dataclass(frozen=True, slots=True)
class Places:
    """Zones and lines of a camera, by name.

    One call for all that look at the same point of a box costs no more than a call for one.

    Attributes:
        areas: Zones.
        barriers: Lines.
        zones: Those that look at the same point of a box: which point, their names, (Z, 1) polygons.
        lines: Likewise: which point, their names, (L, 4) float64 ends.
    """

    areas: dict[str, Area]
    barriers: dict[str, Barrier]
    zones: tuple[tuple[Anchor, list[str], NDArray[np.object_]], ...]
    lines: tuple[tuple[Anchor, list[str], NDArray[np.float64]], ...]

    @classmethod
    def of(cls, rules: Rules, picture_wh: WidthHeight) -> Places:
        """Those of a camera whose pictures have this size.

        Raises:
            RuleError: One lies outside such a picture; the message names it.
        """
        for name, zone in rules.zones.items():
            _require_inside(name, zone.polygon, picture_wh)
        for name, line in rules.lines.items():
            _require_inside(name, line.points, picture_wh)
        areas = {name: Area.of(zone, picture_wh) for name, zone in rules.zones.items()}
        barriers = {name: Barrier.of(line, picture_wh) for name, line in rules.lines.items()}
        return cls(
            areas,
            barriers,
            tuple((on, names, np.array([[areas[n].polygon] for n in names])) for on, names in _alike(rules.zones)),
            tuple(
                (on, names, np.array([(*barriers[n].first, *barriers[n].second) for n in names], np.float64))
                for on, names in _alike(rules.lines)
            ),
        )

    def inside(self, points: Callable[[Anchor], Points]) -> dict[str, list[bool]]:
        """Of each zone, whether each of N boxes is inside.

        Args:
            points: Gives (N, 2) points of the boxes.
        """
        found: dict[str, list[bool]] = {}
        for on, names, polygons in self.zones:
            at = points(on)
            found |= zip(names, shapely.intersects_xy(polygons, at[:, 0], at[:, 1]).tolist(), strict=True)
        return found

    def sides_px(self, points: Callable[[Anchor], Points]) -> dict[str, list[float]]:
        """Of each line, how far each of N boxes is from it, see `Barrier.side_px`; arguments as for `inside`."""
        found: dict[str, list[float]] = {}
        for on, names, ends in self.lines:
            found |= zip(names, _sides_px(ends, points(on)).tolist(), strict=True)
        return found


def _alike(rules: Mapping[str, Rule]) -> list[tuple[Anchor, list[str]]]:
    """The names of rules by the point of a box that they look at."""
    groups: dict[Anchor, list[str]] = {}
    for name, rule in rules.items():
        groups.setdefault(rule.on, []).append(name)
    return list(groups.items())


def _from_edge_px(point: tuple[float, float], first: tuple[float, float], second: tuple[float, float]) -> float:
    """How far a point is from an edge between its two ends."""
    along_x, along_y = second[0] - first[0], second[1] - first[1]
    x, y = point[0] - first[0], point[1] - first[1]
    squared = along_x * along_x + along_y * along_y
    share = min(1.0, max(0.0, (x * along_x + y * along_y) / squared)) if squared else 0.0
    return math.hypot(x - share * along_x, y - share * along_y)


def _sides_px(ends: NDArray[np.float64], points: Points) -> NDArray[np.float64]:
    """(L, N) float64: distances of points from lines, negative on their left; (L, 4) ends."""
    x, y, along_x, along_y = ends[:, :1], ends[:, 1:2], ends[:, 2:3] - ends[:, :1], ends[:, 3:] - ends[:, 1:2]
    across: NDArray[np.float64] = along_x * (points[:, 1] - y) - along_y * (points[:, 0] - x)
    return across / np.hypot(along_x, along_y)


def _require_inside(name: str, points: Sequence[Point], picture_wh: WidthHeight) -> None:
    wide, high = picture_wh
    beyond = [point for point in points if not are_shares(points) and (point[0] > wide or point[1] > high)]
    if beyond:
        x, y = beyond[0]
        raise RuleError(
            f"{name}: [{x:g}, {y:g}] is outside the camera's picture, which is {wide}x{high}; shares of it, 0 to 1, "
            "fit pictures of every size"
        )


def _in_px(points: Sequence[Point], picture_wh: WidthHeight) -> list[tuple[float, float]]:
    wide, high = picture_wh if are_shares(points) else (1, 1)
    return [(float(x) * wide, float(y) * high) for x, y in points]
