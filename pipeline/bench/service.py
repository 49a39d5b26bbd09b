"""How long a detector needs for a batch, by its size: one lane alone, and every lane at once.

The difference is what lanes take from each other. Each detection is timed, as the worker would time it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import numpy as np

from pipeline.bench.bare import lay_pictures, measure_devices, on_lanes
from pipeline.bench.figures import MeasuredService, Service
from pipeline.config.values import Fleet
from pipeline.detect import Detector
from pipeline.errors import PipelineError

FEWEST = 8
"""Batches timed of each kind, however long that takes: a median of fewer says little."""
LONGEST_S = 10.0
"""Unless so much time has gone."""


def measure_service(fleet: Fleet, seconds: float, turn: Callable[[float], None]) -> MeasuredService:
    """The service times of the fleet's detector on one device; blocks, longer where a model is exported first.

    Args:
        fleet: Whose `model` and `worker`.
        seconds: How long to measure, all batch sizes together, after loading and warming up.
        turn: Called several times a second with the seconds measured so far; for progress.

    Raises:
        DetectorError: The model cannot be loaded, or fails.
        PipelineError: It runs on several devices.
    """
    if len(fleet.model.per_device()) > 1:
        raise PipelineError(
            f"model.devices names {len(fleet.model.per_device())} devices; a plan is made for one of them: set "
            "model.device, and give it its share of the cameras"
        )
    return measure_devices(fleet, partial(time_batches, seconds=seconds), turn)[0]


def time_batches(detector: Detector, seconds: float) -> MeasuredService:
    """The service times of a warm detector; blocks.

    Raises:
        DetectorError: It fails.
    """
    lay_pictures(detector)
    sizes = [size for size in detector.batches if size <= detector.max_batch]
    slice_s = seconds / len(sizes) / (1 if detector.lanes == 1 else 2)
    return MeasuredService(
        lanes=detector.lanes,
        max_batch=detector.max_batch,
        input_wh=detector.input_wh,
        batches=[_of_size(detector, size, slice_s) for size in sizes],
    )


def _of_size(detector: Detector, size: int, seconds: float) -> Service:
    alone_s, cpu_s = _time(detector, size, 1, seconds)
    together_s = _time(detector, size, detector.lanes, seconds)[0] if detector.lanes > 1 else alone_s
    return Service(
        batch=size,
        alone_ms=round(1000 * float(np.median(alone_s)), 3),
        together_ms=round(1000 * float(np.median(together_s)), 3),
        together_p95_ms=round(1000 * float(np.percentile(together_s, 95)), 3),
        cores=round(cpu_s / sum(alone_s), 3),
    )


def _time(detector: Detector, size: int, lanes: int, seconds: float) -> tuple[list[float], float]:
    """How long each batch took, s, with so many lanes at work, and the CPU time of all of them, s."""
    times_s: list[list[float]] = [[] for _ in range(lanes)]
    spent_s, began_s = time.process_time(), time.monotonic()

    def work(lane: int) -> None:
        own = times_s[lane]
        while (begin_s := time.monotonic()) < began_s + seconds or (
            len(own) < FEWEST and begin_s < began_s + LONGEST_S
        ):
            detector.detect(lane, size)
            own.append(time.monotonic() - begin_s)

    on_lanes(lanes, work)
    return [took_s for own in times_s for took_s in own], time.process_time() - spent_s
