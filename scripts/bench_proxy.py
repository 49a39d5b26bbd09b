"""What a proxy costs, and by how much it makes results older.

    .venv/bin/python scripts/bench_proxy.py                  # 10 shards, 1,500 messages/s of 20 objects, 10 subscribers
    .venv/bin/python scripts/bench_proxy.py --costs          # what a message, a delivery and a kilobyte cost each

The proxy is a process as a fleet over several machines has it, with keys on both sides unless --plain. The shards are
the sockets of as many publishers in one process, which sends frames of 60 cameras evenly; the subscribers are in two
processes that read a message's number and time and nothing else. The age is that at the socket: from a frame's
publication to its arrival. `added` is the p95 of it through the proxy less that of the same subscribers who connect to
the shards themselves. The cores are those of the proxy's whole process, encryption included.

--costs repeats it with frames of 2 to 100 objects, few and many subscribers, and fits the time by least squares:
`scale/simulate` counts with that.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import c_int64
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import psutil
import zmq
from msgspec.structs import replace
from sent_frames import frame_of

from pipeline import keys
from pipeline.bench import machine
from pipeline.client import Key
from pipeline.client import connect as client
from pipeline.config.keys import Keys
from pipeline.relay.doors import RelayReady
from pipeline.relay.guard import make_guard
from pipeline.relay.outlet import Outlet
from pipeline.scale.proxy.orders import Feed, Orders
from pipeline.scale.proxy.process import run_proxy
from pipeline.scale.proxy.spec import ProxySpec
from pipeline.wire import encode, publisher_id, stamp

CAMERAS = 60
PROCESSES = 2
SETTLE_S = 1.0
GIVE_UP_S = 60.0
LOADS = ((2, 1), (2, 10), (20, 1), (20, 10), (100, 1), (100, 5))
"""Objects in a frame and subscribers, for --costs."""
_SPAWN = multiprocessing.get_context("spawn")


class _Read(msgspec.Struct):
    """What a subscriber reads of a frame."""

    published_at_ns: int
    number: int = 0


@dataclass(frozen=True, slots=True)
class Load:
    """What is measured.

    Attributes:
        shards: How many publishers.
        subscribers: How many readers.
        objects: In each frame.
        rate_hz: Frames a second of all cameras.
        seconds: How long.
        plain: Whether there are no keys.
    """

    shards: int
    subscribers: int
    objects: int
    rate_hz: float
    seconds: float
    plain: bool


@dataclass(frozen=True, slots=True)
class Readers:
    """The subscribers of one process."""

    endpoints: list[str]
    key: Key | None
    count: int


@dataclass(frozen=True, slots=True)
class Heard:
    """What one process of subscribers received."""

    frames: int
    missed: int
    ages_ms: list[float]


def main() -> None:
    """Measure, and print the figures as JSON."""
    options = _options()
    load = Load(options.shards, options.subscribers, options.objects, options.rate, options.seconds, options.plain)
    told: dict[str, Any] = {"machine": machine.name(), "cores": machine.usable_cores(), "seconds": load.seconds}
    if options.costs:
        told["costs"] = _costs(load)
    else:
        runs = [_both(load) for _ in range(options.repeats)]
        told["load"] = (
            f"{load.shards} shards, {load.rate_hz:g} messages/s × {load.objects} objects → {load.subscribers}"
        )
        told["keys"] = not load.plain
        told |= {key: round(float(np.median([run[key] for run in runs])), 3) for key in runs[0]}
    print(json.dumps(told, indent=2))


def _both(load: Load) -> dict[str, float]:
    """Through the proxy, and without it."""
    with tempfile.TemporaryDirectory() as name:
        through, direct = _measure(load, Path(name), through=True), _measure(load, Path(name), through=False)
    found = {
        **{f"through the proxy, {key}": value for key, value in through.items()},
        **{f"directly, {key}": value for key, value in direct.items() if "cores" not in key},
        "added age p95, ms": round(through["age p95, ms"] - direct["age p95, ms"], 3),
    }
    print(json.dumps(found), file=sys.stderr, flush=True)
    return found


def _costs(load: Load) -> dict[str, float]:
    """Microseconds of the proxy's cores for each part of its work."""
    rows, used_us = [], []
    for objects, subscribers in LOADS:
        one = Load(load.shards, subscribers, objects, load.rate_hz / 3, load.seconds, load.plain)
        with tempfile.TemporaryDirectory() as name:
            found = _measure(one, Path(name), through=True)
        kilobytes = len(_body(objects, 0)) / 1000
        rows.append(
            [one.rate_hz, one.rate_hz * kilobytes, *(one.rate_hz * subscribers * part for part in (1, kilobytes))]
        )
        used_us.append(1e6 * found["proxy, cores"])
        print(objects, subscribers, json.dumps(found), file=sys.stderr, flush=True)
    fitted, *_ = np.linalg.lstsq(np.array(rows), np.array(used_us), rcond=None)
    names = ("a message in", "a kilobyte in", "a message out", "a kilobyte out")
    return {f"{name}, µs": round(float(value), 2) for name, value in zip(names, fitted, strict=True)}


def _measure(load: Load, folder: Path, *, through: bool) -> dict[str, float]:
    """Ages at the subscribers, and the proxy's cores."""
    start, end = _SPAWN.Event(), _SPAWN.Event()
    made = _Made.of(folder, load.plain)
    ours, theirs = _SPAWN.Pipe(duplex=False)
    source = _SPAWN.Process(target=_publish, args=(made.shard_keys, load, end, theirs))
    source.start()
    endpoints = _received(ours)
    feeds = tuple(Feed(shard=f"s{n}", endpoint=at, server_key=made.shard_public) for n, at in enumerate(endpoints))
    with _proxy(made, Orders(feeds=feeds), load) as (endpoint, process):
        key, where = (made.reader, [endpoint]) if through else (made.shard_reader, endpoints)
        pipes, readers = [], []
        for _ in range(PROCESSES):
            ours, theirs = _SPAWN.Pipe(duplex=False)
            count = load.subscribers // PROCESSES if readers else -(-load.subscribers // PROCESSES)
            readers.append(_SPAWN.Process(target=_subscribe, args=(Readers(where, key, count), start, end, theirs)))
            readers[-1].start()
            pipes.append(ours)
        for pipe in pipes:
            _received(pipe)
        threading.Event().wait(SETTLE_S)
        start.set()
        before_s, began_s = _cpu_s(process), time.monotonic()
        threading.Event().wait(load.seconds)
        took_s, worked_s = time.monotonic() - began_s, _cpu_s(process) - before_s
        end.set()
        heard: list[Heard] = [_received(pipe) for pipe in pipes]
    for one in (source, *readers):
        one.join(GIVE_UP_S)
    ages_ms = [age for one in heard for age in one.ages_ms]
    return {
        "frames/s to each": round(sum(one.frames for one in heard) / took_s / load.subscribers, 1),
        "missed": sum(one.missed for one in heard),
        "age p50, ms": round(float(np.percentile(ages_ms, 50)), 3),
        "age p95, ms": round(float(np.percentile(ages_ms, 95)), 3),
        "age p99, ms": round(float(np.percentile(ages_ms, 99)), 3),
        "proxy, cores": round(worked_s / took_s, 3),
    }


def _received(pipe: Connection) -> Any:
    if not pipe.poll(GIVE_UP_S):
        sys.exit("a process did not answer")
    return pipe.recv()


@dataclass(frozen=True, slots=True)
class _Made:
    """Keys of all sorts; None where there are none."""

    shard_keys: Keys | None
    shard_public: bytes
    shard_reader: Key | None
    proxy_keys: Keys | None
    proxy_own: keys.Certificate | None
    reader: Key | None

    @staticmethod
    def of(folder: Path, plain: bool) -> _Made:
        """New ones in `folder`."""
        if plain:
            return _Made(None, b"", None, None, None, None)
        at = Path(tempfile.mkdtemp(dir=folder))
        shard, proxy, server, reader = (keys.make_pair(name, at) for name in ("shard", "proxy", "server", "reader"))
        for pair, clients in ((proxy, "proxies"), (reader, "proxies"), (reader, "clients")):
            keys.allow(pair.public, at / clients)
        return _Made(
            Keys(server=str(shard.secret), clients=str(at / "proxies")),
            keys.read_certificate(shard.public).public,
            Key(reader.secret, shard.public),
            Keys(server=str(server.secret), clients=str(at / "clients")),
            keys.read_certificate(proxy.secret),
            Key(reader.secret, server.public),
        )


@contextmanager
def _proxy(made: _Made, orders: Orders, load: Load) -> Iterator[tuple[str, psutil.Process]]:
    """A proxy in a process of its own."""
    spec = ProxySpec(
        "proxy", "bench", "tcp://127.0.0.1:0", 1000, orders=orders, keys=made.proxy_keys, own_key=made.proxy_own
    )
    ours, theirs = _SPAWN.Pipe(duplex=False)
    process = _SPAWN.Process(target=run_proxy, args=(spec, theirs, _SPAWN.Value(c_int64, lock=False)))
    process.start()
    try:
        ready: RelayReady = _received(ours)
        yield ready.endpoint, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.join(GIVE_UP_S)


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _publish(known: Keys | None, load: Load, end: Any, report: Connection) -> None:
    """Frames of all cameras, evenly over the shards and over time, until told to end."""
    poller = zmq.Poller()
    guard, locks = make_guard(known, poller)
    outlets = [Outlet("tcp://127.0.0.1:0", 10_000, poller, lock=locks.get("bind")) for _ in range(load.shards)]
    report.send([outlet.endpoint for outlet in outlets])
    names = [publisher_id(f"shard{n}") for n in range(load.shards)]
    frame, number, began_s = frame_of(load.objects), 0, time.monotonic()
    looked_s = began_s
    while not end.is_set():
        turn, camera = divmod(number, CAMERAS)
        shard = camera % load.shards
        message = replace(frame, camera_id=f"cam{camera}", frame_id=turn, published_at_ns=time.time_ns())
        outlets[shard].send(message.topic, stamp(encode(message), names[shard], turn + 1))
        number += 1
        if time.monotonic() - looked_s > 0.05:
            looked_s = time.monotonic()
            if guard is not None:
                guard.answer(looked_s)
            for outlet in outlets:
                outlet.look()
        threading.Event().wait(max(0.0, began_s + number / load.rate_hz - time.monotonic()))
    for outlet in outlets:
        outlet.close()


def _subscribe(readers: Readers, start: Any, end: Any, report: Connection) -> None:
    """Receive by so many sockets until told to end, and say what came since the start."""
    count = readers.count
    connections = [client.Connection(readers.endpoints, None, queue=1000, key=readers.key) for _ in range(count)]
    poller, read = zmq.Poller(), msgspec.msgpack.Decoder(_Read)
    for one in connections:
        poller.register(one.socket, zmq.POLLIN)
    last: dict[tuple[int, bytes], int] = {}
    hears: set[int] = set()
    received: Counter[int] = Counter()
    ages_ms: list[float] = []
    missed, said = 0, count == 0
    if said:
        report.send("hears")
    while not end.is_set():
        for at, _ in poller.poll(100) if count else _idle():
            topic, body = at.recv_multipart()
            if not topic.startswith(b"detections/"):
                continue
            hears.add(id(at))
            if not said and len(hears) == count:
                said = True
                report.send("hears")
            message = read.decode(body)
            known = last.get((id(at), topic), 0)
            last[id(at), topic] = max(known, message.number)
            if start.is_set() and message.number > known:
                ages_ms.append((time.time_ns() - message.published_at_ns) / 1e6)
                received[id(at)] += 1
                missed += message.number - known - 1 if known else 0
    report.send(Heard(received.total(), missed, ages_ms))
    for one in connections:
        one.close()


def _idle() -> list[tuple[Any, int]]:
    threading.Event().wait(0.1)
    return []


def _body(objects: int, number: int) -> bytes:
    return stamp(encode(frame_of(objects)), publisher_id("shard0"), number)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", type=int, default=10)
    parser.add_argument("--subscribers", type=int, default=10)
    parser.add_argument("--objects", type=int, default=20, help="in each frame")
    parser.add_argument("--rate", type=float, default=1500, help="messages a second of all shards")
    parser.add_argument("--seconds", type=float, default=10, help="of each measurement")
    parser.add_argument("--repeats", type=int, default=3, help="of which medians are told")
    parser.add_argument("--plain", action="store_true", help="without keys")
    parser.add_argument("--costs", action="store_true", help="what each part of the work costs")
    return parser.parse_args()


if __name__ == "__main__":
    main()
