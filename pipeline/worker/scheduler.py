"""Whose frame goes to the detector next.

The problem: a batch that waits for a named camera is as slow as the slowest of them (ultralytics#3559), and one that
takes cameras in a fixed order starves the last ones under load. So the camera goes first that has waited longest for
its due, whoever is not ready is not waited for, and the wait for a fuller batch is bounded.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

UNKNOWN_DUE_HZ = 1.0
"""Detections a second due to a camera of which nothing was said, such as a recording that waits for the worker."""


@dataclass(frozen=True, slots=True)
class BatchPolicy:
    """When a batch is worth sending.

    Attributes:
        max_batch: Frames in one batch at most.
        max_wait_s: How long the first frame waits for others, s.
    """

    max_batch: int
    max_wait_s: float

    def due(self, oldest_s: float | None, ready: int, now_s: float) -> bool:
        """Whether to send what is ready now; `oldest_s` is when the first of it became ready."""
        if oldest_s is None:
            return False
        return ready >= self.max_batch or now_s >= oldest_s + self.max_wait_s


class Scheduler:
    """Cameras with a frame in their slot, and the order in which they are served."""

    def __init__(self, policy: BatchPolicy) -> None:
        self._policy = policy
        self._ready_s: dict[str, float] = {}
        self._served_s: dict[str, float] = {}
        self._due_hz: Mapping[str, float] = {}

    def share(self, due_hz: Mapping[str, float]) -> None:
        """From now on, so many detections a second are due to each camera."""
        self._due_hz = due_hz

    def offer(self, camera_id: str, now_s: float) -> None:
        """A frame of this camera is in its slot; a newer one does not lose the place of the one it replaced."""
        self._ready_s.setdefault(camera_id, now_s)

    def withdraw(self, camera_id: str) -> None:
        """The frame is not to be detected any more."""
        self._ready_s.pop(camera_id, None)

    def next_batch(self, now_s: float) -> list[str]:
        """Cameras to take a frame from, those first that have waited longest for their due; empty while none is."""
        if not self._policy.due(self._oldest_s(), len(self._ready_s), now_s):
            return []
        order = sorted(self._ready_s, key=lambda camera_id: self._owed(camera_id, now_s), reverse=True)
        batch = order[: self._policy.max_batch]
        for camera_id in batch:
            del self._ready_s[camera_id]
            self._served_s[camera_id] = now_s
        return batch

    def due_s(self) -> float | None:
        """When `next_batch` has to be asked again even if nothing happens; None while nothing is ready."""
        oldest_s = self._oldest_s()
        if oldest_s is None:
            return None
        return oldest_s if len(self._ready_s) >= self._policy.max_batch else oldest_s + self._policy.max_wait_s

    def _owed(self, camera_id: str, now_s: float) -> float:
        """Detections that have become due since the last one."""
        waited_s = now_s - self._served_s.get(camera_id, -math.inf)
        return waited_s * self._due_hz.get(camera_id, UNKNOWN_DUE_HZ)

    def _oldest_s(self) -> float | None:
        return min(self._ready_s.values(), default=None)
