"""What a message costs: bytes a track, time to encode, and how soon a newcomer knows every camera.

    .venv/bin/python scripts/bench_wire.py
    .venv/bin/python scripts/bench_wire.py --repeats 9 --json out.json

Encoding: frames of 0, 10 and 200 tracks with positions, scores and ids as a fleet has them, as msgpack, JSON and the
compact form. A core's share is for 1,000 frames a second. Joining: a publisher with 60 cameras that say nothing more;
the time from subscribing until the newest frame and state of every one of them is there. Medians.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from ctypes import c_int64
from pathlib import Path

from msgspec.structs import replace
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parent.parent))

from pipeline import Subscriber
from pipeline.bench import machine
from pipeline.clock import SystemClock
from pipeline.publish import Publisher
from pipeline.relay.process import Relay, RelaySpec
from pipeline.wire import CameraState, FrameResult, compact, decode, encode, publisher_id, stamp, to_json
from tests.wire_messages import FRAME, STATE

TRACKS = (0, 10, 200)
FRAMES_HZ = 1000
CAMERAS = 60
ROUNDS = 200

Figures = dict[str, float]


def main() -> None:
    """Measure, print, and write JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write every figure to this file")
    options = parser.parse_args()
    encodings = {count: _medians([_encodings(count) for _ in range(options.repeats)]) for count in TRACKS}
    joining_ms = [1000 * _join_s() for _ in range(options.repeats)]
    _print(encodings, joining_ms)
    if options.json:
        found = {"machine": machine.name(), "encodings": encodings, "joining_ms": joining_ms}
        options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def frame_of(count: int) -> FrameResult:
    """A frame with so many objects; the same ones each time."""
    chance = random.Random(count)
    return replace(
        FRAME,
        tracks=tuple(
            replace(
                FRAME.tracks[0],
                track_id=chance.randint(1, 5000),
                class_id=chance.randint(0, 79),
                score=round(chance.random(), 3),
                xyxy=tuple(round(chance.uniform(0, 1900), 1) for _ in range(4)),
                since_detected_ms=float(chance.choice([0, 40, 80])),
                uncertainty_px=round(chance.uniform(0, 20), 2),
            )
            for _ in range(count)
        ),
    )


def _encodings(count: int) -> Figures:
    frame, bare = frame_of(count), frame_of(0)
    body, name = encode(frame), publisher_id("5f2a90c1d7e4")
    short = encode(compact(frame))
    tracks = max(count, 1)
    return {
        "msgpack, bytes a track": (len(body) - len(encode(bare))) / tracks,
        "JSON": (len(to_json(body)) - len(to_json(encode(bare)))) / tracks,
        "compact": (len(short) - len(encode(compact(bare)))) / tracks,
        "bytes without tracks": len(encode(bare)),
        "encode, µs": _us(lambda: encode(frame)),
        "number, µs": _us(lambda: stamp(body, name, 7)),
        "decode, µs": _us(lambda: decode(frame.topic, body)),
        "to JSON, µs": _us(lambda: to_json(body)),
        "msgpack to compact, µs": _us(lambda: encode(compact(decode(frame.topic, body)))),  # type: ignore[arg-type]
    }


def _us(work: Callable[[], object]) -> float:
    """Microseconds of one call, of the fastest tenth: what others take from the machine is not ours."""
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return statistics.median(sorted(times)[: ROUNDS // 10]) * 1e6


def _join_s() -> float:
    """From subscribing to knowing every camera's newest frame and state, s."""
    with tempfile.TemporaryDirectory() as folder:
        inbox = f"ipc://{folder}/inbox"
        spec = RelaySpec("publisher", "tcp://127.0.0.1:0", False, inbox, 1000, Path(folder))
        relay = Relay(spec, SystemClock())
        thread = threading.Thread(target=relay.run, args=(c_int64(),))
        thread.start()
        worker = Publisher(inbox)
        for number in range(CAMERAS):
            worker.publish(replace(frame_of(10), camera_id=f"camera-{number}"))
            worker.publish(replace(STATE, camera_id=f"camera-{number}"))
        try:
            _all_known_s(relay.endpoint)
            return _all_known_s(relay.endpoint)
        finally:
            worker.close()
            relay.stop()
            thread.join()


def _all_known_s(endpoint: str) -> float:
    began, frames, states = time.perf_counter(), set(), set()
    with Subscriber(endpoint, states=True, timeout_s=10) as results:
        while len(frames) < CAMERAS or len(states) < CAMERAS:
            message = results.receive()
            (states if isinstance(message, CameraState) else frames).add(message.camera_id)
        return time.perf_counter() - began


def _medians(runs: list[Figures]) -> Figures:
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def _print(encodings: dict[int, Figures], joining_ms: list[float]) -> None:
    table = Table("", *(f"{count} tracks" for count in encodings), title=machine.name())
    for name in next(iter(encodings.values())):
        table.add_row(name, *(f"{figures[name]:.1f}" for figures in encodings.values()))
    for name in ("encode, µs", "msgpack to compact, µs", "to JSON, µs"):
        cores = [figures[name] * FRAMES_HZ / 1e6 for figures in encodings.values()]
        table.add_row(f"cores at {FRAMES_HZ} frames/s: {name.removesuffix(', µs')}", *(f"{core:.3f}" for core in cores))
    Console().print(table)
    print(
        f"a newcomer knows {CAMERAS} cameras after {statistics.median(joining_ms):.0f} ms "
        f"({min(joining_ms):.0f} to {max(joining_ms):.0f})"
    )


if __name__ == "__main__":
    main()
