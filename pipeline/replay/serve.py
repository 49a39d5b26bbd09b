"""Runs a replay server until it has played, or is told to stop: by a signal, or by the parent's end.

`python -m pipeline.replay.serve OPTIONS` is the child process behind `serve_recordings`. It answers with one line of
JSON, the addresses or the error.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Callable

from pipeline.errors import PipelineError
from pipeline.logs import configure_logs
from pipeline.replay.options import ReplayOptions
from pipeline.replay.server import ReplayServer

_INTERRUPTED = 128 + signal.SIGINT
_WRONG_USE = 2

Announce = Callable[[tuple[str, ...]], None]


async def serve(options: ReplayOptions, announce: Announce) -> int:
    """Serve until all was played (0), SIGTERM comes (0), or Ctrl-C (130); `announce` gets the addresses first.

    Raises:
        ReplayError: a recording cannot be served, or the port cannot be had.
    """
    loop = asyncio.get_running_loop()
    stopped: asyncio.Future[int] = loop.create_future()
    loop.add_signal_handler(signal.SIGTERM, _stop, stopped, 0)
    loop.add_signal_handler(signal.SIGINT, _stop, stopped, _INTERRUPTED)
    return await _serve_until(stopped, options, announce)


async def serve_for_parent(options: ReplayOptions, announce: Announce) -> int:
    """Serve until all was played, SIGTERM comes, or the parent closes our standard input, by will or by dying."""
    loop = asyncio.get_running_loop()
    stopped: asyncio.Future[int] = loop.create_future()
    loop.add_reader(sys.stdin.fileno(), _stop, stopped, 0)
    loop.add_signal_handler(signal.SIGTERM, _stop, stopped, 0)
    # Ctrl-C in a terminal reaches the child too; when to end is the parent's to decide.
    loop.add_signal_handler(signal.SIGINT, lambda: None)
    return await _serve_until(stopped, options, announce)


async def _serve_until(stopped: asyncio.Future[int], options: ReplayOptions, announce: Announce) -> int:
    async with ReplayServer(options) as server:
        announce(server.urls)
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


def _tell(**message: object) -> None:
    print(json.dumps(message), flush=True)


def _main() -> int:
    configure_logs("replay", level="warning")
    try:
        return asyncio.run(serve_for_parent(ReplayOptions.from_json(sys.argv[1]), lambda urls: _tell(urls=urls)))
    except PipelineError as error:
        _tell(error=str(error))
        return _WRONG_USE


if __name__ == "__main__":
    sys.exit(_main())
