"""A line, and who crosses it in which direction, when.

Boxes tremble, and an object that stands on a line would cross it again and again. So it is on a side when it is clear
of the line by a margin, or when it has stayed there for a while; what it did in between counts as one crossing, or as
none. When it crossed is drawn between the two detections on either side of the line.

An object is first seen some detections after it came, and may have crossed a line meanwhile: where it comes from is
known when it has been seen moving, and if it is across the line within the time that a tracker takes to be sure, it
has crossed it.
"""

from __future__ import annotations

import math

import msgspec

from pipeline.clock import NS_PER_S
from pipeline.config.rules import Anchor
from pipeline.rules.course import course
from pipeline.rules.geometry import Barrier, anchor
from pipeline.rules.objects import Look, Seen

MARGIN = 0.05
"""Of its height, that an object must be clear of a line."""
LEAST_MARGIN_PX = 2.0
STAYS_S = 0.5
"""Or so long beyond it, however close."""
LATER_S = 0.5
"""An object's course may tell another moment than its two detections do, by no more."""
BACK_S = 0.4
"""How long an object may have been there before it was first seen."""
BACK_LOOKS_S = 0.2
"""How long it must have been seen moving before it is known where it comes from."""


class Crossing(msgspec.Struct, frozen=True):
    """An object crossed a line.

    Attributes:
        at_ns: When.
        error_ms: One standard deviation of that.
        inwards: From the line's left to its right.
    """

    at_ns: int
    error_ms: float
    inwards: bool


class Side(msgspec.Struct):
    """On which side of a line an object is; what can be kept on disk as it is.

    Attributes:
        side: -1 left, 1 right; for certain.
        traced: Whether it has been looked at where it comes from.
        over_ns: Since which detection it is on the other side, perhaps only for a moment; 0 while it is not.
        over: That it has crossed the line meanwhile, and not gone round its end.
        count: How often it crossed.
    """

    side: int
    traced: bool
    over_ns: int = 0
    over: Crossing | None = None
    count: int = 0

    def rests(self, distance_px: float) -> bool:
        """Whether there is nothing to be looked at: it is where it was."""
        return self.traced and not self.over_ns and distance_px * self.side > 0

    def update(self, seen: Seen, before: Look, look: Look, barrier: Barrier, on: Anchor) -> Crossing | None:
        """The crossing that is certain now.

        Args:
            seen: The object.
            before: Where it was seen before.
            look: Where it is now.
            barrier: The line.
            on: Which point of the box is looked at.
        """
        traced = self._trace(seen, look, barrier, on)
        distance_px = barrier.side_px(anchor(look.xyxy, on))
        if distance_px * self.side >= 0:
            self.over_ns, self.over = 0, None
            return traced
        if not self.over_ns:
            self.over_ns, self.over = look.at_ns, _crossing(before, look, barrier, on)
        margin_px = max(LEAST_MARGIN_PX, MARGIN * look.height_px)
        if abs(distance_px) < margin_px and look.at_ns - self.over_ns < STAYS_S * NS_PER_S:
            return traced
        done, self.side, self.over_ns, self.over = self.over, -self.side, 0, None
        self.count += done is not None
        return _on_course(done, seen, barrier, on) if done and look is seen.last else done or traced

    def _trace(self, seen: Seen, look: Look, barrier: Barrier, on: Anchor) -> Crossing | None:
        """The crossing that an object must have made just before it was first seen, once it is known how it moves."""
        took_s = (look.at_ns - seen.first.at_ns) / NS_PER_S
        if self.traced or not seen.appeared or took_s < BACK_LOOKS_S:
            return None
        self.traced = True
        first, now = anchor(seen.first.xyxy, on), anchor(look.xyxy, on)
        back = (first[0] - (now[0] - first[0]) / took_s * BACK_S, first[1] - (now[1] - first[1]) / took_s * BACK_S)
        if self.count or not barrier.meets((back, first)):
            return None
        before_px, first_px = barrier.side_px(back), barrier.side_px(first)
        if before_px * first_px >= 0:
            return None
        share = abs(first_px) / (abs(first_px) + abs(before_px))
        at_ns = seen.first.at_ns - round(share * BACK_S * NS_PER_S)
        self.count += 1
        way_px = abs(first_px) + abs(before_px)
        return Crossing(at_ns, error_ms(BACK_S * NS_PER_S, way_px, 2 * look.error_px), first_px > 0)


def _crossing(before: Look, look: Look, barrier: Barrier, on: Anchor) -> Crossing | None:
    """The crossing between two detections; None if the way passes the line's end."""
    path = anchor(before.xyxy, on), anchor(look.xyxy, on)
    if not barrier.meets(path):
        return None
    before_px, now_px = barrier.side_px(path[0]), barrier.side_px(path[1])
    way_px, took_ns = abs(before_px) + abs(now_px), look.at_ns - before.at_ns
    at_ns = before.at_ns + (round(took_ns * abs(before_px) / way_px) if way_px > 0 else took_ns)
    return Crossing(at_ns, error_ms(took_ns, way_px, look.error_px), now_px > 0)


def _on_course(crossing: Crossing, seen: Seen, barrier: Barrier, on: Anchor) -> Crossing:
    """The same crossing, when the object's course around it crosses the line; as it was where there is none."""
    found = course(seen.path, crossing.at_ns, on)
    if found is None:
        return crossing
    now_px = barrier.side_px(found.xy)
    speed_px_s = barrier.side_px(found.at(1.0)) - now_px
    if (speed_px_s > 0) != crossing.inwards or abs(now_px) > abs(speed_px_s) * LATER_S:
        return crossing
    later_ns = round(-now_px / speed_px_s * NS_PER_S)
    return Crossing(
        crossing.at_ns + later_ns, slow_error_ms(crossing.error_ms, speed_px_s, seen.last.error_px), crossing.inwards
    )


def slow_error_ms(pair_ms: float, speed_px_s: float, error_px: float) -> float:
    """How certain the time is of who crosses slowly: the box's error as time, however far apart detections are."""
    return min(1000 * LATER_S, max(pair_ms, 1000 * error_px / max(abs(speed_px_s), 1e-6)))


def error_ms(took_ns: float, way_px: float, error_px: float) -> float:
    """How certain the time of a crossing is: the box's error as time, and what a change of speed between may do."""
    took_ms = took_ns / 1e6
    by_place = took_ms * error_px / way_px if way_px > 0 else took_ms
    return min(took_ms, math.hypot(by_place, took_ms / 12))
