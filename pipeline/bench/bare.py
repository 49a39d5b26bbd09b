"""The detector alone: no cameras, no tracker, every lane busy. What it reaches is the limit of everything else.

It runs in a process of its own for each device, all at once, at the workers' priority, so that what its library leaves
behind (threads, memory, a GPU context) is gone when the fleet starts.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any, TypeVar

import numpy as np

from pipeline.bench import machine
from pipeline.bench.figures import BareDetector
from pipeline.child import end_with_parent
from pipeline.config.values import Fleet, Model
from pipeline.detect import Detector, load_detector
from pipeline.errors import DetectorError, PipelineError
from pipeline.worker.lanes import lower_priority

LOADED, BEGIN = "loaded", "begin"
_TURN_S = 0.2

Found = TypeVar("Found")


def measure_bare(fleet: Fleet, seconds: float, turn: Callable[[float], None]) -> BareDetector:
    """The fleet's detector alone for `seconds`, on all its devices; blocks, longer where a model is exported first.

    Args:
        fleet: Whose `model` and `worker`.
        seconds: How long to measure, after loading and warming up.
        turn: Called several times a second with the seconds measured so far; for progress.

    Raises:
        DetectorError: The model cannot be loaded, or fails.
    """
    return together(measure_devices(fleet, partial(run_bare, seconds=seconds), turn))


def measure_devices(fleet: Fleet, measure: Callable[[Detector], Found], turn: Callable[[float], None]) -> list[Found]:
    """What `measure` finds out about the fleet's detector, on each of its devices at the same time; blocks.

    Args:
        fleet: Whose `model` and `worker`.
        measure: Called in a process of its own for each device, with the detector loaded and warm; has to be picklable,
            as its answer.
        turn: Called several times a second with the seconds measured so far; for progress.

    Raises:
        DetectorError: The model cannot be loaded, or fails.
    """
    with contextlib.ExitStack() as stack:
        children = [_start(fleet, model, measure, stack) for model in fleet.model.per_device()]
        _words(children, lambda: turn(0.0))
        for child in children:
            child.send(BEGIN)
        began_s = time.monotonic()
        return _words(children, lambda: turn(time.monotonic() - began_s))


def together(devices: list[BareDetector]) -> BareDetector:
    """The figures of all devices that were measured at the same time."""
    if len(devices) == 1:
        return devices[0]
    images_hz, cores = sum(each.images_hz for each in devices), sum(each.cores for each in devices)
    # Each of them takes the rest of the same machine for others, its fellows included.
    busy_cores = sum(each.cores + each.other_cores for each in devices) / len(devices)
    return BareDetector(
        images_hz=round(images_hz, 1),
        ms_per_image=round(1000 / images_hz, 3),
        cpu_ms_per_image=round(1000 * cores / images_hz, 3),
        cores=round(cores, 3),
        other_cores=round(max(0.0, busy_cores - cores), 3),
        lanes=sum(each.lanes for each in devices),
        batch=max(each.batch for each in devices),
        input_wh=devices[0].input_wh,
        devices=len(devices),
        memory_mb=round(sum(each.memory_mb for each in devices), 1),
    )


def _start(
    fleet: Fleet, model: Model, measure: Callable[[Detector], object], stack: contextlib.ExitStack
) -> Connection:
    """Start the process of one device, for which `model` is; `stack` ends it."""
    part, prefix = fleet.model_copy(update={"model": model}), "" if model is fleet.model else f"{model.device}: "
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_measure_in_child, args=(part, measure, theirs, prefix), daemon=True)
    process.start()
    theirs.close()
    stack.callback(_end, process, ours)
    return ours


def _end(process: SpawnProcess, pipe: Connection) -> None:
    """Its word is spoken or it is broken; and after Ctrl-C nobody waits for a model to load."""
    process.kill()
    process.join()
    pipe.close()


def _words(children: list[Connection], turn: Callable[[], None]) -> list[Any]:
    """The next word of each; `turn` is called while they are waited for.

    Raises:
        DetectorError: One broke off, or says why it cannot go on.
    """
    words = []
    for child in children:
        while not child.poll(_TURN_S):
            turn()
        try:
            words.append(child.recv())
        except EOFError:
            raise DetectorError("the detector's process broke off; the lines above say more") from None
        if isinstance(words[-1], PipelineError):
            raise words[-1]
    return words


def _measure_in_child(fleet: Fleet, measure: Callable[[Detector], object], parent: Connection, prefix: str) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()
    lower_priority(fleet.worker.nice)
    try:
        detector = load_detector(fleet.model, fleet.worker.max_batch)
        detector.warm_up()
        parent.send(LOADED)
        parent.recv()
        parent.send(measure(detector))
    except PipelineError as error:
        parent.send(type(error)(f"{prefix}{error}"))


def run_bare(detector: Detector, seconds: float) -> BareDetector:
    """A warm detector with every lane busy for `seconds`; blocks.

    Raises:
        DetectorError: It fails.
    """
    counts = [0] * detector.lanes
    lay_pictures(detector)
    began_s, spent_s, busy_s = time.monotonic(), time.process_time(), machine.busy_s()

    def work(lane: int) -> None:
        while time.monotonic() < began_s + seconds:
            detector.detect(lane, detector.max_batch)
            counts[lane] += detector.max_batch

    on_lanes(detector.lanes, work)
    wall_s, cpu_s, images = time.monotonic() - began_s, time.process_time() - spent_s, max(1, sum(counts))
    return BareDetector(
        images_hz=round(images / wall_s, 1),
        ms_per_image=round(1000 * wall_s / images, 3),
        cpu_ms_per_image=round(1000 * cpu_s / images, 3),
        cores=round(cpu_s / wall_s, 3),
        other_cores=round(max(0.0, (machine.busy_s() - busy_s - cpu_s) / wall_s), 3),
        lanes=detector.lanes,
        batch=detector.max_batch,
        input_wh=detector.input_wh,
        memory_mb=round(machine.memory_mb(os.getpid()), 1),
    )


def lay_pictures(detector: Detector) -> None:
    """Fill all lanes with soft pictures of nothing.

    Not with noise: in that some models see objects at a thousand places, and spend their time on dropping repeated
    boxes, as they never do on what cameras show.
    """
    width, height = detector.input_wh
    rng = np.random.default_rng(0)
    across, down = np.linspace(0, 2 * np.pi, width), np.linspace(0, 2 * np.pi, height)[:, None]
    for lane in range(detector.lanes):
        pictures = detector.input(lane)
        for picture in pictures:
            for colour in range(3):
                a, b, c = rng.uniform(0.5, 2, 3)
                wave = np.sin(a * across + 7 * b) + np.sin(b * down + 7 * c) + np.sin(c * (across + down))
                picture[:, :, colour] = 127 + 40 * wave


def on_lanes(lanes: int, work: Callable[[int], None]) -> None:
    """Do `work` for each of so many lanes, at once; returns when all are done.

    Raises:
        DetectorError: The first that one of them failed with.
    """
    failures: list[DetectorError] = []

    def run(lane: int) -> None:
        try:
            work(lane)
        except DetectorError as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(lane,), name=f"lane-{lane}") for lane in range(lanes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
