"""What a sink to a broker costs: processor time for 1,000 frames/s × 5 objects, against a real server on this machine.

    .venv/bin/python scripts/bench_brokers.py [--kind mqtt] [--frames 20000] [--rounds 5] [--json out.json]

Frames of 40 cameras are written as fast as it goes, in batches of 200, which are the fifth of a second that a sink's
process gathers; numbers of objects change with every batch. `core` is the share of one core that 1,000 frames/s would
take of the sink's process; `frames/s` is how many it writes in a second of wall time. Servers are Debian's, those that
are installed (for Kafka, librdkafka's test broker: its time says nothing of a cluster).
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from importlib import import_module
from pathlib import Path

import msgspec

sys.path.insert(0, str(Path(__file__).parents[1]))

from pipeline.config.sinks.base import KINDS
from pipeline.sink.protocol import Place, Sink
from pipeline.wire import Message
from tests.servers import Server, kafka, mosquitto, nats, redis
from tests.wire_messages import FRAME, STATE

CAMERAS, OBJECTS, BATCH = 40, 5, 200
CLASSES = ("person", "bicycle", "car", "van", "truck")
SERVERS: dict[str, Callable[[Path], AbstractContextManager[Server]]] = {
    "mqtt": mosquitto,
    "redis": redis,
    "nats": nats,
    "jetstream": nats,
    "kafka": lambda folder: kafka(),
}


def main() -> None:
    """Print a row for each kind."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", action="append", choices=SERVERS)
    parser.add_argument("--frames", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    batches = list(_batches(options.frames))
    results = {kind: _measured(kind, batches, options.rounds) for kind in options.kind or SERVERS}
    for kind, (core, speed) in results.items():
        print(f"{kind:10} core {core:.2f}  frames/s {speed:8.0f}")
    if options.json:
        options.json.write_text(json.dumps(results))


def _measured(kind: str, batches: list[list[Message]], rounds: int) -> tuple[float, float]:
    """Medians: the share of a core at 1,000 frames/s, and frames a second."""
    with tempfile.TemporaryDirectory() as folder, SERVERS[kind](Path(folder)) as server:
        took = [_round(kind, server.port, batches) for _ in range(rounds)]
    frames = sum(map(len, batches))
    cpu_s, wall_s = (statistics.median(column) for column in zip(*took, strict=True))
    return cpu_s / frames * 1000, frames / wall_s


def _round(kind: str, port: int, batches: list[list[Message]]) -> tuple[float, float]:
    sink = _opened(kind, port)
    try:
        sink.write([STATE])
        began_cpu_s, began_s = time.process_time(), time.monotonic()
        for batch in batches:
            sink.write(batch)
        return time.process_time() - began_cpu_s, time.monotonic() - began_s
    finally:
        sink.close()


def _opened(kind: str, port: int) -> Sink:
    fields = {"jetstream": True} if kind == "jetstream" else {}
    name = "nats" if kind == "jetstream" else kind
    settings = KINDS[name].model_validate({"url": f"{name}://127.0.0.1:{port}", **fields})
    sink: Sink = import_module(f"pipeline.sink.{name}").open_sink(settings, Place("bench", "town", Path()))
    return sink


def _batches(count: int) -> Iterator[list[Message]]:
    chance = random.Random(1)
    for first in range(0, count, BATCH):
        tracks = [msgspec.structs.replace(FRAME.tracks[0], class_name=chance.choice(CLASSES)) for _ in range(OBJECTS)]
        yield [
            msgspec.structs.replace(
                FRAME,
                camera_id=f"camera-{number % CAMERAS}",
                frame_id=number // CAMERAS,
                tracks=tuple(chance.sample(tracks, OBJECTS)),
            )
            for number in range(first, first + BATCH)
        ]


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
