"""What a camera's frames add up to, over all its sessions: counters and histograms that only grow."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate

from pipeline.wire import CameraState, Counts, FrameResult

AGE_BOUNDS_S = (0.01, 0.025, 0.05, 0.075, 0.1, 0.125, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0)
"""Denser where latencies are promised: 50 to 500 ms."""
STAGE_BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5)
"""A slot takes one millisecond, a detector tens, a queue hundreds."""
OTHER = "other"
MOST_NAMES = 100
"""Names of classes, reasons and causes that get series of their own; a model of COCO has 80."""
LONGEST_NAME = 64


class Names:
    """Keeps what comes from outside from making ever new series: the first hundred names count, then `other`."""

    def __init__(self, most: int = MOST_NAMES) -> None:
        self._known: set[str] = set()
        self._most = most

    def of(self, name: str) -> str:
        """The name as a label."""
        name = name[:LONGEST_NAME]
        if name not in self._known:
            if len(self._known) >= self._most:
                return OTHER
            self._known.add(name)
        return name


class Histogram:
    """Counts values by bounds, each within those above it."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        """Count a value; one that equals a bound is within it."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self.sum += value

    def buckets(self) -> list[tuple[str, float]]:
        """Upper bound and how many values are within, as Prometheus has them; the last is all."""
        return list(zip([*map(str, self._bounds), "+Inf"], accumulate(self._counts), strict=True))


class Sessions:
    """The counts of a camera's sessions, added up: decoded = detected + filled + lost at any moment."""

    def __init__(self) -> None:
        self._decoded = self._detected = 0
        self._filled: Counter[str] = Counter()
        self._lost: Counter[str] = Counter()
        self._session_id = ""
        self._counts = Counts(decoded=0, detected=0, filled={}, lost={})

    def hear(self, session_id: str, counts: Counts) -> None:
        """A frame says how far its session is."""
        if session_id != self._session_id:
            self._end()
            self._session_id = session_id
        self._counts = counts

    @property
    def whole(self) -> Counts:
        """All sessions together."""
        return Counts(
            decoded=self._decoded + self._counts.decoded,
            detected=self._detected + self._counts.detected,
            filled=dict(self._filled + Counter(self._counts.filled)),
            lost=dict(self._lost + Counter(self._counts.lost)),
        )

    def _end(self) -> None:
        self._decoded += self._counts.decoded
        self._detected += self._counts.detected
        self._filled.update(self._counts.filled)
        self._lost.update(self._counts.lost)


class Reconnects:
    """A count that begins anew with every life of the camera's process, made one that only grows."""

    def __init__(self) -> None:
        self._before = self._now = 0

    def hear(self, state: CameraState) -> None:
        """The camera says how often it has connected again."""
        if state.reconnects < self._now:
            self._before += self._now
        self._now = state.reconnects

    @property
    def whole(self) -> int:
        """Over all lives."""
        return self._before + self._now


class Promised:
    """How many frames were judged by the promise, and how many kept it."""

    def __init__(self) -> None:
        self.judged = self.kept = 0

    def judge(self, frame: FrameResult, p95_ms: float) -> None:
        """A frame keeps it if it is young enough and a detection stands behind its boxes."""
        stands = frame.origin != "skipped" and frame.counts.detected > 0
        self.judged += 1
        self.kept += stands and frame.age_ms <= p95_ms
