"""What the subscriber saw, second by second, and the fleet's word beside the truth."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.burst.observed import Observed, ages
from pipeline.burst.result import CameraSeries, Series, Truth

Seconds = NDArray[np.int64]


def series(observed: Observed, start_s: float, end_s: float) -> Series:
    """Figures of each whole second from `start_s`, rounded down, to `end_s`; the last may be a shorter one."""
    first, last = math.floor(start_s), math.ceil(end_s)
    second = np.floor(observed.at_s).astype(np.int64) - first
    inside = (second >= 0) & (second < last - first)
    rows, count = second[inside], last - first
    age_ms, fleet_ms = observed.age_ms[inside], observed.fleet_ms[inside]
    detected, because, camera = observed.detected[inside], observed.because[inside], observed.camera[inside]
    stride = observed.stride[inside]
    p50, p95, p99 = _percentiles(rows, age_ms, count)
    return Series(
        at_s=[first + index + 0.5 for index in range(count)],
        p50=p50,
        p95=p95,
        p99=p99,
        fleet_p95=_percentiles(rows, fleet_ms, count)[1],
        published=_counts(rows, count),
        detected=_counts(rows[detected], count),
        filled={
            reason: _counts(rows[~detected & (because == index)], count)
            for index, reason in enumerate(observed.reasons)
        },
        lost=_lost(observed, first, count),
        stride=_per_second(rows, stride, count, lambda values: float(values.mean())),
        cameras={
            camera_id: _camera(rows[own], age_ms[own], stride[own], count)
            for camera_id, own in ((name, camera == index) for index, name in enumerate(observed.camera_ids))
        },
    )


def truth(observed: Observed) -> Truth:
    """The fleet's own ages beside the true ones, from the first phase on."""
    judged = observed.at_s >= 0
    known = judged & ~np.isnan(observed.true_ms)
    return Truth(
        published=int(judged.sum()),
        matched=int(known.sum()),
        age=ages(observed.true_ms[known]),
        fleet_age=ages(observed.fleet_ms[known]),
        difference=ages(observed.fleet_ms[known] - observed.true_ms[known]),
    )


def _camera(rows: Seconds, age_ms: NDArray[np.float64], stride: NDArray[np.float64], count: int) -> CameraSeries:
    p50, p95, p99 = _percentiles(rows, age_ms, count)
    return CameraSeries(
        p50=p50,
        p95=p95,
        p99=p99,
        published=_counts(rows, count),
        stride=_per_second(rows, stride, count, lambda values: float(values.mean())),
    )


def _percentiles(rows: Seconds, values: NDArray[np.float64], count: int) -> list[list[float | None]]:
    """p50, p95 and p99 of each second."""
    return [
        _per_second(rows, values, count, lambda inside, share=share: float(np.percentile(inside, share)))  # type: ignore[misc]
        for share in (50, 95, 99)
    ]


def _per_second(
    rows: Seconds, values: NDArray[np.float64], count: int, figure: Callable[[NDArray[np.float64]], float]
) -> list[float | None]:
    """`figure` of each second's values; None where there are none. `rows` ascend."""
    edges = np.searchsorted(rows, np.arange(count + 1))
    groups: Sequence[NDArray[np.float64]] = np.split(values, edges[1:-1]) if count else []
    return [round(figure(group), 2) if len(group) else None for group in groups]


def _counts(rows: Seconds, count: int) -> list[int]:
    return [int(value) for value in np.bincount(rows, minlength=count)[:count]]


def _lost(observed: Observed, first: int, count: int) -> dict[str, list[int]]:
    told: dict[str, list[int]] = {}
    for (at_s, _, frames), cause in zip(observed.lost, observed.causes, strict=True):
        index = math.floor(at_s) - first
        if 0 <= index < count:
            told.setdefault(cause, [0] * count)[index] += int(frames)
    return told
