"""What the worker's own thread costs a published frame, in processor time, whole and by part.

    .venv/bin/python scripts/bench_loop.py
    .venv/bin/python scripts/bench_loop.py --objects 5 --runs 5 --burn --json out.json
    .venv/bin/python scripts/bench_loop.py --against ../other/checkout --runs 5     # the two in turns

`core`: its decisions alone, hot, on a virtual clock. `loop`: the real loop with its sockets, slots, ledgers and lanes.
Another process is all cameras, as far as a worker can tell: ticks, states and pictures, and nothing to decode. The
detector computes nothing and knows what is on a picture by two numbers in its corner; with `--burn` its lanes stream
through memory as long as a detection takes, so that caches are as cold as beside a model. Objects walk through the
picture with a detector's noise. Parts are timed one by one in a run of their own, as that costs time itself; what one
part calls is taken off it. Medians of the runs, each in a process of its own.
"""

from __future__ import annotations

import argparse
import ctypes
import functools
import importlib
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stub_world import APART, INPUT_WH, LANES, SCENE, SERVICE_S, Case, ScriptedDetector, film

from pipeline.bench import machine
from pipeline.child import freeze_heap
from pipeline.clock import SystemClock
from pipeline.detections import Detections
from pipeline.ledger import FileLedger
from pipeline.link import Settings, WorkerLink
from pipeline.publish import Publisher
from pipeline.runscope import RunLease
from pipeline.slot import SlotReader
from pipeline.wire import FrameResult
from pipeline.worker.core import Core, Serving
from pipeline.worker.lanes import Lanes
from pipeline.worker.loop import Worker, WorkerParts
from pipeline.worker.virtual import VirtualLanes, VirtualWorker

SETTINGS = Settings(0.15)

PARTS = {
    "waiting": ("zmq:Poller.poll",),
    "receiving words": ("pipeline.link:WorkerLink.receive",),
    "hearing them": ("pipeline.worker.core:Core.hear",),
    "taking pictures": ("pipeline.worker.channel:Channel.start",),
    "tracker.update": ("pipeline.track.drift:WatchedTracker.update", "pipeline.track.tracker:Tracker.update"),
    "predicting": (
        *("pipeline.track.tracker:Tracker.predict", "pipeline.track.tracker:Tracker.ahead"),
        "pipeline.worker.compose:_shown",
    ),
    "boxes": ("pipeline.worker.compose:_boxes",),
    "composing": ("pipeline.worker.compose:Composer.compose", "pipeline.worker.compose:compose"),
    "encoding": ("pipeline.publish:encode",),
    "sending": ("pipeline.publish:Publisher.publish",),
    "deciding": tuple(
        f"pipeline.worker.core:Core.{name}" for name in ("decide", "give_up_late", "next_batch", "finish", "due_s")
    ),
    "all else": ("pipeline.worker.loop:Worker.step",),
}
"""What is called what, in this version or in others; functions that it does not have are left out."""

Figures = dict[str, float]


@dataclass(slots=True)
class Stopwatch:
    """Processor time of the calling thread by part, ms; what a part calls is taken off it."""

    spent_ms: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    _inside: list[float] = field(default_factory=list)

    def wrap(self, parts: Mapping[str, Sequence[str]]) -> None:
        """Time these from now on."""
        for part, places in parts.items():
            for place in places:
                self._wrap_one(part, place)

    def _wrap_one(self, part: str, place: str) -> None:
        module, _, path = place.partition(":")
        try:
            owner: Any = importlib.import_module(module)
        except ImportError:
            return
        *classes, name = path.split(".")
        for one in classes:
            owner = getattr(owner, one)
        if (work := vars(owner).get(name)) is not None:
            setattr(owner, name, self._timed(part, work))

    def _timed(self, part: str, work: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(work)
        def timed(*args: Any, **named: Any) -> Any:
            began_ns = time.thread_time_ns()
            self._inside.append(0.0)
            try:
                return work(*args, **named)
            finally:
                took_ms = (time.thread_time_ns() - began_ns) / 1e6
                self.spent_ms[part] += took_ms - self._inside.pop()
                if self._inside:
                    self._inside[-1] += took_ms

        return timed


def run_core(case: Case, by_part: bool) -> Figures:
    """Milliseconds a published frame of the core alone; the virtual world around it is not counted."""
    found, watch = case.found(), Stopwatch()
    watch.wrap(PARTS if by_part else {"all": PARTS["hearing them"] + PARTS["deciding"]})
    serving = Serving(("thing",), INPUT_WH, 1, LANES)

    def detect(camera_id: str, frame_id: int) -> Detections:
        return found[(frame_id + APART * int(camera_id[-3:])) % SCENE]

    world = VirtualWorker(
        VirtualLanes(LANES, lambda at_s: SERVICE_S), SETTINGS, serving=serving, detect=detect, turns=True
    )
    for number in range(case.cameras):
        world.join(case.plan(number), lambda at_s: case.fps, starts_s=number / case.cameras / case.fps)
    freeze_heap()
    world.run(case.settle)
    watch.spent_ms.clear()
    world.messages = gone = Counted()
    world.run(case.settle + case.seconds)
    frames = gone.frames
    parts = {part: ms / frames for part, ms in watch.spent_ms.items()}
    return {"core": sum(parts.values()), "frames a second": frames / case.seconds, **parts}


class Counted(list[Any]):
    """Messages that are gone when they are sent, as a worker's are."""

    frames = 0

    def __iadd__(self, messages: Any) -> Counted:
        self.frames += sum(isinstance(message, FrameResult) for message in messages)
        return self


def run_loop(case: Case, by_part: bool) -> Figures:
    """Milliseconds a published frame of the real loop's thread."""
    context, watch = multiprocessing.get_context("fork"), Stopwatch()
    with RunLease() as lease, tempfile.TemporaryDirectory() as folder:
        sent, stop = context.Value(ctypes.c_int64, lock=False), context.Event()
        cameras = context.Process(target=film, args=(case, lease.scope, folder, sent, stop))
        cameras.start()
        detector, node = ScriptedDetector(case), lease.scope.node("worker")
        link, publisher = WorkerLink(f"ipc://{folder}/link"), Publisher(f"ipc://{folder}/inbox")
        if by_part:
            watch.wrap(PARTS)
        core = Core(
            "bench",
            Serving(detector.class_names, INPUT_WH, 1, LANES),
            SETTINGS,
            clock=SystemClock(),
            open_slot=lambda name: (SlotReader(lease.scope, name, node), FileLedger(lease.scope.ledger(name))),
        )
        parts: Any = WorkerParts(
            core, detector, link, publisher, SystemClock(), lambda model: detector, lambda loaded: Lanes(loaded, 5)
        )
        worker, figures = Worker(parts, ctypes.c_int64()), {}
        observer = threading.Thread(
            target=_observe, args=(case, worker, watch, lambda: (sent.value, detector.calls), figures)
        )
        observer.start()
        freeze_heap()
        worker.run()
        observer.join()
        stop.set()
        cameras.join()
        worker.close()
        publisher.close()
        link.close()
        core.close()
    return figures


def _observe(
    case: Case, worker: Worker, watch: Stopwatch, counts: Callable[[], tuple[int, int]], figures: Figures
) -> None:
    """Read the clock of the loop's thread at both ends of the measured time, and end the loop."""
    loop = threading.main_thread()
    assert loop.ident is not None
    clock, status = time.pthread_getcpuclockid(loop.ident), Path(f"/proc/self/task/{loop.native_id}/status")

    def read() -> tuple[float, int, int, int, float]:
        slept = next(line for line in status.read_text().splitlines() if line.startswith("voluntary"))
        return time.clock_gettime(clock), *counts(), int(slept.split()[1]), time.monotonic()

    time.sleep(case.settle)
    watch.spent_ms.clear()
    before = read()
    time.sleep(case.seconds)
    cpu_s, frames, detected, slept, lasted_s = (now - then for now, then in zip(read(), before, strict=True))
    parts = dict(watch.spent_ms)
    worker.stop()
    figures |= {"loop": 1000 * cpu_s / frames, "frames a second": frames / lasted_s}
    figures |= {"detections": detected / lasted_s, "wake-ups": slept / lasted_s}
    figures |= {part: ms / frames for part, ms in parts.items()}


WAYS: dict[str, Callable[[Case, bool], Figures]] = {"core": run_core, "loop": run_loop}


def measure(way: str, case: Case, by_part: bool, checkout: Path | None) -> Figures:
    """One run, in a process of its own, of the package in this checkout."""
    words = [sys.executable, __file__, "--one", way, json.dumps([getattr(case, name) for name in Case.__slots__])]
    environment = os.environ | ({"PYTHONPATH": str(checkout)} if checkout else {})
    done = subprocess.run([*words, str(int(by_part))], env=environment, stdout=subprocess.PIPE, check=True)
    figures: Figures = json.loads(done.stdout.splitlines()[-1])  # what is logged comes before it
    return figures


def medians(runs: list[Figures]) -> Figures:
    """Of each figure."""
    names = dict.fromkeys(name for run in runs for name in run)
    return {name: round(statistics.median(run.get(name, 0.0) for run in runs), 4) for name in names}


def main() -> None:
    """Print a row for each way, number of objects and checkout, and then the parts."""
    if sys.argv[1:2] == ["--one"]:
        way, case, by_part = sys.argv[2:]
        print(json.dumps(WAYS[way](Case(*json.loads(case)), by_part == "1")))
        return
    options = _options()
    checkouts = {"here": None, "other": options.against} if options.against else {"here": None}
    results = []
    for way in options.ways:
        for objects in options.objects:
            case = Case(objects, options.cameras, options.fps, options.seconds, options.settle, options.burn)
            for by_part in [False, True] if options.parts else [False]:
                runs: dict[str, list[Figures]] = {name: [] for name in checkouts}
                for _ in range(options.runs):
                    for name, checkout in checkouts.items():
                        runs[name].append(measure(way, case, by_part, checkout))
                for name, found in runs.items():
                    row = {"way": way, "objects": objects, "by_part": by_part, "checkout": name, **medians(found)}
                    row["all"] = [round(run[way], 4) for run in found]
                    results.append(row)
                    print(_line(row), flush=True)
    if options.json:
        options.json.write_text(
            json.dumps({"machine": machine.name(), "burn": options.burn, "rows": results}, indent=2) + "\n"
        )


def _line(row: dict[str, Any]) -> str:
    head = f"{row['way']}, {row['objects']} objects, {row['checkout']}"
    if row["by_part"]:
        known = sorted(((row[part], part) for part in PARTS if row.get(part)), reverse=True)
        return f"{head}, µs a frame by part: " + ", ".join(f"{part} {1000 * ms:.1f}" for ms, part in known)
    wakes = "".join(f", {row[name]:.0f} {name}/s" for name in ("detections", "wake-ups") if name in row)
    return f"{head}: {row[row['way']]:.4f} ms a frame at {row['frames a second']:.0f} frames/s{wakes} {row['all']}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--objects", type=int, nargs="+", default=[5, 20])
    parser.add_argument("--cameras", type=int, default=60)
    parser.add_argument("--fps", type=float, default=15.0)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--settle", type=float, default=4.0, help="seconds before anything counts")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--burn", action="store_true", help="lanes stream through memory, as a model does")
    parser.add_argument("--parts", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--against", type=Path, help="another checkout, measured in turns with this one")
    parser.add_argument("--json", type=Path, help="write every figure to this file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
