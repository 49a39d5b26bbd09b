"""The independent subscriber: every message of the fleet, kept as numbers."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from pipeline.client import Subscriber
from pipeline.errors import SubscriberTimeout
from pipeline.wire import CameraState, Counts, FrameResult

LOOK_S = 0.2
"""How soon the thread notices that it is to end, and a camera that has changed its state, s."""
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


@dataclass(slots=True)
class _Book:
    """What has been heard so far; written by one thread."""

    rows: list[tuple[int, int, int, bool, float, bool, int, float]] = field(default_factory=list)
    reasons: dict[str, int] = field(default_factory=dict)
    losses: list[Loss] = field(default_factory=list)
    states: list[StateChange] = field(default_factory=list)
    unbalanced: int = 0
    recent: deque[tuple[int, float]] = field(default_factory=lambda: deque(maxlen=RECENT))
    seen: set[int] = field(default_factory=set)


class Listener:
    """Subscribes in a thread until closed. All methods may be called from any thread."""

    def __init__(self, endpoint: str, camera_ids: tuple[str, ...]) -> None:
        """Begin to listen; the order of `camera_ids` is that of the indices."""
        self._endpoint = endpoint
        self._index = {camera_id: index for index, camera_id in enumerate(camera_ids)}
        self._book = _Book()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="burst-listener", daemon=True)
        self._thread.start()

    @property
    def published(self) -> int:
        """Frames heard so far."""
        return len(self._book.rows)

    @property
    def cameras_seen(self) -> int:
        """Cameras of which there was a frame."""
        return len(self._book.seen)

    def recent(self) -> tuple[float, float]:
        """Frames a second and the 95th percentile of the fleet's own ages in ms, over the last frames; 0 without."""
        recent = list(self._book.recent)
        if len(recent) < 2:
            return 0.0, 0.0
        span_s = max((time.time_ns() - recent[0][0]) / 1e9, 1e-3)
        return len(recent) / span_s, float(np.percentile([age_ms for _, age_ms in recent], 95))

    def heard(self) -> Heard:
        """Everything so far."""
        book = self._book
        reasons = tuple(sorted(book.reasons, key=book.reasons.__getitem__))
        frames = np.array(book.rows[:], FRAME)
        return Heard(frames, reasons, tuple(book.losses), tuple(book.states), book.unbalanced)

    def close(self) -> None:
        """Stop listening; what was heard stays."""
        self._stop.set()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self) -> None:
        looked_s = 0.0
        known: dict[str, CameraState] = {}
        with Subscriber(self._endpoint, timeout_s=LOOK_S, queue=0) as subscriber:
            while not self._stop.is_set():
                try:
                    self._add(subscriber.receive())
                except SubscriberTimeout:
                    looked_s = 0.0
                if time.monotonic() - looked_s > LOOK_S:
                    looked_s = time.monotonic()
                    self._note_states(subscriber.states, known)

    def _add(self, result: FrameResult) -> None:
        index = self._index.get(result.camera_id)
        if index is None:
            return
        book = self._book
        because = -1
        if result.filled_because is not None:
            because = book.reasons.setdefault(result.filled_because, len(book.reasons))
        book.rows.append(
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
        book.recent.append((result.published_at_ns, result.age_ms))
        book.seen.add(index)
        book.unbalanced += not _balanced(result.counts)
        for cause, frames in result.lost.items():
            book.losses.append(Loss(index, result.published_at_ns, cause, frames))

    def _note_states(self, states: dict[str, CameraState], known: dict[str, CameraState]) -> None:
        for camera_id, state in states.items():
            before = known.get(camera_id)
            if before is None or (before.state, before.session_id) != (state.state, state.session_id):
                self._book.states.append(StateChange(camera_id, time.time_ns(), state.state, state.detail))
            known[camera_id] = state


def _balanced(counts: Counts) -> bool:
    """Whether every decoded frame is in the books exactly once."""
    return counts.decoded == counts.detected + sum(counts.filled.values()) + sum(counts.lost.values())
