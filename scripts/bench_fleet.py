"""A whole fleet on real footage over RTSP: what is published, what is detected, how old it is, what it takes.

    .venv/bin/python scripts/bench_fleet.py
    .venv/bin/python scripts/bench_fleet.py --cameras 12 --stride auto 4 --repeats 5 --json out.json
    .venv/bin/python scripts/bench_fleet.py --stub --cameras 60 --size 640x360 --fps 15

The measuring is that of `camfleet bench`; this adds cameras, strides side by side and repeats. Recordings are served by
a replay server in its own process. The bare detector is measured before each run, on the same machine at the same time,
so that a noisy neighbour does not look like our fault. Medians over the repeats are printed, every run is in the JSON.
Ages are from the camera's own capture time (RTCP sender report) to publication.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import yaml
from footage import as_cameras, data_folder
from rich.console import Console
from rich.table import Table

from pipeline.bench import machine
from pipeline.bench.bare import measure_bare
from pipeline.bench.decode import measure_decode
from pipeline.bench.figures import BareDetector, FleetRun, Verdict
from pipeline.bench.fleet import Span, measure_fleet
from pipeline.bench.verdict import judge
from pipeline.config import Fleet, load_fleet
from pipeline.replay import ReplayOptions, serve_recordings

FOOTAGE = ["town_people", "street_vehicles", "retail_people"]
BARE_S, DECODE_S = 4.0, 2.0
STUB = {"backend": "stub", "lanes": 2, "options": {"boxes": 20}}
"""A detector at no cost that sees 20 objects: what remains is the pipeline."""

Run = dict[str, float]
Result = dict[str, Any]


def main() -> None:
    """Measure each stride in turn, `--repeats` times, and print the medians."""
    options = _options()
    width, height = map(int, options.size.split("x"))
    recordings = as_cameras(FOOTAGE, (width, height), options.fps)
    results: dict[str, list[Result]] = {stride: [] for stride in options.stride}
    for repeat in range(options.repeats):
        for stride in options.stride:
            print(f"run {repeat + 1} of {options.repeats}, stride {stride} …", file=sys.stderr, flush=True)
            results[stride].append(_run(recordings, stride, options))
            print("   ", results[stride][-1]["figures"], file=sys.stderr, flush=True)
    _print({stride: [result["figures"] for result in runs] for stride, runs in results.items()}, options)
    if options.json:
        about = {"machine": machine.name(), "cores": machine.usable_cores(), "cameras": options.cameras}
        options.json.write_text(json.dumps(about | {"strides": results}, indent=2) + "\n", encoding="utf-8")


def _run(recordings: list[Path], stride: str, options: argparse.Namespace) -> Result:
    replayed = ReplayOptions(tuple(recordings), cameras=options.cameras)
    with tempfile.TemporaryDirectory() as folder, serve_recordings(replayed) as server:
        fleet = _fleet(Path(folder) / "bench.yaml", list(server.urls), stride, options)
        bare = measure_bare(fleet, BARE_S, _ignore)
        cameras = measure_decode(fleet.cameras.values(), bare.input_wh, DECODE_S, _ignore)
        run = measure_fleet(fleet, Span(options.warmup, options.seconds), _ignore)
    verdict = judge(machine.usable_cores(), bare, cameras, run, fleet.slo.p95_ms)
    parts = {"bare": bare, "cameras": cameras, "run": run, "verdict": verdict}
    return {"figures": _figures(bare, run, verdict), **msgspec.to_builtins(parts)}


def _figures(bare: BareDetector, run: FleetRun, verdict: Verdict) -> Run:
    """The rows of the table, by heading."""
    worker, *cameras = run.processes
    return {
        "bare model /s": bare.images_hz,
        "published /s": run.published_hz,
        "detected /s": run.detected_hz,
        "% of what is possible": 100 * verdict.share,
        "age p50 ms": run.age.p50_ms,
        "age p95 ms": run.age.p95_ms,
        "age p99 ms": run.age.p99_ms,
        "detected p95 ms": run.detected_age.p95_ms,
        "lost": float(sum(run.lost.values())),
        "worker cores": worker.cores,
        "camera cores, all": sum(process.cores for process in cameras),
        "beyond decoding and detecting, ms a frame": verdict.overhead_ms,
        "worker MB (PSS)": worker.memory_mb,
        "camera MB (PSS)": statistics.median(process.memory_mb for process in cameras),
        "other programs' cores": run.other_cores or 0.0,
    }


def _fleet(file: Path, urls: list[str], stride: str, options: argparse.Namespace) -> Fleet:
    body = {
        "model": STUB if options.stub else {"path": str(options.model)},
        "defaults": {} if stride == "auto" else {"stride": int(stride)},
        "cameras": {f"cam{number}": {"url": url} for number, url in enumerate(urls)},
    }
    file.write_text(yaml.safe_dump(body), encoding="utf-8")
    return load_fleet(file)


def _ignore(progress: object) -> None:
    """Nobody waits for progress here."""


def _print(runs: dict[str, list[Run]], options: argparse.Namespace) -> None:
    model = "stub" if options.stub else options.model.name
    table = Table(
        title=f"{options.cameras} cameras {options.size} at {options.fps} fps, {model}, median of {options.repeats}"
    )
    table.add_column("")
    for stride in runs:
        table.add_column(f"stride {stride}", justify="right")
    for heading in next(iter(runs.values()))[0]:
        medians = [statistics.median(run[heading] for run in runs[stride]) for stride in runs]
        table.add_row(heading, *(f"{median:.2f}" if median < 10 else f"{median:.1f}" for median in medians))
    Console().print(table)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cameras", type=int, default=6)
    parser.add_argument("--stride", nargs="+", default=["auto", "2", "3"], help="numbers, or auto")
    parser.add_argument("--size", default="1280x720", help="of the pictures, WIDTHxHEIGHT")
    parser.add_argument("--fps", type=int, default=25)
    parser.add_argument("--model", type=Path, help="default: YOLO26n INT8 OpenVINO of the test material")
    parser.add_argument("--stub", action="store_true", help="a detector at no cost, to measure the rest")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--warmup", type=float, default=6)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write every run to this file")
    options = parser.parse_args()
    options.model = options.model or data_folder() / "models" / "yolo26n_int8_openvino_model"
    return options


if __name__ == "__main__":
    main()
