"""Quantiles of the last minute, whatever the number of frames."""

from __future__ import annotations

from collections import deque

import msgspec
from ddsketch import DDSketch

WINDOW_S = 60.0
SLICE_S = 5.0
"""What is older than a minute is forgotten in steps of this."""
RELATIVE_ACCURACY = 0.01


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """Ages of frames, from capture to publication, over the last minute. None stands for what is not known.

    Attributes:
        window_s: How far back it looks.
        frames: How many there were.
        p50_ms: The median.
        p95_ms: 95 of 100 stay below.
        p99_ms: 99 of 100 do.
    """

    window_s: float = WINDOW_S
    frames: int = 0
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None


class LastMinute:
    """Pure; the time is told. Not thread-safe."""

    def __init__(self) -> None:
        self._slices: deque[tuple[float, DDSketch]] = deque()

    def add(self, age_ms: float, now_s: float) -> None:
        """Book the age of a frame."""
        if not self._slices or now_s - self._slices[-1][0] >= SLICE_S:
            self._forget(now_s)
            self._slices.append((now_s, DDSketch(RELATIVE_ACCURACY)))
        self._slices[-1][1].add(age_ms)

    def latency(self, now_s: float) -> Latency:
        """The ages of the last minute."""
        self._forget(now_s)
        whole = DDSketch(RELATIVE_ACCURACY)
        for _, ages in self._slices:
            whole.merge(ages)
        return Latency(
            frames=round(whole.count),
            p50_ms=_quantile(whole, 0.5),
            p95_ms=_quantile(whole, 0.95),
            p99_ms=_quantile(whole, 0.99),
        )

    def _forget(self, now_s: float) -> None:
        """Leave out what began before the minute."""
        while self._slices and self._slices[0][0] < now_s - WINDOW_S:
            self._slices.popleft()


def _quantile(ages: DDSketch, quantile: float) -> float | None:
    value = ages.get_quantile_value(quantile)
    return None if value is None else round(float(value), 1)
