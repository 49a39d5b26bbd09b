"""The last minutes of every camera, a point a second: what the timelines show to those who come later."""

from __future__ import annotations

from collections import Counter, deque
from typing import NamedTuple

from pipeline.wire import CameraState, FleetState, FrameResult, Message
from pipeline.wire.event import Event

KEPT_S = 600
"""Ten minutes: 100 kB a camera."""
_AS_PLANNED = frozenset({"stride"})
"""Reasons to leave a frame to the tracker that are no loss."""


class Point(NamedTuple):
    """How a camera did in one second, as the timelines want it: a row, in this order.

    `reconnects` counts those of the camera's present process, `restarts` those of the processes that it depends on: its
    own, and the worker. `drops` are frames by cause, `begun` events by zone or line.
    """

    at_ms: float
    age_p95_ms: float | None
    detection_age_ms: float | None
    stride: int
    frame_hz: float
    detect_hz: float
    state: str | None
    reconnects: int
    restarts: int
    drops: dict[str, int]
    begun: dict[str, int]


class History:
    """Pure: messages in, points out. Not thread-safe."""

    def __init__(self) -> None:
        """Nothing is known."""
        self._points: dict[str, deque[Point]] = {}
        self._drops: dict[str, Counter[str]] = {}
        self._begun: dict[str, Counter[str]] = {}
        self._reconnects: dict[str, int] = {}

    def hear(self, message: Message) -> None:
        """Note what a message says."""
        if isinstance(message, FrameResult):
            self._note_drops(message)
        elif isinstance(message, Event):
            self._note_event(message)
        elif isinstance(message, CameraState):
            self._reconnects[message.camera_id] = message.reconnects
        elif isinstance(message, FleetState):
            self._add(message)

    def of(self, camera_id: str) -> list[Point]:
        """A camera's points, oldest first."""
        return list(self._points.get(camera_id, ()))

    def newest_drops(self) -> dict[str, dict[str, int]]:
        """What the last second cost, by camera and cause."""
        return {name: points[-1].drops for name, points in self._points.items() if points and points[-1].drops}

    def newest_begun(self) -> dict[str, dict[str, int]]:
        """The events that began in the last second, by camera and zone or line."""
        return {name: points[-1].begun for name, points in self._points.items() if points and points[-1].begun}

    def _note_event(self, event: Event) -> None:
        if event.phase in ("begin", "once") and not event.revised:
            self._begun.setdefault(event.camera_id, Counter())[event.rule] += 1

    def _note_drops(self, frame: FrameResult) -> None:
        if not frame.lost and (frame.filled_because is None or frame.filled_because in _AS_PLANNED):
            return
        drops = self._drops.setdefault(frame.camera_id, Counter())
        drops.update(frame.lost)
        if frame.filled_because is not None and frame.filled_because not in _AS_PLANNED:
            drops[frame.filled_because] += 1

    def _add(self, state: FleetState) -> None:
        for name in self._points.keys() - state.cameras.keys():
            del self._points[name]
        workers = sum(process.restarts for process in state.processes if process.role == "worker")
        own = {process.name: process.restarts for process in state.processes}
        for name, figures in state.cameras.items():
            point = Point(
                at_ms=state.at_ns / 1e6,
                age_p95_ms=figures.age_p95_ms,
                detection_age_ms=figures.detection_age_ms,
                stride=figures.stride,
                frame_hz=figures.frame_hz,
                detect_hz=figures.detect_hz,
                state=figures.state,
                reconnects=self._reconnects.get(name, 0),
                restarts=workers + own.get(f"camera {name}", 0),
                drops=dict(self._drops.pop(name, {})),
                begun=dict(self._begun.pop(name, {})),
            )
            self._points.setdefault(name, deque(maxlen=KEPT_S)).append(point)
