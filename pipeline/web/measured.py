"""What the processes of a fleet take of this machine."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

import msgspec
import psutil

from pipeline.wire import ProcessFigures


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """What one process takes. None stands for what the system does not tell.

    Attributes:
        cpu_s: Processor time since it began.
        resident_bytes: Memory that it has, what it shares with others included (RSS).
        proportional_bytes: The same, what is shared counted in part (PSS).
        descriptors: Open files and sockets.
    """

    cpu_s: float
    resident_bytes: int
    proportional_bytes: int | None = None
    descriptors: int | None = None


@dataclass(slots=True)
class _Life:
    """What the lives of a process took that are over, and the one that runs."""

    pid: int
    cpu_s: float = 0.0
    before_s: float = 0.0


class Measures:
    """Measures by process id. Not thread-safe."""

    def __init__(self) -> None:
        self._lives: dict[str, _Life] = {}

    def take(self, processes: Iterable[ProcessFigures]) -> dict[str, Taken]:
        """What each takes, by name; those that do not run, or are gone, are left out. Blocks for milliseconds each."""
        found: dict[str, Taken] = {}
        names = set()
        for process in processes:
            names.add(process.name)
            with suppress(psutil.Error):
                if process.pid:
                    found[process.name] = self._taken(process)
        self._lives = {name: life for name, life in self._lives.items() if name in names}
        return found

    def _taken(self, process: ProcessFigures) -> Taken:
        measured = psutil.Process(process.pid)
        with measured.oneshot():
            times = measured.cpu_times()
            return Taken(
                cpu_s=self._whole_s(process, times.user + times.system),
                resident_bytes=measured.memory_info().rss,
                proportional_bytes=_proportional(measured),
                descriptors=_descriptors(measured),
            )

    def _whole_s(self, process: ProcessFigures, cpu_s: float) -> float:
        """Of all lives that were seen: the counter of a process that is started again goes on."""
        life = self._lives.setdefault(process.name, _Life(process.pid))
        if life.pid != process.pid:
            life.before_s, life.pid = life.before_s + life.cpu_s, process.pid
        life.cpu_s = cpu_s
        return life.before_s + cpu_s


def _proportional(process: psutil.Process) -> int | None:
    try:
        return int(process.memory_full_info().pss)
    except (psutil.Error, AttributeError):  # another user's, or a system without it
        return None


def _descriptors(process: psutil.Process) -> int | None:
    try:
        return process.num_fds()
    except psutil.AccessDenied:
        return None
