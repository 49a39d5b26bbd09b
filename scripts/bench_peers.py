"""camfleet beside its peers: the same cameras, the same model file, one system at a time.

    .venv/bin/python scripts/bench_peers.py
    .venv/bin/python scripts/bench_peers.py --cameras 6 --systems camfleet ultralytics --seconds 8 --repeats 3

What is measured: frames with boxes a second, frames detected a second, and the age of a frame when its boxes reach the
program that asked for them.

How: real footage, 1280×720 H.264 at 25 fps, from GStreamer's RTSP server over TCP (from our replay server where there
is none). Every frame has its number drawn in as black and white blocks, and the server notes when each number left; the
consumer notes when it had boxes for that number. Both are the monotonic clock of this machine, so no system's own idea
of time, buffering or frame order is believed. For the peers the number is read from the picture that comes with the
boxes. camfleet sends no pictures; there it follows from `frame_id`, which is checked against the pixels before the runs
(`peers/verify.py`) and against the stream's time during them (`peers/consume_camfleet.py`).

The age contains the transport, and the decoding of each system: those that read cameras through FFmpeg as it comes wait
one frame interval, 40 ms, for its parser to see that a frame is complete.

Each system runs in its own process. camfleet and Ultralytics run in this environment, since camfleet depends on
Ultralytics anyway; Roboflow's gets one of its own in a cache folder (7 GB, made on first use). Versions are in the
result.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import signal
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from footage import data_folder, numbered
from peers.ages import Figures, figures
from peers.environment import NotInstallable, cache_folder, python_of
from peers.served import best_kind, serve
from peers.verify import verify

from pipeline.bench import machine

HERE = Path(__file__).resolve().parent
FOOTAGE = ["town_people", "street_vehicles", "retail_people"]
WH, FPS = (1280, 720), 25
START_S = 75.0
"""The longest that a system may take from its first camera to its first boxes; twelve cameras opened one by one do."""
TIMEOUT_S = 120.0
"""Beyond warm-up and measurement: for loading the libraries and the model."""


@dataclass(frozen=True, slots=True)
class System:
    """One row of the table."""

    title: str
    script: str
    packages: list[str] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)


ROBOFLOW = ["inference", "openvino"]
SYSTEMS = {
    "camfleet": System("camfleet, as it comes", "consume_camfleet.py"),
    "ultralytics": System("Ultralytics `track`, stream list", "consume_ultralytics.py", options={"vid_stride": 1}),
    "ultralytics-3": System("Ultralytics `track`, `vid_stride=3`", "consume_ultralytics.py", options={"vid_stride": 3}),
    "roboflow": System(
        "Roboflow `InferencePipeline`, `auto`, no tracker", "consume_roboflow.py", ROBOFLOW, {"mode": "auto"}
    ),
    "roboflow-freshest": System(
        "Roboflow `InferencePipeline`, `freshest`, no tracker", "consume_roboflow.py", ROBOFLOW, {"mode": "freshest"}
    ),
}


class Failed(Exception):
    """A run that gave no figures; says why."""


def main() -> None:
    """Run every system with every number of cameras, print the table, write it."""
    options = _options()
    kind = options.server or best_kind()
    recordings = numbered(FOOTAGE, WH, FPS, _length_s(options.warmup + options.seconds))
    verify(recordings[0], kind)
    results: list[dict[str, Any]] = []
    for repeat in range(options.repeats):
        for cameras in options.cameras:
            for name in options.systems:
                print(
                    f"run {repeat + 1} of {options.repeats}: {name}, {cameras} cameras …", file=sys.stderr, flush=True
                )
                result = _result(name, [recordings[number % 3] for number in range(cameras)], kind, options)
                print("   ", result.get("figures") or result["failed"], file=sys.stderr, flush=True)
                results.append(result)
    table = markdown(results, kind, options)
    print(table)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "peers.md").write_text(table + "\n", encoding="utf-8")
        about = {"machine": machine.name(), "cores": machine.usable_cores(), "server": kind}
        settings = {"seconds": options.seconds, "warmup_s": options.warmup, "model": str(options.model)}
        body = json.dumps({**about, **settings, "runs": results}, indent=2)
        (options.out / "peers.json").write_text(body + "\n", encoding="utf-8")


def _length_s(seconds: float) -> float:
    """Of the recordings, in whole minutes, so that other settings need no other recordings."""
    return 60.0 * math.ceil((START_S + seconds) / 60)


def _result(name: str, recordings: list[Path], kind: str, options: argparse.Namespace) -> dict[str, Any]:
    """One run: its figures and versions, or why there are none."""
    result: dict[str, Any] = {"system": name, "cameras": len(recordings)}
    try:
        with tempfile.TemporaryDirectory() as folder:
            measured, versions = _run(SYSTEMS[name], recordings, kind, options, Path(folder))
    except NotInstallable as error:
        return result | {"failed": f"not installable here: {error}"}
    except Failed as error:
        return result | {"failed": str(error)}
    return result | {"figures": asdict(measured), "versions": versions}


def _run(
    system: System, recordings: list[Path], kind: str, options: argparse.Namespace, folder: Path
) -> tuple[Figures, dict[str, str]]:
    python = python_of(
        system.script.removeprefix("consume_").removesuffix(".py"), system.packages, options.environments
    )
    answer, job = folder / "answer.json", folder / "job.json"
    with serve(recordings, kind, folder) as cameras:
        asked = {
            "urls": cameras.urls,
            "model": str(options.model),
            "warmup_s": options.warmup,
            "seconds": options.seconds,
            "options": system.options,
            "answer": str(answer),
        }
        job.write_text(json.dumps(asked), encoding="utf-8")
        said = _consume([python, str(HERE / "peers" / system.script), str(job)], options.warmup + options.seconds)
    if not answer.exists():
        raise Failed(f"it ended without figures: {said}")
    told = json.loads(answer.read_text(encoding="utf-8"))
    if not told["rows"]:
        raise Failed(f"no frame had a number that could be read: {said}")
    return figures(told, cameras.departures()), told["versions"]


def _consume(command: list[str], seconds: float) -> str:
    """Run a consumer to its end; its last line."""
    with tempfile.TemporaryFile("w+") as output:
        # In a session of its own, so that whatever it starts can be ended with it.
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            process.wait(START_S + TIMEOUT_S + seconds)
        except subprocess.TimeoutExpired:
            raise Failed("it did not come to an end") from None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        output.seek(0)
        lines = [line.strip() for line in output if line.strip()]
    return lines[-1] if lines else "it said nothing"


def markdown(results: list[dict[str, Any]], kind: str, options: argparse.Namespace) -> str:
    """The table of the README: medians over the repeats, a row for each system and number of cameras."""
    server = "GStreamer's server" if kind == "gstreamer" else "our replay server"
    lines = [
        f"{WH[0]}×{WH[1]} H.264 at {FPS} fps over RTSP (TCP) from {server}, real footage, {options.model.name}, "
        f"{options.seconds:g} s after {options.warmup:g} s of warm-up, median of {options.repeats}; "
        f"{machine.usable_cores():g} cores of {machine.name()}.",
        "",
        "| | cameras | frames with boxes a second | detected a second | age p50 / p95 ms |",
        "|---|---|---|---|---|",
    ]
    for cameras, name in itertools.product(options.cameras, options.systems):
        runs = [run for run in results if (run["system"], run["cameras"]) == (name, cameras)]
        lines.append(_row(name, cameras, runs))
    versions = {package: number for run in results for package, number in run.get("versions", {}).items()}
    lines += ["", "Versions: " + ", ".join(f"{package} {number}" for package, number in sorted(versions.items())) + "."]
    return "\n".join(lines)


def _row(name: str, cameras: int, runs: list[dict[str, Any]]) -> str:
    told = [run["figures"] for run in runs if "figures" in run]
    head = f"| {SYSTEMS[name].title} | {cameras} ({cameras * FPS} fps in) |"
    if not told:
        return f"{head} {runs[-1]['failed']} | | |"
    boxes, detected, p50, p95 = (
        statistics.median(run[key] for run in told) for key in ("boxes_hz", "detected_hz", "age_p50_ms", "age_p95_ms")
    )
    return f"{head} {boxes:.0f} | {detected:.0f} | {p50:.0f} / {p95:.0f} |"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--systems", nargs="+", choices=list(SYSTEMS), default=list(SYSTEMS), metavar="SYSTEM")
    parser.add_argument("--cameras", type=int, nargs="+", default=[6, 12])
    parser.add_argument("--seconds", type=float, default=25)
    parser.add_argument("--warmup", type=float, default=8)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--server", choices=["gstreamer", "replay"], help="default: gstreamer where it can be started")
    parser.add_argument("--model", type=Path, help="folder; default: YOLO26n INT8 OpenVINO of the test material")
    parser.add_argument(
        "--environments", type=Path, default=cache_folder(), help="where environments are made and kept"
    )
    parser.add_argument("--out", type=Path, help="folder for peers.md and peers.json")
    options = parser.parse_args()
    options.model = options.model or data_folder() / "models" / "yolo26n_int8_openvino_model"
    return options


if __name__ == "__main__":
    main()
