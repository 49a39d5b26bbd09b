"""What one case may cost, and what a target may keep."""

from __future__ import annotations

import ctypes
import gc
import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Self

import psutil

from pipeline.errors import PipelineError

MOST_CPU_S = 1.0
"""Of the process's own time, so that a busy machine is no finding; of a case that takes longer, the least of `TRIES`: a
processor that is shared is at times half as fast, and the first case also imports what it needs."""
TRIES = 3
ENDLESS_CPU_S = 5.0
"""A case is stopped then."""
MOST_GROWTH_MB = 20.0
"""Of memory that is still resident after a target's cases."""
MOST_PEAK_MB = 100.0
"""Of memory that one case may need while it lasts: the largest fleet file there may be, a megabyte, is read whole."""
LOOK_EVERY = 2000
"""Cases between two looks at what is kept: handing free memory back takes longer than most cases."""
_CLEAR_PEAK = "5"
"""Sets the peak back to what is resident now (Linux, proc_pid_clear_refs(5))."""


class Finding(BaseException):
    """A case went beyond what it may; no `except Exception` on the way keeps it."""


class Watched:
    """Runs cases of one target, each within `MOST_CPU_S` at best, all together within `MOST_GROWTH_MB` and at no moment
    beyond `MOST_PEAK_MB`; main thread only.

    The memory is compared with that after the first `warm_up` cases, when everything has been imported and cached.
    """

    def __init__(self, run: Callable[[bytes], None], warm_up: int) -> None:
        self._run, self._warm_up, self._warm_at = run, warm_up, warm_up
        self.cases = self.refused = 0
        self.slowest_s = 0.0
        self.growth_mb = self.peak_mb = 0.0
        self._base_mb = 0.0
        self._before = signal.signal(signal.SIGPROF, _too_slow)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        signal.signal(signal.SIGPROF, self._before)
        gc.unfreeze()

    def __call__(self, data: bytes) -> None:
        """Run one case.

        Raises:
            Finding: It took too long, or too much memory.
            Exception: What the target raised, unless it is one of the project's own.
        """
        took_s = ENDLESS_CPU_S
        for _ in range(TRIES):
            refused, again_s = self._once(data)
            took_s = min(took_s, again_s)
            if took_s <= MOST_CPU_S:
                break
        self.cases += 1
        self.refused += refused
        self.slowest_s = max(self.slowest_s, took_s)
        if took_s > MOST_CPU_S:
            raise Finding(f"took {took_s:.1f} s of processor time, more than {MOST_CPU_S:g} s")
        self._check_memory()

    def _once(self, data: bytes) -> tuple[bool, float]:
        """Whether the case is refused, and the processor time that took, seconds."""
        began_s = time.process_time()
        signal.setitimer(signal.ITIMER_PROF, ENDLESS_CPU_S)
        refused = False
        try:
            self._run(data)
        except PipelineError:
            refused = True
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        return refused, time.process_time() - began_s

    def _check_memory(self) -> None:
        if self.cases < self._warm_at:
            return
        if self.cases == self._warm_at:
            self._base_mb = _kept_mb()
            gc.freeze()
            Path("/proc/self/clear_refs").write_text(_CLEAR_PEAK)
        self.peak_mb = max(self.peak_mb, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - self._base_mb)
        if self.peak_mb > MOST_PEAK_MB:
            raise Finding(f"needed {self.peak_mb:.0f} MB of memory, more than {MOST_PEAK_MB:g} MB")
        if self.cases % LOOK_EVERY == 0:
            self.look()

    def warm_up_again(self) -> None:
        """Compare memory with that after as many cases more: something else than the target has taken some.

        Raises:
            Finding: What was kept up to now is too much.
        """
        self.look()
        self._warm_at = self.cases + self._warm_up
        self._base_mb = 0.0

    def look(self) -> None:
        """See what has been kept so far.

        Raises:
            Finding: It is too much.
        """
        self.growth_mb = max(self.growth_mb, _kept_mb() - self._base_mb) if self._base_mb else self.growth_mb
        if self.growth_mb > MOST_GROWTH_MB:
            raise Finding(f"memory grew by {self.growth_mb:.0f} MB, more than {MOST_GROWTH_MB:g} MB")


def _kept_mb() -> float:
    """Resident memory without what is free or waits for the collector."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    return float(psutil.Process().memory_info().rss / 2**20)


def _too_slow(number: int, frame: FrameType | None) -> None:
    raise Finding(f"still running after {ENDLESS_CPU_S:g} s of processor time")
