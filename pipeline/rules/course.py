"""The course of an object around a moment: a straight line through where it was seen before and behind it.

Boxes tremble by half a pixel, and feet swing; who walks slowly, or almost along a line, needs a tenth of a second for
that. Of the samples at stride 5, the crossings of lines were off by 257 ms in 95 of 100 where they were drawn between
two detections, and by 167 ms on the course of 0.7 s to both sides; 0.2 s changed nothing, and neither did weights that
fall off with the distance in time (`scripts/bench_rules.py`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.clock import NS_PER_S
from pipeline.config.rules import Anchor
from pipeline.rules.geometry import anchor
from pipeline.rules.objects import Look

AROUND_S = 0.7
LEAST_LOOKS = 3
"""Through two there is a line already: that is what is drawn without a course."""


@dataclass(frozen=True, slots=True)
class Course:
    """Where an object was at a moment, px, and how it moved, px/s."""

    xy: tuple[float, float]
    speed_xy: tuple[float, float]

    def at(self, later_s: float) -> tuple[float, float]:
        """Where it was so much later; earlier where that is negative."""
        return self.xy[0] + later_s * self.speed_xy[0], self.xy[1] + later_s * self.speed_xy[1]


def course(looks: Sequence[Look], at_ns: int, on: Anchor) -> Course | None:
    """The course of a point of the box around a moment, by least squares; None where it was seen too seldom."""
    near = [look for look in looks if abs(look.at_ns - at_ns) <= AROUND_S * NS_PER_S]
    if len(near) < LEAST_LOOKS:
        return None
    times_s = [(look.at_ns - at_ns) / NS_PER_S for look in near]
    points = [anchor(look.xyxy, on) for look in near]
    mean_s = math.fsum(times_s) / len(near)
    spread = math.fsum((one - mean_s) ** 2 for one in times_s)
    if spread <= 0:
        return None
    (x, speed_x), (y, speed_y) = (_line(times_s, [point[axis] for point in points], mean_s, spread) for axis in (0, 1))
    return Course((x, y), (speed_x, speed_y))


def _line(times_s: Sequence[float], values: Sequence[float], mean_s: float, spread: float) -> tuple[float, float]:
    """The value at 0 s and how fast it changes."""
    mean = math.fsum(values) / len(values)
    slope = math.fsum((t - mean_s) * (value - mean) for t, value in zip(times_s, values, strict=True)) / spread
    return mean - slope * mean_s, slope
