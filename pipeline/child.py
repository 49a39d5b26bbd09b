"""What child processes of a fleet have in common: what they do first, how they end, what they give back."""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import os
import resource
import signal
import sys
import threading

ORPHANED = 70
"""Exit code of a process whose supervisor is gone (EX_SOFTWARE of sysexits.h)."""


FIRST_NICENESS = -10
_PR_SET_NAME = 15
DETECTOR_THREADS = "detector"
"""What threads of a detector's library are called."""
LANE_THREADS = "lane"
"""How the names of the threads begin that wait for a detection, or compute it themselves."""
EVIDENCE_THREAD = "evidence"
"""What the thread is called that receives a camera's large stream."""


def go_first() -> bool:
    """Let the calling thread go before others; False where the system does not allow that.

    For what is little work but must not wait, as all cameras wait for it: among 60 that decode on two cores, the
    worker's loop got a sixtieth of them, and needs an eighth.
    """
    try:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), FIRST_NICENESS)
    except PermissionError:
        return False
    return True


def name_thread(name: str) -> None:
    """Let the system know the calling thread, and those it starts from now on, by this name (15 bytes of it).

    `top -H` shows it, and a profile tells by it which of a process's threads detects. Python does so itself from 3.14
    on, but for the threads of libraries.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_NAME, name.encode()[:15], 0, 0, 0)


def raise_descriptor_limit() -> None:
    """Let this process have as many descriptors as the system allows; each connection takes one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def ignore_terminal() -> None:
    """Leave Ctrl-C and the end of the terminal, which all its processes are told of, to the supervisor."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def freeze_heap() -> None:
    """Say that what exists now will stay: the garbage collector no longer walks through modules and open parts.

    Nothing is collected first: that would touch, and so copy, every page that a forked process shares.
    """
    gc.freeze()


def give_memory_back() -> None:
    """Free what nothing refers to any more, also in circles, and return it to the system where the C library can.

    The garbage collector looks at old circles hardly ever where little is made that lasts, however much they hold: a
    camera's picture that was asked which side is up refers to itself (PyAV), and stayed after each session.
    """
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


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
