"""What one live camera costs in a fleet, a frame: its process, its share of the others, and the floors beside it.

    .venv/bin/python scripts/bench_camera.py
    .venv/bin/python scripts/bench_camera.py --footage street --transport udp --repeats 5 --json out.json
    (cd ../other && PYTHONPATH=. ../camfleet/.venv/bin/python ../camfleet/scripts/bench_camera.py --only fleet)

One camera by RTSP with the stub detector at stride 5, in a fleet as `camfleet run` starts it; times are CPU time by
`/proc/PID/task/*/schedstat`, which counts nanoseconds. `parts` is the same camera's loop with a stopwatch around each
part (`camera_parts`). Beside them, of the same recording in the same run: `ffmpeg -c copy`, PyAV receiving the same RTP
pieces and nothing else, PyAV receiving and decoding, and PyAV decoding the file as fast as it goes, with warm caches.
Medians over the repeats are printed, every run is in the JSON. `--server gstreamer` sends each packet by itself. The
last line measures another working tree: a fleet's processes are forked from one that imports what it finds in the
current folder first.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import av
import yaml
from camera_parts import measure_parts
from footage import as_cameras
from peers import served
from rich.console import Console
from rich.table import Table

from pipeline.bench.fleet import PRIVATE, percentiles
from pipeline.config import load_fleet
from pipeline.config.camera import Camera
from pipeline.config.values import Publish
from pipeline.listen import Listener
from pipeline.replay import ReplayOptions, serve_recordings
from pipeline.supervise.supervisor import Supervisor
from pipeline.wire import CameraState, FrameResult

STRIDE, BOXES = 5, 5
INPUT_WH = (640, 640)
SETTLE_S = 4.0
MEASURES = ("fleet", "parts", "copy", "demux", "decode", "hot")
Figures = dict[str, float]


def main() -> None:
    """Measure each way in turn, `--repeats` times, and print the medians."""
    options = _options()
    width, height = map(int, options.size.split("x"))
    recording = as_cameras([options.footage], (width, height), options.fps)[0]
    runs: list[Figures] = []
    for repeat in range(options.repeats):
        print(f"run {repeat + 1} of {options.repeats} …", file=sys.stderr, flush=True)
        runs.append(_run(recording, options))
    _print(runs, options)
    if options.json:
        options.json.write_text(json.dumps(runs, indent=2) + "\n", encoding="utf-8")


def _run(recording: Path, options: argparse.Namespace) -> Figures:
    figures: Figures = {}
    for measure in options.only:
        with _camera_of(recording, options) as url:
            figures |= _MEASURED[measure](url, recording, options)
    return figures


def _fleet(url: str, recording: Path, options: argparse.Namespace) -> Figures:
    """A whole fleet of this one camera."""
    body = {
        "model": {"backend": "stub", "options": {"boxes": BOXES}},
        "defaults": {"stride": STRIDE, "transport": options.transport},
        "cameras": {"cam": {"url": url}},
    }
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "bench.yaml"
        file.write_text(yaml.safe_dump(body), encoding="utf-8")
        fleet = load_fleet(file).model_copy(update={"publish": Publish(bind=PRIVATE), "sinks": {}})
    heard: list[FrameResult] = []
    with Supervisor(fleet) as supervisor, Listener(supervisor.open().inside, lambda said: _keep(said, heard)):
        supervisor.run(SETTLE_S)
        before, first = _spent(supervisor), len(heard)
        supervisor.run(options.seconds)
        after, frames = _spent(supervisor), heard[first:]
    assert frames, "the camera has shown nothing"
    age = percentiles([frame.age_ms - frame.latency_ms["capture"] for frame in frames])
    figures = {f"{name}, ms": 1e-6 * (ns - before[name][0]) / len(frames) for name, (ns, _) in after.items()}
    figures["all, ms"] = sum(figures.values())
    figures["camera's waits"] = (after["camera"][1] - before["camera"][1]) / len(frames)
    return figures | {"arrival to publication p50, ms": age.p50_ms, "p95, ms": age.p95_ms}


def _keep(said: FrameResult | CameraState, heard: list[FrameResult]) -> None:
    if isinstance(said, FrameResult):
        heard.append(said)


def _spent(supervisor: Supervisor) -> dict[str, tuple[int, int]]:
    """By role: CPU time, ns, and how often its threads have waited for something."""
    return {status.role: _use(status.pid) for status in supervisor.status() if status.pid is not None}


def _use(pid: int) -> tuple[int, int]:
    spent_ns = waits = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        spent_ns += int((task / "schedstat").read_text().split()[0])
        lines = (task / "status").read_text().splitlines()
        waits += next(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches"))
    return spent_ns, waits


def _parts(url: str, recording: Path, options: argparse.Namespace) -> Figures:
    camera = Camera(camera_id="cam", url=url, transport=options.transport)
    spent_ms = measure_parts(camera, INPUT_WH, STRIDE, round(options.seconds * options.fps))
    return {f"  {part}, ms": ms for part, ms in spent_ms.items()} | {"all parts, ms": sum(spent_ms.values())}


def _copy(url: str, recording: Path, options: argparse.Namespace) -> Figures:
    """FFmpeg's own program, which receives and throws away."""
    command = ["ffmpeg", "-v", "error", "-rtsp_transport", options.transport, "-i", url, "-map", "0:v", "-c", "copy"]
    with subprocess.Popen([*command, "-f", "null", "-"], stdin=subprocess.DEVNULL) as process:
        time.sleep(SETTLE_S)
        (before_ns, waits), began_s = _use(process.pid), time.monotonic()
        time.sleep(options.seconds)
        after_ns, after_waits = _use(process.pid)
        frames = (time.monotonic() - began_s) * options.fps
        process.terminate()
    return {"ffmpeg -c copy, ms": 1e-6 * (after_ns - before_ns) / frames, "its waits": (after_waits - waits) / frames}


def _demux(url: str, recording: Path, options: argparse.Namespace) -> Figures:
    return {"PyAV receives, ms": _in_child(_received, url, options, False)}


def _decode(url: str, recording: Path, options: argparse.Namespace) -> Figures:
    return {"PyAV receives and decodes, ms": _in_child(_received, url, options, True)}


def _hot(url: str, recording: Path, options: argparse.Namespace) -> Figures:
    return {"PyAV decodes the file, ms": _in_child(_decoded, recording)}


def _in_child(function: Callable[..., float], *given: Any) -> float:
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(function, *given).result()


def _received(url: str, options: argparse.Namespace, decodes: bool) -> float:
    """CPU time of the thread, ms a frame."""
    asked = {"rtsp_transport": options.transport, "fpsprobesize": "0", "buffer_size": str(2 << 20)}
    asked |= {} if decodes else {"fflags": "noparse+nofillin", "probesize": "32"}
    with av.open(url, options=asked, timeout=10) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        settled_s = time.monotonic() + SETTLE_S
        began_s = spent_s = 0.0
        for packet in container.demux(stream):
            if decodes:
                packet.decode()
            now_s = time.monotonic()
            if not began_s and now_s > settled_s:
                began_s, spent_s = now_s, time.thread_time()
            elif began_s and now_s > began_s + options.seconds:
                return 1000 * (time.thread_time() - spent_s) / ((now_s - began_s) * options.fps)
    raise RuntimeError("the camera has ended")


def _decoded(recording: Path) -> float:
    with av.open(str(recording)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        frames = 0
        began_s = time.thread_time()
        for _ in container.decode(stream):
            frames += 1
        return 1000 * (time.thread_time() - began_s) / frames


_MEASURED = {"fleet": _fleet, "parts": _parts, "copy": _copy, "demux": _demux, "decode": _decode, "hot": _hot}


@contextmanager
def _camera_of(recording: Path, options: argparse.Namespace) -> Iterator[str]:
    """The recording as a camera that does not end."""
    if options.server == "replay":
        with serve_recordings(ReplayOptions((recording,), cameras=1)) as server:
            yield server.urls[0]
        return
    with tempfile.TemporaryDirectory() as folder:
        long = Path(folder) / "long.mp4"
        again = ["ffmpeg", "-v", "error", "-stream_loop", "29", "-i", str(recording), "-c", "copy", str(long)]
        subprocess.run(again, check=True)
        with served.serve([long], "gstreamer", Path(folder)) as cameras:
            yield cameras.urls[0]


def _print(runs: list[Figures], options: argparse.Namespace) -> None:
    about = f"{options.footage} {options.size} at {options.fps} fps over {options.transport} from {options.server}"
    table = Table("a frame", "median", "least", "most", title=f"{about}, {len(runs)} runs")
    for name in runs[0]:
        values = [run[name] for run in runs]
        table.add_row(name, *(f"{value:.3f}" for value in (statistics.median(values), min(values), max(values))))
    Console(width=100).print(table)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--footage", default="corridor", help="part of a recording's name; corridor is quiet")
    parser.add_argument("--size", default="1280x720", help="of the pictures, WIDTHxHEIGHT")
    parser.add_argument("--fps", type=int, default=25)
    parser.add_argument("--transport", choices=("tcp", "udp"), default="tcp")
    parser.add_argument("--server", choices=("replay", "gstreamer"), default="replay")
    parser.add_argument("--only", nargs="+", choices=MEASURES, default=MEASURES)
    parser.add_argument("--seconds", type=float, default=12, help="of each way")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write every run to this file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
