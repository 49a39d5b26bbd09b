"""What a member of the fleet has missed: asked of the publisher when the member was started again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
import zmq

from pipeline.errors import SubscriberTimeout

RESULTS, HISTORY = "outlet", "history"
"""The publisher's sockets in the run's folder."""
ANSWER_S = 5.0
"""How long the publisher may take to answer; it is started again within that."""


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """A question.

    Attributes:
        publisher: Whose numbers `positions` are.
        positions: The last number that is known, by topic.
        begin: What the answer before gave as `following`; 0 in the first question.
    """

    publisher: str
    positions: dict[str, int]
    begin: int = 0


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer.

    Attributes:
        publisher: Who answers; another one than was asked has only its own messages, and gives them all.
        messages: Topics and bodies, oldest first.
        following: What to ask for next; None where this was all.
    """

    publisher: str
    messages: tuple[tuple[bytes, bytes], ...]
    following: int | None


def missed(
    folder: Path, publisher: str, positions: Mapping[str, int], answer_s: float = ANSWER_S
) -> Iterator[tuple[bytes, bytes]]:
    """Topics and bodies that were published since, oldest first, as far as the publisher still has them.

    Subscribe first and read afterwards: what comes twice has the same number.

    Args:
        folder: The run's.
        publisher: Whose numbers `positions` are.
        positions: The last number that is known, by topic.
        answer_s: How long to wait for each answer.

    Raises:
        SubscriberTimeout: The publisher does not answer.
    """
    following: int | None = 0
    while following is not None:
        answer = _ask(folder, Ask(publisher=publisher, positions=dict(positions), begin=following), answer_s)
        yield from answer.messages
        if answer.publisher != publisher:
            publisher, positions = answer.publisher, {}
        following = answer.following


def _ask(folder: Path, ask: Ask, answer_s: float) -> Answer:
    socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.REQ)
    try:
        socket.connect(f"ipc://{folder / HISTORY}")
        socket.send(msgspec.msgpack.encode(ask))
        if not socket.poll(round(answer_s * 1000)):
            raise SubscriberTimeout(f"the publisher has not said what was missed within {answer_s:g} s")
        return msgspec.msgpack.decode(socket.recv(), type=Answer)
    finally:
        socket.close(linger=0)
