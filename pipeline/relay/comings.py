"""Who comes to a socket and goes again: what ZeroMQ tells about its connections."""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
from contextlib import suppress
from pathlib import Path

import zmq
from zmq.utils.monitor import recv_monitor_message

_TIME_WAIT = "06"
_FAILED = zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
"""The first where this end hangs up, the second where the other does, having seen what is asked for here: whichever
reads the other's greeting first."""
_EVENTS = zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED | _FAILED


class Comings:
    """The connections of a socket that is bound. Not thread-safe.

    Attributes:
        count: How many there are.
    """

    def __init__(self, of: zmq.Socket[bytes], poller: zmq.Poller, port: int | None) -> None:
        """Listen to what ZeroMQ tells; the poller is told where. `port` is where it is bound, None without TCP."""
        self._of, self._poller, self._port = of, poller, port
        self._events: zmq.Socket[bytes] = of.get_monitor_socket(_EVENTS)
        self.count = 0
        self._addresses: dict[int, str] = {}
        self._failed = False
        poller.register(self._events, zmq.POLLIN)

    def look(self) -> list[str]:
        """Read what was told; the addresses of those who could not say what is said first, such as the right key.

        An address is empty where its connection was closed before this looked; see `lately_closed`.
        """
        refused: list[str] = []
        while self._events.poll(0):
            event = recv_monitor_message(self._events)
            if event["event"] == zmq.EVENT_ACCEPTED:
                self.count += 1
                self._addresses[event["value"]] = _peer(event["value"], self._port)
            elif event["event"] == zmq.EVENT_DISCONNECTED:
                self.count -= 1
                address = self._addresses.pop(event["value"], "")
                if self._failed:
                    refused.append(address)
                self._failed = False
            else:
                # It does not say of which connection, but that one is closed next.
                self._failed = True
        return refused

    def close(self) -> None:
        """Listen no more."""
        self._poller.unregister(self._events)
        self._of.disable_monitor()
        self._events.close(linger=0)


def lately_closed(port: int) -> str:
    """The address at the other end of the connection to this port that was closed last; empty if none is known.

    ZeroMQ hangs up on who has no key within a tenth of a millisecond, and does not say on whom. Linux keeps what is
    closed for a minute; the timer tells which was last (proc(5), /proc/net/tcp).
    """
    closed = []
    for table in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in Path("/proc/net", table).read_text().splitlines()[1:]:
                _, local, remote, state, _, timer, *_ = line.split()
                if state == _TIME_WAIT and local.endswith(f":{port:04X}"):
                    closed.append((int(timer.partition(":")[2], 16), remote.partition(":")[0]))
    return _address(max(closed)[1]) if closed else ""


def _address(words: str) -> str:
    """From hexadecimal digits, each eight of them in the order of this machine."""
    parts = (int(words[at : at + 8], 16).to_bytes(4, sys.byteorder) for at in range(0, len(words), 8))
    return str(ipaddress.ip_address(b"".join(parts)))


def _peer(descriptor: int, port: int | None) -> str:
    """The address at the other end; empty if it has left already, and the descriptor may be another's."""
    if port is None:
        return "this machine"
    with suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as connection:
        own, other = connection.getsockname(), connection.getpeername()
        if isinstance(own, tuple) and own[1] == port:
            return str(other[0])
    return ""
