"""Faults by a seed: which kind of process is killed, stopped, ended or aborted when; and doing it."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from signal import Signals

import psutil

from endurance.owner import SUPERVISOR

WEIGHTS = {"camera": 45, "worker": 20, "publisher": 10, SUPERVISOR: 10, "fork server": 10, "resource tracker": 5}
SIGNALS = (signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM, signal.SIGABRT)
HELD_S = (0.2, 14.0)
"""How long a process stays stopped: beyond ten seconds the supervisor ends it as silent."""
SUPERVISOR_HELD_S = 4.0
"""A supervisor that is stopped mends nothing meanwhile."""


@dataclass(frozen=True)
class Fault:
    """One planned fault.

    Attributes:
        at_s: When, from the beginning.
        kind: On what kind of process.
        signal: What is sent.
        held_s: How long it stays stopped.
        pick: Which of several, 0 to 1.
    """

    at_s: float
    kind: str
    signal: Signals
    held_s: float
    pick: float

    def target(self, processes: Mapping[str, psutil.Process]) -> str | None:
        """The process's name; None where there is none of this kind now."""
        fitting = sorted(name for name in processes if name.partition(" ")[0] == self.kind or name == self.kind)
        return fitting[int(self.pick * len(fitting))] if fitting else None


def plan(
    seed: int,
    count: int,
    seconds: float,
    weights: Mapping[str, float] = WEIGHTS,
    signals: Sequence[Signals] = SIGNALS,
) -> list[Fault]:
    """`count` faults, evenly spread over `seconds` by chance; the same for the same seed.

    Args:
        seed: Of the chance.
        count: How many.
        seconds: Over how long.
        weights: How often each kind of process is hit, against the others.
        signals: What is sent, each as often as another.
    """
    chance = random.Random(seed)
    times = sorted(chance.uniform(0.0, seconds) for _ in range(count))
    return [_fault(chance, at_s, weights, signals) for at_s in times]


def _fault(chance: random.Random, at_s: float, weights: Mapping[str, float], signals: Sequence[Signals]) -> Fault:
    [kind] = chance.choices(list(weights), list(weights.values()))
    longest_s = SUPERVISOR_HELD_S if kind == SUPERVISOR else HELD_S[1]
    return Fault(at_s, kind, chance.choice(signals), chance.uniform(HELD_S[0], longest_s), chance.random())


@dataclass
class Injected:
    """A fault that was done: to whom, and from when until when it disturbs, monotonic s.

    `over_s` is infinite until the process has gone, or goes on.
    """

    fault: Fault
    name: str
    process: psutil.Process
    since_s: float
    over_s: float = float("inf")

    def disturbs(self, camera_id: str) -> bool:
        """Whether this camera's frames may stop because of it."""
        return self.fault.kind not in ("camera", "resource tracker") or self.name == f"camera {camera_id}"

    def follow(self) -> None:
        """Look whether it is over; let a stopped process go on when its time has come."""
        if self.over_s != float("inf"):
            return
        now_s = time.monotonic()
        if _has_gone(self.process):
            self.over_s = now_s
        elif self.fault.signal == signal.SIGSTOP and now_s >= self.since_s + self.fault.held_s:
            with suppress(psutil.NoSuchProcess):
                self.process.send_signal(signal.SIGCONT)
            self.over_s = now_s


def inject(fault: Fault, processes: Mapping[str, psutil.Process]) -> Injected | None:
    """Do it; None where no such process runs now."""
    name = fault.target(processes)
    if name is None or _has_gone(processes[name]):
        return None
    injected = Injected(fault, name, processes[name], time.monotonic())
    with suppress(psutil.NoSuchProcess):
        processes[name].send_signal(fault.signal)
    return injected


def _has_gone(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
