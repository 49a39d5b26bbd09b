"""One life of a child: a process from its start to its end."""

from __future__ import annotations

import os
import select
import signal
from contextlib import suppress
from multiprocessing.context import ForkServerProcess

UNKNOWN = 255
"""Exit code of a process whose fork server has ended before it: nobody can tell (multiprocessing's own)."""
CODE_S = 1.0
"""How long the fork server may take to tell the exit code of a process that has ended."""


class Life:
    """A process that the fork server has made, watched by itself and not through the server, which may be killed.

    Not thread-safe.

    Attributes:
        pid: Its process id.
        sentinel: Becomes readable when it ends (a pidfd: pidfd_open(2)).
    """

    def __init__(self, process: ForkServerProcess) -> None:
        """Watch a process that was just started.

        Raises:
            OSError: There is no descriptor left for it; it is ended then.
        """
        assert process.pid is not None
        self._process = process
        self.pid = process.pid
        try:
            self.sentinel = os.pidfd_open(process.pid)
        except OSError:
            process.kill()
            raise

    def has_ended(self, within_s: float = 0.0) -> bool:
        """Whether it has, or does so within that time; blocks meanwhile."""
        waiting = select.poll()
        waiting.register(self.sentinel, select.POLLIN)
        return bool(waiting.poll(within_s * 1000))

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it has not ended."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.sentinel, number)

    def close(self) -> int:
        """Its exit code, once it has ended; negative for a signal."""
        os.close(self.sentinel)
        self._process.join(CODE_S)
        code = self._process.exitcode
        if code is None:
            return UNKNOWN
        self._process.close()
        return code
