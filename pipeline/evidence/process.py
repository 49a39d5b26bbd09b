"""The process in which a fleet's evidence is kept."""

from __future__ import annotations

import os
import signal
import threading
from ctypes import c_int64
from pathlib import Path

import structlog

from pipeline.child import end_with_parent, ignore_terminal
from pipeline.clock import NS_PER_S, Clock, SystemClock
from pipeline.errors import SinkError
from pipeline.evidence.spec import EvidenceSpec
from pipeline.logs import configure_logs
from pipeline.redact import redact

log = structlog.get_logger()

NICENESS = 2
"""Behind the cameras, before the detector: a clip has its time. One for all threads: one that decodes pictures and is
kept waiting holds Python's lock, and with it those that must not wait."""
TURN_MS = 50
GATHER_S = 0.05
LATE_S = 5.0
"""How long after it began an event may be told and still have all its pictures, beyond what lies before it."""
CLOSING_S = 0.7
RETRY_S = 1.0
"""How soon a folder is tried again that cannot be written, or that an earlier life has not let go of."""


def run_evidence(spec: EvidenceSpec, beat: c_int64) -> None:
    """Keep evidence in this process until SIGTERM or the parent's end.

    Args:
        spec: What is kept, and where.
        beat: Set to the monotonic time, ns, whenever the loop turns.
    """
    ignore_terminal()
    end_with_parent()
    os.nice(NICENESS)
    configure_logs("evidence")
    stop, clock = threading.Event(), SystemClock()
    signal.signal(signal.SIGTERM, lambda number, frame: stop.set())
    _Loop(spec, clock).run(stop, beat)


class _Loop:
    """Sockets and threads around the desk."""

    def __init__(self, spec: EvidenceSpec, clock: Clock) -> None:
        from pipeline.client.inlet import Inlet
        from pipeline.evidence.tape import Tape
        from pipeline.evidence.watch import Watch
        from pipeline.publish import Publisher

        self._spec, self._clock, self._told_ns, self._missed = spec, clock, 0, ""
        keep_s = spec.settings.before_s + LATE_S
        self._tapes = {name: Tape(keep_s, spec.settings.memory_mb << 20) for name in spec.cameras}
        self._watch = Watch(spec.run, spec.cameras, self._tapes)
        self._inlet = Inlet(spec.endpoint, sorted(spec.cameras), {}, run=spec.run)
        self._publisher = Publisher(spec.inbox)

    def run(self, stop: threading.Event, beat: c_int64) -> None:
        from pipeline.evidence.desk import Desk

        desk: Desk | None = None
        try:
            while not stop.is_set():
                beat.value = self._clock.monotonic_ns()
                try:
                    desk = Desk(self._spec, self._tapes)
                    break
                except SinkError as error:
                    self._miss(redact(error))
                    stop.wait(RETRY_S)
            while desk is not None and not stop.is_set():
                if heard := self._inlet.receive(TURN_MS):
                    stop.wait(GATHER_S)
                for one in heard:
                    desk.hear(one.message)
                if new := desk.turn(self._clock.wall_ns()):
                    self._publisher.publish(*new)
                self._tell(desk.words)
                beat.value = self._clock.monotonic_ns()
            if desk is not None and (last := desk.close(CLOSING_S)):
                self._publisher.publish(*last)
        finally:
            self._watch.close()
            self._inlet.close()
            self._publisher.close()

    def _miss(self, why: str) -> None:
        """Say once why nothing is kept."""
        if why != self._missed:
            log.error(f"no evidence is kept: {why}")
        self._missed = why
        self._report(why)

    def _tell(self, words: str) -> None:
        """Once a second."""
        now_ns = self._clock.monotonic_ns()
        if now_ns - self._told_ns >= NS_PER_S:
            self._told_ns = now_ns
            self._report(words)

    def _report(self, words: str) -> None:
        new = Path(f"{self._spec.report}.new")
        try:
            new.write_text(words, encoding="utf-8")
            new.replace(self._spec.report)
        except OSError:
            return  # the run is over
