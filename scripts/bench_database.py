"""How many frames a second each kind of database takes, and what that costs: one sink, no fleet.

    .venv/bin/python scripts/bench_database.py [--frames 60000] [--objects 5] [--slow-ms 200] [--engine postgresql …]

Batches of 1,000 frames go in one after the other, as a sink's process gives them. PostgreSQL is one of its own, started
for this and with fsync as it comes. Told is the rate, the processor time of this process and of PostgreSQL's, and the
time of the slowest batch. With --slow-ms each write into PostgreSQL is held up by so much.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pipeline.config.sinks.database import DatabaseUrl
from pipeline.sink.database import DatabaseSink, connect
from tests.postgres_server import postgres_server
from tests.sink_frames import frame

BATCH = 1000
ENGINES = ("sqlite", "duckdb", "postgresql")


@dataclass(frozen=True, slots=True)
class Cost:
    """Of all batches."""

    wall_s: float
    own_cpu_s: float
    server_cpu_s: float
    slowest_s: float


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=60_000)
    parser.add_argument("--objects", type=int, default=5)
    parser.add_argument("--slow-ms", type=float, default=0.0)
    parser.add_argument("--engine", nargs="+", choices=ENGINES, default=ENGINES)
    options = parser.parse_args()
    table = Table("database", box=None, pad_edge=False)
    for heading in ("frames/s", "own core %", "server core %", "cores at 1,000/s", "slowest batch ms"):
        table.add_column(heading, justify="right")
    for engine in options.engine:
        with _place(engine, options.slow_ms) as (url, server):
            cost = _measure(url, server, options.frames // BATCH, options.objects)
        frames = options.frames // BATCH * BATCH
        both_s = cost.own_cpu_s + cost.server_cpu_s
        table.add_row(
            engine,
            f"{frames / cost.wall_s:,.0f}",
            f"{100 * cost.own_cpu_s / cost.wall_s:.0f}",
            f"{100 * cost.server_cpu_s / cost.wall_s:.0f}" if server else "",
            f"{1000 * both_s / frames:.2f}",
            f"{1000 * cost.slowest_s:.0f}",
        )
    Console().print(table)


@contextmanager
def _place(engine: str, slow_ms: float) -> Iterator[tuple[str, psutil.Process | None]]:
    if engine != "postgresql":
        with tempfile.TemporaryDirectory() as folder:
            yield str(Path(folder) / f"results.{engine}"), None
        return
    with postgres_server(fsync=True) as server:
        url = server.slow_database(slow_ms / 1000) if slow_ms else server.new_database()
        yield url, psutil.Process(server.pid)


def _measure(url: str, server: psutil.Process | None, batches: int, objects: int) -> Cost:
    sink = DatabaseSink(lambda: connect(DatabaseUrl(url), Path()))
    wall_s = own_s = slowest_s = 0.0
    server_s = _cpu_s(server)
    for number in range(batches):
        batch = [frame(number * BATCH + index, objects) for index in range(BATCH)]
        began_s, began_own_s = time.perf_counter(), _own_cpu_s()
        sink.write(batch)
        took_s = time.perf_counter() - began_s
        wall_s, own_s, slowest_s = wall_s + took_s, own_s + _own_cpu_s() - began_own_s, max(slowest_s, took_s)
    server_s = _cpu_s(server) - server_s
    sink.close()
    return Cost(wall_s, own_s, server_s, slowest_s)


def _own_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _cpu_s(process: psutil.Process | None) -> float:
    """Of a process and those it has started."""
    if process is None:
        return 0.0
    family = [process, *process.children(recursive=True)]
    return sum(one.cpu_times().user + one.cpu_times().system for one in family)


if __name__ == "__main__":
    main()
