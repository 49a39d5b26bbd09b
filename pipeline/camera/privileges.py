"""Rights beyond those of the user, which a process of Linux gives up: by prctl(2) and capset(2)."""

from __future__ import annotations

import ctypes
import os
import sys

_PR_SET_NO_NEW_PRIVS = 38
_CAPABILITIES_3 = 0x20080522
"""Version of the structures below (linux/capability.h)."""


class _CapHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapData(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def forbid_new_privileges() -> None:
    """No program that this process or a child of it starts has more rights than it (setuid, file capabilities)."""
    if sys.platform == "linux" and libc().prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise failure()


def drop_capabilities(kept: frozenset[int]) -> None:
    """Give up what makes root more than a user, but for `kept`; of the calling thread and those it starts.

    With CAP_PERFMON, for one, root could read the memory of processes outside, whatever Landlock says.

    Raises:
        OSError: The kernel does not let us.
    """
    if sys.platform != "linux":
        return
    header, had = _CapHeader(_CAPABILITIES_3, 0), (_CapData * 2)()
    if libc().capget(ctypes.byref(header), had):
        raise failure()
    for word, held in enumerate(had):
        allowed = sum(1 << number % 32 for number in kept if number // 32 == word)
        held.effective, held.permitted, held.inheritable = held.effective & allowed, held.permitted & allowed, 0
    if libc().capset(ctypes.byref(header), had):
        raise failure()


def libc() -> ctypes.CDLL:
    """The C library, which keeps its errors for `failure`."""
    library = ctypes.CDLL(None, use_errno=True)
    library.syscall.restype = ctypes.c_long
    return library


def failure() -> OSError:
    """The error of the call that has just failed."""
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
