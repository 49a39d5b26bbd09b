"""Whether a sink keeps up: a publisher's frames in, one sink process, and what that costs.

    .venv/bin/python scripts/bench_sinks.py [file-parquet file-jsonl webhook database-postgres mqtt …]
        [--rate 1000] [--objects 5] [--cameras 20] [--seconds 20] [--json out.json]

The sink is the process of a fleet, with its spool; the publisher is another process, as the fleet's is. A sink keeps up
if all that was published is written within two seconds after the last frame, nothing was lost, and it was never more
than two seconds behind. Its share of a core is that of all its threads while frames came. Servers of Debian's packages
(PostgreSQL, mosquitto, redis, nats) are started by what their tests start them with, and are not counted. Into
`database-slow`, a PostgreSQL, every write takes 200 ms longer.
"""

from __future__ import annotations

import argparse
import importlib
import json
import multiprocessing
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from ctypes import c_int64
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).parent.parent))

from pipeline.config.sinks.options import sink_by_options
from pipeline.relay.outlet import Outlet
from pipeline.sink.feed import SinkSpec
from pipeline.sink.process import run_sink
from pipeline.sink.protocol import Place
from pipeline.sink.report import SinkFigures, read_figures
from pipeline.wire import Counts, FrameResult, TrackedBox, encode

CONTEXT = multiprocessing.get_context("forkserver")
STEP_S = 0.01
"""The publisher sends what is due a hundred times a second, as cameras do that are not in step."""
LATE_S = 2.0
PATIENCE_S = 60.0

Settings = dict[str, Any]
Stage = Callable[[Path], AbstractContextManager[tuple[str, Settings]]]


def files(file_format: str) -> Stage:
    """A kind and its settings: files of a format."""

    @contextmanager
    def stage(folder: Path) -> Iterator[tuple[str, Settings]]:
        yield "file", {"path": str(folder / "out"), "format": file_format}

    return stage


@contextmanager
def webhook(folder: Path) -> Iterator[tuple[str, Settings]]:
    """A server of this process that takes everything."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield "webhook", {"url": f"http://127.0.0.1:{server.server_port}/", "secret": "bench"}
    server.shutdown()


def started(module: str, name: str, settings: Callable[[Any], tuple[str, Settings]]) -> Stage:
    """A kind whose server its tests can start: `tests.MODULE.NAME(folder)`."""

    @contextmanager
    def stage(folder: Path) -> Iterator[tuple[str, Settings]]:
        with getattr(importlib.import_module(f"tests.{module}"), name)(folder) as server:
            yield settings(server)

    return stage


def postgres(write_s: float = 0.0) -> Stage:
    """A server of its own, with an empty database, into which each write takes so much longer."""

    @contextmanager
    def stage(folder: Path) -> Iterator[tuple[str, Settings]]:
        with importlib.import_module("tests.postgres_server").postgres_server() as server:
            yield "database", {"url": server.slow_database(write_s) if write_s else server.new_database()}

    return stage


@contextmanager
def _ready(kind: str, settings: Settings) -> Iterator[tuple[str, Settings]]:
    yield kind, settings


KINDS: dict[str, Stage] = {
    **{f"file-{name}": files(name) for name in ("parquet", "jsonl", "csv", "mot")},
    "webhook": webhook,
    "database-postgres": postgres(),
    "database-slow": postgres(write_s=0.2),
    "database-duckdb": lambda folder: _ready("database", {"url": str(folder / "results.duckdb")}),
    "database-sqlite": lambda folder: _ready("database", {"url": str(folder / "results.sqlite")}),
    "mqtt": started("servers", "mosquitto", lambda server: ("mqtt", {"url": f"mqtt://127.0.0.1:{server.port}"})),
    "redis": started("servers", "redis", lambda server: ("redis", {"url": f"redis://127.0.0.1:{server.port}"})),
    "nats": started("servers", "nats", lambda server: ("nats", {"url": f"nats://127.0.0.1:{server.port}"})),
}


def main() -> None:
    """Print a row for each kind."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "kinds", nargs="*", default=["file-parquet", "file-jsonl"], metavar="KIND", help=f"{', '.join(KINDS)}"
    )
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE", help="of the sink")
    parser.add_argument("--rate", type=int, default=1000, help="frames a second, of all cameras")
    parser.add_argument("--objects", type=int, default=5)
    parser.add_argument("--cameras", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if unknown := [kind for kind in options.kinds if kind not in KINDS]:
        parser.error(f"unknown: {', '.join(unknown)}; there is {', '.join(KINDS)}")
    more = dict(setting.split("=", 1) for setting in options.settings)
    results = []
    for name in options.kinds:
        with tempfile.TemporaryDirectory() as folder, KINDS[name](Path(folder)) as (kind, settings):
            results.append({"kind": name, **measure(kind, {**settings, **more}, Path(folder), options)})
        print(json.dumps(results[-1]), flush=True)
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


def measure(kind: str, settings: Settings, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """What one sink did with the frames of so many seconds."""
    theirs, ours = CONTEXT.Pipe()
    go, stop = CONTEXT.Event(), CONTEXT.Event()
    publisher = CONTEXT.Process(target=publish, args=(theirs, go, stop, options), daemon=True)
    publisher.start()
    spec = SinkSpec(
        settings=sink_by_options(kind, settings, {}),
        place=Place("bench", "bench", folder),
        endpoint=ours.recv(),
        spool=folder / "spool",
        report=folder / "report",
    )
    sink = CONTEXT.Process(target=run_sink, args=(spec, CONTEXT.Value(c_int64, lock=False)), daemon=True)
    sink.start()
    try:
        _wait_for(lambda: _figures(spec).written > 0, "the sink has written nothing")
        process = psutil.Process(sink.pid)
        before, cpu_s, began_s = _figures(spec).written, _cpu_s(process), time.monotonic()
        go.set()
        lags = []
        while publisher.is_alive() and not ours.poll(1.0):
            lags.append(_figures(spec).lag_s)
        published, took_s = ours.recv(), time.monotonic() - began_s
        cores = (_cpu_s(process) - cpu_s) / took_s
        ended_s = time.monotonic()
        _wait_for(lambda: (told := _figures(spec)).waiting == 0 and told.written - before >= published, "")
        behind_s, told, memory_mb = time.monotonic() - ended_s, _figures(spec), process.memory_info().rss / 1e6
    finally:
        stop.set()
        sink.terminate()
        sink.join(5)
        sink.kill()
        publisher.join(5)
    # Some of the frames before the beginning were written after it was counted.
    complete = told.written - before >= published and told.lost == told.missed == 0
    return {
        "keeps_up": bool(complete and behind_s <= LATE_S + 1 and max(lags, default=0.0) <= LATE_S),
        "frames_per_s": round(published / took_s),
        "written": told.written - before,
        "published": published,
        "lost": told.lost,
        "cores": round(cores, 3),
        "lag_p50_s": round(statistics.median(lags or [0.0]), 2),
        "lag_max_s": max(lags, default=0.0),
        "rest_s": round(behind_s, 1),
        "memory_mb": round(memory_mb),
        "detail": told.detail,
    }


def publish(report: Any, go: Event, stop: Event, options: argparse.Namespace) -> None:
    """Say where; a frame now and then until `go`, then as many as were asked for; their number at the end."""
    outlet = Outlet("tcp://127.0.0.1:0", 1_000_000)
    report.send(outlet.endpoint)
    bodies = [(one.topic, one) for one in (_frame(camera, options.objects) for camera in range(options.cameras))]
    number = 0

    def send() -> None:
        nonlocal number
        topic, one = bodies[number % len(bodies)]
        at_ns = time.time_ns()
        fields = {name: getattr(one, name) for name in one.__struct_fields__}
        fields |= {"frame_id": number // len(bodies), "captured_at_ns": at_ns, "published_at_ns": at_ns}
        outlet.send(topic, encode(FrameResult(**fields)))
        number += 1

    while not go.wait(0.1):
        outlet.look()
        send()
    first, began_s = number, time.monotonic()
    while (past_s := time.monotonic() - began_s) < options.seconds:
        for _ in range(int(past_s * options.rate) - (number - first)):
            send()
        outlet.look()
        stop.wait(STEP_S)
    report.send(number - first)
    while not stop.wait(0.1):
        outlet.look()
    outlet.close(linger_ms=100)


def _frame(camera: int, objects: int) -> FrameResult:
    boxes = (
        TrackedBox(
            track_id=one + 1,
            class_id=one % 3,
            class_name=("person", "car", "bicycle")[one % 3],
            score=0.5 + one / 100,
            xyxy=(10.5 * one, 20.25, 110.75 + one, 220.5),
            origin="detected",
            since_detected_ms=0.0,
            uncertainty_px=1.25,
        )
        for one in range(objects)
    )
    return FrameResult(
        fleet="bench",
        camera_id=f"camera-{camera}",
        session_id="0000000001f0",
        session=496,
        frame_id=0,
        pts_s=0.0,
        captured_at_ns=0,
        capture_clock="rtcp",
        published_at_ns=0,
        age_ms=40.0,
        frame_wh=(1280, 720),
        origin="detected",
        filled_because=None,
        detection_age_ms=40.0,
        stride=2,
        lost={},
        counts=Counts(decoded=8, detected=4, filled={"stride": 4}, lost={}),
        latency_ms={"capture": 5.0, "decode": 3.0, "slot": 2.0, "detect": 28.0, "publish": 2.0},
        tracks=tuple(boxes),
    )


def _figures(spec: SinkSpec) -> SinkFigures:
    assert spec.report is not None
    return read_figures(spec.report) or SinkFigures()


def _wait_for(done: Callable[[], bool], why: str) -> None:
    """Until it is so; where that takes too long, end with these words, or go on where there are none."""
    end_s, pause = time.monotonic() + PATIENCE_S, threading.Event()
    while not done() and time.monotonic() < end_s:
        pause.wait(0.1)
    if why and not done():
        raise SystemExit(f"{why} within {PATIENCE_S:g} s")


def _cpu_s(process: psutil.Process) -> float:
    used = process.cpu_times()
    return float(used.user + used.system)


if __name__ == "__main__":
    main()
