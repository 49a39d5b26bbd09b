"""A listening TCP socket that can be shut for a while: nobody new comes in, those inside stay."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from contextlib import suppress

import psutil

_SO_ATTACH_FILTER, _SO_DETACH_FILTER = 26, 27
_NOTHING_PASSES = struct.pack("HBBI", 0x06, 0, 0, 0)
"""BPF_RET | BPF_K, 0 bytes (Linux, Documentation/networking/filter.rst)."""


class Gate:
    """ZeroMQ has no such thing: to unbind closes every connection that came through (libzmq 4.3.5).

    A packet filter of the socket's own drops what would become a connection; no privilege is needed.
    """

    def __init__(self, port: int) -> None:
        """Find the socket of this process that listens on `port`; without one the gate does nothing."""
        listening = (
            one.fd
            for one in psutil.Process().net_connections("tcp")
            if one.status == psutil.CONN_LISTEN and one.laddr.port == port
        )
        fd = next(listening, -1)
        self._socket = socket.socket(fileno=os.dup(fd)) if fd >= 0 else None

    def shut(self) -> None:
        """Let nobody new in; who tries waits, and comes in when the gate opens in time."""
        if self._socket is not None:
            program = ctypes.create_string_buffer(_NOTHING_PASSES)
            with suppress(OSError):
                self._socket.setsockopt(
                    socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", 1, ctypes.addressof(program))
                )

    def open(self) -> None:
        """Let everybody in again."""
        if self._socket is not None:
            with suppress(OSError):
                self._socket.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)

    def close(self) -> None:
        """Let go of the socket, which would listen on for nobody."""
        if self._socket is not None:
            self._socket.close()
