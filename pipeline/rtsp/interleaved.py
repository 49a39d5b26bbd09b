"""A subscriber that gets RTP and RTCP inside its RTSP connection (RFC 2326 §10.12)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from pipeline.rtsp.rtp import RtpUnit, interleave
from pipeline.rtsp.subscriber import RtpSubscriber
from pipeline.rtsp.transport import InterleavedChannels

# A client that does not read is left at most this far behind, plus one access unit: about a second of a 1080p camera at
# 8 Mbit/s. Beyond it whole access units are left out up to the next key frame, so what it gets stays decodable.
MAX_UNSENT_BYTES = 1024 * 1024
# A client that has taken nothing for so long is gone, whatever TCP still hopes.
STALL_S = 30.0


class InterleavedSubscriber(RtpSubscriber):
    """Writes access units to one TCP connection, each in a single write, from a key frame on."""

    def __init__(
        self,
        transport: asyncio.Transport,
        channels: InterleavedChannels,
        sender_report: Callable[[RtpUnit], bytes],
        on_end: Callable[[], None],
        now_s: Callable[[], float],
    ) -> None:
        """`sender_report` makes the report that precedes the first picture; `on_end` is called after the goodbye."""
        super().__init__(sender_report, on_end)
        self.channels = channels
        self._transport = transport
        self._now_s = now_s
        self._took_something_s = now_s()

    def close(self) -> None:
        """Nothing to free: the connection outlives its subscriptions."""

    def _send_unit(self, unit: RtpUnit) -> None:
        self._transport.write(unit.interleaved(self.channels.rtp))

    def _send_rtcp(self, rtcp: bytes) -> None:
        self._transport.write(interleave(self.channels.rtcp, rtcp))

    def _is_behind(self) -> bool:
        """Whether the client has too much unread; one that stays so is disconnected."""
        now_s = self._now_s()
        if self._transport.get_write_buffer_size() <= MAX_UNSENT_BYTES:
            self._took_something_s = now_s
            return False
        if now_s - self._took_something_s > STALL_S:
            self._transport.abort()
        return True
