"""What a camera sees of a client: something that takes packets, by whichever way they travel.

The two ways are in `interleaved` and `udp`; what they have in common is here: a client begins with a key frame, gets a
sender report in front of it, and begins anew after a gap.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from pipeline.rtsp.rtp import RtpUnit


class RtpSubscriber(ABC):
    """One client of one camera; none of its calls blocks."""

    def __init__(self, sender_report: Callable[[RtpUnit], bytes], on_end: Callable[[], None]) -> None:
        """`sender_report` makes the report that precedes the first picture; `on_end` is called after the goodbye."""
        self.left_out = 0
        self._sender_report = sender_report
        self._on_end = on_end
        self._waiting_for_entry = True

    def deliver(self, unit: RtpUnit, is_entry: bool) -> bool:
        """Send `unit`, unless the client waits for one that `is_entry` to begin with, or has too much to read already.

        Returns:
            Whether it was sent.
        """
        if self._waiting_for_entry and not is_entry:
            return False
        if self._is_behind():
            self._waiting_for_entry = True
            self.left_out += 1
            return False
        if self._waiting_for_entry:
            self._waiting_for_entry = False
            self._send_rtcp(self._sender_report(unit))
        self._send_unit(unit)
        return True

    def report(self, rtcp: bytes) -> None:
        """Send an RTCP packet; not before the first picture, as FFmpeg counts its time from the first report."""
        if not self._waiting_for_entry and not self._is_behind():
            self._send_rtcp(rtcp)

    def end(self, rtcp: bytes) -> None:
        """Send the goodbye and tell the connection that this was all; nothing comes after it."""
        self._send_rtcp(rtcp)
        self._on_end()

    def restart(self) -> None:
        """Begin with a key frame again, after a pause."""
        self._waiting_for_entry = True

    @abstractmethod
    def close(self) -> None:
        """Send nothing more; harmless when repeated."""

    @abstractmethod
    def _send_unit(self, unit: RtpUnit) -> None:
        """Send all packets of an access unit."""

    @abstractmethod
    def _send_rtcp(self, rtcp: bytes) -> None:
        """Send one RTCP packet."""

    @abstractmethod
    def _is_behind(self) -> bool:
        """Whether the client has too much unread."""
