"""Time: monotonic for intervals, wall only in messages.

Policies take `now_s` as an argument and never look at a clock. Processes own one `Clock`; tests hand them a
`VirtualClock`, so that no test sleeps.

`MONOTONIC` is CLOCK_MONOTONIC: on one machine its values can be compared between processes, which is how a frame's age
is known in the worker although its camera process took the time.
"""

from __future__ import annotations

import time
from typing import Protocol

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000


class Clock(Protocol):
    """What a process knows of time."""

    def monotonic_ns(self) -> int:
        """Nanoseconds that never jump, comparable between processes of one machine."""

    def wall_ns(self) -> int:
        """Nanoseconds since 1970-01-01 UTC; may jump."""


class SystemClock:
    """The clock of this machine."""

    # The functions themselves: a camera asks several times a packet.
    monotonic_ns = staticmethod(time.monotonic_ns)
    """Nanoseconds of CLOCK_MONOTONIC."""
    wall_ns = staticmethod(time.time_ns)
    """Nanoseconds since 1970-01-01 UTC."""


class VirtualClock:
    """A clock that stands still until a test moves it.

    Example:
        >>> clock = VirtualClock()
        >>> clock.advance(0.25)
        >>> clock.monotonic_ns()
        250000000
    """

    def __init__(self, start_s: float = 0.0, wall_offset_s: float = 0.0) -> None:
        self._now_ns = round(start_s * NS_PER_S)
        self._wall_offset_ns = round(wall_offset_s * NS_PER_S)

    def monotonic_ns(self) -> int:
        """Nanoseconds since this clock's own zero."""
        return self._now_ns

    def wall_ns(self) -> int:
        """The monotonic time shifted by the wall offset."""
        return self._now_ns + self._wall_offset_ns

    def advance(self, seconds: float) -> None:
        """Move on by `seconds`, which must not be negative."""
        if seconds < 0:
            raise ValueError(f"a monotonic clock cannot go back by {-seconds} s")
        self._now_ns += round(seconds * NS_PER_S)
