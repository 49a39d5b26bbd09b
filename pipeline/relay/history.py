"""What was published of late: numbered, repeated for newcomers, and given again to members that were away."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from itertools import islice

from pipeline.client.history import Answer, Ask
from pipeline.wire import camera_of, publisher_id, stamp

KEPT_S = 60.0
"""Long enough for a member that is started again after its third short life; a bound, so that memory stays flat."""
_OWN = 200
"""Bytes that Python needs for an entry beside its body."""


class History:
    """The newest message of each topic, and all of the last minute as far as there is room. Not thread-safe.

    Attributes:
        publisher: Which life of the publisher this is.
    """

    def __init__(self, publisher: str, most_bytes: int) -> None:
        """Begin empty; `most_bytes` bounds the last minute, not the newest of each topic."""
        self.publisher = publisher
        self._id, self._most_bytes = publisher_id(publisher), most_bytes
        self._numbers: Counter[bytes] = Counter()
        self._newest: dict[bytes, bytes] = {}
        self._kept: deque[tuple[float, bytes, int, bytes]] = deque()
        self._bytes = self._dropped = 0

    def add(self, topic: bytes, body: bytes, now_s: float) -> bytes:
        """Number a message that is published now, and keep it; what is to be sent.

        Raises:
            WireError: It was not encoded by this version of camfleet.
        """
        numbered = stamp(body, self._id, self._numbers[topic] + 1)
        self._numbers[topic] += 1
        self._newest[topic] = numbered
        self._kept.append((now_s, topic, self._numbers[topic], numbered))
        self._bytes += len(numbered) + _OWN
        while self._kept and (self._bytes > self._most_bytes or self._kept[0][0] < now_s - KEPT_S):
            self._bytes -= len(self._kept.popleft()[3]) + _OWN
            self._dropped += 1
        return numbered

    def newest(self, prefixes: Iterable[bytes]) -> list[tuple[bytes, bytes]]:
        """The newest message of each topic that one of these begins."""
        wanted = tuple(prefixes)
        return [(topic, body) for topic, body in self._newest.items() if topic.startswith(wanted)]

    def forget(self, camera_id: str) -> None:
        """A camera that has left is not repeated to newcomers; its numbers go on, should it come back."""
        for topic in [topic for topic in self._newest if topic.count(b"/") > 1 and camera_of(topic) == camera_id]:
            del self._newest[topic]

    def answer(self, ask: Ask, most_bytes: int) -> Answer:
        """What somebody has missed; who knows another publisher's numbers gets all there is."""
        same = ask.publisher == self.publisher
        positions = {topic.encode(): number for topic, number in ask.positions.items()} if same else {}
        messages, following = self.after(positions, ask.begin if same else 0, most_bytes)
        return Answer(publisher=self.publisher, messages=tuple(messages), following=following)

    def after(
        self, positions: Mapping[bytes, int], begin: int, most_bytes: int
    ) -> tuple[list[tuple[bytes, bytes]], int | None]:
        """What was published since somebody was here, oldest first.

        Args:
            positions: The last number that is known, by topic; of other topics everything is new.
            begin: 0, or what an answer before this one gave to go on with.
            most_bytes: Where to stop for now; at least one message is given if there is one.

        Returns:
            Topics and bodies, and what to go on with; None at the end.
        """
        found: list[tuple[bytes, bytes]] = []
        size = 0
        first = max(0, begin - self._dropped)
        for at, (_, topic, number, body) in enumerate(islice(self._kept, first, None), first):
            if number <= positions.get(topic, 0):
                continue
            if found and size + len(body) > most_bytes:
                return found, at + self._dropped
            found.append((topic, body))
            size += len(body)
        return found, None
