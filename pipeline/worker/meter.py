"""What the worker measures for its controller in one interval: frame rates, detections, busy lanes, starved cameras."""

from __future__ import annotations

from collections import Counter

import numpy as np

from pipeline.clock import NS_PER_S
from pipeline.link import Tick
from pipeline.wire import FrameResult
from pipeline.worker.stride import Measured

FPS_SHARE = 0.3
"""Weight of the newest interval in a camera's frame rate; the first interval counts whole."""


class Meter:
    """Counts between two readings. Times are monotonic s."""

    def __init__(self, now_s: float, deadline_s: float) -> None:
        self._deadline_s = deadline_s
        self._read_s = now_s
        self._busy = 0
        self._busy_since_s = now_s
        self._busy_s = 0.0
        self._detected = 0
        self._starved_s: list[float] = []
        self._frames: Counter[str] = Counter()
        self._fps: dict[str, float] = {}

    def lanes_busy(self, busy: int, now_s: float) -> None:
        """From now on so many lanes compute."""
        self._busy_s += self._busy * (now_s - self._busy_since_s)
        self._busy, self._busy_since_s = busy, now_s

    def detections(self, frames: int) -> None:
        """So many frames came back from the detector, in time or not."""
        self._detected += frames

    def heard(self, tick: Tick) -> None:
        """A camera has decoded a frame, or left it out for want of a processor."""
        self._starved_s.append(self._deadline_s if tick.admitted == "behind" else tick.starved_ns / NS_PER_S)

    def remove(self, camera_id: str) -> None:
        """The camera has left."""
        self._fps.pop(camera_id, None)
        del self._frames[camera_id]

    def published(self, result: FrameResult) -> None:
        """A frame has left."""
        self._frames[result.camera_id] += 1 + sum(result.lost.values())

    def read(self, lanes: int, window_s: float, now_s: float) -> tuple[Measured, dict[str, float]]:
        """What was measured since the last reading, and each living camera's frame rate.

        Args:
            lanes: How many might compute at once.
            window_s: How long a frame might wait in the slot, s.
            now_s: Monotonic time, s.
        """
        self.lanes_busy(self._busy, now_s)
        interval_s = max(now_s - self._read_s, 1e-3)
        starved_s = float(np.percentile(self._starved_s, 95)) if self._starved_s else 0.0
        starved = starved_s / self._deadline_s
        measured = Measured(interval_s, self._detected, self._busy_s, lanes, window_s, starved)
        self._starved_s = []
        self._fps = {camera_id: self._rate(camera_id, interval_s) for camera_id in {*self._fps, *self._frames}}
        self._fps = {camera_id: fps for camera_id, fps in self._fps.items() if fps > 0.1}
        self._read_s, self._busy_s, self._detected, self._frames = now_s, 0.0, 0, Counter()
        return measured, dict(self._fps)

    def _rate(self, camera_id: str, interval_s: float) -> float:
        newest = self._frames[camera_id] / interval_s
        known = self._fps.get(camera_id)
        return newest if known is None else known + FPS_SHARE * (newest - known)
