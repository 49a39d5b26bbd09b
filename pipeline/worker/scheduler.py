"""Whose frame goes to the detector next.

The problem: a batch that waits for a named camera is as slow as the slowest of them (ultralytics#3559), one that takes
cameras in a fixed order starves the last ones under load, and where more is offered than can be served, first come
first served makes every frame wait as long as any may. So each frame that a camera offers brings it credit, as much as
is due of a detection, and each detection costs one (deficit round robin, Shreedhar and Varghese 1995). Cameras that
have the credit go first; while none has, the newest frame does. Before all of them go cameras that have had no
detection for so long that they would soon be blind, the longest first, even with a frame that is late. Whoever is not
ready is not waited for, and the wait for a fuller batch is bounded.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

MOST_CREDIT = 2.0
"""Detections that a camera may claim at once, after nobody could be served for a while."""


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
    """Cameras with a frame in their slot, and the order in which they are served.

    Attributes:
        policy: When a batch is worth sending.
    """

    def __init__(self, policy: BatchPolicy) -> None:
        self.policy = policy
        self._floor_s: dict[str, float] = {}
        self._served_s: dict[str, float] = {}
        self._ready_s: dict[str, float] = {}
        self._newest_s: dict[str, float] = {}
        self._credit: dict[str, float] = {}
        self._due: Mapping[str, float] = {}

    def share(self, due: Mapping[str, float]) -> None:
        """From now on, this share of each camera's offered frames is due to be detected, 0..1; all, if not said."""
        self._due = due

    def offer(self, camera_id: str, now_s: float) -> None:
        """A frame of this camera is in its slot; a newer one does not lose the place of the one it replaced."""
        self._ready_s.setdefault(camera_id, now_s)
        self._newest_s[camera_id] = now_s
        self._served_s.setdefault(camera_id, now_s)
        self._credit[camera_id] = min(MOST_CREDIT, self._credit.get(camera_id, 0.0) + self._due.get(camera_id, 1.0))

    def withdraw(self, camera_id: str) -> None:
        """The frame is not to be detected any more."""
        self._ready_s.pop(camera_id, None)

    def add(self, camera_id: str, floor_s: float) -> None:
        """From now on this camera is not to go without a detection for longer than `floor_s`."""
        self._floor_s[camera_id] = floor_s

    def served(self, camera_id: str, now_s: float) -> None:
        """A detection of this camera came back; without effect on one that has left."""
        if camera_id in self._floor_s:
            self._served_s[camera_id] = now_s

    def starves(self, camera_id: str, now_s: float) -> bool:
        """Whether it has gone without a detection for too long."""
        return self._hunger_s(camera_id, now_s) > 0

    def remove(self, camera_id: str) -> None:
        """The camera has left; a claim that it had is nobody's."""
        self.withdraw(camera_id)
        self._newest_s.pop(camera_id, None)
        for known in (self._credit, self._floor_s, self._served_s):
            known.pop(camera_id, None)

    def next_batch(self, now_s: float) -> list[str]:
        """Cameras to take a frame from, the most urgent first; empty while nothing is to be sent."""
        if not self.policy.due(self._oldest_s(), len(self._ready_s), now_s):
            return []
        order = sorted(self._ready_s, key=lambda camera_id: self._urgency(camera_id, now_s), reverse=True)
        batch = order[: self.policy.max_batch]
        for camera_id in batch:
            del self._ready_s[camera_id]
            self._credit[camera_id] -= 1
        return batch

    def due_s(self) -> float | None:
        """When `next_batch` has to be asked again even if nothing happens; None while nothing is ready."""
        oldest_s = self._oldest_s()
        if oldest_s is None:
            return None
        return oldest_s if len(self._ready_s) >= self.policy.max_batch else oldest_s + self.policy.max_wait_s

    def _urgency(self, camera_id: str, now_s: float) -> tuple[float, float, float]:
        """How long it starves; its credit, if that is enough for a detection; then how new its frame is."""
        credit = self._credit[camera_id]
        hunger_s = max(0.0, self._hunger_s(camera_id, now_s))
        return hunger_s, credit if credit >= 1 else 0.0, self._newest_s[camera_id]

    def _hunger_s(self, camera_id: str, now_s: float) -> float:
        """By how much it has been without a detection for longer than it is to be, s."""
        return now_s - self._served_s.get(camera_id, now_s) - self._floor_s.get(camera_id, math.inf)

    def _oldest_s(self) -> float | None:
        return min(self._ready_s.values(), default=None)
