"""What a fleet takes of its machine, looked at again and again: memory, descriptors, threads, shared memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
from numpy.typing import ArrayLike

from endurance.owner import SUPERVISOR

SHARED = Path("/dev/shm")


@dataclass(frozen=True)
class Look:
    """What all processes of a fleet took at one moment.

    Attributes:
        at_s: When, from the beginning.
        own_mb: Memory of each process, what is shared shared out among those who share it (PSS of `smaps_rollup`),
            without mapped files.
        files_mb: The same of the mapped files of all: libraries, of which other programs on the machine may take a
            share, and give it back, at any moment.
        descriptors: Open file descriptors, of all together.
        threads: Threads, of all together.
        shared_mb: Its files of shared memory.
        p95_ms: Of the ages of the frames that came since the last look; None where none came.
        connections: Sessions that cameras have had until then.
    """

    at_s: float
    own_mb: dict[str, float]
    files_mb: float
    descriptors: int
    threads: int
    shared_mb: float
    p95_ms: float | None
    connections: int

    @property
    def memory_mb(self) -> float:
        """Of all processes."""
        return sum(self.own_mb.values())


def look(processes: Mapping[str, psutil.Process], at_s: float, ages_ms: Sequence[float], connections: int) -> Look:
    """Look once; what ends meanwhile is left out."""
    own_mb, files_mb, descriptors, threads = {}, 0.0, 0, 0
    for name, process in processes.items():
        with suppress(psutil.Error, OSError):
            pss_mb = _pss_mb(process.pid)
            own_mb[name] = pss_mb["Anon"] + pss_mb["Shmem"]
            files_mb += pss_mb["File"]
            descriptors += process.num_fds()
            threads += process.num_threads()
    p95_ms = float(np.percentile(ages_ms, 95)) if ages_ms else None
    shared_mb = _shared_mb(processes[SUPERVISOR].pid) if SUPERVISOR in processes else 0.0
    return Look(at_s, own_mb, files_mb, descriptors, threads, shared_mb, p95_ms, connections)


def _pss_mb(pid: int) -> dict[str, float]:
    """By what it is of: `Anon`, `File` and `Shmem` (Linux, proc_pid_smaps(5))."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return {
        line.partition(":")[0].removeprefix("Pss_"): int(line.split()[1]) * 1024 / 1e6
        for line in lines
        if line.startswith("Pss_")
    }


def _shared_mb(supervisor: int) -> float:
    sizes = []
    for path in SHARED.glob(f"camfleet-{supervisor}-*"):
        with suppress(OSError):
            sizes.append(path.stat().st_blocks * 512)
    return sum(sizes) / 1e6


def slope_per_h(at_s: Iterable[float], values: ArrayLike) -> float:
    """How much a figure grows in an hour: the median of the slopes between all pairs of looks.

    A step or an outlier moves it little (Theil 1950; Sen 1968, Journal of the American Statistical Association 63).
    """
    times, heights = np.array(list(at_s), np.float64), np.array(values, np.float64)
    first, second = np.triu_indices(len(times), 1)
    if not len(first):
        return 0.0
    return float(np.median((heights[second] - heights[first]) / (times[second] - times[first]))) * 3600
