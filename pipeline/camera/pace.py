"""A recording's time: when its pictures are due, and how it goes on when it is played again."""

from __future__ import annotations

from pipeline.clock import NS_PER_S

MAX_LAG_S = 2.0
"""A recording that is further behind goes on from now: it shall not hurry after the machine has slept."""
MAX_GAP_S = 5.0
GAP_FRAMES = 3


def max_gap_s(fps: float | None) -> float:
    """Seconds a hole in a stream may last; beyond that its time has jumped. Frames of very slow streams last long."""
    return MAX_GAP_S + GAP_FRAMES / fps if fps else MAX_GAP_S


class Pacer:
    """Turns a recording's positions into due times; small lags are caught up, so that it does not drift.

    Holes are waited out, jumps are not.

    Example:
        >>> pacer = Pacer(fps=25)
        >>> pacer.due_ns(10.0, now_ns=0), pacer.due_ns(10.04, now_ns=9_000_000)
        (0, 40000000)
    """

    def __init__(self, fps: float | None) -> None:
        self._max_gap_ns = round(max_gap_s(fps) * NS_PER_S)
        self._origin_ns: int | None = None

    def due_ns(self, position_s: float, now_ns: int) -> int:
        """The monotonic time at which the picture at `position_s` is due; the first one is due now."""
        position_ns = round(position_s * NS_PER_S)
        if self._origin_ns is not None:
            due_ns = self._origin_ns + position_ns
            if now_ns - MAX_LAG_S * NS_PER_S <= due_ns <= now_ns + self._max_gap_ns:
                return due_ns
        self._origin_ns = now_ns - position_ns
        return now_ns


class LoopTimestamps:
    """Gives the pictures of a recording that is played over and over times that only grow.

    Example:
        >>> timestamps = LoopTimestamps(frame_ticks=2)
        >>> timestamps.place(10, None), timestamps.place(12, None)
        (10, 12)
        >>> timestamps.repeat()
        >>> timestamps.place(10, None), timestamps.place(None, None)
        (14, 16)
    """

    def __init__(self, frame_ticks: int) -> None:
        self._frame_ticks = max(1, frame_ticks)
        self._shift = 0
        self._next = 0
        self._repeating = False

    def place(self, ticks: int | None, duration: int | None) -> int:
        """The time of the next picture, in ticks.

        Args:
            ticks: By the file; None where it says none, then it follows the one before.
            duration: By the file, in ticks; None where it says none.
        """
        if ticks is None:
            ticks = self._next - self._shift
        if self._repeating:
            self._shift, self._repeating = self._next - ticks, False
        placed = ticks + self._shift
        self._next = max(self._next, placed + (duration or self._frame_ticks))
        return placed

    def repeat(self) -> None:
        """The file begins again: its next picture follows the last one by a frame."""
        self._repeating = True
