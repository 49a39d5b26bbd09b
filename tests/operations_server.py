"""What machines ask of a fleet, served without a page: routes fed by a subscriber."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator

import uvicorn
from starlette.applications import Starlette

from pipeline.client import AsyncSubscriber
from pipeline.clock import Clock, SystemClock
from pipeline.errors import SubscriberClosed
from pipeline.web.operations import Operations

DEADLINE_S = 30.0


@contextlib.contextmanager
def operations_of(endpoint: str, fleet: str, clock: Clock | None = None) -> Iterator[str]:
    """The address of a server that hears this fleet, such as http://127.0.0.1:40123."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = _Server(endpoint, fleet, clock or SystemClock(), listening)
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            assert server.started.wait(DEADLINE_S)
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.stop()
            thread.join(DEADLINE_S)


class _Server:
    def __init__(self, endpoint: str, fleet: str, clock: Clock, listening: socket.socket) -> None:
        self.started = threading.Event()
        self._endpoint, self._listening = endpoint, listening
        self._operations = Operations(fleet, clock)
        app = Starlette(routes=self._operations.routes)
        self._uvicorn = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None, ws="none"))

    def run(self) -> None:
        asyncio.run(self._serve())

    def stop(self) -> None:
        self._uvicorn.should_exit = True

    async def _serve(self) -> None:
        with contextlib.closing(AsyncSubscriber(self._endpoint, states="all")) as subscriber:
            hearing = asyncio.create_task(self._hear(subscriber))
            self.started.set()
            await self._uvicorn.serve(sockets=[self._listening])
            subscriber.close()
            await hearing

    async def _hear(self, subscriber: AsyncSubscriber) -> None:
        with contextlib.suppress(SubscriberClosed):
            while True:
                self._operations.hear(await subscriber.receive())
