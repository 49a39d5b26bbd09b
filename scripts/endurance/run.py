"""A fleet under planned faults: each is done when it is due, and a fleet that has ended is started again."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import replace

from endurance.faults import Fault, Injected, inject
from endurance.owner import SUPERVISOR, Owner

PATIENCE_S = 5.0
"""Where there is no such process for so long, a camera is hit instead."""


class Run:
    """One fleet under faults."""

    def __init__(self, owner: Owner, faults: Sequence[Fault]) -> None:
        """The fleet is up."""
        self._owner, self._waiting = owner, list(faults)
        self.injected: list[Injected] = []
        self.began_s = time.monotonic()

    def go_on(self) -> bool:
        """One look: follow what was done, start a fleet that has ended, do what is due. False when nothing is left."""
        for one in self.injected:
            one.follow()
        if self._owner.has_ended():
            self._owner.note_end(wanted=self._supervisor_was_hit())
            self._owner.start()
        if self._waiting and time.monotonic() >= self.began_s + self._waiting[0].at_s and not self._supervisor_stands():
            self._do(self._waiting[0])
        return bool(self._waiting) or any(one.over_s == float("inf") for one in self.injected)

    def _do(self, fault: Fault) -> None:
        done = inject(fault, self._owner.processes())
        if done is not None:
            self.injected.append(done)
            say(f"{time.monotonic() - self.began_s:6.1f} s  {fault.signal.name} {done.name}")
            del self._waiting[0]
        elif time.monotonic() > self.began_s + fault.at_s + PATIENCE_S:
            self._waiting[0] = replace(fault, kind="camera")

    def _supervisor_stands(self) -> bool:
        return any(one.name == SUPERVISOR and one.over_s == float("inf") for one in self.injected)

    def _supervisor_was_hit(self) -> bool:
        last = next((one for one in reversed(self.injected) if one.name == SUPERVISOR), None)
        return last is not None and last.fault.signal != signal.SIGSTOP and last.process.pid == self._owner.pid


def say(line: str) -> None:
    """How far it is, for people who wait."""
    print(line, file=sys.stderr, flush=True)
