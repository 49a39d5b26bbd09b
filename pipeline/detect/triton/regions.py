"""Memory that Triton servers have open, and when they are to close it.

Up to 24.08 (server 2.49), a server that closes memory under a request crashes when it computes that; 24.09 and 24.10
refuse, and keep for good what nobody asks for again; later ones close it when they have answered. So memory of a
request that was given up is set aside. Whoever connects to the server next asks it to close what is set aside, and then
how much of that it keeps. Where it is too much, because the server computes nothing, or counts wrongly as 24.09 did
(triton-inference-server/server#7688), pictures go through the connection for a while.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pipeline.detect.protocol import DetectorAway
from pipeline.detect.triton.client import Connection, MemoryKind, RequestRefused
from pipeline.errors import DetectorError

COUNTS_USES = (2, 50)
"""The first version of the server that knows whether a request still uses the memory that it is to close."""
GRACE_S = 10.0
"""How long a request that was given up may use its memory on a server that does not know; deadlines are 4 s at most."""
CLOSE_S = 0.2
"""How long a server that is left may take to close memory."""
MOST_KEPT = 16
"""Pieces of memory that a server may keep of given up requests of a detector, twice the most lanes."""


@dataclass(frozen=True, slots=True)
class Region:
    """A piece of memory.

    Attributes:
        name: The server's name of it.
        url: The server.
        kind: What kind of memory it is.
        release: Gives it back on this side, where that is not done by forgetting it; once the server has closed it.
    """

    name: str
    url: str
    kind: MemoryKind
    release: Callable[[], None] = lambda: None


@dataclass(slots=True)
class Regions:
    """Those of one detector; thread-safe."""

    _lock: threading.Lock = field(default_factory=threading.Lock)
    _aside: dict[str, tuple[Region, float]] = field(default_factory=dict)

    def open(self, connection: Connection, region: Region, *where: Any, until_s: float) -> None:
        """Nothing once the server has opened memory; `where` is what it wants to know of this kind.

        Raises:
            RequestRefused: The server cannot.
            DetectorAway: It does not answer.
        """
        try:
            connection.register(region.kind, region.name, *where, until_s=until_s)
        except DetectorAway:
            # It may have opened it all the same.
            self._set_aside(region)
            raise
        except BaseException:
            region.release()
            raise

    def close(self, connection: Connection, region: Region, in_use: bool) -> None:
        """Let the server close memory, if it answers and may; else that is for later."""
        until_s = time.monotonic() + CLOSE_S
        self._set_aside(region)
        with contextlib.suppress(DetectorError):
            if not in_use:
                connection.unregister(region.kind, region.name, until_s)
                self._closed(region)
            elif connection.version(until_s) >= COUNTS_USES:
                connection.unregister(region.kind, region.name, until_s)

    def kept(self, connection: Connection, until_s: float) -> int:
        """How many pieces of memory a server keeps of requests that were given up; lets it close what it may.

        Raises:
            DetectorAway: The server does not answer.
        """
        with self._lock:
            mine = [(region, since_s) for region, since_s in self._aside.values() if region.url == connection.url]
        if not mine:
            return 0
        knows = connection.version(until_s) >= COUNTS_USES
        for region, since_s in mine:
            if knows or time.monotonic() - since_s >= GRACE_S:
                with contextlib.suppress(RequestRefused):
                    connection.unregister(region.kind, region.name, until_s)
        open_there = {kind: connection.registered(kind, until_s) for kind in {region.kind for region, _ in mine}}
        closed = [region for region, _ in mine if region.name not in open_there[region.kind]]
        for region in closed:
            self._closed(region)
        return len(mine) - len(closed)

    def _set_aside(self, region: Region) -> None:
        with self._lock:
            self._aside.setdefault(region.name, (region, time.monotonic()))

    def _closed(self, region: Region) -> None:
        with self._lock:
            was_aside = self._aside.pop(region.name, None) is not None
        if was_aside:
            region.release()
