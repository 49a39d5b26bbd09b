"""The independent subscriber: every message of the fleet, kept as numbers."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.wire import CameraState, Counts, FrameResult

RECENT = 500
"""Frames that the live figures are of."""

FRAME = np.dtype(
    [
        ("camera", "i4"),
        ("published_ns", "i8"),
        ("captured_ns", "i8"),
        ("by_rtcp", "?"),
        ("age_ms", "f8"),
        ("detected", "?"),
        ("because", "i4"),
        ("stride", "f8"),
    ]
)
"""A message: index of the camera, wall times, whether the capture time is the camera's own, the fleet's own age, and
the index of the reason why it was not detected (-1 where it was)."""


@dataclass(frozen=True, slots=True)
class Loss:
    """Frames that a message told to be lost."""

    camera: int
    published_ns: int
    cause: str
    frames: int


@dataclass(frozen=True, slots=True)
class StateChange:
    """A camera's state as the fleet told it."""

    camera_id: str
    at_ns: int
    state: str
    detail: str


@dataclass(frozen=True, slots=True)
class Heard:
    """Everything that was heard.

    Attributes:
        frames: (N,) of dtype FRAME, in order of arrival.
        reasons: What `because` is an index of.
        losses: Frames lost, by cause.
        states: Changes of the cameras' states.
        unbalanced: Messages whose books were wrong: decoded ≠ detected + filled + lost.
    """

    frames: NDArray[np.void]
    reasons: tuple[str, ...]
    losses: tuple[Loss, ...]
    states: tuple[StateChange, ...]
    unbalanced: int


class Book:
    """What has been heard so far. `hear` belongs to one thread, the rest may be called from any."""

    def __init__(self, camera_ids: tuple[str, ...]) -> None:
        """Nothing yet; the order of `camera_ids` is that of the indices."""
        self._index = {camera_id: index for index, camera_id in enumerate(camera_ids)}
        self._rows: list[tuple[int, int, int, bool, float, bool, int, float]] = []
        self._reasons: dict[str, int] = {}
        self._losses: list[Loss] = []
        self._states: list[StateChange] = []
        self._last: dict[str, CameraState] = {}
        self._unbalanced = 0
        self._recent: deque[tuple[int, float]] = deque(maxlen=RECENT)
        self._seen: set[int] = set()

    @property
    def cameras_seen(self) -> int:
        """Cameras of which there was a frame."""
        return len(self._seen)

    def recent(self) -> tuple[float, float]:
        """Frames a second and the 95th percentile of the fleet's own ages in ms, over the last frames; 0 without."""
        recent = list(self._recent)
        if len(recent) < 2:
            return 0.0, 0.0
        span_s = max((time.time_ns() - recent[0][0]) / 1e9, 1e-3)
        return len(recent) / span_s, float(np.percentile([age_ms for _, age_ms in recent], 95))

    def heard(self) -> Heard:
        """Everything so far."""
        reasons = tuple(sorted(self._reasons, key=self._reasons.__getitem__))
        frames = np.array(self._rows[:], FRAME)
        return Heard(frames, reasons, tuple(self._losses), tuple(self._states), self._unbalanced)

    def hear(self, message: FrameResult | CameraState) -> None:
        """Note a message."""
        if isinstance(message, CameraState):
            self._note(message)
        else:
            self._add(message)

    def _add(self, result: FrameResult) -> None:
        index = self._index.get(result.camera_id)
        if index is None:
            return
        because = -1
        if result.filled_because is not None:
            because = self._reasons.setdefault(result.filled_because, len(self._reasons))
        self._rows.append(
            (
                index,
                result.published_at_ns,
                result.captured_at_ns,
                result.capture_clock == "rtcp",
                result.age_ms,
                result.origin == "detected",
                because,
                float(result.stride),
            )
        )
        self._recent.append((result.published_at_ns, result.age_ms))
        self._seen.add(index)
        self._unbalanced += not _balanced(result.counts)
        for cause, frames in result.lost.items():
            self._losses.append(Loss(index, result.published_at_ns, cause, frames))

    def _note(self, state: CameraState) -> None:
        before = self._last.get(state.camera_id)
        if before is None or (before.state, before.session_id) != (state.state, state.session_id):
            self._states.append(StateChange(state.camera_id, time.time_ns(), state.state, state.detail))
        self._last[state.camera_id] = state


def _balanced(counts: Counts) -> bool:
    """Whether every decoded frame is in the books exactly once."""
    return counts.decoded == counts.detected + sum(counts.filled.values()) + sum(counts.lost.values())
