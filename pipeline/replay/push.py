"""Publishes recordings to an RTSP server of somebody else, by ANNOUNCE and RECORD, instead of serving them.

FFmpeg speaks RTSP here; each camera has a thread, as sending blocks. One that breaks off connects anew, and goes on
from the key frame that is due then, as a camera would.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction

import av
import structlog

from pipeline.camera.backoff import Backoff
from pipeline.errors import ReplayError
from pipeline.redact import redact
from pipeline.replay.options import CameraPlan, Playback, ReplayOptions
from pipeline.replay.packetize import to_annex_b
from pipeline.replay.recording import RecordedUnit, Recording
from pipeline.replay.timeline import Timeline
from pipeline.rtsp.rtp import CLOCK_HZ

_TICK = Fraction(1, CLOCK_HZ)
_TIMEOUT_S = 10.0
# What was due while there was no connection is past; a picture that took so long to wake up for is not.
_LATE_S = 0.5
_BACKOFF = Backoff(initial_s=0.5, max_s=10.0)

_log = structlog.get_logger(__name__)


def push_targets(options: ReplayOptions, base: str) -> tuple[str, ...]:
    """Where each camera of `options` is published: its name below `base`; `base` itself if there is only one."""
    plans = options.plan()
    if len(plans) == 1:
        return (base,)
    return tuple(f"{base.rstrip('/')}/{plan.name}" for plan in plans)


def push(options: ReplayOptions, base: str, stop: threading.Event) -> None:
    """Publish all cameras until `stop` is set or, without `loop`, all was played; blocks.

    Raises:
        ReplayError: a recording cannot be published, or the server could not be reached in the first place.
    """
    plans = options.plan()
    publishers: list[_Publisher] = []
    try:
        for index, (plan, url) in enumerate(zip(plans, push_targets(options, base), strict=True)):
            publishers.append(_Publisher(plan, index, url, options.playback))
        with ThreadPoolExecutor(len(publishers)) as pool:
            running = [pool.submit(publisher.run, stop) for publisher in publishers]
            try:
                for future in running:
                    future.result()
            finally:
                stop.set()
    finally:
        for publisher in publishers:
            publisher.close()


@dataclass(slots=True)
class _Due:
    """When pictures are due: `start_s` on the monotonic clock is camera time 0."""

    timeline: Timeline
    start_s: float

    def seconds(self, unit: RecordedUnit) -> float:
        return self.start_s + self.timeline.to_camera(unit.dts if unit.due is None else unit.due) / CLOCK_HZ


class _Publisher:
    """One camera and its connection to the other server."""

    def __init__(self, plan: CameraPlan, index: int, url: str, playback: Playback) -> None:
        self._name, self._url, self._playback = plan.name, url, playback
        self._recording = Recording(plan.file)
        start_s = plan.start_share * self._recording.duration_s
        if playback.offset_s is not None:
            start_s = index * playback.offset_s % (self._recording.duration_s or 1.0)
        self._units = self._recording.access_units(start_s, loop=playback.loop, even=playback.paced == "even")
        rate = float(self._recording.rate)
        self._speed = playback.speed if playback.fps is None else playback.fps / rate

    def run(self, stop: threading.Event) -> None:
        """Publish until `stop` is set or the recording ends; blocks.

        Raises:
            ReplayError: the first connection failed, or the recording broke.
        """
        due = _Due(Timeline(self._speed), time.monotonic())
        units = self._paced(due, stop)
        backoff, connected_before, rng = _BACKOFF, False, random.Random()
        while not stop.is_set():
            began_s = time.monotonic()
            try:
                for _ in self._connection(units, due):
                    connected_before = True
                return
            except (av.FFmpegError, OSError) as error:
                reason = redact(getattr(error, "strerror", None) or error)
                if not connected_before:
                    raise ReplayError(
                        f"cannot publish to {redact(self._url)}: {reason}; check that it takes ANNOUNCE there"
                    ) from None
            backoff = backoff.lost(time.monotonic() - began_s)
            pause_s = backoff.pause_s(rng)
            _log.warning("publishing broke off", camera_id=self._name, reason=reason, again_in_s=round(pause_s, 1))
            stop.wait(pause_s)

    def close(self) -> None:
        """Close the recording."""
        self._recording.close()

    def _paced(self, due: _Due, stop: threading.Event) -> Iterator[RecordedUnit]:
        """Each picture when it is due, or at once if that is past."""
        for unit in self._units:
            if stop.wait(max(0.0, due.seconds(unit) - time.monotonic())):
                return
            yield unit

    def _connection(self, units: Iterator[RecordedUnit], due: _Due) -> Iterator[None]:
        """Publishes over one connection, from a key frame on; yields after each picture."""
        options = {"rtsp_transport": "tcp", "timeout": str(round(_TIMEOUT_S * 1e6))}
        with av.open(self._url, "w", format="rtsp", options=options) as server:
            stream = server.add_stream_from_template(self._recording.stream)
            annex_b = to_annex_b(self._recording, stream)
            timeline = Timeline(self._speed)
            first: int | None = None
            for unit in units:
                is_late = due.seconds(unit) < time.monotonic() - _LATE_S
                if first is None and (is_late or not unit.is_key):
                    continue
                first = unit.dts if first is None else first
                for packet in annex_b.filter(unit.packet):
                    packet.stream, packet.time_base = stream, _TICK
                    packet.pts = timeline.to_camera(unit.pts - first)
                    packet.dts = timeline.to_camera(unit.dts - first)
                    server.mux_one(packet)
                yield
