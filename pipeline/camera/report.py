"""A camera process's signs of life: its heartbeat for the supervisor, its state for the subscribers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from ctypes import c_int64

import msgspec
import structlog

from pipeline.clock import NS_PER_S, Clock
from pipeline.link import Link, State
from pipeline.logs import tell_left_out
from pipeline.wire import CameraState, EvidenceState
from pipeline.wire import State as StateName

log = structlog.get_logger()

STATE_EVERY_S = 1.0
_STATE_EVERY_NS = round(STATE_EVERY_S * NS_PER_S)
FAREWELL_MS = 5000
"""How long the last words of a recording may wait for the worker, to be sent, and then to be read."""
_TURN_S = 0.25
"""Waiting is done in turns of so long, with a heartbeat after each."""


class Reporter:
    """Beats the heart and sends the state, on every change and once a second. Not thread-safe.

    Attributes:
        evidence: Tells how the camera's second stream is; None without one.
    """

    def __init__(self, first: CameraState, link: Link, beat: c_int64, stop: threading.Event, clock: Clock) -> None:
        self.evidence: Callable[[], EvidenceState | None] = lambda: None
        self._state = first
        self._link, self._beat, self._stop, self._clock = link, beat, stop, clock
        self._sent_ns = self._told_ns = 0

    @property
    def state(self) -> CameraState:
        """What was reported last."""
        return self._state

    @property
    def stopping(self) -> bool:
        """Whether the process was told to end."""
        return self._stop.is_set()

    def change(self, state: StateName, detail: str = "", **known: object) -> None:
        """Report a new state at once; without effect if nothing changed.

        Args:
            state: The new one.
            detail: The last error in words, credentials masked.
            **known: Other fields of `CameraState` that are known now.
        """
        changed = msgspec.structs.replace(self._state, state=state, detail=detail, **known)
        if changed == self._state:
            return
        is_news = (changed.state, changed.detail) != (self._state.state, self._state.detail)
        if changed.state != self._state.state:
            changed = msgspec.structs.replace(changed, since_ns=self._clock.wall_ns())
        self._state = changed
        # The last word comes once, so it may wait for a worker that is busy.
        self._send(FAREWELL_MS if state in ("ended", "failed") else 0)
        if is_news:
            words = {name: value for name, value in (("detail", detail), ("codec", changed.codec)) if value}
            (log.info if state in ("live", "connecting", "ended") else log.warning)(state, **words)

    def go_on(self) -> bool:
        """Beat, and say how the camera is if that is due; False once the process was told to end."""
        now_ns = self._beat.value = self._clock.monotonic_ns()
        if now_ns - self._sent_ns >= _STATE_EVERY_NS:
            self._send()
        if now_ns - self._told_ns >= _STATE_EVERY_NS:
            self._told_ns = now_ns
            tell_left_out()
        return not self._stop.is_set()

    def wait_until(self, due_ns: int) -> bool:
        """Block until the monotonic time `due_ns`, beating; False, at once, when told to end."""
        while self.go_on():
            left_s = (due_ns - self._clock.monotonic_ns()) / NS_PER_S
            if left_s <= 0:
                return True
            self._stop.wait(min(left_s, _TURN_S))
        return False

    def wait(self, pause_s: float) -> bool:
        """Block for `pause_s`, beating; False, at once, when told to end."""
        return self.wait_until(self._clock.monotonic_ns() + round(pause_s * NS_PER_S))

    def _send(self, timeout_ms: int = 0) -> None:
        self._sent_ns = self._clock.monotonic_ns()
        told = msgspec.structs.replace(self._state, at_ns=self._clock.wall_ns(), evidence=self.evidence())
        self._link.send(State(told), timeout_ms)
