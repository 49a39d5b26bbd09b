"""A publisher without a fleet."""

from __future__ import annotations

from pipeline.relay.outlet import Outlet
from pipeline.wire import Message, encode


class Publisher(Outlet):
    """What subscribers connect to, and the messages come from the test."""

    def publish(self, message: Message) -> None:
        """Hand the message to every subscriber of its topic."""
        self.send(message.topic, encode(message))
