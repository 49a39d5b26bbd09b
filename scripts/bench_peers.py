"""camfleet beside its peers: the same cameras, the same model file, one system at a time.

    .venv/bin/python scripts/bench_peers.py
    .venv/bin/python scripts/bench_peers.py --cameras 6 --systems camfleet ultralytics --seconds 8 --repeats 3
    .venv/bin/python scripts/bench_peers.py --streaming --repeats 3
    .venv/bin/python scripts/bench_peers.py --streaming --repeats 3 --cameras 6 12 --times 3

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

With --streaming the cameras are the sample recordings, of which the exact truth is known, and the model is the demo's:
what each consumer holds at the departure of each frame is judged against the truth of that moment, see `peers/truth.py`
and `camfleet evaluate streaming`. camfleet's worker goes before others where it may, as it does for root; a row shows
it without that. With --times the model is computed several times over for each picture: as dear as a larger one.

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
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import lru_cache, reduce
from pathlib import Path
from typing import Any

from footage import data_folder, numbered, numbered_samples
from peers.ages import figures
from peers.dear import dear_model
from peers.environment import NotInstallable, cache_folder, python_of
from peers.served import best_kind, serve
from peers.truth import streamed
from peers.verify import verify

from pipeline.bench import machine
from pipeline.evaluate.ground_truth import GroundTruth, read_ground_truth

HERE = Path(__file__).resolve().parent
SAMPLES = HERE.parent / "samples"
DEMO_MODEL = SAMPLES / "model" / "demo_openvino_model"
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
    prefix: list[str] = field(default_factory=list)
    """What the command is begun with."""


ROBOFLOW = ["inference", "openvino"]
SYSTEMS = {
    "camfleet": System("camfleet, as it comes", "consume_camfleet.py"),
    "camfleet-modest": System(
        "camfleet, not allowed to go before others",
        "consume_camfleet.py",
        prefix=["setpriv", "--bounding-set=-sys_nice", "--inh-caps=-sys_nice"],
    ),
    "ultralytics": System("Ultralytics `track`, stream list", "consume_ultralytics.py", options={"vid_stride": 1}),
    "ultralytics-3": System("Ultralytics `track`, `vid_stride=3`", "consume_ultralytics.py", options={"vid_stride": 3}),
    "roboflow": System(
        "Roboflow `InferencePipeline`, `auto`, no tracker", "consume_roboflow.py", ROBOFLOW, {"mode": "auto"}
    ),
    "roboflow-freshest": System(
        "Roboflow `InferencePipeline`, `freshest`, no tracker", "consume_roboflow.py", ROBOFLOW, {"mode": "freshest"}
    ),
}

RECORDED = ["camfleet", "ultralytics", "ultralytics-3", "roboflow", "roboflow-freshest"]
STREAMING = ["camfleet", "camfleet-modest", "ultralytics", "roboflow-freshest"]


class Failed(Exception):
    """A run that gave no figures; says why."""


def main() -> None:
    """Run every system with every number of cameras, print the table, write it."""
    options = _options()
    kind = options.server or best_kind()
    if options.times > 1:
        options.model = dear_model(options.model, options.times, Path(tempfile.gettempdir()))
    recordings = _recordings(options)
    verify(recordings[0], kind)
    results: list[dict[str, Any]] = []
    for repeat in range(options.repeats):
        for cameras in options.cameras:
            for name in options.systems:
                print(
                    f"run {repeat + 1} of {options.repeats}: {name}, {cameras} cameras …", file=sys.stderr, flush=True
                )
                shown = [recordings[number % len(recordings)] for number in range(cameras)]
                result = _result(name, shown, kind, options)
                print("   ", result.get("figures") or result["failed"], file=sys.stderr, flush=True)
                results.append(result)
    table = (streaming_markdown if options.streaming else markdown)(results, kind, options)
    print(table)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "peers.md").write_text(table + "\n", encoding="utf-8")
        about = {"machine": machine.name(), "cores": machine.usable_cores(), "server": kind}
        settings = {"seconds": options.seconds, "warmup_s": options.warmup, "model": str(options.model)}
        body = json.dumps({**about, **settings, "runs": results}, indent=2)
        (options.out / "peers.json").write_text(body + "\n", encoding="utf-8")


def _recordings(options: argparse.Namespace) -> list[Path]:
    length_s = _length_s(options.warmup + options.seconds)
    return numbered_samples(length_s) if options.streaming else numbered(FOOTAGE, WH, FPS, length_s)


def _length_s(seconds: float) -> float:
    """Of the recordings, in whole minutes, so that other settings need no other recordings."""
    return 60.0 * math.ceil((START_S + seconds) / 60)


def _result(name: str, recordings: list[Path], kind: str, options: argparse.Namespace) -> dict[str, Any]:
    """One run: its figures and versions, or why there are none."""
    result: dict[str, Any] = {"system": name, "cameras": len(recordings)}
    try:
        with tempfile.TemporaryDirectory() as folder:
            figures, versions = _run(SYSTEMS[name], recordings, kind, options, Path(folder))
    except NotInstallable as error:
        return result | {"failed": f"not installable here: {error}"}
    except Failed as error:
        return result | {"failed": str(error)}
    return result | {"figures": figures, "versions": versions}


def _run(
    system: System, recordings: list[Path], kind: str, options: argparse.Namespace, folder: Path
) -> tuple[dict[str, Any], dict[str, str]]:
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
            "wants_boxes": options.streaming,
            "answer": str(answer),
        }
        job.write_text(json.dumps(asked), encoding="utf-8")
        said = _consume(
            [*system.prefix, python, str(HERE / "peers" / system.script), str(job)], options.warmup + options.seconds
        )
    if not answer.exists():
        raise Failed(f"it ended without figures: {said}")
    told = json.loads(answer.read_text(encoding="utf-8"))
    if not told["rows"]:
        raise Failed(f"no frame had a number that could be read: {said}")
    found = asdict(figures(told, cameras.departures()))
    if options.streaming:
        found |= asdict(streamed(told, cameras.departures(), [_ground(recording) for recording in recordings]))
    return found, told["versions"]


@lru_cache
def _ground(recording: Path) -> GroundTruth:
    return read_ground_truth(SAMPLES / "ground_truth" / recording.stem)


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
    shown = f"{WH[0]}×{WH[1]} H.264 at {FPS} fps, real footage"
    heads = ["cameras", "frames with boxes a second", "detected a second", "age p50 / p95 ms"]
    return _table(_conditions(shown, kind, options), heads, _row, results, options)


def streaming_markdown(results: list[dict[str, Any]], kind: str, options: argparse.Namespace) -> str:
    """The same of streaming accuracy."""
    shown = f"The six sample recordings, 640×360 H.264 at {FPS} fps"
    heads = ["cameras", "sAP50 / sAP", "sHOTA", "sAP, sHOTA carried to the present", "detected a second"]
    heads += ["held boxes' age p50 / p95 ms", "age p95 when published, ms"]
    return _table(_conditions(shown, kind, options), heads, _streaming_row, results, options)


def _conditions(shown: str, kind: str, options: argparse.Namespace) -> str:
    server = "GStreamer's server" if kind == "gstreamer" else "our replay server"
    return (
        f"{shown}, over RTSP (TCP) from {server}, {options.model.name}, {options.seconds:g} s after "
        f"{options.warmup:g} s of warm-up, median of {options.repeats}; {machine.usable_cores():g} cores of "
        f"{machine.name()}."
    )


def _table(
    conditions: str,
    heads: list[str],
    row: Callable[[str, int, list[dict[str, Any]]], str],
    results: list[dict[str, Any]],
    options: argparse.Namespace,
) -> str:
    """A row for each number of cameras and system, and the versions."""
    lines = [conditions, "", "| | " + " | ".join(heads) + " |", "|" + "---|" * (1 + len(heads))]
    for cameras, name in itertools.product(options.cameras, options.systems):
        lines.append(row(name, cameras, [run for run in results if (run["system"], run["cameras"]) == (name, cameras)]))
    versions = {package: number for run in results for package, number in run.get("versions", {}).items()}
    lines += ["", "Versions: " + ", ".join(f"{package} {number}" for package, number in sorted(versions.items())) + "."]
    return "\n".join(lines)


def _streaming_row(name: str, cameras: int, runs: list[dict[str, Any]]) -> str:
    told = [run["figures"] for run in runs if "figures" in run]
    head = f"| {SYSTEMS[name].title} | {cameras} |"
    if not told:
        return f"{head} {runs[-1]['failed']} | | | | | |"

    def middle(*path: str) -> float:
        return statistics.median(reduce(lambda found, key: found[key], path, run) for run in told)

    return (
        f"{head} {middle('published', 'sap50'):.1f} / {middle('published', 'sap'):.1f} | "
        f"{middle('published', 'shota'):.1f} | {middle('present', 'sap'):.1f}, {middle('present', 'shota'):.1f} | "
        f"{middle('detected_hz'):.0f} | {middle('held_p50_ms'):.0f} / {middle('held_p95_ms'):.0f} | "
        f"{middle('age_p95_ms'):.0f} |"
    )


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
    parser.add_argument("--streaming", action="store_true", help="streaming accuracy, on the sample recordings")
    parser.add_argument("--systems", nargs="+", choices=list(SYSTEMS), metavar="SYSTEM", help=", ".join(SYSTEMS))
    parser.add_argument("--cameras", type=int, nargs="+", help="default: 6 12, with --streaming 6 12 18")
    parser.add_argument("--seconds", type=float, default=25)
    parser.add_argument("--warmup", type=float, default=8)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--server", choices=["gstreamer", "replay"], help="default: gstreamer where it can be started")
    parser.add_argument("--model", type=Path, help="folder; default: YOLO26n INT8 OpenVINO of the test material")
    parser.add_argument("--times", type=int, default=1, help="make the model so many times as dear")
    parser.add_argument(
        "--environments", type=Path, default=cache_folder(), help="where environments are made and kept"
    )
    parser.add_argument("--out", type=Path, help="folder for peers.md and peers.json")
    options = parser.parse_args()
    if options.streaming:
        options.model = options.model or DEMO_MODEL
    options.model = options.model or data_folder() / "models" / "yolo26n_int8_openvino_model"
    options.systems = options.systems or (STREAMING if options.streaming else RECORDED)
    options.cameras = options.cameras or ([6, 12, 18] if options.streaming else [6, 12])
    return options


if __name__ == "__main__":
    main()
