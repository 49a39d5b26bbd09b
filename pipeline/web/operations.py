"""What machines ask of a fleet: `/metrics`, `/livez`, `/readyz` and `/status`.

`/livez` answers 200 while the fleet says how it is, `/readyz` while results come: from any camera, or with
`?camera=gate` from that one (may be given several times), with `?camera=*` from all that should deliver. Both answer
503 otherwise, and say why.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pipeline.clock import Clock, SystemClock
from pipeline.web.health import Health, live, ready, status
from pipeline.web.known import KnownFleet
from pipeline.web.measured import Measures, Taken
from pipeline.web.metrics import CONTENT_TYPE_LATEST, collected, text_of
from pipeline.wire import Message

MEASURED_S = 1.0
"""Processes are measured once in so long at most, however many ask."""
MOST_CAMERAS = 1000
"""Names in one question."""


class Heard(Protocol):
    """Whoever hears the fleet.

    Attributes:
        fleet: The fleet's name.
        listeners: Each gets every message.
    """

    fleet: str
    listeners: list[Callable[[Message], None]]


def routes(heard: Heard) -> list[BaseRoute]:
    """What machines may ask, fed by what is heard from now on."""
    operations = Operations(heard.fleet, SystemClock())
    heard.listeners.append(operations.hear)
    return operations.routes


class Operations:
    """One fleet's answers; belongs to an event loop.

    Attributes:
        known: What they are made of.
    """

    def __init__(self, fleet: str, clock: Clock) -> None:
        """Nothing is known yet."""
        self.known = KnownFleet(fleet, clock)
        self._measures = Measures()
        self._taken: Mapping[str, Taken] = {}
        self._measured_s: float | None = None
        self._measuring = asyncio.Lock()

    @property
    def routes(self) -> list[BaseRoute]:
        """By path."""
        return [
            Route("/metrics", self._metrics),
            Route("/livez", self._livez),
            Route("/readyz", self._readyz),
            Route("/status", self._status),
        ]

    def hear(self, message: Message) -> None:
        """Note what the fleet says; never blocks."""
        self.known.hear(message)

    async def _metrics(self, request: Request) -> Response:
        taken = await self._measured()
        text = await asyncio.to_thread(text_of, collected(self.known, taken))
        return Response(text, media_type=CONTENT_TYPE_LATEST, headers=_UNKEPT)

    async def _livez(self, request: Request) -> Response:
        return _answer(live(self.known))

    async def _readyz(self, request: Request) -> Response:
        return _answer(ready(self.known, request.query_params.getlist("camera")[:MOST_CAMERAS]))

    async def _status(self, request: Request) -> Response:
        return _json(status(self.known, await self._measured()))

    async def _measured(self) -> Mapping[str, Taken]:
        """What the processes take; measured beside the event loop, which pictures wait for."""
        async with self._measuring:
            state, now_s = self.known.state, self.known.now_s
            if state is None:
                return {}
            if self._measured_s is None or now_s - self._measured_s >= MEASURED_S:
                self._taken = await asyncio.to_thread(self._measures.take, state.processes)
                self._measured_s = now_s
            return self._taken


_UNKEPT = {"cache-control": "no-store"}


def _answer(health: Health) -> Response:
    return _json(health, 200 if health.ok else 503)


def _json(body: msgspec.Struct, code: int = 200) -> Response:
    return Response(msgspec.json.encode(body), code, _UNKEPT, "application/json")
