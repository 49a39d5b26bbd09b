"""What the publisher offers the fleet's own members, in the run's private folder: results, and what they have missed.

Nobody else reaches it, so it has no keys, whatever `publish.keys` says of the endpoint outside.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import msgspec
import zmq

from pipeline.client.history import HISTORY, RESULTS, Answer, Ask
from pipeline.foreign import UNREADABLE
from pipeline.relay.outlet import Outlet

QUEUE = 100_000
"""Messages kept for a member that does not read: they are known, few, and each says what it leaves out."""
AT_ONCE_BYTES = 1 << 20
"""Of one answer: a few milliseconds, in which nothing else is published."""


class Remembers(Protocol):
    """What knows what was published of late."""

    @property
    def publisher(self) -> str:
        """Who answers where the question cannot be read."""

    def answer(self, ask: Ask, most_bytes: int) -> Answer:
        """What was published since, at most so much and at least one message."""


class Inside:
    """An outlet, and a socket that answers what was published since. Not thread-safe."""

    def __init__(self, folder: Path, poller: zmq.Poller) -> None:
        """Bind both.

        Raises:
            PublishError: The folder is gone.
        """
        self.outlet = Outlet(f"ipc://{folder / RESULTS}", QUEUE, poller)
        self._poller = poller
        self._asked: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.REP)
        self._asked.set(zmq.LINGER, 0)
        self._asked.bind(f"ipc://{folder / HISTORY}")
        poller.register(self._asked, zmq.POLLIN)

    def answer(self, history: Remembers) -> None:
        """Answer one question, if there is one; never blocks."""
        try:
            question = self._asked.recv(zmq.NOBLOCK)
        except zmq.Again:
            return
        self._asked.send(msgspec.msgpack.encode(_answer(question, history)))

    def close(self) -> None:
        """Answer nothing more; the outlet is closed by whoever closes all."""
        self._poller.unregister(self._asked)
        self._asked.close(linger=0)


def _answer(question: bytes, history: Remembers) -> Answer:
    try:
        ask = msgspec.msgpack.decode(question, type=Ask)
    except UNREADABLE:
        return Answer(publisher=history.publisher, messages=(), following=None)
    return history.answer(ask, AT_ONCE_BYTES)
