"""Processor time and memory of every process of a run, once a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

import msgspec
import psutil

from pipeline.burst.result import ProcessSeries

EVERY_S = 1.0
MACHINE = "whole machine"
"""The name under which all processes there are, ours and others, are together."""


class Sampler:
    """Looks at processes in a thread until closed; what comes back under a new id goes on under its name."""

    def __init__(self, processes: Callable[[], dict[str, int]]) -> None:
        """Begin; `processes` gives names and ids of what runs at this moment, and is called from the thread."""
        self._processes = processes
        self._series: dict[str, ProcessSeries] = {}
        self._known: dict[int, psutil.Process] = {}
        self._spent: dict[int, tuple[float, float]] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="burst-sampler", daemon=True)
        self._thread.start()

    @property
    def seen(self) -> list[psutil.Process]:
        """Every process that was ever looked at."""
        return list(self._known.values())

    def series(self, zero_s: float) -> list[ProcessSeries]:
        """One for each name, in order of appearance; `zero_s` of the monotonic clock becomes second 0."""
        return [
            msgspec.structs.replace(one, at_s=[round(at_s - zero_s, 2) for at_s in one.at_s])
            for one in self._series.values()
        ]

    def close(self) -> None:
        """Stop looking."""
        self._stop.set()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self) -> None:
        while True:
            for name, pid in self._processes().items():
                try:
                    self._look(name, pid)
                except psutil.Error:
                    self._spent.pop(pid, None)  # it has just died; what follows it is looked at next time
            self._look_at_machine()
            if self._stop.wait(EVERY_S):
                return

    def _look(self, name: str, pid: int) -> None:
        if pid not in self._known:
            self._known[pid] = psutil.Process(pid)
        process = self._known[pid]
        with process.oneshot():
            times, memory, now_s = process.cpu_times(), process.memory_info(), time.monotonic()
        private = memory.rss - getattr(memory, "shared", 0)
        self._note(name, pid, now_s, times.user + times.system, private)

    def _look_at_machine(self) -> None:
        """What else runs explains what a fleet cannot."""
        times, now_s = psutil.cpu_times(), time.monotonic()
        busy_s = sum(times[:3]) + sum(getattr(times, kind, 0.0) for kind in ("irq", "softirq", "steal"))
        self._note(MACHINE, 0, now_s, busy_s, psutil.virtual_memory().used)

    def _note(self, name: str, pid: int, now_s: float, spent_s: float, memory_bytes: int) -> None:
        before = self._spent.get(pid)
        self._spent[pid] = (now_s, spent_s)
        if before is None:
            return
        series = self._series.setdefault(name, ProcessSeries(name=name, at_s=[], cores=[], memory_mb=[]))
        series.at_s.append(now_s)
        series.cores.append(round((spent_s - before[1]) / max(now_s - before[0], 1e-3), 3))
        series.memory_mb.append(round(memory_bytes / 1e6, 1))
