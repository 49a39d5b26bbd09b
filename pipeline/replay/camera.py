"""One camera: sends each access unit of a recording when it is due, to everyone who watches.

`due = start + dts` on the monotonic clock, so a late wake-up delays one picture and never adds up. Each access unit is
packetized once, before it is due, and then only written. The camera knows nothing of RTSP: a subscriber is anything
that takes packets, which is where UDP will come in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import structlog

from pipeline.clock import NS_PER_S, Clock
from pipeline.errors import ReplayError
from pipeline.replay.packetize import RtpPacketizer, RtpUnit, media_format
from pipeline.replay.recording import CLOCK_HZ, Recording
from pipeline.replay.rtcp import SenderState, goodbye, sender_report

# RFC 3550 §6.2 recommends 5 s at least between reports; each new client gets one at once besides.
REPORT_INTERVAL_S = 5.0

_log = structlog.get_logger(__name__)


class Subscriber(Protocol):
    """A client of one camera; none of these calls may block."""

    def deliver(self, unit: RtpUnit) -> None:
        """Send `unit`, or leave it out if the client is not ready for it."""

    def report(self, rtcp: bytes) -> None:
        """Send an RTCP packet."""

    def end(self, rtcp: bytes) -> None:
        """Send the goodbye; nothing comes after it."""


@dataclass(frozen=True, slots=True)
class Departure:
    """How punctual one access unit was: `late_s` after `due_s`, which is on the monotonic clock."""

    camera: str
    due_s: float
    late_s: float


def ignore_departure(departure: Departure) -> None:
    """The observer of a camera that nobody measures."""


class Camera:
    """A recording on its way to its subscribers.

    With `loop` it runs from `run()` on, whoever watches, like a camera on a wall; without, it waits for its first
    subscriber and ends with the recording.
    """

    def __init__(
        self,
        name: str,
        recording: Recording,
        *,
        loop: bool,
        clock: Clock,
        start_s: float = 0.0,
        phase_s: float = 0.0,
        observe: Callable[[Departure], None] = ignore_departure,
    ) -> None:
        """`start_s` is where in the recording to begin, `phase_s` how long after `run()`.

        Raises:
            ReplayError: the recording cannot be put into RTP packets.
        """
        self.name = name
        self._recording = recording
        self._loop = loop
        self._clock = clock
        self._phase_s = phase_s
        self._observe = observe
        self.media = media_format(recording)
        self._packetizer = RtpPacketizer(recording)
        self._units: Iterator[RtpUnit] = map(self._packetizer.packetize, recording.access_units(start_s, loop=loop))
        self._next = next(self._units, None)
        self._subscribers: dict[Subscriber, None] = {}
        self._wanted = asyncio.Event()
        self._start_s: float | None = None
        self._packets = self._octets = 0

    @property
    def ssrc(self) -> int:
        """The RTP synchronization source, the same for all clients."""
        return self._packetizer.ssrc

    @property
    def ended(self) -> bool:
        """Whether the recording has been played to its end."""
        return self._next is None

    @property
    def upcoming(self) -> RtpUnit | None:
        """The access unit that leaves next."""
        return self._next

    def join(self, subscriber: Subscriber) -> None:
        """Deliver to `subscriber` from the next access unit on, and start if nobody watched before."""
        self._subscribers[subscriber] = None
        self._wanted.set()

    def leave(self, subscriber: Subscriber) -> None:
        """Deliver no more; harmless when repeated."""
        self._subscribers.pop(subscriber, None)

    async def run(self) -> None:
        """Play until the recording ends; with `loop`, until cancelled."""
        if not self._loop:
            await self._wanted.wait()
        self._start_s = self._now_s() + self._phase_s
        reports = asyncio.create_task(self._report_regularly())
        try:
            await self._play()
        except ReplayError as error:
            _log.error("camera stops", camera_id=self.name, reason=str(error))
        finally:
            self._next = None
            reports.cancel()
            self._say_goodbye()

    def close(self) -> None:
        """Free the file and the muxer."""
        self._next = None
        self._packetizer.close()
        self._recording.close()

    def sender_report(self, unit: RtpUnit) -> bytes:
        """An RTCP compound packet that tells the wall time of `unit`'s RTP timestamp, from which the others follow.

        As RFC 3550 §5.1 has it for stored pictures, that is the time at which they are to be presented, which is `due`
        wherever there are no B-frames.
        """
        return sender_report(self._sender_state(unit.pts))

    async def _play(self) -> None:
        """Send what is due, then read and packetize the following unit while there is time."""
        while (unit := self._next) is not None:
            due_s = await self._wait_until(unit.dts)
            if unit.packets:
                for subscriber in tuple(self._subscribers):
                    subscriber.deliver(unit)
            self._observe(Departure(self.name, due_s, self._now_s() - due_s))
            self._packets += len(unit.packets)
            self._octets += unit.payload_octets
            self._next = next(self._units, None)
            if self._next is None:
                await self._wait_until(unit.dts + unit.duration)

    async def _wait_until(self, ticks: int) -> float:
        due_s = (self._start_s or 0.0) + ticks / CLOCK_HZ
        await asyncio.sleep(due_s - self._now_s())
        return due_s

    async def _report_regularly(self) -> None:
        while True:
            await asyncio.sleep(REPORT_INTERVAL_S)
            report = sender_report(self._sender_state(self._played_ticks()))
            for subscriber in tuple(self._subscribers):
                subscriber.report(report)

    def _say_goodbye(self) -> None:
        farewell = goodbye(self._sender_state(self._played_ticks()))
        for subscriber in tuple(self._subscribers):
            subscriber.end(farewell)
        self._subscribers.clear()

    def _sender_state(self, ticks: int) -> SenderState:
        """What has been sent, and the wall time of the instant `ticks` on the camera's timeline."""
        ahead_ns = (ticks - self._played_ticks()) * NS_PER_S // CLOCK_HZ
        return SenderState(
            ssrc=self._packetizer.ssrc,
            cname=self.name,
            wall_ns=self._clock.wall_ns() + ahead_ns,
            rtp_timestamp=(self._packetizer.timestamp_base or 0) + ticks,
            packets=self._packets,
            octets=self._octets,
        )

    def _played_ticks(self) -> int:
        """Where on the camera's timeline this instant is."""
        return 0 if self._start_s is None else round((self._now_s() - self._start_s) * CLOCK_HZ)

    def _now_s(self) -> float:
        return self._clock.monotonic_ns() / NS_PER_S
