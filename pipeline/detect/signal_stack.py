"""The stack on which a thread handles signals, and why it must not be OpenVINO's.

On processors with AMX, OpenVINO's CPU plugin gives the thread that loads it a stack for signals (sigaltstack(2)), and
frees that when the last model goes, in whichever thread this happens. Python's handlers run on such a stack
(SA_ONSTACK), so that the next signal of the first thread ends the process: SIGSEGV.
"""

from __future__ import annotations

import ctypes

_DISABLE = 2


class _Stack(ctypes.Structure):
    _fields_ = (("start", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


def handle_signals_on_own_stack() -> None:
    """Let the calling thread handle signals on its own stack again, which is large enough for any."""
    none = _Stack(None, _DISABLE, 0)
    ctypes.CDLL(None, use_errno=True).sigaltstack(ctypes.byref(none), None)
