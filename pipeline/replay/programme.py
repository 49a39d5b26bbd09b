"""What a camera shows next, and when: its recording, or another one for a while, at the speed that is wanted.

Cameras leave at fixed distances from each other, and a fault of one must not end that: four seconds at ten pictures a
second put a camera of 25 half a picture out of its step, for good, and its pictures then came in the same instant as
another's. So the camera waits, by less than a picture, until it can go on in its own step.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path

import structlog

from pipeline.errors import ReplayError
from pipeline.replay.faults import SLOW_FPS, ActiveFaults, Fault
from pipeline.replay.feed import Feed, Start
from pipeline.replay.options import Playback
from pipeline.replay.timeline import Timeline, in_step
from pipeline.rtsp.rtp import CLOCK_HZ, RtpUnit

_log = structlog.get_logger(__name__)


class Programme:
    """The pictures of one camera in order; times leave here in 1/90000 s of the camera's own time."""

    def __init__(self, name: str, feed: Feed, playback: Playback, faults: ActiveFaults, executor: Executor) -> None:
        """Owns `feed`, the recording of the camera `name`; `executor` opens other recordings."""
        self._name = name
        self._feed = self._showing = feed
        self._other: Feed | None = None
        self._playback = playback
        self._faults = faults
        self._executor = executor
        self._timeline = Timeline(self._speed(feed))

    async def first(self) -> RtpUnit | None:
        """The picture to begin with; None where there is none.

        Raises:
            ReplayError: the recording cannot be read.
        """
        return await self._feed.take()

    async def after(self, previous: RtpUnit) -> RtpUnit | None:
        """The picture that follows `previous`; None at the end. A change of recording begins with a key frame.

        Raises:
            ReplayError: the recording cannot be read on.
        """
        feed = await self._chosen_feed()
        unit = await feed.take()
        if feed is not self._showing:
            while unit is not None and not unit.is_key:
                unit = await feed.take()
            if unit is not None:
                self._go_on(feed, unit, self.end_of(previous))
            self._showing = feed
        elif unit is not None and self._speed(feed) != self._timeline.speed:
            self._go_on(feed, unit, self._timeline.to_camera(unit.dts))
        return unit

    def due_of(self, unit: RtpUnit) -> int:
        """When `unit` is to leave."""
        return self._timeline.to_camera(unit.dts if unit.due is None else unit.due)

    def shown_at(self, unit: RtpUnit) -> int:
        """When `unit` is to be presented."""
        return self._timeline.to_camera(unit.pts)

    def end_of(self, unit: RtpUnit) -> int:
        """When the picture after `unit` would be due."""
        return self._timeline.to_camera(unit.dts + unit.duration)

    def close(self) -> None:
        """Free files and muxers; only when the executor has come to rest."""
        for feed in (self._feed, self._other):
            if feed is not None:
                feed.close()

    async def _chosen_feed(self) -> Feed:
        """The recording itself, or the other one while the resolution is to be another; that is opened when needed."""
        fault = self._faults.get("resolution")
        if self._other is not None and (fault is None or Path(fault.file) != self._other.path):
            await self._other.finish()
            self._other = None
        if fault is not None and self._other is None:
            self._other = await self._open_other(fault)
        return self._other or self._feed

    async def _open_other(self, fault: Fault) -> Feed | None:
        """Another recording of the same codec, without end and with the same SSRC; None, and no more fault, if none."""
        playback, start = replace(self._playback, loop=True), Start(ssrc=self._feed.ssrc)
        arguments = (Path(fault.file), playback, self._executor, start)
        try:
            other = await asyncio.get_running_loop().run_in_executor(self._executor, Feed.open, *arguments)
        except ReplayError as error:
            self._refuse(fault, str(error))
            return None
        if other.media.rtpmap == self._feed.media.rtpmap:
            return other
        await other.finish()
        self._refuse(fault, f"{fault.file} is {other.media.rtpmap}, not {self._feed.media.rtpmap}")
        return None

    def _refuse(self, fault: Fault, reason: str) -> None:
        _log.error("resolution cannot change", camera_id=self._name, reason=reason)
        self._faults.end(fault.name)

    def _go_on(self, feed: Feed, unit: RtpUnit, earliest: int) -> None:
        """Let `unit` be the first at another speed or of another recording, in the camera's own step where it has one.

        That is the step of the recording as if nothing had ever gone wrong.
        """
        speed, usual = self._speed(feed), self._usual_speed(feed)
        shown = in_step(earliest, unit.dts / usual, CLOCK_HZ / feed.rate / usual) if speed == usual else earliest
        self._timeline.splice(unit.dts, shown, speed)

    def _speed(self, feed: Feed) -> float:
        """How many times faster than recorded, at this moment."""
        if self._faults.get("slow"):
            return SLOW_FPS / feed.rate
        if fault := self._faults.get("frame_rate"):
            return fault.fps / feed.rate
        return self._usual_speed(feed)

    def _usual_speed(self, feed: Feed) -> float:
        """How many times faster than recorded, with nothing wrong."""
        if self._playback.fps is not None:
            return self._playback.fps / feed.rate
        return self._playback.speed
