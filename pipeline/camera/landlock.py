"""Landlock, by which a process of Linux gives up rights for good: three system calls, and what each kernel knows.

As described by landlock(7) and https://docs.kernel.org/userspace-api/landlock.html; the numbers are those of
include/uapi/linux/landlock.h. The packages for it on PyPI are pre-releases or younger than a year.
"""

from __future__ import annotations

import ctypes
import os
import stat
import sys
from collections.abc import Iterable
from contextlib import suppress
from enum import IntFlag
from pathlib import Path

from pipeline.camera.privileges import failure, libc

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION = 1
_PATH_BENEATH, _NET_PORT = 1, 2
_BIND_TCP, _CONNECT_TCP = 1, 2
_ABSTRACT_UNIX, _SIGNAL = 1, 2

NETWORK_ABI, IOCTL_ABI, SCOPE_ABI = 4, 5, 6


class Access(IntFlag):
    """What can be allowed beneath a path."""

    EXECUTE = 1 << 0
    WRITE_FILE = 1 << 1
    READ_FILE = 1 << 2
    READ_DIR = 1 << 3
    REMOVE_DIR = 1 << 4
    REMOVE_FILE = 1 << 5
    MAKE_CHAR = 1 << 6
    MAKE_DIR = 1 << 7
    MAKE_REG = 1 << 8
    MAKE_SOCK = 1 << 9
    MAKE_FIFO = 1 << 10
    MAKE_BLOCK = 1 << 11
    MAKE_SYM = 1 << 12
    REFER = 1 << 13
    TRUNCATE = 1 << 14
    IOCTL_DEV = 1 << 15


READ = Access.READ_FILE | Access.READ_DIR
WRITE = (
    READ
    | Access.WRITE_FILE
    | Access.TRUNCATE
    | Access.REMOVE_DIR
    | Access.REMOVE_FILE
    | Access.MAKE_DIR
    | Access.MAKE_REG
    | Access.MAKE_SOCK
)
"""Also to make and remove files, folders and sockets."""
DEVICE = Access.READ_FILE | Access.WRITE_FILE | Access.IOCTL_DEV
_OF_FILES = DEVICE | Access.EXECUTE | Access.TRUNCATE
_SINCE = ((1, (1 << 13) - 1), (2, 1 << 13), (3, 1 << 14), (IOCTL_ABI, 1 << 15))
"""Rights by the first version that knows them."""


class _Ruleset(ctypes.Structure):
    _fields_ = (("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("fd", ctypes.c_int32))


class _NetPort(ctypes.Structure):
    _fields_ = (("allowed", ctypes.c_uint64), ("port", ctypes.c_uint64))


def abi() -> int:
    """The version this kernel has; 0 where it has none, or a container keeps it from us."""
    if sys.platform != "linux":
        return 0
    try:
        return _call(_CREATE_RULESET, None, 0, _VERSION)
    except OSError:
        return 0


def restrict(allowed: Iterable[tuple[Path, Access]], ports: Iterable[int] | None) -> None:
    """Take all other rights from the calling thread and those it starts from now on, as far as this kernel knows them.

    After `forbid_new_privileges`. Of the network, Landlock knows TCP's connect and bind, by port and not by
    address; UDP and sockets that are files it leaves free.

    Args:
        allowed: Paths and what may be done beneath them; those that do not exist are passed over.
        ports: TCP may connect to these, of any host; None for any. It may bind to none.

    Raises:
        OSError: The kernel does not let us.
    """
    version = abi()
    known = sum(rights for since, rights in _SINCE if since <= version)
    rules = _Ruleset(known)
    if version >= NETWORK_ABI:
        rules.net = _BIND_TCP | (0 if ports is None else _CONNECT_TCP)
    if version >= SCOPE_ABI:
        rules.scoped = _ABSTRACT_UNIX | _SIGNAL
    # Older kernels take the longer structure, too, if the rest of it is zero.
    ruleset = _call(_CREATE_RULESET, ctypes.byref(rules), ctypes.sizeof(rules), 0)
    try:
        for path, access in allowed:
            with suppress(FileNotFoundError):
                _allow(ruleset, path, access & known)
        for port in (ports or ()) if version >= NETWORK_ABI else ():
            _call(_ADD_RULE, ruleset, _NET_PORT, ctypes.byref(_NetPort(_CONNECT_TCP, port)), 0)
        _call(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: Path, access: int) -> None:
    fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            access &= _OF_FILES
        if access:
            _call(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(_PathBeneath(access, fd)), 0)
    finally:
        os.close(fd)


def _call(number: int, *arguments: object) -> int:
    words = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    result: int = libc().syscall(ctypes.c_long(number), *words)
    if result < 0:
        raise failure()
    return result
