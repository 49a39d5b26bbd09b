"""Cameras that begin at one moment: the same pictures fall together each time the same recordings are played."""

from __future__ import annotations

import asyncio

PATIENCE_S = 6.0
"""From the first camera that is watched to the last; a client gives up opening after ten seconds, by default."""


class Gathering:
    """Lets cameras wait for each other; on one loop."""

    def __init__(self, cameras: int, patience_s: float = PATIENCE_S) -> None:
        """Of so many cameras; nobody is waited for longer than `patience_s` after the first."""
        self._missing = cameras
        self._patience_s = patience_s
        self._complete = asyncio.Event()

    async def wait(self) -> None:
        """Wait for the others; once for each camera. Those that come after the beginning do not wait."""
        self._missing -= 1
        if not self._missing:
            self._complete.set()
        try:
            await asyncio.wait_for(self._complete.wait(), self._patience_s)
        except TimeoutError:
            self._complete.set()
