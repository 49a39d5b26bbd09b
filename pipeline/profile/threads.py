"""What every thread of a fleet has spent, as the kernel counts it: read twice, before and after.

Reading costs the fleet nothing: the kernel counts anyway. Threads are known by the names that the processes give them
(`pipeline.child.name_thread`) and by those that ZeroMQ gives its own.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

from pipeline.bench import machine
from pipeline.child import DETECTOR_THREADS, EVIDENCE_THREAD, LANE_THREADS
from pipeline.clock import NS_PER_S
from pipeline.supervise.status import ProcessStatus

SUPERVISOR = "supervisor"
"""The supervisor's process, its fork server and whatever else it has started that is no member."""

Part = Literal["main", "lane", "detector", "sockets", "evidence", "other"]
"""What a thread does: the process's own loop; waits for a detection and does its after-work; computes it; carries
messages (ZeroMQ); receives a camera's large stream."""


@dataclass(frozen=True, slots=True)
class Spent:
    """CPU time so far, s, of processes by name and of their threads.

    Attributes:
        at_s: When, monotonic.
        processes: By process, as the system counts them, threads that have ended included.
        threads: By process, then by thread id: what the thread does, and its time.
        pids: The process ids behind each name.
        restarts: How often processes were started again so far.
        own_s: Of this process.
        machine_s: Of the whole machine.
    """

    at_s: float
    processes: Mapping[str, float]
    threads: Mapping[str, Mapping[int, tuple[Part, float]]]
    pids: Mapping[str, tuple[int, ...]]
    restarts: int
    own_s: float
    machine_s: float


@dataclass(frozen=True, slots=True)
class Use:
    """Cores of one process between two readings, and of its threads by what they do."""

    name: str
    cores: float
    parts: Mapping[Part, float]


def read(members: Iterable[ProcessStatus], supervisor: int) -> Spent:
    """What was spent until now; processes that have just ended are left out."""
    members = list(members)
    pids: dict[str, tuple[int, ...]] = {member.name: (member.pid,) for member in members if member.pid is not None}
    named = {pid for ids in pids.values() for pid in ids}
    pids[SUPERVISOR] = tuple(pid for pid in _family(supervisor) if pid not in named and pid != os.getpid())
    processes, threads = {}, {}
    for name, ids in pids.items():
        with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError, FileNotFoundError):
            processes[name] = sum(machine.cpu_s(pid) for pid in ids)
            threads[name] = {tid: spent for pid in ids for tid, spent in _threads(pid).items()}
    restarts = sum(member.restarts for member in members)
    own_s, machine_s = time.process_time(), machine.busy_s()
    return Spent(time.monotonic(), processes, threads, pids, restarts, own_s, machine_s)


def between(before: Spent, after: Spent) -> list[Use]:
    """What each process that is there at the end has used; one that was started anew counts from its start."""
    seconds = after.at_s - before.at_s
    uses = []
    for name, spent_s in after.processes.items():
        same = before.pids.get(name) == after.pids[name]
        known = before.threads.get(name, {}) if same else {}
        parts: dict[Part, float] = {}
        for tid, (part, thread_s) in after.threads[name].items():
            used_s = thread_s - (known[tid][1] if tid in known else 0.0)
            parts[part] = parts.get(part, 0.0) + used_s / seconds
        used_s = spent_s - (before.processes.get(name, 0.0) if same else 0.0)
        uses.append(Use(name, used_s / seconds, parts))
    return uses


def _family(pid: int) -> list[int]:
    """A process and all that descend from it."""
    try:
        return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
    except psutil.NoSuchProcess:
        return []


def _threads(pid: int) -> dict[int, tuple[Part, float]]:
    """Each thread's part and CPU time, s."""
    found = {}
    for folder in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            found[int(folder.name)] = ((folder / "comm").read_text("utf-8", "replace").strip(), _spent_s(folder))
    parts = parts_of(pid, {tid: comm for tid, (comm, _) in found.items()})
    return {tid: (parts[tid], spent_s) for tid, (_, spent_s) in found.items()}


def parts_of(pid: int, names: Mapping[int, str]) -> dict[int, Part]:
    """What the threads of a process do, by their names.

    A library's threads have the name of the thread that started them. So of those that are called as a lane is, the
    first is the lane; the others compute for it.
    """
    lanes: set[str] = set()
    parts: dict[int, Part] = {}
    for tid in sorted(names):
        name = names[tid]
        if tid == pid:
            parts[tid] = "main"
        elif name.startswith(LANE_THREADS):
            parts[tid] = "detector" if name in lanes else "lane"
            lanes.add(name)
        elif name.startswith(DETECTOR_THREADS):
            parts[tid] = "detector"
        elif name.startswith("ZMQ"):
            parts[tid] = "sockets"
        else:
            parts[tid] = "evidence" if name == EVIDENCE_THREAD else "other"
    return parts


def _spent_s(folder: Path) -> float:
    """In ns where the kernel keeps scheduler statistics, in its ticks elsewhere."""
    try:
        return int((folder / "schedstat").read_text().split()[0]) / NS_PER_S
    except FileNotFoundError:
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
