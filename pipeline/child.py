"""What every child process of a fleet does first."""

from __future__ import annotations

import multiprocessing
import os
import threading

ORPHANED = 70
"""Exit code of a process whose supervisor is gone (EX_SOFTWARE of sysexits.h)."""


def end_with_parent() -> None:
    """End this process as soon as the one that started it is gone, however it went.

    The parent's end of a pipe closes with it, also on SIGKILL, and also behind a fork server; nothing is asked of the
    operating system that only Linux has.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os._exit(ORPHANED)

    threading.Thread(target=watch, name="end-with-parent", daemon=True).start()
