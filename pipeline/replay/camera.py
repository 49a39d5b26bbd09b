"""One camera: sends each access unit of a recording when it is due, to everyone who watches.

`due` is a time on the monotonic clock that follows from the recording alone, so a late wake-up delays one picture and
never adds up. Each access unit is read and packetized before it is due, once for all clients, and then only stamped and
written. The camera knows nothing of RTSP: a subscriber is anything that takes packets.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from pipeline.clock import NS_PER_MS, NS_PER_S, Clock
from pipeline.errors import ReplayError
from pipeline.replay.faults import SLOW_FPS, ActiveFaults, Fault
from pipeline.replay.feed import Feed, Start
from pipeline.replay.link import Link
from pipeline.replay.options import Playback
from pipeline.replay.packetize import RtpUnit
from pipeline.replay.recording import CLOCK_HZ
from pipeline.replay.rtcp import SenderState, goodbye, sender_report
from pipeline.replay.subscriber import RtpSubscriber
from pipeline.replay.timeline import Timeline

# RFC 3550 §6.2 recommends 5 s at least between reports; each new client gets one at once besides.
REPORT_INTERVAL_S = 5.0
# The wall clock is slewed against the monotonic one all the time; reports follow it in steps, so that between them a
# picture's wall time is the same for everybody.
_WALL_STEP_NS = NS_PER_MS

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


class Camera:
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
    ) -> None:
        """Owns `feed`; `phase_s` is how long after `run()` it begins, `executor` opens other recordings."""
        self.name = name
        self.media = feed.media
        self.faults = ActiveFaults()
        self._feed = self._showing = feed
        self._other: Feed | None = None
        self._playback = playback
        self._executor = executor
        self._clock = clock
        self._phase_s = phase_s
        self._observe = observe
        self._timeline = Timeline(self._speed(feed))
        self._link = Link(self.faults, self._now_s, self._deliver)
        self._next: RtpUnit | None = None
        self._last_key: RtpUnit | None = None
        self._frozen = False
        self._ended = False
        self._subscribers: dict[RtpSubscriber, None] = {}
        self._wanted = asyncio.Event()
        self._start_s: float | None = None
        self._start_wall_ns = 0
        self._sequence = secrets.randbits(15)
        self._timestamp_base = secrets.randbits(32)
        self._packets = self._octets = 0

    @property
    def ssrc(self) -> int:
        """The RTP synchronization source, the same for all clients."""
        return self._feed.ssrc

    @property
    def ended(self) -> bool:
        """Whether the recording has been played to its end."""
        return self._ended

    @property
    def entry(self) -> tuple[int, int] | None:
        """RTP sequence number and timestamp of the next picture, if a client can begin with it."""
        if self._next is None or not self._next.is_key:
            return None
        return self._sequence % (1 << 16), self._timestamp(self._shown_ticks(self._next.pts))

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
            self._next = await self._feed.take()
            if not self._playback.loop:
                await self._wanted.wait()
            self._start_s = self._now_s() + self._phase_s
            self._follow_wall_clock()
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
        for feed in (self._feed, self._other):
            if feed is not None:
                feed.close()

    def sender_report(self, unit: RtpUnit) -> bytes:
        """An RTCP compound packet that tells the wall time of `unit`'s RTP timestamp, from which the others follow.

        As RFC 3550 §5.1 has it for stored pictures, that is the time at which they are to be presented, which is `due`
        wherever there are no B-frames.
        """
        self._follow_wall_clock()
        return sender_report(self._sender_state(unit.pts))

    async def _play(self) -> None:
        """Send what is due; the following unit has been read meanwhile."""
        while (unit := self._next) is not None:
            await self._wait_until(self._due_ticks(unit))
            self._send(unit)
            self._next = await self._following(unit)
            if self._next is None:
                await self._wait_until(self._timeline.to_camera(unit.dts + unit.duration))

    def _send(self, unit: RtpUnit) -> None:
        unit = self._frozen_or_live(unit)
        withheld = self.faults.get("silence") or (unit.is_key and self.faults.get("no_key_frame"))
        if withheld or not self._subscribers or not unit.packets:
            return
        pts = self._shown_ticks(unit.pts)
        stamped = unit.stamped(self._sequence, self._timestamp(pts))
        self._sequence += len(unit.packets)
        self._packets += len(unit.packets)
        self._octets += unit.payload_octets
        self._link.carry(replace(stamped, pts=pts, due=self._due_ticks(unit)))

    def _deliver(self, unit: RtpUnit) -> None:
        """Hand a picture, as it came through the line, to the clients."""
        is_entry = unit.is_key or self.faults.get("no_key_frame") is not None
        left = [subscriber.deliver(unit, is_entry) for subscriber in tuple(self._subscribers)]
        if not any(left):
            return
        due_s = self._to_s(unit.due or 0)
        left_ns, left_wall_ns = self._clock.monotonic_ns(), self._clock.wall_ns()
        late_s = left_ns / NS_PER_S - due_s
        self._observe(Departure(self.name, due_s, late_s, self._wall_ns(unit.pts), left_ns, left_wall_ns))

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

    async def _following(self, previous: RtpUnit) -> RtpUnit | None:
        """The next picture, of the recording that is to be shown now, at the speed that is wanted now."""
        feed = await self._chosen_feed()
        unit = await feed.take()
        if feed is not self._showing:
            while unit is not None and not unit.is_key:
                unit = await feed.take()
            if unit is not None:
                follows_at = self._timeline.to_camera(previous.dts + previous.duration)
                self._timeline.splice(unit.dts, follows_at, self._speed(feed))
            self._showing = feed
        elif unit is not None and (speed := self._speed(feed)) != self._timeline.speed:
            self._timeline.change(unit.dts, speed)
        return unit

    async def _chosen_feed(self) -> Feed:
        """The recording itself, or the other one while the resolution is to be another; that is opened when needed."""
        fault = self.faults.get("resolution")
        if self._other is not None and (fault is None or Path(fault.file) != self._other.path):
            await self._other.finish()
            self._other = None
        if fault is None:
            return self._feed
        if self._other is None:
            self._other = await self._open_other(fault)
        return self._other or self._feed

    async def _open_other(self, fault: Fault) -> Feed | None:
        playback, start = replace(self._playback, loop=True), Start(ssrc=self.ssrc)
        loop = asyncio.get_running_loop()
        try:
            other = await loop.run_in_executor(
                self._executor, Feed.open, Path(fault.file), playback, self._executor, start
            )
        except ReplayError as error:
            _log.error("resolution cannot change", camera_id=self.name, reason=str(error))
            self.faults.end(fault.name)
            return None
        if other.media.rtpmap == self.media.rtpmap:
            return other
        _log.error(
            "resolution cannot change", camera_id=self.name, reason=f"{fault.file} is {other.media.rtpmap} instead"
        )
        self.faults.end(fault.name)
        await other.finish()
        return None

    def _speed(self, feed: Feed) -> float:
        """How many times faster than recorded."""
        if self.faults.get("slow"):
            return SLOW_FPS / feed.rate
        if fault := self.faults.get("frame_rate"):
            return fault.fps / feed.rate
        if self._playback.fps is not None:
            return self._playback.fps / feed.rate
        return self._playback.speed

    async def _wait_until(self, ticks: int) -> None:
        await asyncio.sleep(self._to_s(ticks) - self._now_s())

    async def _report_regularly(self) -> None:
        while True:
            await asyncio.sleep(REPORT_INTERVAL_S)
            if self.faults.get("silence"):
                continue
            self._follow_wall_clock()
            report = sender_report(self._sender_state(self._present_ticks()))
            for subscriber in tuple(self._subscribers):
                subscriber.report(report)

    def _say_goodbye(self) -> None:
        farewell = goodbye(self._sender_state(self._present_ticks()))
        for subscriber in tuple(self._subscribers):
            subscriber.end(farewell)
        self._subscribers.clear()

    def _sender_state(self, ticks: int) -> SenderState:
        """What has been sent, and the wall time of the instant `ticks` by the camera's clock."""
        return SenderState(
            ssrc=self.ssrc,
            cname=self.name,
            wall_ns=self._wall_ns(ticks),
            rtp_timestamp=self._timestamp(ticks),
            packets=self._packets,
            octets=self._octets,
        )

    def _due_ticks(self, unit: RtpUnit) -> int:
        return self._timeline.to_camera(unit.dts if unit.due is None else unit.due)

    def _shown_ticks(self, recorded: int) -> int:
        """An instant of the recording by the camera's clock, which may be wrong."""
        return self._timeline.to_camera(recorded) + self._jump_ticks()

    def _present_ticks(self) -> int:
        """The present by the camera's clock."""
        played_s = 0.0 if self._start_s is None else self._now_s() - self._start_s
        return round(played_s * CLOCK_HZ) + self._jump_ticks()

    def _jump_ticks(self) -> int:
        jump = self.faults.get("time_jump")
        return round(jump.jump_s * CLOCK_HZ) if jump else 0

    def _timestamp(self, ticks: int) -> int:
        return (self._timestamp_base + ticks) % (1 << 32)

    def _wall_ns(self, ticks: int) -> int:
        return self._start_wall_ns + ticks * NS_PER_S // CLOCK_HZ

    def _follow_wall_clock(self) -> None:
        """Take note of where the wall clock is now, unless it is where it was expected."""
        played_ns = round((self._now_s() - (self._start_s or self._now_s())) * NS_PER_S)
        start_wall_ns = self._clock.wall_ns() - played_ns
        if abs(start_wall_ns - self._start_wall_ns) > _WALL_STEP_NS:
            self._start_wall_ns = start_wall_ns

    def _to_s(self, ticks: int) -> float:
        return (self._start_s or 0.0) + ticks / CLOCK_HZ

    def _now_s(self) -> float:
        return self._clock.monotonic_ns() / NS_PER_S
