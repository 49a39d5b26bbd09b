"""ZeroMQ sockets in an event loop, all read at one beat: what has come is handed on in the order in which it came.

To wake for each message costs more than the message: 450 a second, of six cameras that are watched, took 6 % of a core,
and a sixtieth of a second is no wait on a screen. While nobody looks the beat is slower still.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import zmq

WATCHED_S, EASED_S = 1 / 60, 0.1
"""Between two beats while somebody looks, and while nobody does: figures are told once a second."""
MOST_AT_ONCE = 500
"""Messages of one socket that are handed on before others have their turn."""

Hear = Callable[[list[list[bytes]]], None]


class Inlets:
    """The sockets of a page. Not thread-safe; belongs to an event loop."""

    def __init__(self) -> None:
        """Nothing is read before `open`."""
        self._inlets: dict[zmq.Socket[bytes], Hear] = {}
        self._every_s = EASED_S
        self._next: asyncio.TimerHandle | None = None

    def open(self) -> None:
        """Begin to read."""
        self._turn()

    def add(self, socket: zmq.Socket[bytes], hear: Hear) -> None:
        """Read this one, too; `hear` gets lists of messages, each a list of its parts."""
        self._inlets[socket] = hear

    def remove(self, socket: zmq.Socket[bytes]) -> None:
        """Read this one no more, and close it. Without effect on one that is not there."""
        if self._inlets.pop(socket, None) is not None:
            socket.close(linger=0)

    def hurry(self, *, wanted: bool) -> None:
        """Read more often while somebody looks."""
        self._every_s = WATCHED_S if wanted else EASED_S

    def close(self) -> None:
        """Read nothing more, and close all. May be called again."""
        if self._next is not None:
            self._next.cancel()
        for socket in list(self._inlets):
            self.remove(socket)

    def _turn(self) -> None:
        self._next = asyncio.get_running_loop().call_later(self._every_s, self._turn)
        for socket, hear in list(self._inlets.items()):
            if batch := _read(socket):
                hear(batch)


def _read(socket: zmq.Socket[bytes]) -> list[list[bytes]]:
    batch: list[list[bytes]] = []
    while not socket.closed and len(batch) < MOST_AT_ONCE:
        try:
            batch.append(socket.recv_multipart(zmq.NOBLOCK))
        except zmq.Again:
            break
    return batch


def subscriber(endpoint: str, queue: int) -> zmq.Socket[bytes]:
    """A SUB socket that keeps so many messages and finds whoever is, or will be, at that endpoint."""
    socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.SUB)
    socket.set(zmq.RCVHWM, queue)
    socket.set(zmq.LINGER, 0)
    socket.set(zmq.RECONNECT_IVL, 50)
    socket.connect(endpoint)
    return socket
