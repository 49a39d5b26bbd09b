"""One camera: sends each access unit of a recording when it is due, to everyone who watches.

`due` is a time on the monotonic clock that follows from the recording alone, so a late wake-up delays one picture and
never adds up. Each access unit is read and packetized before it is due, once for all clients, and then only stamped and
written. The camera knows nothing of RTSP: a subscriber is anything that takes packets.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from dataclasses import dataclass, replace

import structlog

from pipeline.clock import NS_PER_S, Clock
from pipeline.errors import ReplayError
from pipeline.replay.faults import ActiveFaults, Fault
from pipeline.replay.feed import Feed
from pipeline.replay.link import Link
from pipeline.replay.options import Playback
from pipeline.replay.programme import Programme
from pipeline.replay.timeline import SenderClock
from pipeline.rtsp.rtcp import SenderState, goodbye, sender_report
from pipeline.rtsp.rtp import CLOCK_HZ, RtpUnit
from pipeline.rtsp.subscriber import RtpSubscriber

# RFC 3550 §6.2 recommends 5 s at least between reports; each new client gets one at once besides.
REPORT_INTERVAL_S = 5.0

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Departure:
    """One access unit that has left to at least one client.

    Attributes:
        camera: Name.
        due_s: When it was to leave, on the monotonic clock.
        late_s: How long after that it left; what a fault held it back is part of it.
        presented_wall_ns: Its wall time by the sender reports.
        left_ns: When it left, on the monotonic clock.
        left_wall_ns: When it left, on the wall clock.
    """

    camera: str
    due_s: float
    late_s: float
    presented_wall_ns: int
    left_ns: int
    left_wall_ns: int


def ignore_departure(departure: Departure) -> None:
    """The observer of a camera that nobody measures."""


class ServedCamera:
    """A recording on its way to its subscribers.

    With `loop` it runs from `run()` on, whoever watches, like a camera on a wall; without, it waits for its first
    subscriber and ends with the recording.
    """

    def __init__(
        self,
        name: str,
        feed: Feed,
        *,
        playback: Playback,
        executor: Executor,
        clock: Clock,
        phase_s: float = 0.0,
        observe: Callable[[Departure], None] = ignore_departure,
        gathered: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Owns `feed`.

        Args:
            name: In its address.
            feed: Its pictures.
            playback: How they are played.
            executor: Opens other recordings.
            clock: The machine's.
            phase_s: How long after `run()` it begins, or after it may.
            observe: Called with each departure.
            gathered: Waits until it may begin once somebody watches it; None begins at once.
        """
        self.name = name
        self.media = feed.media
        self.ssrc = feed.ssrc
        self.faults = ActiveFaults()
        self._playback = playback
        self._programme = Programme(name, feed, playback, self.faults, executor)
        self._clock = clock
        self._time = SenderClock(clock)
        self._phase_s = phase_s
        self._observe = observe
        self._gathered = gathered
        self._link = Link(self.faults, self._time.now_s, self._deliver)
        self._next: RtpUnit | None = None
        self._last_key: RtpUnit | None = None
        self._frozen = False
        self._ended = False
        self._subscribers: dict[RtpSubscriber, None] = {}
        self._wanted = asyncio.Event()
        self._sequence = secrets.randbits(15)
        self._packets = self._octets = 0

    @property
    def ended(self) -> bool:
        """Whether the recording has been played to its end."""
        return self._ended

    @property
    def entry(self) -> tuple[int, int] | None:
        """RTP sequence number and timestamp of the next picture, if a client can begin with it."""
        if self._next is None or not self._next.is_key:
            return None
        return self._sequence % (1 << 16), self._time.rtp(self._shown_at(self._next))

    def join(self, subscriber: RtpSubscriber) -> None:
        """Deliver to `subscriber` from the next access unit on, and start if nobody watched before."""
        self._subscribers[subscriber] = None
        self._wanted.set()

    def leave(self, subscriber: RtpSubscriber) -> None:
        """Deliver no more; harmless when repeated."""
        self._subscribers.pop(subscriber, None)

    def begin(self, fault: Fault, on_end: Callable[[Fault], None]) -> None:
        """Let something go wrong; `on_end` is called when it is mended."""

        def over(ended: Fault) -> None:
            _log.info("fault is over", camera_id=self.name, fault=ended.name)
            if ended.name == "silence":
                for subscriber in self._subscribers:
                    subscriber.restart()
            on_end(ended)

        _log.info("fault begins", camera_id=self.name, fault=fault.name, seconds=fault.seconds)
        self.faults.begin(fault, over)

    async def run(self) -> None:
        """Play until the recording ends; with `loop`, until cancelled."""
        reports = asyncio.create_task(self._report_regularly())
        try:
            self._next = await self._programme.first()
            if not self._playback.loop:
                await self._wanted.wait()
                if self._gathered is not None:
                    await self._gathered()
            self._time.start(self._phase_s)
            await self._play()
        except ReplayError as error:
            _log.error("camera stops", camera_id=self.name, reason=str(error))
        finally:
            self._ended = True
            self._next = None
            self.faults.clear()
            self._link.clear()
            reports.cancel()
            self._say_goodbye()

    def close(self) -> None:
        """Free files and muxers; only when the executor has come to rest."""
        self._programme.close()

    def sender_report(self, unit: RtpUnit) -> bytes:
        """An RTCP compound packet that tells the wall time of `unit`'s RTP timestamp, from which the others follow.

        As RFC 3550 §5.1 has it for stored pictures, that is the time at which they are to be presented, which is `due`
        wherever there are no B-frames.
        """
        self._time.follow_wall_clock()
        return sender_report(self._sender_state(unit.pts))

    async def _play(self) -> None:
        """Send what is due; the following unit has been read meanwhile."""
        while (unit := self._next) is not None:
            await self._wait_until(self._programme.due_of(unit))
            self._send(unit)
            self._next = await self._programme.after(unit)
            if self._next is None:
                await self._wait_until(self._programme.end_of(unit))

    def _send(self, unit: RtpUnit) -> None:
        unit = self._frozen_or_live(unit)
        withheld = self.faults.get("silence") or (unit.is_key and self.faults.get("no_key_frame"))
        if withheld or not self._subscribers or not unit.packets:
            return
        pts = self._shown_at(unit)
        stamped = unit.stamped(self._sequence, self._time.rtp(pts))
        self._sequence += len(unit.packets)
        self._packets += len(unit.packets)
        self._octets += unit.payload_octets
        self._link.carry(replace(stamped, pts=pts, due=self._programme.due_of(unit)))

    def _deliver(self, unit: RtpUnit) -> None:
        """Hand a picture, as it came through the line, to the clients."""
        is_entry = unit.is_key or self.faults.get("no_key_frame") is not None
        left = [subscriber.deliver(unit, is_entry) for subscriber in tuple(self._subscribers)]
        if not any(left):
            return
        due_s = self._time.at_s(unit.due or 0)
        left_ns, left_wall_ns = self._clock.monotonic_ns(), self._clock.wall_ns()
        late_s = left_ns / NS_PER_S - due_s
        self._observe(Departure(self.name, due_s, late_s, self._time.wall_ns(unit.pts), left_ns, left_wall_ns))

    def _frozen_or_live(self, unit: RtpUnit) -> RtpUnit:
        """`unit`, or in its place the last key frame; live again from a key frame on, as the rest refers to it."""
        if self.faults.get("freeze"):
            self._frozen = True
        elif unit.is_key:
            self._frozen = False
        if not self._frozen or self._last_key is None:
            self._last_key = unit if unit.is_key else self._last_key
            return unit
        return replace(unit, packets=self._last_key.packets, pts=unit.dts, is_key=True)

    async def _wait_until(self, ticks: int) -> None:
        await asyncio.sleep(self._time.at_s(ticks) - self._time.now_s())

    async def _report_regularly(self) -> None:
        while True:
            await asyncio.sleep(REPORT_INTERVAL_S)
            if self.faults.get("silence"):
                continue
            self._time.follow_wall_clock()
            report = sender_report(self._sender_state(self._time.present() + self._jump()))
            for subscriber in tuple(self._subscribers):
                subscriber.report(report)

    def _say_goodbye(self) -> None:
        farewell = goodbye(self._sender_state(self._time.present() + self._jump()))
        for subscriber in tuple(self._subscribers):
            subscriber.end(farewell)
        self._subscribers.clear()

    def _sender_state(self, ticks: int) -> SenderState:
        """What has been sent, and the wall time of the instant `ticks` by the camera's clock."""
        return SenderState(
            ssrc=self.ssrc,
            cname=self.name,
            wall_ns=self._time.wall_ns(ticks),
            rtp_timestamp=self._time.rtp(ticks),
            packets=self._packets,
            octets=self._octets,
        )

    def _shown_at(self, unit: RtpUnit) -> int:
        """When `unit` is presented by the camera's clock, which may be wrong."""
        return self._programme.shown_at(unit) + self._jump()

    def _jump(self) -> int:
        """How wrong the camera's clock is, 1/90000 s."""
        jump = self.faults.get("time_jump")
        return round(jump.jump_s * CLOCK_HZ) if jump else 0
