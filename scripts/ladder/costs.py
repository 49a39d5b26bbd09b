"""What one detection takes at each size: processor time of one thread, and time on the clock."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import av
import cv2

from ladder.views import SAMPLES, model
from pipeline.detect import Detector, load_detector
from pipeline.geometry import Letterbox, WidthHeight

BEFORE = "crossing"
"""The sample of which a picture is detected: the one with most in it."""
CALLS = 15
"""Detections in a turn; sizes take turns, so that a machine that grows slower does so for all."""


@dataclass(frozen=True)
class Cost:
    """Of one detection on one thread, medians over turns, ms; neighbours change processor time little."""

    cpu_ms: float
    clock_ms: float


def measure(sizes: Sequence[WidthHeight], turns: int) -> dict[WidthHeight, Cost]:
    """What a detection takes at each size, copying its picture in and making boxes of its output included."""
    detectors = {size: load_detector(model(size), 1) for size in sizes}
    for detector in detectors.values():
        detector.warm_up()
    pictures = {size: _picture(size) for size in sizes}
    took: dict[WidthHeight, list[Cost]] = {size: [] for size in sizes}
    for _ in range(turns):
        for size, detector in detectors.items():
            took[size].append(_turn(detector, pictures[size]))
    for detector in detectors.values():
        detector.close()
    return {
        size: Cost(statistics.median(c.cpu_ms for c in costs), statistics.median(c.clock_ms for c in costs))
        for size, costs in took.items()
    }


def _turn(detector: Detector, picture: cv2.typing.MatLike) -> Cost:
    top = (detector.input_wh[1] - picture.shape[0]) // 2
    cpu_s, clock_s = time.process_time(), time.perf_counter()
    for _ in range(CALLS):
        detector.input(0)[0, top : top + picture.shape[0]] = picture
        detector.detect(0, 1)
    return Cost(1e3 * (time.process_time() - cpu_s) / CALLS, 1e3 * (time.perf_counter() - clock_s) / CALLS)


def _picture(size: WidthHeight) -> cv2.typing.MatLike:
    with av.open(str(SAMPLES / f"{BEFORE}.mp4")) as container:
        picture = next(container.decode(video=0)).to_ndarray(format="rgb24")
    return cv2.resize(picture, Letterbox.fit((picture.shape[1], picture.shape[0]), size).content_wh)
