"""What has happened in zones and at lines, for browsers that come later: the newest that is known of each event."""

from __future__ import annotations

from pipeline.wire import CameraState, Message
from pipeline.wire.event import Direction, Event

MOST = 300
"""Events that are kept."""

Counts = dict[str, dict[str, dict[Direction, int]]]


class Happened:
    """Pure: messages in. Not thread-safe.

    Attributes:
        counts: By camera and line, how many have crossed it so far, as the newest event of each direction says.
    """

    def __init__(self) -> None:
        """Nothing has happened."""
        self.counts: Counts = {}
        self._newest: dict[str, Event] = {}

    @property
    def events(self) -> list[Event]:
        """The last of them, each by its newest message; those that were told of last are last."""
        return list(self._newest.values())

    def hear(self, message: Message) -> Event | None:
        """Note what a message says; the event, if it is one."""
        if isinstance(message, CameraState) and message.state == "removed":
            self.counts.pop(message.camera_id, None)
        if not isinstance(message, Event):
            return None
        self._newest.pop(message.event_id, None)
        self._newest[message.event_id] = message
        if len(self._newest) > MOST:
            del self._newest[next(iter(self._newest))]
        if message.direction is not None:
            rules = self.counts.setdefault(message.camera_id, {})
            rules.setdefault(message.rule, {})[message.direction] = message.count
        return message
