"""What sinks and rules hear of a fleet: an ordinary subscriber, which knows how far it has heard."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog
import zmq

from pipeline.client.connect import Connection, Key
from pipeline.client.history import missed
from pipeline.errors import PipelineError, WireError
from pipeline.foreign import UNREADABLE
from pipeline.redact import redact
from pipeline.wire import Message, decode, prefixes

log = structlog.get_logger()

QUEUE = 20_000
"""Messages that wait in memory, some 30 MB: 20 s of 1,000 frames/s; what reads them writes them to disk at once."""
MOST_AT_ONCE = 2000
ANSWER_S = 3.0
"""How long the publisher may take to say what was missed; the sink's heart may be silent for longer."""
ASK_AGAIN_S = 5.0
"""How soon one is asked again that did not answer; messages go on meanwhile."""


@dataclass(frozen=True, slots=True)
class Position:
    """How far a topic was heard: the number of its newest message, and which life of the publisher counts so."""

    publisher: str
    number: int


@dataclass(frozen=True, slots=True)
class Heard:
    """A message as it came, and what it says."""

    topic: bytes
    body: bytes
    message: Message


class Hearing:
    """How far each topic was heard, and what is missing in between: arithmetic on the messages' numbers.

    Attributes:
        positions: Of every topic that has numbers.
        missed: Messages that were published and not heard, as far as numbers tell.
    """

    def __init__(self, positions: Mapping[bytes, Position]) -> None:
        """Go on behind these."""
        self.positions = dict(positions)
        self.missed = 0

    def lacks(self, topic: bytes, message: Message) -> bool:
        """Whether the same publisher has said something on this topic that was not heard, before this message."""
        return message.number > 1 + self.of(message.publisher).get(topic.decode(), 0)

    def of(self, publisher: str) -> dict[str, int]:
        """How far that publisher was heard, by topic."""
        return {topic.decode(): one.number for topic, one in self.positions.items() if one.publisher == publisher}

    def is_new(self, topic: bytes, message: Message) -> bool:
        """Whether it is no repeat of one that was heard; notes it."""
        if not message.number:
            return True
        before = self.positions.get(topic)
        if before is not None and before.publisher == message.publisher:
            if message.number <= before.number:
                return False
            self.missed += message.number - before.number - 1
        self.positions[topic] = Position(message.publisher, message.number)
        return True


class Inlet:
    """Messages of a fleet, or of some of its cameras. Use it from one thread.

    A member of the fleet asks the publisher for what its numbers show to be missing: that is so whenever it was started
    again, or the publisher was, and once when it has just come, for the first frames of a fleet that starts.

    Attributes:
        hearing: How far was heard.
        unreadable: Messages that were none of this version of camfleet.
    """

    def __init__(
        self,
        endpoint: str,
        cameras: Sequence[str] | None,
        positions: Mapping[bytes, Position],
        *,
        run: Path | None = None,
        key: Key | None = None,
    ) -> None:
        """Subscribe; whether somebody publishes there yet does not matter.

        Args:
            endpoint: Where the fleet publishes.
            cameras: Only these, and the fleet's own messages; None takes all.
            positions: How far an earlier subscriber has heard.
            run: The run's folder, of a member of the fleet; None for others, whom nobody tells what they missed.
            key: What opens an endpoint that wants one.

        Raises:
            PublishError: The endpoint is not one that ZeroMQ knows, or the key cannot be read.
        """
        self.hearing = Hearing(positions)
        self.unreadable = 0
        self._run, self._ask_again_s = run, 0.0
        self._wanted = tuple(prefix for one in ([None] if cameras is None else cameras) for prefix in prefixes(one))
        self._connection = Connection(endpoint, cameras, queue=QUEUE, key=key)

    def receive(self, wait_ms: int) -> list[Heard]:
        """What has come that is new; waits up to `wait_ms` for something."""
        heard: list[Heard] = []
        if not self._connection.socket.poll(wait_ms):
            return heard
        for _ in range(MOST_AT_ONCE):
            try:
                parts = self._connection.socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                break
            heard += self._read(parts)
        return heard

    def close(self) -> None:
        """Unsubscribe."""
        self._connection.close()

    def _read(self, parts: Sequence[bytes]) -> Iterator[Heard]:
        """A message if it is new, and before it what was missed."""
        try:
            if len(parts) != 2:
                raise WireError("a message has two parts")
            topic, body = parts
            message = decode(topic, body)
        except WireError:
            self.unreadable += 1
            return
        if self._run is not None and message.number and self.hearing.lacks(topic, message):
            yield from self._missed(self._run, message.publisher)
        if self.hearing.is_new(topic, message):
            yield Heard(topic, body, message)

    def _missed(self, run: Path, publisher: str) -> Iterator[Heard]:
        """What the publisher still has of it; it is asked once for all topics. What it has no more is gone."""
        if time.monotonic() < self._ask_again_s:
            return
        why = ""
        try:
            for topic, body in missed(run, publisher, self.hearing.of(publisher), ANSWER_S):
                if not topic.startswith(self._wanted):
                    continue
                message = decode(topic, body)
                if self.hearing.is_new(topic, message):
                    yield Heard(topic, body, message)
        except (PipelineError, zmq.ZMQError) as error:
            why = redact(error)
        except UNREADABLE:
            why = "the publisher is of another version"
        if why:
            log.warning(f"what was published meanwhile cannot be had: {why}")
            self._ask_again_s = time.monotonic() + ASK_AGAIN_S
