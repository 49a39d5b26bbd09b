"""`camfleet tune` on this machine: the six-camera demo, and six 720p cameras with YOLO26n on real footage.

    .venv/bin/python scripts/bench_tune.py
    .venv/bin/python scripts/bench_tune.py --only demo --time 3m --pairs 3 --json out.json

For each: the time that the search took, whether it ended within `--time`, and then, whatever the search itself says,
the shipped defaults and the tuned fleet in turns, `--pairs` times, medians. The tuned one is loaded as `camfleet run`
loads it: from the profile that was written. Exit code 1 where a search took longer, or where the tuned fleet is neither
10 % faster nor the defaults, after four levers at least were compared with them.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml
from footage import as_cameras, data_folder
from rich.console import Console
from rich.table import Table

from pipeline.bench import machine
from pipeline.bench.fleet import Span, measure_fleet
from pipeline.config import Fleet, load_fleet
from pipeline.logs import choose_log_level
from pipeline.tune.figures import Figures, gain, median
from pipeline.tune.goal import parse_time
from pipeline.tune.recordings import find_footage
from pipeline.tune.use import load_tuned

ROOT = Path(__file__).resolve().parent.parent
FOOTAGE = ["town_people", "street_vehicles", "retail_people"]
WANTED = 0.10
LEVERS = 4
"""Levers with at least one other value that ran, from which “the defaults are best” is shown and not just said."""
SETTLE_S = 4.0


def main() -> None:
    """Tune and prove each fleet; print the medians."""
    options = _options()
    choose_log_level("error")
    results: dict[str, Any] = {}
    for name in options.only or ["demo", "720p"]:
        with tempfile.TemporaryDirectory() as folder:
            file = (_demo if name == "demo" else _real)(Path(folder))
            results[name] = _tuned(name, file, options)
    _print(results, options)
    if options.json:
        about = {"machine": machine.name(), "cores": machine.usable_cores(), "time": options.time}
        options.json.write_text(json.dumps(about | {"fleets": results}, indent=2) + "\n", encoding="utf-8")
    sys.exit(any(result["verdict"] != "well" for result in results.values()))


def _demo(folder: Path) -> Path:
    """The demo's fleet with its recordings for cameras."""
    samples = ROOT / "samples"
    cameras = {file.stem: {"url": str(file), "loop": True} for file in sorted(samples.glob("*.mp4"))}
    model = {"path": str(samples / "model" / "demo_openvino_model"), "nms_iou": 0.5}
    return _written(folder / "demo.yaml", {"model": model, "slo": {"p95_ms": 150}, "cameras": cameras})


def _real(folder: Path) -> Path:
    """Six cameras of 1280×720 at 25 fps, and YOLO26n."""
    files = as_cameras(FOOTAGE, (1280, 720), 25)
    cameras = {f"cam{n}": {"url": str(files[n % len(files)]), "loop": True} for n in range(6)}
    model = {"path": str(data_folder() / "models" / "yolo26n_int8_openvino_model")}
    return _written(folder / "real.yaml", {"model": model, "slo": {"p95_ms": 150}, "cameras": cameras})


def _written(file: Path, body: dict[str, Any]) -> Path:
    file.write_text(yaml.safe_dump(body), encoding="utf-8")
    return file


def _tuned(name: str, file: Path, options: argparse.Namespace) -> dict[str, Any]:
    print(f"tuning {name}, {options.time} …", file=sys.stderr, flush=True)
    command = [sys.executable, "-m", "pipeline", "tune", str(file), "--time", options.time, "--json"]
    command += ["--seconds", f"{options.seconds:g}", "--goal", "p95<=150ms", "--budget", options.budget]
    began_s = time.monotonic()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, check=False)
    took_s = time.monotonic() - began_s
    if done.returncode not in (0, 1) or not done.stdout.strip():
        sys.exit(f"camfleet tune ended with {done.returncode}; the lines above say why")
    told = json.loads(done.stdout)
    pairs = _pairs(file, options)
    before, after = median(pairs["default"]), median(pairs["tuned"])
    in_time = took_s <= parse_time(options.time) + 30
    compared = [step["lever"] for step in told["steps"] if len(step["tried"]) > 1]
    best_as_shipped = not told["best"]["keys"] and len(compared) >= LEVERS and before.detected_hz > 0
    fine = gain(before, after) >= WANTED or best_as_shipped
    return {
        "took_s": round(took_s, 1),
        "best": told["best"],
        "runs": told["runs"],
        "map_loss": told["map_loss"],
        "conclusions": told["conclusions"],
        "steps": told["steps"],
        "before": _figures(before, pairs["default"]),
        "after": _figures(after, pairs["tuned"]),
        "gain": round(gain(before, after), 4),
        "verdict": "too long" if not in_time else "well" if fine else "less than 10 % better",
        "compared": compared,
    }


def _pairs(file: Path, options: argparse.Namespace) -> dict[str, list[Figures]]:
    """The shipped defaults and the tuned fleet in turns, whichever begins alternating."""
    fleets: dict[str, Fleet] = {"default": load_fleet(file), "tuned": load_tuned(file).fleet}
    runs: dict[str, list[Figures]] = {name: [] for name in fleets}
    for pair in range(options.pairs):
        for name in sorted(fleets, reverse=bool(pair % 2)):
            footage = find_footage(fleets[name], None)
            assert footage is not None
            played = footage.in_place_of(fleets[name])
            run = measure_fleet(played, Span(SETTLE_S, options.pair_seconds), lambda spent_s: None)
            runs[name].append(Figures.of(run))
            print(f"  {name}: {run.detected_hz:.1f}/s, p95 {run.age.p95_ms:.0f} ms", file=sys.stderr, flush=True)
    return runs


def _figures(middle: Figures, runs: list[Figures]) -> dict[str, Any]:
    return {
        "detected_hz": middle.detected_hz,
        "p95_ms": middle.p95_ms,
        "cores": middle.cores,
        "other_cores": middle.other_cores,
        "all": [run.detected_hz for run in runs],
        "spread": round(statistics.pstdev(run.detected_hz for run in runs), 2),
    }


def _print(results: dict[str, Any], options: argparse.Namespace) -> None:
    table = Table(title=f"tuned within {options.time}, then {options.pairs} turns of {options.pair_seconds:g} s")
    for heading in ("fleet", "took", "default /s", "tuned /s", "gain", "p95 ms", "settings", "verdict"):
        table.add_column(heading)
    for name, result in results.items():
        keys = ", ".join(f"{key} {value}" for key, value in result["best"]["keys"].items())
        before, after = result["before"], result["after"]
        table.add_row(
            name,
            f"{result['took_s']:.0f} s",
            f"{before['detected_hz']:.1f}",
            f"{after['detected_hz']:.1f}",
            f"{result['gain']:+.1%}",
            f"{before['p95_ms']:.0f} → {after['p95_ms']:.0f}",
            keys or "the defaults",
            result["verdict"],
        )
    Console().print(table)
    for name, result in results.items():
        print(f"{name}:", *result["conclusions"], sep="\n  ")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=["demo", "720p"])
    parser.add_argument("--time", default="15m", help="of each search")
    parser.add_argument("--budget", default="map_loss<=0, hota_loss<=0", help="nothing, so at the same accuracy")
    parser.add_argument("--seconds", type=float, default=5, help="how long a run of the search is measured at first")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--pair-seconds", type=float, default=20)
    parser.add_argument("--json", type=Path, help="write everything to this file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
