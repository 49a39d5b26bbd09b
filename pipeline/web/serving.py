"""uvicorn as it is here: bounded in what strangers can make it hold, and ended by the supervisor alone."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Iterator
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_CONNECTIONS = 256
"""A browser has six, and a WebSocket; each costs some 30 KB."""
ASKING_S = 10.0
"""How long a connection may stay without a whole request."""
LONGEST_WORD = 4096
"""Bytes of what a browser may say through its WebSocket."""
LONGEST_HEAD = 16 << 10
"""Bytes of a request's head."""


class BoundedConnection(H11Protocol):
    """A connection that is refused where there are too many, and closed where it asks nothing."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Somebody has connected."""
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            transport.abort()
        else:
            self._asking = self.loop.call_later(ASKING_S, self._end_if_silent)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        if (asking := getattr(self, "_asking", None)) is not None:
            asking.cancel()
        super().connection_lost(exc)

    def _end_if_silent(self) -> None:
        if self.cycle is None and self in self.connections:
            self.transport.abort()


class PageServer(uvicorn.Server):
    """Serves sockets that are bound already."""

    def __init__(self, app: Any, tls: ssl.SSLContext | None) -> None:
        """Prepare; `serve` begins."""
        logging.getLogger("uvicorn").setLevel(logging.ERROR)
        super().__init__(
            uvicorn.Config(
                app,
                loop="asyncio",
                http=BoundedConnection,
                ws="websockets-sansio",
                ws_max_size=LONGEST_WORD,
                ws_per_message_deflate=False,
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                h11_max_incomplete_event_size=LONGEST_HEAD,
                ssl_context_factory=None if tls is None else lambda config, make: tls,
            )
        )

    def leave(self) -> None:
        """End `serve` soon, without waiting for browsers."""
        self.should_exit = self.force_exit = True

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone: Ctrl-C is the supervisor's business."""
        yield
