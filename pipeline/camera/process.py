"""A camera's process: connect, decode, hand over, and when the camera is lost, try again, for ever."""

from __future__ import annotations

import random
import signal
import sys
import threading
from ctypes import c_int64
from dataclasses import dataclass

import structlog

from pipeline.camera.backlog import LATE_S
from pipeline.camera.backoff import Backoff
from pipeline.camera.frames import Frames
from pipeline.camera.report import FAREWELL_MS, Reporter
from pipeline.camera.source import Source, open_source
from pipeline.child import end_with_parent, settle
from pipeline.clock import NS_PER_MS, NS_PER_S, Clock, SystemClock
from pipeline.config.camera import Camera
from pipeline.errors import PipelineError, SourceError
from pipeline.link import CameraLink, Tick
from pipeline.logs import configure_logs
from pipeline.runscope import RunScope
from pipeline.wire import CameraState

log = structlog.get_logger()

ENDED = 0
"""Exit code of a process that was told to end, or whose recording has come to its end."""
BROKEN = 1
"""Exit code of a process that cannot work now, but may if it is started again: no shared memory."""
FAILED = 2
"""Exit code of a process whose recording cannot be played; starting it again will not mend that."""

_ASK_MS = 250
_TAKEN_MS = 10_000
"""How long a picture of a recording that waits for the worker may lie in the slot."""


@dataclass(frozen=True, slots=True)
class CameraSpec:
    """All a camera process needs to know.

    Attributes:
        camera: The camera's settings.
        fleet: The fleet's name.
        scope: Where its slot is.
        link: The worker's endpoint.
        late_s: How late pictures may come for want of a processor before some are left out.
    """

    camera: Camera
    fleet: str
    scope: RunScope
    link: str
    late_s: float = LATE_S


def run_camera(spec: CameraSpec, beat: c_int64) -> None:
    """Run a camera in this process until SIGTERM, the parent's end, or the end of a recording that is not looped.

    Args:
        spec: The camera and where it delivers.
        beat: Set to the monotonic time, ns, at every packet and every turn of waiting.

    Raises:
        SystemExit: With `ENDED`, `BROKEN` or `FAILED`.
    """
    stop = threading.Event()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, frame: stop.set())
    end_with_parent()
    configure_logs(f"camera {spec.camera.camera_id}")
    settle()
    sys.exit(serve(spec, beat, stop))


def serve(spec: CameraSpec, beat: c_int64, stop: threading.Event) -> int:
    """The same in any thread; returns the exit code once `stop` is set or a recording has ended."""
    clock = SystemClock()
    link = CameraLink(spec.link, spec.camera.camera_id)
    frames = Frames(spec.scope, spec.camera.camera_id, clock)
    first = CameraState(fleet=spec.fleet, camera_id=spec.camera.camera_id, session_id="", state="connecting")
    reporter = Reporter(first, link, beat, stop, clock)
    try:
        code = _CameraLoop(spec, link, frames, reporter, clock).run()
        if not stop.is_set():
            link.settle(FAREWELL_MS)
        return code
    except PipelineError as error:
        log.error(str(error))
        return BROKEN
    finally:
        frames.close()
        link.close()


class _CameraLoop:
    """Sources one after the other, the pictures of each, and the pauses between them."""

    def __init__(self, spec: CameraSpec, link: CameraLink, frames: Frames, reporter: Reporter, clock: Clock) -> None:
        self._camera, self._late_s = spec.camera, spec.late_s
        self._link, self._frames = link, frames
        self._reporter, self._clock = reporter, clock
        self._backoff = Backoff(self._camera.reconnect.initial_s, self._camera.reconnect.max_s)
        self._rng = random.Random()
        self._reconnects = -1
        self._live_since_ns: int | None = None

    def run(self) -> int:
        """The exit code."""
        self._await_admission()
        while not self._reporter.stopping:
            self._live_since_ns = None
            try:
                self._watch()
            except SourceError as error:
                if self._camera.url.kind == "file":
                    self._reporter.change("failed", str(error))
                    return FAILED
                self._frames.end_session()
                self._reporter.change("retrying", str(error))
                self._pause()
                continue
            self._frames.end_session()
            if not self._reporter.stopping:
                self._reporter.change("ended")
            break
        return ENDED

    def _await_admission(self) -> None:
        """Wait until the worker says what it wants: before that, a camera is not worth its bandwidth."""
        while self._reporter.go_on():
            admission = self._link.admission(_ASK_MS)
            if admission is not None:
                self._frames.admit(admission)
                return

    def _watch(self) -> None:
        """Every picture of one source; returns when a recording has ended or the process shall.

        Raises:
            SourceError: The source cannot be opened, or is lost.
        """
        self._reporter.go_on()
        source = open_source(self._camera, self._clock, self._late_s)
        try:
            for picture in source.pictures(self._reporter):
                wish = self._link.admission()
                if wish is not None:
                    self._frames.admit(wish)
                tick = self._frames.take(picture)
                if tick is not None:
                    self._send(tick)
                    self._report_live(source)
                if not self._reporter.go_on():
                    return
        finally:
            source.close()

    def _send(self, tick: Tick) -> None:
        """Now or never, as a camera must; a recording played as fast as it goes waits for the worker instead."""
        if not self._camera.waits_for_worker:
            self._link.send(tick)
            return
        while not self._link.send(tick, _ASK_MS) and self._reporter.go_on():
            pass
        if tick.admitted == "slot":
            self._await_taken(tick)

    def _await_taken(self, tick: Tick) -> None:
        """Wait until the worker has taken this picture; not for ever, because a worker that died never will."""
        give_up_ns = self._clock.monotonic_ns() + _TAKEN_MS * NS_PER_MS
        while self._reporter.go_on() and self._clock.monotonic_ns() < give_up_ns:
            wish = self._link.admission(_ASK_MS)
            if wish is not None:
                self._frames.admit(wish)
                if wish.taken >= (tick.session, tick.frame_id):
                    return

    def _report_live(self, source: Source) -> None:
        if self._live_since_ns is None:
            self._live_since_ns = self._clock.monotonic_ns()
            self._reconnects += 1
        self._reporter.change(
            "live",
            source.concern,
            reconnects=self._reconnects,
            session_id=f"{self._frames.session_number:012x}",
            session=self._frames.session_number,
            codec=source.description.codec,
            frame_wh=self._frames.frame_wh,
        )

    def _pause(self) -> None:
        live_ns = 0 if self._live_since_ns is None else self._clock.monotonic_ns() - self._live_since_ns
        self._backoff = self._backoff.lost(live_ns / NS_PER_S)
        self._reporter.wait(self._backoff.pause_s(self._rng))
