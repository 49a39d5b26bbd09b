"""The process in which a fleet's rules are judged."""

from __future__ import annotations

import os
import signal
import threading
from ctypes import c_int64

from pipeline.child import end_with_parent, ignore_terminal
from pipeline.clock import NS_PER_S, SystemClock
from pipeline.events.spec import EventsSpec
from pipeline.logs import configure_logs

NICENESS = 5
"""An event may come a moment later, cameras may not wait."""
TURN_MS = 100
GATHER_S = 0.02
"""How long frames gather before they are judged together: 50 turns a second instead of 300."""
QUIET_MS, LAST_S = 30, 0.25
"""At the end: no message for so long means that the publisher has said all; and how long that is waited for at most."""


def run_events(spec: EventsSpec, beat: c_int64) -> None:
    """Judge in this process until SIGTERM or the parent's end.

    Args:
        spec: What is judged, and where it goes.
        beat: Set to the monotonic time, ns, whenever the loop turns.
    """
    from pipeline.events.judge import Judge

    ignore_terminal()
    end_with_parent()
    os.nice(NICENESS)
    configure_logs("events")
    stop, clock = threading.Event(), SystemClock()
    signal.signal(signal.SIGTERM, lambda number, frame: stop.set())
    judge = Judge(spec, clock)
    while not stop.is_set():
        if judge.turn(TURN_MS):
            stop.wait(GATHER_S)
        beat.value = clock.monotonic_ns()
    until_ns = clock.monotonic_ns() + round(LAST_S * NS_PER_S)
    while judge.turn(QUIET_MS) and clock.monotonic_ns() < until_ns:
        continue
    judge.close()
