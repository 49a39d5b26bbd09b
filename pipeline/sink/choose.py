"""Which messages a sink gets, and what of them: decisions without sockets, by the times in the messages."""

from __future__ import annotations

import msgspec

from pipeline.clock import NS_PER_S
from pipeline.config.sinks.base import SinkSettings
from pipeline.wire import CameraMessage, Event, Evidence, FrameResult, Message


class Choice:
    """What the settings of a sink ask for. Not thread-safe."""

    def __init__(self, settings: SinkSettings) -> None:
        self._cameras = None if settings.cameras is None else frozenset(settings.cameras)
        self._classes = None if settings.classes is None else frozenset(settings.classes)
        self._events = settings.events
        self._min_score, self._every_ns = settings.min_score, settings.every_s * NS_PER_S
        self._newest_ns: dict[str, int] = {}

    def choose(self, message: Message) -> Message | None:
        """The message, with the objects that were asked for alone; None if it was not asked for."""
        if self._cameras is not None and isinstance(message, CameraMessage) and message.camera_id not in self._cameras:
            return None
        if isinstance(message, Event | Evidence):
            return message if self._events != "no" and self._wants(message) else None
        if self._events == "only":
            return None
        if not isinstance(message, FrameResult):
            return message
        return self._reduced(message) if self._is_due(message) else None

    def _wants(self, event: Event | Evidence) -> bool:
        """Whether the object it is about was asked for; one that is about none always is."""
        if not event.class_name:
            return True
        return event.score >= self._min_score and (self._classes is None or event.class_name in self._classes)

    def _is_due(self, frame: FrameResult) -> bool:
        if not self._every_ns:
            return True
        since_ns = frame.captured_at_ns - self._newest_ns.get(frame.camera_id, -(1 << 63))
        if 0 <= since_ns < self._every_ns:
            return False
        # A camera whose clock went back begins anew: its old time may be days away.
        self._newest_ns[frame.camera_id] = frame.captured_at_ns
        return True

    def _reduced(self, frame: FrameResult) -> FrameResult:
        if self._classes is None and not self._min_score:
            return frame
        tracks = tuple(
            box
            for box in frame.tracks
            if box.score >= self._min_score and (self._classes is None or box.class_name in self._classes)
        )
        return frame if len(tracks) == len(frame.tracks) else msgspec.structs.replace(frame, tracks=tracks)
