"""When a frame was captured, and whether the camera's own word on it can be believed.

A camera that sends RTCP sender reports tells the wall time of each frame (RFC 3550 §6.4.1), and a frame that waited in
the network shows its true age by it. But many cameras' clocks are wrong, and then every age is wrong by the same
amount: a clock that lags by three seconds would make every frame too old to be detected. The smallest delay of the last
half minute tells the two apart: in all that time some frame came through at once.
"""

from __future__ import annotations

import msgspec

from pipeline.clock import NS_PER_S
from pipeline.wire import CaptureClock

TRUSTED_S = 1.0
"""A clock is believed while its quickest frame seems to have travelled between -1 and +1 s."""
WINDOW_S = 15.0
"""The quickest frame is sought in this window and the one before, so that a clock set anew is noticed."""


class Capture(msgspec.Struct, frozen=True, gc=False):
    """One moment on two clocks.

    Attributes:
        ns: Monotonic.
        at_ns: Wall time, ns since 1970-01-01 UTC.
        clock: Where it comes from.
    """

    ns: int
    at_ns: int
    clock: CaptureClock


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """When a packet was received, before decoding.

    Attributes:
        ns: Monotonic.
        at_ns: Wall time, ns since 1970-01-01 UTC.
    """

    ns: int
    at_ns: int


class Quickest:
    """The smallest delay of the last half minute: that of a frame that nothing held up."""

    def __init__(self) -> None:
        self._window_began_ns = 0
        self._smallest_ns: list[int] = []

    def of(self, delay_ns: int, now_ns: int) -> int:
        """The smallest, ns, in the light of one more delay."""
        if not self._smallest_ns or now_ns - self._window_began_ns > WINDOW_S * NS_PER_S:
            self._window_began_ns = now_ns
            self._smallest_ns = [*self._smallest_ns[-1:], delay_ns]
        self._smallest_ns[-1] = min(self._smallest_ns[-1], delay_ns)
        return min(self._smallest_ns)


class CaptureTimes:
    """Judges the sender reports of one session of a camera."""

    def __init__(self) -> None:
        self._quickest = Quickest()
        self._offset_s = 0.0

    @property
    def clock_error_s(self) -> float | None:
        """How far the camera's clock seems to lag behind ours, seconds; None while it is believed or unknown."""
        return self._offset_s if abs(self._offset_s) > TRUSTED_S else None

    def capture(self, arrival: Arrival, reported_at_ns: int | None) -> Capture:
        """When the frame was captured.

        Args:
            arrival: Of its packet.
            reported_at_ns: Wall time by the camera's sender reports; None where it sent none so far.
        """
        if reported_at_ns is None:
            return Capture(arrival.ns, arrival.at_ns, "arrival")
        delay_ns = arrival.at_ns - reported_at_ns
        self._offset_s = self._quickest.of(delay_ns, arrival.ns) / NS_PER_S
        if abs(self._offset_s) > TRUSTED_S:
            return Capture(arrival.ns, arrival.at_ns, "arrival")
        # A clock that is a little fast would have frames captured after they came.
        return Capture(arrival.ns - max(0, delay_ns), reported_at_ns, "rtcp")
