"""What passed of late: for the front's own members, which ask for what they missed."""

from __future__ import annotations

from collections import deque
from itertools import islice

from pipeline.client.history import Answer, Ask
from pipeline.wire import stamp_of

KEPT_S = 60.0
_OWN = 200
"""Bytes that Python needs for an entry beside its body."""


class Passed:
    """The last minute, as far as there is room; the numbers are those of many publishers. Not thread-safe.

    Attributes:
        publisher: Who answers where the question cannot be read: nobody's numbers.
    """

    publisher = ""

    def __init__(self, most_bytes: int) -> None:
        """Begin empty."""
        self._most_bytes = most_bytes
        self._kept: deque[tuple[float, bytes, bytes]] = deque()
        self._bytes = self._dropped = 0

    def add(self, topic: bytes, body: bytes, now_s: float) -> None:
        """A message passes."""
        self._kept.append((now_s, topic, body))
        self._bytes += len(body) + _OWN
        while self._kept and (self._bytes > self._most_bytes or self._kept[0][0] < now_s - KEPT_S):
            self._bytes -= len(self._kept.popleft()[2]) + _OWN
            self._dropped += 1

    def answer(self, ask: Ask, most_bytes: int) -> Answer:
        """What passed of that publisher's messages since, oldest first."""
        found: list[tuple[bytes, bytes]] = []
        size = 0
        first = max(0, ask.begin - self._dropped)
        for at, (_, topic, body) in enumerate(islice(self._kept, first, None), first):
            publisher, number = stamp_of(body)
            if publisher != ask.publisher or number <= ask.positions.get(topic.decode(), 0):
                continue
            if found and size + len(body) > most_bytes:
                return Answer(publisher=ask.publisher, messages=tuple(found), following=at + self._dropped)
            found.append((topic, body))
            size += len(body)
        return Answer(publisher=ask.publisher, messages=tuple(found), following=None)
