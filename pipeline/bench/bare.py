"""The detector alone: no cameras, no tracker, every lane busy. What it reaches is the limit of everything else.

It runs in a process of its own, at the worker's priority, so that what its library leaves behind (threads, memory, a
GPU context) is gone when the fleet starts.
"""

from __future__ import annotations

import multiprocessing
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection

import numpy as np

from pipeline.bench import machine
from pipeline.bench.figures import BareDetector
from pipeline.child import end_with_parent
from pipeline.config.values import Fleet
from pipeline.detect import Detector, load_detector
from pipeline.errors import DetectorError, PipelineError
from pipeline.worker.lanes import lower_priority

LOADED = "loaded"
_TURN_S = 0.2


def measure_bare(fleet: Fleet, seconds: float, turn: Callable[[float], None]) -> BareDetector:
    """The fleet's detector alone for `seconds`; blocks, longer where a model is exported first.

    Args:
        fleet: Whose `model` and `worker`.
        seconds: How long to measure, after loading and warming up.
        turn: Called several times a second with the seconds measured so far; for progress.

    Raises:
        DetectorError: The model cannot be loaded, or fails.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_measure_in_child, args=(fleet, seconds, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        return _await(ours, turn)
    finally:
        # Its word is spoken or it is broken; and after Ctrl-C nobody waits for a model to load.
        process.kill()
        process.join()
        ours.close()


def _await(child: Connection, turn: Callable[[float], None]) -> BareDetector:
    began_s: float | None = None
    while True:
        while not child.poll(_TURN_S):
            turn(0.0 if began_s is None else time.monotonic() - began_s)
        try:
            word = child.recv()
        except EOFError:
            raise DetectorError("the detector's process broke off; the lines above say more") from None
        if isinstance(word, PipelineError):
            raise word
        if isinstance(word, BareDetector):
            return word
        began_s = time.monotonic()


def _measure_in_child(fleet: Fleet, seconds: float, parent: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()
    lower_priority(fleet.worker.nice)
    try:
        detector = load_detector(fleet.model, fleet.worker.max_batch)
        detector.warm_up()
        parent.send(LOADED)
        parent.send(run_bare(detector, seconds))
    except PipelineError as error:
        parent.send(error)


def run_bare(detector: Detector, seconds: float) -> BareDetector:
    """A warm detector with every lane busy for `seconds`; blocks.

    Raises:
        DetectorError: It fails.
    """
    counts, failures = [0] * detector.lanes, list[Exception]()
    rng = np.random.default_rng(0)
    for lane in range(detector.lanes):
        detector.input(lane)[:] = rng.integers(0, 255, detector.input(lane).shape, np.uint8)
    began_s, spent_s, busy_s = time.monotonic(), time.process_time(), machine.busy_s()

    def work(lane: int) -> None:
        try:
            while time.monotonic() < began_s + seconds:
                detector.detect(lane, detector.max_batch)
                counts[lane] += detector.max_batch
        except DetectorError as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(lane,), name=f"lane-{lane}") for lane in range(detector.lanes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
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
    )
