"""A whole fleet on real footage over RTSP: what is published, what is detected, how old it is.

    .venv/bin/python scripts/bench_fleet.py
    .venv/bin/python scripts/bench_fleet.py --cameras 12 --stride 4 --repeats 5 --json out.json

Recordings are served by a replay server in its own process, the fleet runs as `camfleet run` would run it, and an
ordinary subscriber keeps the books. The bare detector is measured before each run, on the same machine at the same
time, so that a noisy neighbour does not look like our fault. Medians over the repeats are printed, and every run in the
JSON. Ages are from the camera's own capture time (RTCP sender report) to publication.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import threading
import time
from pathlib import Path

import msgspec
import numpy as np
import psutil
import yaml
from footage import as_cameras, data_folder
from rich.console import Console
from rich.table import Table

from pipeline.config import load_fleet
from pipeline.detect import load_detector
from pipeline.observe.watch import FleetWatch
from pipeline.replay import serve_recordings
from pipeline.supervise.supervisor import Supervisor

FOOTAGE = ["town_people", "street_vehicles", "retail_people"]
FIGURES = {
    "bare_hz": "bare model /s",
    "published_hz": "published /s",
    "detected_hz": "detected /s",
    "age_p50_ms": "age p50 ms",
    "age_p95_ms": "age p95 ms",
    "detected_age_p95_ms": "detected p95 ms",
    "lost": "lost",
    "worker_cpu": "worker cores",
    "camera_cpu": "camera cores, all",
    "worker_mb": "worker MB (PSS)",
    "camera_mb": "camera MB (private)",
}


def main() -> None:
    """Measure each stride in turn, `--repeats` times, and print the medians."""
    options = _options()
    model = options.model or data_folder() / "models" / "yolo26n_int8_openvino_model"
    recordings = as_cameras(FOOTAGE, (1280, 720), 25)
    runs: dict[int, list[dict[str, float]]] = {stride: [] for stride in options.stride}
    for repeat in range(options.repeats):
        for stride in options.stride:
            print(f"run {repeat + 1} of {options.repeats}, stride {stride} …", flush=True)
            runs[stride].append(_run(recordings, model, stride, options))
            print("   ", {name: round(value, 1) for name, value in runs[stride][-1].items()}, flush=True)
    _print(runs, model, options)
    if options.json:
        machine = {"machine": platform.processor() or platform.machine(), "cores": os.cpu_count()}
        options.json.write_text(json.dumps({**machine, "cameras": options.cameras, "runs": runs}, indent=2))


def _run(recordings: list[Path], model: Path, stride: int, options: argparse.Namespace) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder, serve_recordings(recordings, cameras=options.cameras) as server:
        fleet_file = Path(folder) / "bench.yaml"
        fleet_file.write_text(yaml.safe_dump(_fleet(model, list(server.urls), stride)))
        fleet = load_fleet(fleet_file)
        bare_hz = _bare_hz(fleet.model)
        with Supervisor(fleet) as supervisor:
            endpoint = supervisor.open().endpoint
            supervisor.run(options.warmup)
            before = _cpu_s(supervisor)
            with FleetWatch(endpoint, list(fleet.cameras)) as watch:
                supervisor.run(options.seconds)
            used = {name: seconds - before.get(name, 0.0) for name, seconds in _cpu_s(supervisor).items()}
            memory = _memory_mb(supervisor)
        figures = msgspec.to_builtins(watch.whole())
    cameras = [name for name in used if name != "worker"]
    return {
        "bare_hz": bare_hz,
        **{name: figures[name] for name in FIGURES if name in figures},
        "lost": sum(sum(camera["lost"].values()) for camera in figures["cameras"]),
        "worker_cpu": used["worker"] / options.seconds,
        "camera_cpu": sum(used[name] for name in cameras) / options.seconds,
        "worker_mb": memory["worker"],
        "camera_mb": statistics.median(memory[name] for name in cameras),
    }


def _fleet(model: Path, urls: list[str], stride: int) -> dict[str, object]:
    return {
        "model": {"path": str(model)},
        "publish": {"bind": "tcp://127.0.0.1:0"},
        "defaults": {"stride": stride},
        "cameras": {f"cam{number}": {"url": url} for number, url in enumerate(urls)},
    }


def _bare_hz(model: object, seconds: float = 4.0) -> float:
    """Images a second of the detector alone, every lane kept busy."""
    detector = load_detector(model, None)
    detector.warm_up()
    rng = np.random.default_rng(0)
    for lane in range(detector.lanes):
        detector.input(lane)[:] = rng.integers(0, 255, detector.input(lane).shape, np.uint8)
    end_s, counts = time.monotonic() + seconds, [0] * detector.lanes

    def work(lane: int) -> None:
        while time.monotonic() < end_s:
            detector.detect(lane, detector.max_batch)
            counts[lane] += detector.max_batch

    threads = [threading.Thread(target=work, args=(lane,)) for lane in range(detector.lanes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    detector.close()
    return sum(counts) / seconds


def _cpu_s(supervisor: Supervisor) -> dict[str, float]:
    times = {status.name: psutil.Process(status.pid).cpu_times() for status in supervisor.status() if status.pid}
    return {name: spent.user + spent.system for name, spent in times.items()}


def _memory_mb(supervisor: Supervisor) -> dict[str, float]:
    """What each process adds to the machine: the worker's PSS; a camera's private pages (USS)."""
    memory = {}
    for status in supervisor.status():
        full = psutil.Process(status.pid).memory_full_info()
        memory[status.name] = (full.pss if status.name == "worker" else full.uss) / 1e6
    return memory


def _print(runs: dict[int, list[dict[str, float]]], model: Path, options: argparse.Namespace) -> None:
    table = Table(title=f"{options.cameras} cameras 1280×720 at 25 fps, {model.name}, median of {options.repeats}")
    table.add_column("")
    for stride in runs:
        table.add_column(f"stride {stride}", justify="right")
    for name, heading in FIGURES.items():
        medians = [statistics.median(run[name] for run in runs[stride]) for stride in runs]
        table.add_row(heading, *(f"{median:.2f}" if "cpu" in name else f"{median:.1f}" for median in medians))
    Console().print(table)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cameras", type=int, default=6)
    parser.add_argument("--stride", type=int, nargs="+", default=[2, 3])
    parser.add_argument("--model", type=Path, help="default: YOLO26n INT8 OpenVINO of the test material")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--warmup", type=float, default=6)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write every run to this file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
