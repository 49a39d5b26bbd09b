"""A subscriber that keeps books: when frames came, whether they add up, and what was neither heard nor told."""

from __future__ import annotations

import time
from collections import defaultdict

from pipeline.wire import CameraState, FrameResult


class Books:
    """What was heard of a fleet. `hear` belongs to one thread.

    Attributes:
        messages: Frames heard.
        unbalanced: Messages in which decoded ≠ detected + filled + lost.
        arrivals_s: When each camera's frames came, monotonic s.
        missing: Frames neither heard of nor told to be lost: when it showed, of which camera, how many.
        ages_ms: When each frame came, and how old it was, ms.
        sessions: How many sessions each camera has had, that is, how often it was connected.
        states: What each camera last said it was.
    """

    def __init__(self) -> None:
        """Nothing yet."""
        self.messages = self.unbalanced = 0
        self.arrivals_s: dict[str, list[float]] = defaultdict(list)
        self.missing: list[tuple[float, str, int]] = []
        self.ages_ms: list[tuple[float, float]] = []
        self.sessions: dict[str, set[str]] = defaultdict(set)
        self.states: dict[str, str] = {}
        self._last: dict[str, FrameResult] = {}

    def hear(self, message: FrameResult | CameraState) -> None:
        """Note a message."""
        if isinstance(message, CameraState):
            self.states[message.camera_id] = message.state
            return
        now_s, counts, camera_id = time.monotonic(), message.counts, message.camera_id
        self.messages += 1
        self.unbalanced += counts.decoded != counts.detected + sum(counts.filled.values()) + sum(counts.lost.values())
        self.arrivals_s[camera_id].append(now_s)
        self.ages_ms.append((now_s, message.age_ms))
        self.sessions[camera_id].add(_connection(message))
        last = self._last.get(camera_id)
        if last is not None and (missing := _missing(last, message)):
            self.missing.append((now_s, camera_id, missing))
        self._last[camera_id] = message


def _connection(message: FrameResult) -> str:
    """What stays the same when a worker is started again in the midst of a session."""
    return message.session_id.partition(".")[0]


def _first(message: FrameResult) -> int:
    """Which frame of the connection the session began with: a worker's successor names it in the session's id."""
    return int(message.session_id.partition(".")[2] or 0)


def _missing(last: FrameResult, now: FrameResult) -> int:
    """Frames between two messages of a camera, in the order they came, that nothing was said about."""
    if _connection(last) != _connection(now):
        return 0  # what was decoded last, before a session's end, is nobody's: its camera has died or was cut off
    if last.session_id == now.session_id:
        return now.frame_id - last.frame_id - 1 - sum(now.lost.values())
    between = _first(now) - (_first(last) + last.frame_id + 1)
    return between + now.frame_id - sum(now.counts.lost.values())
