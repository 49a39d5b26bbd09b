"""When a camera's pictures were taken, by its own time stamps as far as they can be believed.

The problem: stamps are the only evenly spaced times there are, and cameras get them wrong. Several pictures share one;
a single one is hours off; a clock counts in ms where 90 kHz was promised; and where a stream carries none, demuxers
make them up from a guessed frame rate, so that a camera of two pictures a second seems to send twenty-five.

The policy: a stamp is believed if it neither steps back nor runs further ahead than the time that passed allows. One
that does is not believed until the next one confirms it; meanwhile the picture gets a time between its neighbours. A
clock that runs more than three times too fast or too slow for four seconds is not believed any more, nor are stamps
that a demuxer made up: then a picture's time is that of its arrival. Pure arithmetic.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import msgspec

from pipeline.camera.session import BACKWARDS_S
from pipeline.clock import NS_PER_S

WINDOW_S = 2.0
"""Of arrival, over which a clock's speed is taken; it must be impossible twice in a row in the same direction."""
WRONG_SPEED = 3.0
MOST_ODD = 50
"""So many in a row that fit neither each other nor those before, and the clock is not believed."""


class Placed(msgspec.Struct, frozen=True, gc=False):
    """The time of a picture.

    Attributes:
        pts_s: On the stream's own time scale, s.
        believed: It is the camera's own stamp.
    """

    pts_s: float
    believed: bool


@dataclass(slots=True)
class _Point:
    stamp_s: float
    arrived_ns: int


class StreamTime:
    """Places the pictures of one connection. Not thread-safe.

    Example:
        >>> time = StreamTime(max_gap_s=5.0)
        >>> stamps_s = (9, 9.5, 7000, 10.5)
        >>> [time.place(stamp_s, number * 500_000_000).pts_s for number, stamp_s in enumerate(stamps_s)]
        [9, 9.5, 10.0, 10.5]
    """

    def __init__(self, max_gap_s: float, *, believed: bool = True) -> None:
        """Nothing is known yet.

        Args:
            max_gap_s: How far a stamp may run ahead of the time that passed, s.
            believed: Whether there are stamps at all, other than those a demuxer makes up.
        """
        self._max_gap_s, self._believed = max_gap_s, believed
        self._last: _Point | None = None
        self._odd: _Point | None = None
        self._placed: Placed | None = None
        self._placed_ns = 0
        self._odd_ones = 0
        self._usual_step_s = math.inf
        self._window: _Point | None = None
        self._wrong = ""

    @property
    def believed(self) -> bool:
        """Whether the camera's stamps count."""
        return self._believed

    def place(self, stamp_s: float | None, arrived_ns: int) -> Placed:
        """The time of the next picture.

        Args:
            stamp_s: Its time stamp, s; None where it has none.
            arrived_ns: Monotonic time it came.
        """
        own = stamp_s if self._believed else None
        placed = self._placed = self._own(own, arrived_ns) if own is not None else self._by_arrival(arrived_ns)
        self._placed_ns = arrived_ns
        return placed

    def _own(self, stamp_s: float, arrived_ns: int) -> Placed:
        now, last, odd = _Point(stamp_s, arrived_ns), self._last, self._odd
        if last is not None and stamp_s == last.stamp_s:
            self._judge_speed(now)
            return self._by_arrival(arrived_ns, self._usual_step_s / 2)
        if last is not None and not self._follows(last, now):
            self._odd, self._odd_ones = now, self._odd_ones + 1
            if odd is None or stamp_s == odd.stamp_s or not self._follows(odd, now):
                self._believed = self._odd_ones < MOST_ODD
                return self._by_arrival(arrived_ns, self._usual_step_s)
            self._window = None
        elif last is not None and stamp_s > last.stamp_s:
            self._usual_step_s = stamp_s - last.stamp_s
        self._judge_speed(now)
        self._last, self._odd, self._odd_ones = now, None, 0
        return Placed(stamp_s, believed=True)

    def _follows(self, before: _Point, now: _Point) -> bool:
        passed_s = (now.arrived_ns - before.arrived_ns) / NS_PER_S
        return -BACKWARDS_S <= now.stamp_s - before.stamp_s <= passed_s + self._max_gap_s

    def _by_arrival(self, arrived_ns: int, most_s: float = math.inf) -> Placed:
        """So long after the picture before as it came after it, but not longer than `most_s`."""
        if self._placed is None:
            return Placed(0.0, believed=False)
        passed_s = (arrived_ns - self._placed_ns) / NS_PER_S
        return Placed(self._placed.pts_s + min(passed_s, most_s), believed=False)

    def _judge_speed(self, now: _Point) -> None:
        """A clock that is wrong stays so; a pause seems slow only once, and what was held up by it fast only once."""
        if self._window is None:
            self._window = now
        passed_s = (now.arrived_ns - self._window.arrived_ns) / NS_PER_S
        if passed_s < WINDOW_S:
            return
        speed = (now.stamp_s - self._window.stamp_s) / passed_s
        before, self._wrong = self._wrong, "fast" if speed > WRONG_SPEED else "slow" if speed * WRONG_SPEED < 1 else ""
        self._believed = not self._wrong or self._wrong != before
        self._window = now
