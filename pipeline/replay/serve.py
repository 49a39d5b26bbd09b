"""Runs a replay server until it has played, or is told to stop: by a signal, or by the parent's end.

`python -m pipeline.replay.serve` is the child process behind `serve_recordings`. It reads its options as one line of
JSON from standard input, as they may hold a password, and answers with one line, the addresses or the error. Further
lines are faults to inject; the end of the input ends the server.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable

import structlog

from pipeline.errors import PipelineError, ReplayError
from pipeline.logs import configure_logs
from pipeline.replay.faults import Order
from pipeline.replay.options import ReplayOptions
from pipeline.replay.server import ReplayServer

_INTERRUPTED = 128 + signal.SIGINT
_WRONG_USE = 2

# The threads that read ahead must not keep the one that sends waiting: Python's own 5 ms is all the lateness allowed.
_SWITCH_INTERVAL_S = 0.0005
# Real cameras do not wait for the fleet's processors. Only root may take more than its share; others do without.
_NICENESS = -10

Announce = Callable[[ReplayServer], None]

_log = structlog.get_logger(__name__)


async def serve(options: ReplayOptions, announce: Announce) -> int:
    """Serve until all was played (0), SIGTERM comes (0), or Ctrl-C (130); `announce` is called when it serves.

    Raises:
        ReplayError: a recording cannot be served, or the port cannot be had.
    """
    loop = asyncio.get_running_loop()
    stopped: asyncio.Future[int] = loop.create_future()
    loop.add_signal_handler(signal.SIGTERM, _stop, stopped, 0)
    loop.add_signal_handler(signal.SIGINT, _stop, stopped, _INTERRUPTED)
    async with ReplayServer(options) as server:
        announce(server)
        return await _until(stopped, server)


async def serve_for_parent(options: ReplayOptions, announce: Announce) -> int:
    """Serve until all was played, SIGTERM comes, or the parent closes our standard input, by will or by dying."""
    loop = asyncio.get_running_loop()
    stopped: asyncio.Future[int] = loop.create_future()
    loop.add_signal_handler(signal.SIGTERM, _stop, stopped, 0)
    # Ctrl-C in a terminal reaches the child too; when to end is the parent's to decide.
    loop.add_signal_handler(signal.SIGINT, lambda: None)
    async with ReplayServer(options) as server:
        orders = _Orders(server, stopped)
        loop.add_reader(sys.stdin.fileno(), orders.read)
        announce(server)
        return await _until(stopped, server)


def go_first() -> None:
    """Let this process be woken in time: it plays cameras, which have no other work either."""
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    try:
        os.setpriority(os.PRIO_PROCESS, 0, _NICENESS)
    except PermissionError:
        _log.debug("replay runs at normal priority")


class _Orders:
    """Reads the parent's orders, a line each, as they come; the end of them stops the server."""

    def __init__(self, server: ReplayServer, stopped: asyncio.Future[int]) -> None:
        self._server, self._stopped = server, stopped
        self._pending = b""

    def read(self) -> None:
        """Take what there is; only called when there is something, so it does not block."""
        received = os.read(sys.stdin.fileno(), 1 << 16)
        if not received:
            asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
            _stop(self._stopped, 0)
            return
        *lines, self._pending = (self._pending + received).split(b"\n")
        for line in lines:
            try:
                self._server.inject(Order.from_line(line))
            except ReplayError as error:
                _log.error("fault not injected", reason=str(error))


async def _until(stopped: asyncio.Future[int], server: ReplayServer) -> int:
    played = asyncio.create_task(server.played())
    waits: set[asyncio.Future[None] | asyncio.Future[int]] = {played, stopped}
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    if stopped.done():
        played.cancel()
        return stopped.result()
    await played
    return 0


def _stop(stopped: asyncio.Future[int], status: int) -> None:
    if not stopped.done():
        stopped.set_result(status)


def _read_options() -> ReplayOptions:
    """The first line of standard input, and not a byte more, as orders may follow."""
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(sys.stdin.fileno(), 1)
        if not byte:
            raise ReplayError("the parent has gone before it told what to serve")
        line += byte
    return ReplayOptions.from_json(line)


def _tell(**message: object) -> None:
    print(json.dumps(message), flush=True)


def _main() -> int:
    configure_logs("replay", level="warning")
    go_first()
    try:
        return asyncio.run(
            serve_for_parent(_read_options(), lambda server: _tell(urls=server.urls, names=server.names))
        )
    except PipelineError as error:
        _tell(error=str(error))
        return _WRONG_USE


if __name__ == "__main__":
    sys.exit(_main())
