"""Standing back behind the fleet that is looked at, from the first import on.

Priority is a thread's own, goes over to what it starts, and without root never rises again. So one thread that is there
before keeps that of any program, and does the little that must not wait: reading the clocks, hearing messages, starting
a fleet.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor

NICE = 15
"""The detector's threads have 5 (`worker.nice`), everything else of a fleet 0 or less. Loading our own modules alone
takes 0.9 s of a core."""


@contextlib.contextmanager
def standing_back() -> Iterator[Executor]:
    """Lower the calling thread's priority; what is given runs things at the priority that it had."""
    with ThreadPoolExecutor(1, thread_name_prefix="urgent") as urgent:
        urgent.submit(int).result()  # Its thread is started by the first task.
        lower()
        yield urgent


def lower() -> None:
    """Let the calling thread, and what it starts from now on, stand back."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
