"""UDP sockets of FFmpeg's whose other end does not listen, as many cameras do not to what is sent to their RTCP port.

FFmpeg sends them receiver reports (RFC 3550 §6.4), and the answer that nobody listens becomes an error of the socket.
Where it believes only what comes from the camera (`filter_src`), its sockets are connected, so that they are told; it
never asks for the error, and until somebody does, poll(2) returns at once: a core for each such camera, measured with
FFmpeg 8, of which nothing is seen but that pictures seem late where other processes want that core, too.
"""

from __future__ import annotations

import os
import socket
import stat
from contextlib import suppress
from pathlib import Path

_DESCRIPTORS = Path("/proc/self/fd")


class Datagrams:
    """The UDP sockets that this process has when it is made."""

    def __init__(self) -> None:
        self._sockets = [one for one in map(_socket, _descriptors()) if one is not None]

    def forget_errors(self) -> None:
        """Ask each for its error, which takes it away; does not block."""
        for one in self._sockets:
            one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)

    def close(self) -> None:
        """Let go of them; they stay open for whose they are."""
        for one in self._sockets:
            one.close()
        self._sockets = []


def _descriptors() -> list[int]:
    with suppress(OSError):
        return [int(entry.name) for entry in _DESCRIPTORS.iterdir()]
    return []


def _socket(descriptor: int) -> socket.socket | None:
    """Another handle of a socket that is UDP; None of anything else."""
    try:
        if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            return None
        own = socket.socket(fileno=os.dup(descriptor))
    except OSError:
        return None
    if own.type == socket.SOCK_DGRAM and own.family in (socket.AF_INET, socket.AF_INET6):
        return own
    own.close()
    return None
