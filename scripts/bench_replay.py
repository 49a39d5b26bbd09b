"""How punctual `camfleet replay` is, and what it costs: `python scripts/bench_replay.py gate.mp4 --cameras 12`.

The server runs in a process of its own and notes for each access unit how long after its due time it had been written
to every client. The clients read in another process and throw away what they read. Prints percentiles of lateness and
the share of one core that the server took.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import statistics
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from urllib.parse import urlsplit

from pipeline.logs import configure_logs
from pipeline.replay import Playback, ReplayOptions

WARM_UP_S = 1.0


@dataclass(frozen=True, slots=True)
class Measured:
    """Lateness of each departure, and the server's CPU and wall time, all in seconds."""

    late_s: list[float]
    cpu_s: float
    wall_s: float


def serve(options: ReplayOptions, seconds: float, parent: Connection) -> None:
    """Serve for `seconds` after the parent's go, then send back what was measured."""
    asyncio.run(_serve(options, seconds, parent))


async def _serve(options: ReplayOptions, seconds: float, parent: Connection) -> None:
    from pipeline.replay.serve import go_first
    from pipeline.replay.server import ReplayServer

    configure_logs("replay", level="warning")
    go_first()
    late_s: list[float] = []
    async with ReplayServer(options, observe=lambda departure: late_s.append(departure.late_s)) as server:
        parent.send(server.urls)
        await asyncio.sleep(WARM_UP_S)
        late_s.clear()
        cpu_s, wall_s = time.process_time(), time.monotonic()
        await asyncio.sleep(seconds)
        parent.send(Measured(late_s, time.process_time() - cpu_s, time.monotonic() - wall_s))


async def watch(url: str) -> int:
    """Play `url` until the connection ends; the bytes that came."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(
        f"SETUP {url}/trackID=0 RTSP/1.0\r\nCSeq: 1\r\nTransport: RTP/AVP/TCP;interleaved=0-1\r\n\r\n".encode()
    )
    await reader.readuntil(b"\r\n\r\n")
    writer.write(f"PLAY {url} RTSP/1.0\r\nCSeq: 2\r\n\r\n".encode())
    received = 0
    while chunk := await reader.read(1 << 18):
        received += len(chunk)
    writer.close()
    return received


async def watch_all(urls: tuple[str, ...], clients: int) -> int:
    """Play every camera `clients` times; the bytes that came in all."""
    return sum(await asyncio.gather(*(watch(url) for url in urls for _ in range(clients))))


def measure(options: ReplayOptions, clients: int, seconds: float) -> tuple[Measured, int]:
    """What the server measured, and the bytes that its clients got."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    server = context.Process(target=serve, args=(options, seconds, theirs))
    server.start()
    received = asyncio.run(watch_all(ours.recv(), clients))
    measured = ours.recv()
    server.join()
    return measured, received


def main() -> None:
    """Measure what the command line asks for and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--cameras", type=int, default=12)
    parser.add_argument("--clients", type=int, default=1, help="clients per camera")
    parser.add_argument("--seconds", type=float, default=20.0)
    asked = parser.parse_args()
    options = ReplayOptions(tuple(asked.files), cameras=asked.cameras, port=0, playback=Playback(loop=True))
    measured, received = measure(options, asked.clients, asked.seconds)
    percentiles = statistics.quantiles(measured.late_s, n=100)
    print(f"{asked.cameras} cameras, {asked.clients} clients each, {len(measured.late_s)} access units, ", end="")
    print(f"{received * 8 / 1e6 / measured.wall_s:.1f} Mbit/s")
    for percent in (50, 95, 99):
        print(f"late p{percent}: {1e3 * percentiles[percent - 1]:6.2f} ms")
    print(f"within 5 ms: {100 * sum(late <= 0.005 for late in measured.late_s) / len(measured.late_s):.2f} %")
    print(f"server: {100 * measured.cpu_s / measured.wall_s:.1f} % of a core")


if __name__ == "__main__":
    main()
