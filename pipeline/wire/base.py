"""What all messages have in common, and the register of their kinds."""

from __future__ import annotations

from typing import ClassVar, TypeVar

import msgspec

from pipeline.wire.values import SCHEMA, Count, Name, PublisherId


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """Anything that is published.

    Attributes:
        kind: The first part of its topic; each kind of message has its own.
        version: What its `schema` says; a reader of one version reads all messages of it, whatever is added.
        publisher: Which life of the fleet's publisher has numbered it; empty before one has.
        number: Counts the messages of this topic by this publisher, from 1. One that is not above the last is a repeat,
            for those who have just come; one that leaves numbers out says how many messages were missed.
        fleet: The fleet's name.
    """

    kind: ClassVar[str]
    version: ClassVar[int] = SCHEMA

    # First of all fields, so that the publisher finds them without reading the rest: see `stamp`.
    publisher: PublisherId = ""
    number: Count = 0
    fleet: Name

    @property
    def topic(self) -> bytes:
        """What subscribers subscribe to, such as b"fleet/"."""
        return topic(self.kind)


class CameraMessage(Message, frozen=True, kw_only=True):
    """Anything that is published about a camera.

    Attributes:
        camera_id: The camera's name in the fleet file.
    """

    camera_id: Name

    @property
    def topic(self) -> bytes:
        """What subscribers subscribe to, such as b"detections/gate/"."""
        return topic(self.kind, self.camera_id)


M = TypeVar("M", bound=type[Message])

KINDS: dict[str, type[Message]] = {}
"""Every kind of message, by the first part of its topic."""
ON_REQUEST: set[str] = set()
"""Kinds that are made only while somebody subscribes to them by name, and that say what others say, too."""


def published(message: M) -> M:
    """Register a kind of message, so that every subscriber can read it."""
    KINDS[message.kind] = message
    return message


def on_request(message: M) -> M:
    """Register a kind of message that says in another form what another kind says."""
    ON_REQUEST.add(message.kind)
    return published(message)


def topic(kind: str, camera_id: str | None = None) -> bytes:
    """The topic of a kind of messages, such as b"fleet/", or of a camera's, such as b"detections/gate/"."""
    return f"{kind}/".encode() if camera_id is None else f"{kind}/{camera_id}/".encode()


def camera_of(topic_bytes: bytes) -> str:
    """The camera that a message of this topic is about."""
    return topic_bytes.split(b"/")[1].decode()


def prefixes(camera_id: str | None, *, compact: bool = False, frames: bool = True) -> list[bytes]:
    """What to subscribe to for every message about a camera, or about all; the fleet's own come with either.

    Args:
        camera_id: Which camera; None for all.
        compact: Frames as `compact/` instead of `detections/`.
        frames: Whether frames are wanted at all.
    """
    unwanted = ("detections" if compact else "compact",) if frames else ("detections", "compact")
    return [
        topic(kind, camera_id if issubclass(message, CameraMessage) else None)
        for kind, message in KINDS.items()
        if kind not in unwanted
    ]
