"""What subscribers cost each other: by keys, and by being many and slow.

    .venv/bin/python scripts/bench_streams.py --curve         # with keys against without: at the load, and at most
    .venv/bin/python scripts/bench_streams.py --subscribers --seconds 300    # 20, one of them stopped, against one

The publisher is a process as in a fleet; frames come from one process, from 12 cameras at a rate that together is the
load; each subscriber is a process that reads a message's number and time and nothing else. The age is that at the
socket: from a frame's publication by the worker to its arrival at a subscriber. A subscriber's share is what it
received of what was numbered while it listened.

--curve tells two things. `delivered` at the load is what the goal speaks of: 300 frames a second of 20 objects to 5
subscribers, with keys as many as without. The `ceiling` is how many frames a second reach every subscriber when the
worker waits for nothing: all processes of it share the cores, so on few cores it shows what encrypting five times and
decrypting five times costs them, and not what the publisher alone could do.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import signal
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
from pipeline.publish import INBOX_QUEUE, Publisher
from pipeline.relay.doors import RelayReady
from pipeline.relay.process import RelaySpec, run_relay
from pipeline.wire import FrameResult, encode

CAMERAS = 12
SETTLE_S = 1.0
GIVE_UP_S = 30.0
_SPAWN = multiprocessing.get_context("spawn")


class _Read(msgspec.Struct):
    """What a subscriber reads of a frame."""

    published_at_ns: int
    number: int = 0


@dataclass(frozen=True, slots=True)
class Running:
    """A publisher that runs.

    Attributes:
        endpoint: Where subscribers connect.
        inbox: Where frames go in.
        key: Of a reader; None where none is needed.
        process: The publisher's.
    """

    endpoint: str
    inbox: str
    key: Key | None
    process: psutil.Process


@dataclass(frozen=True, slots=True)
class Load:
    """What is measured.

    Attributes:
        subscribers: How many.
        objects: In each frame.
        rate_hz: Frames a second of all cameras; None for as many as are taken.
        seconds: How long.
        stopped: How many of the subscribers are stopped meanwhile.
    """

    subscribers: int
    objects: int
    rate_hz: float | None
    seconds: float
    stopped: int = 0


@dataclass(frozen=True, slots=True)
class Heard:
    """What one subscriber received."""

    frames: int
    share: float
    ages_ms: list[float]


def main() -> None:
    """Measure, and print the figures as JSON."""
    options = _options()
    told: dict[str, Any] = {"machine": machine.name(), "cores": machine.usable_cores(), "seconds": options.seconds}
    if options.curve:
        told["curve"] = _curve(options)
    if options.subscribers:
        told["subscribers"] = _subscribers(options)
    print(json.dumps(told, indent=2))


def _curve(options: argparse.Namespace) -> dict[str, Any]:
    """The same with keys and without: `repeats` times by turns, medians."""
    rate = 300.0
    runs: dict[str, list[dict[str, float]]] = {"plain": [], "keys": []}
    for _ in range(options.repeats):
        for name, measured in runs.items():
            with _publisher(name == "keys") as running:
                at_load = _listen(running, Load(5, 20, rate, options.seconds))
                at_most = _listen(running, Load(5, 20, None, options.seconds))
            measured.append(
                {
                    "delivered at the load, frames/s": at_load["frames_hz"],
                    "share at the load": at_load["share"],
                    "p95 age at the load, ms": at_load["p95_ms"],
                    "cores of the publisher at the load": at_load["publisher_cores"],
                    "ceiling, frames/s to each": at_most["frames_hz"],
                    "cores of the publisher at the ceiling": at_most["publisher_cores"],
                }
            )
            print(name, json.dumps(measured[-1]), file=sys.stderr, flush=True)
    median = {
        name: {key: round(float(np.median([run[key] for run in some])), 4) for key in some[0]}
        for name, some in runs.items()
    }
    kept = {
        key: round(median["keys"][key] / median["plain"][key], 3)
        for key in ("delivered at the load, frames/s", "ceiling, frames/s to each")
    }
    return {"load": f"{rate:g} frames/s × 20 objects × 5 subscribers", **median, "keys / plain": kept}


def _subscribers(options: argparse.Namespace) -> dict[str, Any]:
    """A single subscriber, and then twenty of which one is stopped."""
    with _publisher(False) as running:
        alone = _listen(running, Load(1, 10, 300.0, min(60.0, options.seconds)))
    with _publisher(False) as running:
        many = _listen(running, Load(20, 10, 300.0, options.seconds, stopped=1))
    return {
        "load": "300 frames/s × 10 objects",
        "p95 age of a single one, ms": alone["p95_ms"],
        "p95 age of the slowest of 19, ms": many["worst_p95_ms"],
        "more, ms": round(many["worst_p95_ms"] - alone["p95_ms"], 2),
        "smallest share of the 19": many["share"],
        "publisher's memory at first, MB": many["first_mb"],
        "publisher's memory at the end, MB": many["last_mb"],
        "publisher's memory, slope of the second half, MB a minute": many["mb_a_minute"],
    }


@contextmanager
def _publisher(asks_for_keys: bool) -> Iterator[Running]:
    """A publisher in a process of its own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        known, key = _keys(folder) if asks_for_keys else (None, None)
        inbox = f"ipc://{folder}/inbox"
        spec = RelaySpec("publisher", "tcp://127.0.0.1:0", False, inbox, queue=1000, ledgers=folder, keys=known)
        ours, theirs = _SPAWN.Pipe(duplex=False)
        process = _SPAWN.Process(target=run_relay, args=(spec, theirs, _SPAWN.Value(c_int64, lock=False)))
        process.start()
        try:
            if not ours.poll(GIVE_UP_S):
                sys.exit("the publisher did not start")
            ready: RelayReady = ours.recv()
            yield Running(ready.endpoint, inbox, key, psutil.Process(process.pid))
        finally:
            process.terminate()
            process.join(GIVE_UP_S)


def _keys(folder: Path) -> tuple[Keys, Key]:
    server, reader = keys.make_pair("server", folder), keys.make_pair("reader", folder)
    keys.allow(reader.public, folder / "clients")
    return Keys(server=str(server.secret), clients=str(folder / "clients")), Key(reader.secret, server.public)


def _listen(running: Running, load: Load) -> dict[str, float]:
    """The figures of a load, its last subscribers being stopped."""
    start, end = _SPAWN.Event(), _SPAWN.Event()
    source = _SPAWN.Process(target=_publish, args=(running.inbox, load, end))
    source.start()
    pipes, processes = [], []
    for _ in range(load.subscribers):
        ours, theirs = _SPAWN.Pipe(duplex=False)
        processes.append(_SPAWN.Process(target=_subscribe, args=(running.endpoint, running.key, start, end, theirs)))
        processes[-1].start()
        pipes.append(ours)
    for pipe in pipes:
        if not pipe.poll(GIVE_UP_S) or pipe.recv() != "hears":
            sys.exit("a subscriber heard nothing")
    awake, asleep = pipes[: load.subscribers - load.stopped], processes[load.subscribers - load.stopped :]
    for process in asleep:
        os.kill(process.pid, signal.SIGSTOP)
    threading.Event().wait(SETTLE_S)
    start.set()
    before_s, began_s = _cpu_s(running.process), time.monotonic()
    held_mb = _watch_memory(running.process, load.seconds)
    took_s, worked_s = time.monotonic() - began_s, _cpu_s(running.process) - before_s
    end.set()
    if not all(pipe.poll(GIVE_UP_S) for pipe in awake):
        sys.exit("a subscriber did not say what it heard")
    heard: list[Heard] = [pipe.recv() for pipe in awake]
    for process in asleep:
        process.kill()
    for process in (source, *processes):
        process.join(GIVE_UP_S)
    return {**_told(heard, took_s), "publisher_cores": round(worked_s / took_s, 3), **_memory(held_mb, took_s)}


def _told(heard: list[Heard], took_s: float) -> dict[str, float]:
    p95_ms = [float(np.percentile(one.ages_ms, 95)) for one in heard]
    return {
        "frames_hz": round(min(one.frames for one in heard) / took_s, 1),
        "share": round(min(one.share for one in heard), 5),
        "p95_ms": round(float(np.median(p95_ms)), 3),
        "worst_p95_ms": round(max(p95_ms), 3),
    }


def _memory(held_mb: list[float], took_s: float) -> dict[str, float]:
    """First, last, and how steeply it rose in the second half."""
    half = held_mb[len(held_mb) // 2 :]
    slope = np.polyfit(np.linspace(0, took_s / 2, len(half)), half, 1)[0] * 60 if len(half) > 2 else 0.0
    return {
        "first_mb": round(held_mb[0], 1),
        "last_mb": round(held_mb[-1], 1),
        "mb_a_minute": round(float(slope), 2),
    }


def _watch_memory(relay: psutil.Process, seconds: float) -> list[float]:
    """The publisher's memory every half a second, MB."""
    held_mb, end_s = [relay.memory_full_info().uss / 1e6], time.monotonic() + seconds
    while (left_s := end_s - time.monotonic()) > 0:
        threading.Event().wait(min(0.5, left_s))
        held_mb.append(relay.memory_full_info().uss / 1e6)
    return held_mb


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _publish(inbox: str, load: Load, end: Any) -> None:
    """Frames of all cameras by turns, until told to end."""
    template, number = frame_of(load.objects), 0
    if load.rate_hz is None:
        _flood(inbox, template, end)
        return
    publisher, began_s = Publisher(inbox), time.monotonic()
    while not end.is_set():
        frame_id, camera = divmod(number, CAMERAS)
        frame = replace(template, camera_id=f"cam{camera}", frame_id=frame_id, published_at_ns=time.time_ns())
        publisher.publish(frame)
        number += 1
        threading.Event().wait(max(0.0, began_s + number / load.rate_hz - time.monotonic()))
    publisher.close()


def _flood(inbox: str, template: FrameResult, end: Any) -> None:
    """Frames as fast as the publisher takes them, encoded beforehand: they wait where a worker's would."""
    socket = zmq.Context.instance().socket(zmq.PUSH)
    socket.set(zmq.SNDHWM, INBOX_QUEUE)
    socket.set(zmq.SNDTIMEO, 100)
    socket.connect(inbox)
    frames = [replace(template, camera_id=f"cam{camera}", published_at_ns=time.time_ns()) for camera in range(CAMERAS)]
    bodies = [(one.topic, encode(one), b"") for one in frames]
    while not end.is_set():
        for parts in bodies:
            try:
                socket.send_multipart(parts)
            except zmq.Again:
                break
    socket.close(linger=0)


def _subscribe(endpoint: str, key: Key | None, start: Any, end: Any, report: Connection) -> None:
    """Receive until told to end, and say what came since the start."""
    connection = client.Connection(endpoint, None, queue=1000, key=key)
    read = msgspec.msgpack.Decoder(_Read)
    first: dict[bytes, int] = {}
    last: dict[bytes, int] = {}
    received: Counter[bytes] = Counter()
    ages_ms: list[float] = []
    said = False
    while not end.is_set():
        if not connection.socket.poll(100):
            continue
        topic, body = connection.socket.recv_multipart()
        if not topic.startswith(b"detections/"):
            continue
        if not said:
            report.send("hears")
            said = True
        if not start.is_set():
            continue
        message = read.decode(body)
        if message.number <= last.get(topic, 0):
            continue
        ages_ms.append((time.time_ns() - message.published_at_ns) / 1e6)
        first.setdefault(topic, message.number)
        last[topic] = message.number
        received[topic] += 1
    published = sum(last[topic] - first[topic] + 1 for topic in last)
    report.send(Heard(received.total(), received.total() / max(1, published), ages_ms or [0.0]))
    connection.close()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--curve", action="store_true", help="with keys against without")
    parser.add_argument("--subscribers", action="store_true", help="20 subscribers, one of them stopped")
    parser.add_argument("--seconds", type=float, default=10, help="of each; what is kept fills first")
    parser.add_argument("--repeats", type=int, default=3, help="of --curve")
    options = parser.parse_args()
    if not options.curve and not options.subscribers:
        parser.error("nothing to measure: give --curve, --subscribers, or both")
    return options


if __name__ == "__main__":
    main()
