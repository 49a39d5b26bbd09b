"""What this process may use of the machine, and what is used of it."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import psutil

_CPU_MAX = Path("/sys/fs/cgroup/cpu.max")
_CPU_INFO = Path("/proc/cpuinfo")


def usable_cores(cpu_max: Path = _CPU_MAX) -> float:
    """Cores that this process may use: by affinity, and by a container's quota where there is one (cgroup v2)."""
    cores = float(len(os.sched_getaffinity(0)))
    try:
        quota, period = cpu_max.read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return cores
    return cores if quota == "max" else min(cores, int(quota) / int(period))


def owns_machine(cores: float) -> bool:
    """Whether `cores` are all there are, so that what the others use can be known."""
    return cores == os.cpu_count()


def busy_s() -> float:
    """CPU time that the whole machine has spent on anything, time stolen by other guests included, s."""
    spent = psutil.cpu_times()
    return float(sum(spent) - spent.idle - spent.iowait - spent.guest - spent.guest_nice)


def cpu_s(pid: int) -> float:
    """CPU time a process has spent, s.

    Raises:
        psutil.NoSuchProcess: It has ended.
    """
    spent = psutil.Process(pid).cpu_times()
    return float(spent.user + spent.system)


def memory_mb(pid: int) -> float:
    """What a process adds to the machine's memory, MB: its own pages, and its share of those it shares (PSS).

    Raises:
        psutil.NoSuchProcess: It has ended.
    """
    return float(psutil.Process(pid).memory_full_info().pss) / 1e6


def name() -> str:
    """The processor, in its maker's words where the kernel tells them."""
    try:
        lines = _CPU_INFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()
