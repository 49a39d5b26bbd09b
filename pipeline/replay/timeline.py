"""The three times of a camera: its recording's, its own, and those of this machine's clocks.

The first two count 1/90000 s. A change of speed, or of the recording, takes effect at one picture: what was before
stays where it was, and the camera's time goes on without a jump.
"""

from __future__ import annotations

import secrets

from pipeline.clock import NS_PER_MS, NS_PER_S, Clock
from pipeline.rtsp.rtp import CLOCK_HZ

# The wall clock is slewed against the monotonic one all the time; reports follow it in steps, so that between them a
# picture's wall time is the same for everybody.
_WALL_STEP_NS = NS_PER_MS
_TIMESTAMPS = 1 << 32


class Timeline:
    """Camera time as a function of recording time, linear from the last change on."""

    def __init__(self, speed: float) -> None:
        """`speed` is how many times faster than recorded."""
        self._speed = speed
        self._recorded = self._shown = 0

    @property
    def speed(self) -> float:
        """How many times faster than recorded."""
        return self._speed

    def to_camera(self, recorded: int) -> int:
        """Camera time of an instant of the recording."""
        return self._shown + round((recorded - self._recorded) / self._speed)

    def splice(self, recorded: int, shown: int, speed: float) -> None:
        """Go on from elsewhere, whether in another recording or later: the instant `recorded` is at `shown`."""
        self._recorded, self._shown, self._speed = recorded, shown, speed


def in_step(earliest: int, usual: float, step: float) -> int:
    """The first instant not before `earliest` that is whole steps away from `usual`, all in 1/90000 s.

    `earliest` may have been rounded up, so an instant up to a tick before it counts.
    """
    return earliest + round((usual - earliest + 1) % step - 1)


class SenderClock:
    """A camera's own time, in 1/90000 s since its start, on this machine's clocks and in RTP."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._start_s: float | None = None
        self._start_wall_ns = 0
        self._timestamp_base = secrets.randbits(32)

    def start(self, in_s: float) -> None:
        """Let the camera's time begin in so many seconds."""
        self._start_s = self.now_s() + in_s
        self.follow_wall_clock()

    def follow_wall_clock(self) -> None:
        """Take note of where the wall clock is now, unless it is where it was expected."""
        played_ns = round((self.now_s() - (self._start_s or self.now_s())) * NS_PER_S)
        start_wall_ns = self._clock.wall_ns() - played_ns
        if abs(start_wall_ns - self._start_wall_ns) > _WALL_STEP_NS:
            self._start_wall_ns = start_wall_ns

    def present(self) -> int:
        """The camera's time now; 0 before its start."""
        return 0 if self._start_s is None else round((self.now_s() - self._start_s) * CLOCK_HZ)

    def now_s(self) -> float:
        """Monotonic time of this machine."""
        return self._clock.monotonic_ns() / NS_PER_S

    def at_s(self, ticks: int) -> float:
        """Monotonic time of an instant of the camera's."""
        return (self._start_s or 0.0) + ticks / CLOCK_HZ

    def wall_ns(self, ticks: int) -> int:
        """Wall time of an instant of the camera's, as its sender reports have it."""
        return self._start_wall_ns + ticks * NS_PER_S // CLOCK_HZ

    def rtp(self, ticks: int) -> int:
        """RTP timestamp of an instant of the camera's."""
        return (self._timestamp_base + ticks) % _TIMESTAMPS
