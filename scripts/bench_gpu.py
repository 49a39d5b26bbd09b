"""What a GPU gives, bare and fed by cameras: one call, on whatever GPU is there.

    .venv/bin/python scripts/bench_gpu.py --out gpu
    .venv/bin/python scripts/bench_gpu.py --model yolo26n.pt --streams 100 200 400 --seconds 10
    .venv/bin/python scripts/bench_gpu.py --device cpu --batches 1 --instances 1 --streams 2     # to try the script

First the bare model in FP16 by batch, with CUDA graphs and without, with one, two and three instances; then the same
network under `torch.compile`, which camfleet does not use (its heads keep anchors for the last shape they saw); then a
TensorRT engine, where TensorRT is installed. At last the whole worker with the best of these settings, fed by so many
cameras of 25 fps that give pictures at no cost: the share of the bare rate that it reaches, and how old results are.

Without --model the network is YOLO26n with random weights: it computes as fast as a trained one, and finds nothing, so
that tracking and boxes cost less than with objects. Goal: 95 % of the bare rate.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from pipeline.bench import machine
from pipeline.bench.bare import measure_bare
from pipeline.bench.fleet import Span, measure_fleet
from pipeline.config import Fleet, load_fleet
from pipeline.detect.quiet import quiet_environment
from pipeline.errors import PipelineError

FPS = 25
INPUT_WH = (640, 384)
WARM_UP_RUNS = 20


@dataclass(frozen=True, slots=True)
class Row:
    """A setting and what came of it; `error` says why nothing did."""

    way: str
    batch: int
    instances: int
    images_hz: float = 0.0
    error: str = ""


@dataclass(frozen=True, slots=True)
class Fed:
    """The whole worker."""

    streams: int
    offered_hz: float
    detected_hz: float = 0.0
    share_percent: float = 0.0
    age_p50_ms: float = 0.0
    age_p95_ms: float = 0.0
    worker_cores: float = 0.0
    camera_cores: float = 0.0
    error: str = ""


def pictures(camera: Any) -> Iterator[NDArray[np.uint8]]:
    """A camera's pictures, always the same, at no cost: `url: python:bench_gpu:pictures`."""
    picture = np.random.default_rng(0).integers(0, 255, (360, 640, 3), np.uint8)
    while True:
        yield picture


def main() -> None:
    """Measure, print the tables, write them."""
    options = _options()
    _require(options.device)
    with tempfile.TemporaryDirectory() as folder:
        weights = options.model or _random_weights(Path(folder))
        rows = list(_bare(weights, Path(folder), options))
        best = max((row for row in rows if row.way.startswith("camfleet")), key=lambda row: row.images_hz)
        fed = [_fed(weights, Path(folder), best, streams, options) for streams in options.streams]
    table = _markdown(rows, fed, options)
    print(table)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "gpu.md").write_text(table + "\n", encoding="utf-8")
        body = {"device": _device_name(options.device), "bare": [asdict(row) for row in rows]}
        body |= {"fed": [asdict(one) for one in fed]}
        (options.out / "gpu.json").write_text(json.dumps(body, indent=2) + "\n", encoding="utf-8")


def _require(device: str) -> None:
    import torch

    if device != "cpu" and not torch.cuda.is_available():
        sys.exit("no CUDA device here: nothing is measured. --device cpu tries the script itself")


def _random_weights(folder: Path) -> Path:
    """YOLO26n as Ultralytics describes it, with weights that nobody has trained."""
    os.environ.update(quiet_environment())
    from ultralytics.models.yolo.model import YOLO

    path = folder / "yolo26n-random.pt"
    YOLO("yolo26n.yaml").save(str(path))
    return path


def _bare(weights: Path, folder: Path, options: argparse.Namespace) -> Iterator[Row]:
    on_gpu = options.device != "cpu"
    for graphs in (False, True) if on_gpu else (False,):
        for batch in options.batches:
            way = "camfleet, CUDA graphs" if graphs else "camfleet"
            yield _measured(way, weights, folder, (batch, 1, graphs), options)
    widest = max(options.batches)
    for instances in [count for count in options.instances if count > 1]:
        yield _measured(
            f"camfleet{', CUDA graphs' if on_gpu else ''}", weights, folder, (widest, instances, on_gpu), options
        )
    if on_gpu:
        for batch in options.batches:
            yield _compiled(weights, batch, options)
        yield _engine(weights, folder, widest, options)


def _measured(
    way: str, weights: Path, folder: Path, setting: tuple[int, int, bool], options: argparse.Namespace
) -> Row:
    batch, instances, _ = setting
    _tell(f"{way}: batch {batch}, {instances} instances …")
    try:
        found = measure_bare(_fleet(weights, folder, setting, 1, options), options.seconds, lambda spent_s: None)
    except PipelineError as error:
        return Row(way, batch, instances, error=str(error))
    return Row(way, batch, instances, round(found.images_hz, 1))


def _compiled(weights: Path, batch: int, options: argparse.Namespace) -> Row:
    """The same network under `torch.compile`, pictures and boxes staying on the device."""
    import torch
    from ultralytics.nn.autobackend import AutoBackend

    _tell(f"torch.compile: batch {batch} …")
    half = options.device != "cpu"
    try:
        backend = AutoBackend(
            str(weights), device=torch.device(options.device), fp16=half, verbose=False, end2end=True
        ).eval()
        network = torch.compile(backend.model, mode="max-autotune" if half else None)
        images = torch.zeros(
            (batch, 3, INPUT_WH[1], INPUT_WH[0]), device=options.device, dtype=torch.half if half else torch.float
        )
        with torch.inference_mode():
            for _ in range(WARM_UP_RUNS if half else 2):
                network(images)
            images_hz = _rate(lambda: network(images), batch, options)
    except Exception as error:  # noqa: BLE001 - whatever the compiler says is a row of the table
        return Row("torch.compile", batch, 1, error=str(error).splitlines()[0][:200])
    return Row("torch.compile", batch, 1, round(images_hz, 1))


def _rate(work: Any, batch: int, options: argparse.Namespace) -> float:
    import torch

    began_s, count = time.monotonic(), 0
    while (spent_s := time.monotonic() - began_s) < options.seconds:
        work()
        count += batch
        if options.device != "cpu":
            torch.cuda.synchronize()
    return count / spent_s


def _engine(weights: Path, folder: Path, batch: int, options: argparse.Namespace) -> Row:
    try:
        import tensorrt  # noqa: F401
    except ImportError:
        return Row("camfleet, TensorRT", batch, 1, error="TensorRT is not installed")
    from ultralytics.models.yolo.model import YOLO

    _tell("making a TensorRT engine …")
    try:
        made = YOLO(str(weights)).export(
            format="engine", half=True, imgsz=INPUT_WH[::-1], batch=batch, device=0, verbose=False
        )
    except Exception as error:  # noqa: BLE001 - whatever the export says is a row of the table
        return Row("camfleet, TensorRT", batch, 1, error=str(error).splitlines()[0][:200])
    return _measured("camfleet, TensorRT", Path(made), folder, (batch, 1, False), options)


def _fed(weights: Path, folder: Path, best: Row, streams: int, options: argparse.Namespace) -> Fed:
    setting = (best.batch, best.instances, "graphs" in best.way)
    offered_hz = float(streams * FPS)
    _tell(f"the whole worker, {streams} streams …")
    try:
        fleet = _fleet(weights, folder, setting, streams, options)
        run = measure_fleet(fleet, Span(options.settle, options.seconds), lambda spent_s: None)
    except PipelineError as error:
        return Fed(streams, offered_hz, error=str(error))
    worker, *others = run.processes
    possible_hz = min(best.images_hz, offered_hz)
    return Fed(
        streams,
        offered_hz,
        round(run.detected_hz, 1),
        round(100 * run.detected_hz / possible_hz, 1),
        run.age.p50_ms,
        run.age.p95_ms,
        round(worker.cores, 2),
        round(sum(process.cores for process in others), 2),
    )


def _fleet(
    weights: Path, folder: Path, setting: tuple[int, int, bool], streams: int, options: argparse.Namespace
) -> Fleet:
    batch, instances, graphs = setting
    model = {
        **{"path": str(weights), "backend": "ultralytics", "device": options.device, "input_wh": list(INPUT_WH)},
        "cuda": {"instances": instances, "graphs": graphs},
    }
    file = folder / "gpu.yaml"
    body = {
        "name": "gpu",
        "model": model if options.device != "cpu" else {**model, "lanes": instances},
        "worker": {"max_batch": batch},
        "cameras": {f"cam{n}": {"url": "python:bench_gpu:pictures", "fps": FPS} for n in range(streams)},
    }
    file.write_text(yaml.safe_dump(body), encoding="utf-8")
    return load_fleet(file)


def _markdown(rows: list[Row], fed: list[Fed], options: argparse.Namespace) -> str:
    weights = options.model.name if options.model else "YOLO26n, random weights"
    precision = "FP16" if options.device != "cpu" else "FP32"
    lines = [
        f"{weights}, {precision}, {INPUT_WH[0]}×{INPUT_WH[1]}, {_device_name(options.device)}, "
        f"{machine.usable_cores():g} cores, {options.seconds:g} s each.",
        "",
        "| bare | batch | instances | images a second |",
        "|---|---|---|---|",
        *(f"| {row.way} | {row.batch} | {row.instances} | {row.error or f'{row.images_hz:.0f}'} |" for row in rows),
        "",
        "| streams of 25 fps | offered | detected a second | of what is possible | age p50 / p95 ms | cores: worker, "
        "all others |",
        "|---|---|---|---|---|---|",
        *(_fed_line(one) for one in fed),
    ]
    return "\n".join(lines)


def _fed_line(fed: Fed) -> str:
    head = f"| {fed.streams} | {fed.offered_hz:.0f} |"
    if fed.error:
        return f"{head} {fed.error} | | | |"
    return (
        f"{head} {fed.detected_hz:.0f} | {fed.share_percent:.0f} % | {fed.age_p50_ms:.0f} / {fed.age_p95_ms:.0f} | "
        f"{fed.worker_cores:.2f}, {fed.camera_cores:.2f} |"
    )


def _device_name(device: str) -> str:
    if device == "cpu":
        return machine.name()
    import torch

    return str(torch.cuda.get_device_name(device))


def _tell(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="a .pt; default: YOLO26n with random weights")
    parser.add_argument("--device", default="cuda:0", help="default: %(default)s; cpu to try the script")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 4, 8, 16, 32, 64])
    parser.add_argument("--instances", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--streams", type=int, nargs="+", default=[100, 200, 400])
    parser.add_argument("--seconds", type=float, default=8.0, help="for each measurement")
    parser.add_argument("--settle", type=float, default=8.0, help="before the worker is measured")
    parser.add_argument("--out", type=Path, help="folder for gpu.md and gpu.json")
    return parser.parse_args()


if __name__ == "__main__":
    # Camera processes import this file by its name.
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    sys.path.insert(0, str(Path(__file__).parent))
    main()
