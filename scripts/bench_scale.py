"""What a message, a byte and a camera cost: the figures that `camfleet simulate` counts with.

    .venv/bin/python scripts/bench_proxy.py --costs > proxy.json
    .venv/bin/python scripts/bench_scale.py --proxy proxy.json      # writes pipeline/scale/simulate/measured.json

What a proxy takes comes from `bench_proxy.py`, which fits the CPU time of its whole process to messages and bytes that
come in and go out. Here: the sizes of messages; a subscriber in Python, with keys, from 0 to 100 objects in a frame,
its process's CPU time fitted to messages and bytes; what one second's overview, the directory and a placement take for
each camera. Medians of several rounds; CPU time, so that a neighbour on the machine matters little.

A proxy that sleeps between messages pays for waking up: 178 µs for a message at 500 a second, 141 at 3,000, and 27
where 20,000 come. What limits it is the last, so proxy.json may be written by hand from such a run, with its “how”.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import zmq
from msgspec.structs import replace

sys.path.insert(0, str(Path(__file__).parent.parent))

from pipeline import keys
from pipeline.bench import machine
from pipeline.client import Key, Subscriber
from pipeline.scale.place import CameraNeed, Node, place
from pipeline.scale.simulate.measured import FILE, Constant, Measured
from pipeline.wire import FleetState, FrameResult, compact, decode, encode, publisher_id, stamp
from tests.wire_messages import FLEET, FRAME, STATE

OBJECTS = (0, 10, 20, 100)
RATE_HZ, CAMERAS = 6000, 60
"""Enough to keep a reader busy: one that sleeps before each message pays for waking up, and that is no limit."""
MANY = 10_000
"""Cameras in an overview, a directory and a placement."""
NODE_CAMERAS, LOST = 17, 20
GIVE_UP_S = 30.0
_SPAWN = multiprocessing.get_context("spawn")
PROXY_NAMES = {
    "proxy_message_us": "a message in, µs",
    "proxy_byte_us": "a kilobyte in, µs",
    "proxy_copy_us": "a message out, µs",
    "proxy_copied_byte_us": "a kilobyte out, µs",
}


def main() -> None:
    """Measure, print, and write the file."""
    options = _options()
    found = {**_sizes(), **_control(options.rounds), **_reader(options.seconds), **_proxy(options.proxy)}
    measured = Measured(
        machine=f"{machine.name()}, {machine.usable_cores():g} cores",
        at=datetime.now(UTC).date().isoformat(),
        by="scripts/bench_scale.py",
        **found,
    )
    options.out.write_bytes(msgspec.json.format(msgspec.json.encode(measured)) + b"\n")
    print(*measured.words(), sep="\n")


def _frame(objects: int, camera: int = 0) -> FrameResult:
    """A frame with numbers as a detector and a tracker give them, not round ones."""
    box = replace(FRAME.tracks[0], xyxy=(101.25, 220.5, 310.75, 440.125), score=0.8765)
    tracks = tuple(replace(box, track_id=number) for number in range(objects))
    return replace(FRAME, camera_id=f"camera-{camera:06}", tracks=tracks)


def _overview(cameras: int) -> FleetState:
    figures = FLEET.cameras["gate"]
    return replace(FLEET, broken_by={}, cameras={f"camera-{number:06}": figures for number in range(cameras)})


def _sizes() -> dict[str, Constant]:
    """Bytes on the wire, topics included."""
    number = publisher_id("publisher")

    def size(message: Any) -> int:
        return len(stamp(encode(message), number, 1000)) + len(message.topic)

    none, many = _frame(0), _frame(100)
    how = "a frame as it is published, with its topic"
    return {
        "frame_bytes": Constant(size(none), how),
        "object_bytes": Constant((size(many) - size(none)) / 100, f"{how}: 100 objects less none"),
        "compact_frame_bytes": Constant(size(compact(none)), how),
        "compact_object_bytes": Constant((size(compact(many)) - size(compact(none))) / 100, f"{how}, likewise"),
        "state_bytes": Constant(size(STATE), "a camera's state with its topic"),
        "overview_bytes": Constant(
            (size(_overview(1000)) - size(_overview(0))) / 1000, "an overview of 1,000 cameras less none"
        ),
    }


def _control(rounds: int) -> dict[str, Constant]:
    """Overview, directory and placement, µs a camera."""
    heard = encode(_overview(MANY))

    def tell() -> None:
        encode(decode(FLEET.topic, heard))

    where = {f"camera-{number:06}": f"shard-{number // NODE_CAMERAS:05}" for number in range(MANY)}
    written = msgspec.msgpack.encode(where)

    def keep() -> None:
        msgspec.msgpack.decode(msgspec.msgpack.encode(where), type=dict[str, str])

    cameras = [CameraNeed(name) for name in where]
    nodes = [Node(name, NODE_CAMERAS + 1.0, 4.0 * NODE_CAMERAS) for name in sorted(set(where.values()))]

    def place_again() -> None:
        place(cameras, nodes[LOST:], where)

    each = f"median of {rounds}, {MANY:,} cameras"
    return {
        "overview_us": Constant(_us(tell, rounds), f"shards' overviews decoded and one of all encoded; {each}"),
        "directory_bytes": Constant(round(len(written) / MANY, 1), "name and shard of each, msgpack"),
        "directory_us": Constant(_us(keep, rounds), f"encoded and decoded, beside the store's own time; {each}"),
        "placing_us": Constant(_us(place_again, rounds), f"scale.place, {LOST} of {len(nodes)} nodes gone; {each}"),
    }


def _us(work: Callable[[], None], rounds: int) -> float:
    """CPU time for each camera."""
    spent = []
    for _ in range(rounds):
        began_s = time.process_time()
        work()
        spent.append(time.process_time() - began_s)
    return round(1e6 * statistics.median(spent) / MANY, 3)


def _reader(seconds: float) -> dict[str, Constant]:
    """A subscriber in Python, fitted to messages and bytes."""
    rows, used_us = [], []
    for objects in OBJECTS:
        message_us, count = _read(objects, seconds)
        rows.append([1, len(encode(_frame(objects)))])
        used_us.append(message_us)
        print(f"{objects} objects: {message_us:.1f} µs a message, {count} messages", file=sys.stderr, flush=True)
    (message_us, byte_us), *_ = np.linalg.lstsq(np.array(rows, float), np.array(used_us), rcond=None)
    how = f"a `Subscriber` with a key, {RATE_HZ} messages/s of {', '.join(map(str, OBJECTS))} objects, least squares"
    return {
        "reader_message_us": Constant(round(float(message_us), 3), how),
        "reader_byte_us": Constant(round(float(byte_us), 5), how),
    }


def _read(objects: int, seconds: float) -> tuple[float, int]:
    """CPU time of a reader's process for a message, µs, and how many came."""
    context = zmq.Context.instance()
    with tempfile.TemporaryDirectory() as name:
        server, reader = keys.make_pair("server", Path(name)), keys.make_pair("reader", Path(name))
        out = context.socket(zmq.PUB)
        out.curve_secretkey = keys.read_certificate(server.secret).secret
        out.curve_server = True
        port = out.bind_to_random_port("tcp://127.0.0.1")
        ours, theirs = _SPAWN.Pipe()
        key = Key(reader.secret, server.public)
        process = _SPAWN.Process(target=_subscribe, args=(f"tcp://127.0.0.1:{port}", key, seconds, theirs))
        process.start()
        try:
            _send(out, objects, ours)
            used_s, count = ours.recv()
        finally:
            process.join(GIVE_UP_S)
            out.close(linger=0)
    return 1e6 * used_s / count, count


def _send(out: zmq.Socket[bytes], objects: int, until: Connection) -> None:
    """Frames of all cameras, evenly, until the reader has had enough."""
    number, began_s = publisher_id("publisher"), time.monotonic()
    bodies = [(frame.topic, encode(frame)) for frame in (_frame(objects, camera) for camera in range(CAMERAS))]
    count = 0
    while not until.poll(0):
        turn, camera = divmod(count, CAMERAS)
        topic, body = bodies[camera]
        out.send_multipart([topic, stamp(body, number, turn + 1)])
        count += 1
        threading.Event().wait(max(0.0, began_s + count / RATE_HZ - time.monotonic()))


def _subscribe(endpoint: str, key: Key, seconds: float, report: Connection) -> None:
    with Subscriber(endpoint, key=key, timeout_s=GIVE_UP_S) as results:
        for _ in range(RATE_HZ):
            results.receive()
        used_s, end_s, count = time.process_time(), time.monotonic() + seconds, 0
        while time.monotonic() < end_s:
            results.receive()
            count += 1
        report.send((time.process_time() - used_s, count))


def _proxy(file: Path) -> dict[str, Constant]:
    """What `bench_proxy.py --costs` found."""
    told = json.loads(file.read_text("utf-8"))
    usual = f"scripts/bench_proxy.py --costs, {told['machine']}, {told['cores']:g} cores, with keys on both sides"
    how = told.get("how", usual)
    found = {}
    for name, theirs in PROXY_NAMES.items():
        value = max(0.0, told["costs"][theirs]) / (1000 if "byte" in name else 1)
        found[name] = Constant(round(value, 5), how)
    return found


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--proxy", type=Path, required=True, help="what bench_proxy.py --costs has printed")
    parser.add_argument("--seconds", type=float, default=5, help="for each size of frames that a subscriber reads")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path, default=FILE)
    return parser.parse_args()


if __name__ == "__main__":
    main()
