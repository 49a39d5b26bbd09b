"""What the worker measures for its controller in one interval: frame rates, detections, busy lanes, starved cameras."""

from __future__ import annotations

import numpy as np

from pipeline.clock import NS_PER_S
from pipeline.link import Tick
from pipeline.worker.stride import Measured

FPS_SHARE = 0.3
"""Weight of the newest interval in a camera's frame rate; the first counts whole."""
LEAST_FPS = 0.1
"""A camera of which less comes is off."""


class Meter:
    """Counts between two readings. Times are monotonic s.

    Attributes:
        deadline_s: The age promised: what starving is measured by.
    """

    def __init__(self, now_s: float, deadline_s: float) -> None:
        self.deadline_s = deadline_s
        self._read_s = now_s
        self._busy = 0
        self._busy_since_s = now_s
        self._busy_s = 0.0
        self._detected = 0
        self._starved_s: list[float] = []
        self._rates: dict[str, _Rate] = {}

    def lanes_busy(self, busy: int, now_s: float) -> None:
        """From now on so many lanes compute."""
        self._busy_s += self._busy * (now_s - self._busy_since_s)
        self._busy, self._busy_since_s = busy, now_s

    def detections(self, frames: int) -> None:
        """So many frames came back from the detector, in time or not."""
        self._detected += frames

    def heard(self, camera_id: str, tick: Tick) -> None:
        """A camera has decoded a frame, or left it out for want of a processor."""
        self._starved_s.append(self.deadline_s if tick.admitted == "behind" else tick.starved_ns / NS_PER_S)
        if (rate := self._rates.get(camera_id)) is None:
            rate = self._rates[camera_id] = _Rate()
        rate.note(tick)

    def remove(self, camera_id: str) -> None:
        """The camera has left."""
        self._rates.pop(camera_id, None)

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
        measured = Measured(
            interval_s, self._detected, self._busy_s, lanes, window_s, starved=starved_s / self.deadline_s
        )
        self._read_s, self._busy_s, self._detected, self._starved_s = now_s, 0.0, 0, []
        fps = {camera_id: rate.read(interval_s, now_s) for camera_id, rate in self._rates.items()}
        return measured, {camera_id: hz for camera_id, hz in fps.items() if hz > LEAST_FPS}


class _Rate:
    """The frame rate of one camera.

    Numbers of frames divided by the time between just these. Frames counted in an interval of the clock would be six
    or seven of 25 a second, and strides that are nearly large enough would go up and down with that.
    """

    def __init__(self) -> None:
        self._since: Tick | None = None
        self._newest: Tick | None = None
        self._fps: float | None = None

    def note(self, tick: Tick) -> None:
        """One more frame; numbers of another session begin anew."""
        self._newest = tick
        if self._since is None or self._since.session != tick.session:
            self._since = tick

    def read(self, interval_s: float, now_s: float) -> float:
        """Frames a second; where none has come for longer than it should, no more than that allows."""
        if self._since is None or self._newest is None:
            return 0.0
        frames = self._newest.frame_id - self._since.frame_id
        if frames > 0:
            found = frames / max((self._newest.decoded_ns - self._since.decoded_ns) / NS_PER_S, 1e-3)
            self._fps = found if self._fps is None else self._fps + FPS_SHARE * (found - self._fps)
            self._since = self._newest
        known = 1 / interval_s if self._fps is None else self._fps
        return min(known, 1 / max(now_s - self._newest.decoded_ns / NS_PER_S, 1e-3))
