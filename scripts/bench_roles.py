"""What each kind of process of a fleet takes of the processor for a frame, beside a model that takes the rest.

    .venv/bin/python scripts/bench_roles.py --cameras 6 12 18 --repeats 3
    .venv/bin/python scripts/bench_roles.py --cameras 18 --against ../other/checkout     # the two in turns

The cameras, the model and the consumer are those of `bench_peers.py --streaming`. Times are CPU time by
`/proc/PID/task/*/schedstat`, which counts nanoseconds, over the published frames. `worker` is its own thread alone;
`detection` is all of the worker over its detections, model included. `publisher` is every process that is none of the
others, and hardly any but the publisher computes. A machine that others use makes everything dearer: compare by turns,
and by what a detection took.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import psutil
from bench_peers import DEMO_MODEL, FPS, START_S, TIMEOUT_S
from footage import ROOT, numbered_samples
from peers.ages import figures
from peers.served import best_kind, serve
from rich.console import Console
from rich.table import Table

from pipeline.bench import machine

CONSUMER = Path("scripts", "peers", "consume_camfleet.py")
SETTLE_S = 10.0
Figures = dict[str, float]


def main() -> None:
    """Measure each number of cameras and each checkout in turns, and print the medians."""
    options = _options()
    checkouts = {"here": ROOT} | ({"other": options.against.resolve()} if options.against else {})
    recordings = numbered_samples(120.0)
    rows: list[dict[str, Any]] = []
    for cameras in options.cameras:
        runs: dict[str, list[Figures]] = defaultdict(list)
        for repeat in range(options.repeats):
            for name, checkout in checkouts.items():
                print(
                    f"run {repeat + 1} of {options.repeats}: {cameras} cameras, {name} …", file=sys.stderr, flush=True
                )
                shown = [recordings[number % len(recordings)] for number in range(cameras)]
                runs[name].append(measure(checkout, shown, options))
        rows += [{"cameras": cameras, "checkout": name, "runs": found} for name, found in runs.items()]
    _print(rows)
    if options.json:
        options.json.write_text(json.dumps({"machine": machine.name(), "rows": rows}, indent=2) + "\n")


def measure(checkout: Path, recordings: list[Path], options: argparse.Namespace) -> Figures:
    """One run of the fleet as this checkout has it."""
    kind = best_kind()
    with tempfile.TemporaryDirectory() as folder:
        answer, job = Path(folder) / "answer.json", Path(folder) / "job.json"
        with serve(recordings, kind, Path(folder)) as served:
            asked = {"urls": served.urls, "model": str(options.model), "options": {}, "wants_boxes": True}
            asked |= {"warmup_s": SETTLE_S, "seconds": options.seconds + 4, "answer": str(answer)}
            job.write_text(json.dumps(asked), encoding="utf-8")
            command = [sys.executable, str(checkout / CONSUMER), str(job)]
            with subprocess.Popen(command, cwd=checkout, env=os.environ | {"PYTHONPATH": str(checkout)}) as fleet:
                spent_s = _spent(fleet.pid, len(recordings), options.seconds)
                fleet.wait(START_S + TIMEOUT_S + options.seconds)
        told = figures(json.loads(answer.read_text(encoding="utf-8")), served.departures())
    frames = FPS * len(recordings) * options.seconds
    found = {f"{role}, ms a frame": 1000 * seconds / frames for role, seconds in spent_s.items() if role != "detection"}
    found["detection, ms"] = 1000 * spent_s["detection"] / (told.detected_hz * options.seconds)
    return found | {"detected a second": told.detected_hz, "age p50, ms": told.age_p50_ms, "p95, ms": told.age_p95_ms}


def _spent(consumer: int, cameras: int, seconds: float) -> dict[str, float]:
    """CPU time of each role within `seconds`, s, once all cameras have been there for a while."""
    ends_s = time.monotonic() + START_S
    while sum(_role(pid, consumer) == "camera" for pid in _below(consumer)) < cameras:
        if time.monotonic() > ends_s:
            raise TimeoutError("the fleet has not started all its cameras")
        time.sleep(0.2)
    time.sleep(SETTLE_S)
    roles = {pid: _role(pid, consumer) for pid in [consumer, *_below(consumer)]}
    before = _use(roles)
    time.sleep(seconds)
    after = _use(roles)
    return {role: after[role] - before[role] for role in after}


def _use(roles: dict[int, str]) -> dict[str, float]:
    """CPU time so far by role, s."""
    used_s: dict[str, float] = defaultdict(float)
    for pid, role in roles.items():
        for thread in _threads(pid):
            spent_s = int(Path(f"/proc/{pid}/task/{thread}/schedstat").read_text().split()[0]) / 1e9
            if role != "worker":
                used_s[role] += spent_s
                continue
            used_s["detection"] += spent_s
            used_s["worker"] += spent_s if thread == pid else 0.0
    return used_s


def _role(pid: int, consumer: int) -> str:
    if pid == consumer:
        return "consumer"
    try:
        if any(Path(f"/proc/{pid}/task/{thread}/comm").read_text().startswith("lane-") for thread in _threads(pid)):
            return "worker"
        files = [str(file.readlink()) for file in Path(f"/proc/{pid}/fd").iterdir()]
    except OSError:
        return "gone"
    return "camera" if any(file.endswith("/schedstat") for file in files) else "publisher"


def _below(pid: int) -> list[int]:
    """Every process that this one has started, and those of these."""
    return [process.pid for process in psutil.Process(pid).children(recursive=True)]


def _threads(pid: int) -> list[int]:
    try:
        return [int(task.name) for task in Path(f"/proc/{pid}/task").iterdir()]
    except OSError:
        return []


def _print(rows: list[dict[str, Any]]) -> None:
    table = Table("", *(f"{row['cameras']} cameras, {row['checkout']}" for row in rows), title=machine.name())
    for name in rows[0]["runs"][0]:
        table.add_row(name, *(f"{statistics.median(run[name] for run in row['runs']):.3g}" for row in rows))
    Console(width=140).print(table)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cameras", type=int, nargs="+", default=[12])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--model", type=Path, default=DEMO_MODEL)
    parser.add_argument("--against", type=Path, help="another checkout, measured in turns with this one")
    parser.add_argument("--json", type=Path, help="write every run to this file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
