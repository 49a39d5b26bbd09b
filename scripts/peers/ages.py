"""How old frames were when there were boxes for them, and how many there were. Pure arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

UNKNOWN = -1
NOTED_LATE_NS = 100_000_000
"""Our replay server notes a departure once the socket has taken it, so a server that was preempted in between notes it
after the boxes are there; such a frame has age 0. (GStreamer's is noted before.)"""


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one run.

    Attributes:
        boxes_hz: Frames with boxes a second, detected or filled.
        detected_hz: Frames a second on which the detector ran.
        age_p50_ms: From the frame's departure to its boxes; median.
        age_p95_ms: 95th percentile.
        detected_age_p95_ms: 95th percentile of the detected ones alone.
        unmatched: Frames whose number could not be read, or that never left; they have no age.
    """

    boxes_hz: float
    detected_hz: float
    age_p50_ms: float
    age_p95_ms: float
    detected_age_p95_ms: float
    unmatched: int


def figures(answer: dict[str, Any], departures: Any) -> Figures:
    """The figures of a consumer's answer.

    Args:
        answer: What `Window.write` wrote.
        departures: (N, 3) int64: camera, frame number, monotonic ns.
    """
    rows = np.array([row[:3] for row in answer["rows"]], np.int64).reshape(-1, 3)
    detected = np.array([row[3] for row in answer["rows"]], bool)
    ages_ms = age_ms(rows, departures)
    known = ages_ms != UNKNOWN
    seconds = answer["seconds"]
    p50, p95 = _percentiles(ages_ms[known], 50, 95)
    (detected_p95,) = _percentiles(ages_ms[known & detected], 95)
    return Figures(
        boxes_hz=round((len(rows) + answer["unreadable"]) / seconds, 1),
        detected_hz=round(float(detected.sum() + answer["unreadable"]) / seconds, 1),
        age_p50_ms=p50,
        age_p95_ms=p95,
        detected_age_p95_ms=detected_p95,
        unmatched=answer["unreadable"] + int((~known).sum()),
    )


def age_ms(rows: Any, departures: Any) -> Any:
    """(N,) float64, ms; `UNKNOWN` for a frame that never left.

    A camera that was opened again sends the same numbers again: then the last departure before the boxes counts.

    Args:
        rows: (N, 3) int64: camera, frame number, monotonic ns at which there were boxes.
        departures: (M, 3) int64, the same of departures.
    """
    left: dict[tuple[int, int], list[int]] = {}
    for camera, number, at_ns in departures.tolist():
        left.setdefault((camera, number), []).append(at_ns)
    ages = np.full(len(rows), float(UNKNOWN))
    for index, (camera, number, at_ns) in enumerate(rows.tolist()):
        before = [left_ns for left_ns in left.get((camera, number), []) if left_ns <= at_ns + NOTED_LATE_NS]
        if before:
            ages[index] = max(0, at_ns - max(before)) / 1e6
    return ages


def _percentiles(values: Any, *percents: int) -> list[float]:
    return (
        [round(float(value), 1) for value in np.percentile(values, percents)] if len(values) else [0.0] * len(percents)
    )
