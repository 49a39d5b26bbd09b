"""How long a camera's thread was ready to run and had no processor: what tells a machine that is too busy.

The age of a frame does not tell: it may have waited in the network, or its decoder may simply need that long. Linux
counts for each thread how long it has been in the run queue (Documentation/scheduler/sched-stats.rst).
"""

from __future__ import annotations

import os


class RunQueue:
    """Watches the thread that makes it. Where the system does not tell, nothing was ever waited for."""

    def __init__(self) -> None:
        try:
            self._file: int | None = os.open("/proc/thread-self/schedstat", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._file = None
        self._known_ns = self._read_ns()

    def since_last_ns(self) -> int:
        """Time in the run queue since the last call, ns."""
        total_ns = self._read_ns()
        passed_ns, self._known_ns = total_ns - self._known_ns, total_ns
        return passed_ns

    def close(self) -> None:
        """Let go of the file; may be called again."""
        if self._file is not None:
            os.close(self._file)
        self._file = None

    def _read_ns(self) -> int:
        return 0 if self._file is None else int(os.pread(self._file, 96, 0).split()[1])
