"""One sink's process: an ordinary subscriber, which may stall or die and costs a camera nothing."""

from __future__ import annotations

import os
import signal
import threading
from ctypes import c_int64

import structlog

from pipeline.child import end_with_parent, ignore_terminal
from pipeline.clock import NS_PER_S, Clock, SystemClock
from pipeline.errors import SinkError
from pipeline.logs import configure_logs
from pipeline.redact import redact
from pipeline.sink.feed import Feed, SinkSpec
from pipeline.sink.report import SinkFigures, write_figures

log = structlog.get_logger()

NICENESS = 5
"""Results on disk can wait, cameras cannot."""
TELL_S = 1.0
RETRY_S = 5.0
"""How soon a spool is tried again that cannot be opened."""


def run_sink(spec: SinkSpec, beat: c_int64) -> None:
    """Run a sink in this process until SIGTERM or the parent's end.

    Args:
        spec: From where to where.
        beat: Set to the monotonic time, ns, whenever the loop turns.
    """
    ignore_terminal()
    end_with_parent()
    os.nice(NICENESS)
    configure_logs(f"sink {spec.place.name}")
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: stop.set())
    clock = SystemClock()
    feed = _opened(spec, stop, beat, clock)
    if feed is None:
        return
    feed.run(stop, _Turn(spec, feed, beat, clock))
    ended = feed.close()
    if waiting := feed.figures.waiting:
        log.warning("results wait on disk until the sink is started again", messages=waiting)
    if not ended:
        # Its thread would hold the interpreter.
        os._exit(0)


class _Turn:
    """What happens beside: the heart beats, and once a second the figures are told."""

    def __init__(self, spec: SinkSpec, feed: Feed, beat: c_int64, clock: Clock) -> None:
        self._report, self._feed, self._beat, self._clock = spec.report, feed, beat, clock
        self._told_ns = 0

    def __call__(self) -> None:
        now_ns = self._clock.monotonic_ns()
        self._beat.value = now_ns
        if self._report is not None and now_ns - self._told_ns >= TELL_S * NS_PER_S:
            self._told_ns = now_ns
            write_figures(self._report, self._feed.figures)


def _opened(spec: SinkSpec, stop: threading.Event, beat: c_int64, clock: Clock) -> Feed | None:
    """The sink at work, as soon as its spool can be opened; None if it is to end before."""
    told = ""
    while not stop.is_set():
        try:
            return Feed(spec, clock)
        except SinkError as error:
            why = redact(error)
        if why != told:
            log.error(f"the sink cannot begin: {why}")
        told = why
        beat.value = clock.monotonic_ns()
        if spec.report is not None:
            write_figures(spec.report, SinkFigures(detail=why))
        stop.wait(RETRY_S)
    return None
