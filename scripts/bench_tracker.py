"""How long the tracker takes, against Ultralytics' ByteTrack on the same boxes in the same run.

Boxes walk through a 1920×1080 picture with detector noise; one in twenty is missed, one in six has a low score. Medians
over all updates after the first ten, one core.

    python scripts/bench_tracker.py [--boxes 50 200] [--updates 300] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import time
from functools import partial
from statistics import median
from typing import TYPE_CHECKING

from walkers import FPS, PICTURE_WH, walk

from pipeline.evaluate.reference import ReferenceTracker
from pipeline.track.tracker import Tracker, TrackerConfig

if TYPE_CHECKING:
    from collections.abc import Callable

WARM_UP = 10


def bench(boxes: int, updates: int) -> dict[str, float]:
    """Median milliseconds, and how many times faster `update` is than the reference."""
    frames = walk(boxes, updates)
    tracker, reference = Tracker(TrackerConfig(), PICTURE_WH), ReferenceTracker()
    update_ms = [_ms(partial(tracker.update, found, index / FPS)) for index, found in enumerate(frames)]
    predict_ms = [_ms(partial(tracker.predict, (updates - 0.5) / FPS)) for _ in frames]
    reference_ms = [_ms(partial(reference.update, found)) for found in frames]
    ours, theirs = median(update_ms[WARM_UP:]), median(reference_ms[WARM_UP:])
    return {
        "boxes": boxes,
        "update_ms": round(ours, 4),
        "predict_ms": round(median(predict_ms[WARM_UP:]), 4),
        "ultralytics_ms": round(theirs, 4),
        "times_faster": round(theirs / ours, 1),
    }


def _ms(call: Callable[[], object]) -> float:
    began_ns = time.perf_counter_ns()
    call()
    return (time.perf_counter_ns() - began_ns) / 1e6


def main() -> None:
    """Print one line a number of boxes."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--boxes", type=int, nargs="+", default=[50, 200])
    parser.add_argument("--updates", type=int, default=300)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    found = [bench(boxes, options.updates) for boxes in options.boxes]
    if options.json:
        print(json.dumps(found, indent=2))
        return
    print("boxes  update ms  predict ms  ultralytics ms  times faster")
    for row in found:
        print(
            "{boxes:5}  {update_ms:9.3f}  {predict_ms:10.3f}  {ultralytics_ms:14.3f}  {times_faster:12.1f}".format(
                **row
            )
        )


if __name__ == "__main__":
    main()
