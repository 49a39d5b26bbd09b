"""What a subscriber can say about a fleet: rates, ages, objects and losses by camera."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from pipeline.wire import CameraState, Counts, FrameResult

WINDOW_S = 5.0
"""Over which the live figures are taken."""


class CameraTally(msgspec.Struct, frozen=True, kw_only=True):
    """One camera's figures.

    Attributes:
        camera_id: The camera.
        state: Its last known state.
        detail: The last error in words; empty while all is well.
        decoded_hz: Frames decoded a second.
        detected_hz: Frames the detector ran on, a second.
        published_hz: Messages a second.
        age_p50_ms: Median age at publication; 0 without a frame.
        age_p95_ms: 95th percentile.
        age_p99_ms: 99th percentile.
        detected_age_p95_ms: 95th percentile over detected frames alone.
        objects: Tracked objects in the newest frame.
        decoded: Frames decoded, over all sessions.
        detected: Frames the detector ran on.
        filled: Frames it did not run on, by reason.
        lost: Frames never published, by cause.
        sessions: How many sessions there were.
        stride: The newest.
    """

    camera_id: str
    state: str
    detail: str
    decoded_hz: float
    detected_hz: float
    published_hz: float
    age_p50_ms: float
    age_p95_ms: float
    age_p99_ms: float
    detected_age_p95_ms: float
    objects: int
    decoded: int
    detected: int
    filled: dict[str, int]
    lost: dict[str, int]
    sessions: int
    stride: int


class FleetTally(msgspec.Struct, frozen=True, kw_only=True):
    """A fleet's figures: those of all cameras together, and of each.

    Attributes:
        span_s: The time the rates are taken over.
        published_hz: Messages a second.
        detected_hz: Frames the detector ran on, a second.
        age_p50_ms: Median age of all published frames.
        age_p95_ms: 95th percentile.
        age_p99_ms: 99th percentile.
        detected_age_p95_ms: 95th percentile over detected frames alone.
        cameras: By camera, in the order of the fleet file.
    """

    span_s: float
    published_hz: float
    detected_hz: float
    age_p50_ms: float
    age_p95_ms: float
    age_p99_ms: float
    detected_age_p95_ms: float
    cameras: list[CameraTally]


@dataclass(frozen=True, slots=True)
class _Frames:
    """Frames as arrays: ages in ms, whether detected, and how many were lost before each."""

    ages_ms: NDArray[np.float64]
    detected: NDArray[np.bool_]
    lost: NDArray[np.float64]

    def percentiles(self) -> tuple[float, float, float, float]:
        """p50, p95, p99 of all ages and p95 of the detected ones; 0 where there are none."""
        p50, p95, p99 = np.percentile(self.ages_ms, (50, 95, 99)) if len(self.ages_ms) else (0.0, 0.0, 0.0)
        detected = np.percentile(self.ages_ms[self.detected], 95) if self.detected.any() else 0.0
        return round(float(p50), 1), round(float(p95), 1), round(float(p99), 1), round(float(detected), 1)


class _Camera:
    """The books of one camera. A frame is a row: (received s, age ms, detected, frames lost before it)."""

    def __init__(self, camera_id: str) -> None:
        self.camera_id = camera_id
        self.rows: deque[tuple[float, float, bool, int]] = deque()
        self.counts: dict[str, Counts] = {}
        self.objects = 0
        self.stride = 0

    def add(self, result: FrameResult, now_s: float) -> None:
        self.rows.append((now_s, result.age_ms, result.origin == "detected", sum(result.lost.values())))
        self.counts[result.session_id] = result.counts
        self.objects = len(result.tracks)
        self.stride = result.stride

    def frames(self, since_s: float) -> _Frames:
        rows = np.array([row[1:] for row in self.rows if row[0] >= since_s], np.float64).reshape(-1, 3)
        return _Frames(rows[:, 0], rows[:, 1] > 0, rows[:, 2])

    def tally(self, state: CameraState | None, frames: _Frames, span_s: float) -> CameraTally:
        p50, p95, p99, detected_p95 = frames.percentiles()
        count = len(frames.ages_ms)
        books = self.counts.values()
        return CameraTally(
            camera_id=self.camera_id,
            state=state.state if state else ("live" if count else "unknown"),
            detail=state.detail if state else "",
            decoded_hz=round(float(count + frames.lost.sum()) / span_s, 1),
            detected_hz=round(float(frames.detected.sum()) / span_s, 1),
            published_hz=round(count / span_s, 1),
            age_p50_ms=p50,
            age_p95_ms=p95,
            age_p99_ms=p99,
            detected_age_p95_ms=detected_p95,
            objects=self.objects,
            decoded=sum(book.decoded for book in books),
            detected=sum(book.detected for book in books),
            filled=dict(sum((Counter(book.filled) for book in books), Counter())),
            lost=dict(sum((Counter(book.lost) for book in books), Counter())),
            sessions=len(self.counts),
            stride=self.stride,
        )


class Tally:
    """The books of a fleet, fed with its messages; the time is told.

    Attributes:
        first_s: When the first frame came; None before.
    """

    def __init__(self, cameras: list[str], keep_s: float = WINDOW_S) -> None:
        """Open the books.

        Args:
            cameras: In the order of the table.
            keep_s: How long frames are kept for rates and percentiles; infinite for a whole run.
        """
        self.first_s: float | None = None
        self._keep_s = keep_s
        self._cameras = {camera_id: _Camera(camera_id) for camera_id in cameras}

    def add(self, result: FrameResult, now_s: float) -> None:
        """Book a frame."""
        self.first_s = now_s if self.first_s is None else self.first_s
        camera = self._cameras.setdefault(result.camera_id, _Camera(result.camera_id))
        camera.add(result, now_s)
        while now_s - camera.rows[0][0] > self._keep_s:
            camera.rows.popleft()

    def fleet(self, states: Mapping[str, CameraState], now_s: float, window_s: float = math.inf) -> FleetTally:
        """The figures over the last `window_s`, or since the first frame if that is less."""
        since_first_s = now_s - self.first_s if self.first_s is not None else 0.0
        span_s = max(min(window_s, self._keep_s, since_first_s), 1e-3)
        frames = {camera_id: camera.frames(now_s - span_s) for camera_id, camera in self._cameras.items()}
        cameras = [
            camera.tally(states.get(camera_id), frames[camera_id], span_s)
            for camera_id, camera in self._cameras.items()
        ]
        every = _Frames(*(np.concatenate(column) for column in zip(*map(_columns, frames.values()), strict=True)))
        p50, p95, p99, detected_p95 = every.percentiles()
        return FleetTally(
            span_s=round(span_s, 2),
            published_hz=round(len(every.ages_ms) / span_s, 1),
            detected_hz=round(float(every.detected.sum()) / span_s, 1),
            age_p50_ms=p50,
            age_p95_ms=p95,
            age_p99_ms=p99,
            detected_age_p95_ms=detected_p95,
            cameras=cameras,
        )


def _columns(frames: _Frames) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64]]:
    return frames.ages_ms, frames.detected, frames.lost
