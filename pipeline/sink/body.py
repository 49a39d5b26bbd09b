"""How a message is written for brokers that carry bytes: with the keys of the fleet's own stream."""

from __future__ import annotations

from pathlib import Path

import msgspec

from pipeline.config.sinks.broker import Encoding
from pipeline.wire import CameraMessage, Event, Evidence, FrameResult, Message, encode


def body_of(message: Message, encoding: Encoding) -> bytes:
    """One JSON object, or one msgpack map as on the fleet's own stream."""
    return msgspec.json.encode(message) if encoding == "json" else encode(message)


def picture_of(evidence: Evidence) -> bytes:
    """The event's picture, JPEG; empty where there is none, or it was deleted meanwhile."""
    try:
        return Path(evidence.snapshot).read_bytes() if evidence.snapshot else b""
    except OSError:
        return b""


def camera_of(message: Message) -> str:
    """The camera it is about; empty where it is about none."""
    return message.camera_id if isinstance(message, CameraMessage) else ""


def identity_of(message: Message) -> str:
    """What no other message has, and the same one has when it comes again; empty where nothing tells.

    Frames are told by camera, session and number, also behind another publisher, events by their own names; all else by
    the publisher's number, or by when it was said.
    """
    if isinstance(message, FrameResult):
        return f"{message.camera_id}/{message.session_id}/{message.frame_id}"
    if isinstance(message, Evidence):
        return f"{message.camera_id}/{message.event_id}/evidence"
    if isinstance(message, Event):
        return f"{message.camera_id}/{message.event_id}/{message.phase}/{message.session_id}/{message.frame_id}"
    if message.number:
        return f"{message.topic.decode()}{message.publisher}/{message.number}"
    at_ns = getattr(message, "at_ns", 0)
    return f"{message.topic.decode()}{at_ns}" if at_ns else ""
