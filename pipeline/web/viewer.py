"""One browser: what waits to be sent to it, bounded. A browser that is slow loses whole groups of pictures.

The bound holds whatever stands between: the browser acknowledges each message when it has read it, so that neither the
network's buffers nor the browser's own queue fill with pictures that nobody will see.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

MOST_BYTES = 4 << 20
"""That may wait: a second of twelve cameras of 3 Mbit/s."""
MOST_STATES = 1000
"""Records about the fleet that may wait; a browser that reads nothing is sent away."""
MOST_IN_FLIGHT = 4
"""Messages that are sent and not acknowledged."""

Send = Callable[[bytes], Awaitable[None]]


class Viewer:
    """What one browser is to get. Not thread-safe; belongs to an event loop.

    Attributes:
        dropped: How often its pictures were left out because it was slow.
    """

    def __init__(self, cameras: Callable[[Viewer], set[str]]) -> None:
        """Nothing waits; `cameras` tells whose coded pictures it is shown."""
        self.dropped = 0
        self._cameras = cameras
        self._states: list[bytes] = []
        self._pictures: list[bytes] = []
        self._waiting_bytes = 0
        self._waits_for_key: set[str] = set()
        self._in_flight = 0
        self._wake = asyncio.Event()
        self._too_slow = False

    def tell(self, record: bytes) -> None:
        """A record about the fleet: none is left out, as long as the browser reads at all."""
        self._states.append(record)
        self._too_slow = self._too_slow or len(self._states) > MOST_STATES
        self._wake.set()

    def begin(self, camera_id: str) -> None:
        """Pictures of this camera begin, with a key picture."""
        self._waits_for_key.add(camera_id)

    def show(self, camera_id: str, record: bytes, *, key: bool = False) -> None:
        """A coded picture or what belongs to it; left out until the next key picture where one was left out before."""
        if key:
            self._waits_for_key.discard(camera_id)
        if camera_id not in self._waits_for_key:
            self._add(record)

    def show_alone(self, record: bytes) -> None:
        """A still or a result: it stands for itself."""
        self._add(record)

    def acknowledge(self, count: int) -> None:
        """The browser has read so many messages."""
        self._in_flight = max(0, self._in_flight - count)
        self._wake.set()

    async def run(self, send: Send) -> None:
        """Send what comes until cancelled, or until the browser reads nothing any more."""
        while not self._too_slow:
            await self._wake.wait()
            self._wake.clear()
            if self._in_flight < MOST_IN_FLIGHT and (self._states or self._pictures):
                message = b"".join((*self._states, *self._pictures))
                self._states, self._pictures, self._waiting_bytes = [], [], 0
                self._in_flight += 1
                await send(message)

    def _add(self, record: bytes) -> None:
        self._waiting_bytes += len(record)
        if self._waiting_bytes > MOST_BYTES:
            self.dropped += 1
            self._pictures, self._waiting_bytes = [], 0
            self._waits_for_key |= self._cameras(self)
        else:
            self._pictures.append(record)
        self._wake.set()
