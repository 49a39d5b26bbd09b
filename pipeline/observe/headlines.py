"""A fleet without its frames: how it and its cameras are, which a slow line carries, too.

Frames are not subscribed to, so sixty cameras are some 30 KB a second.
"""

from __future__ import annotations

import math
import time
from types import TracebackType
from typing import Self

from pipeline.client.connect import Connection, Key
from pipeline.client.reading import Reading, Wanted
from pipeline.client.silence import hint
from pipeline.wire import CameraState, FleetState

QUEUE = 10_000


class Headlines:
    """What a fleet says of itself. Use it from one thread.

    Attributes:
        fleet: Its newest word on itself; None before the first.
    """

    def __init__(self, endpoint: str, key: Key | None = None) -> None:
        """Subscribe.

        Raises:
            PublishError: The endpoint is not one that ZeroMQ knows, or the key cannot be read.
        """
        self._connection = Connection(endpoint, None, queue=QUEUE, frames=False, key=key)
        self._has_key = key is not None
        self._reading = Reading(Wanted((CameraState, FleetState)))
        self._heard_s: dict[str, float] = {}
        self._told_s = 0.0
        self.fleet: FleetState | None = None

    def listen(self, for_s: float) -> None:
        """Hear what comes within so long; blocks until then.

        Raises:
            WireError: What came is no message of a version this client knows.
        """
        end_s = time.monotonic() + for_s
        while (left_s := end_s - time.monotonic()) > 0:
            if self._connection.socket.poll(math.ceil(1000 * left_s)):
                self._hear()

    @property
    def states(self) -> dict[str, CameraState]:
        """What each camera of the fleet last said of itself."""
        return {name: one for name, one in self._reading.states.items() if one.state != "removed"}

    @property
    def told_s_ago(self) -> float | None:
        """How old the fleet's word is; None before the first."""
        return None if self.fleet is None else time.monotonic() - self._told_s

    def heard_s_ago(self, camera_id: str) -> float | None:
        """How old a camera's word is; None before the first."""
        heard_s = self._heard_s.get(camera_id)
        return None if heard_s is None else time.monotonic() - heard_s

    @property
    def silence(self) -> str:
        """What may be wrong where nothing is heard at all."""
        connected = self._connection.connected > 0
        return hint(self._connection.endpoints, connected=connected, has_key=self._has_key)

    def close(self) -> None:
        """Hear no more. May be called again."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _hear(self) -> None:
        message = self._reading.take(self._connection.socket.recv_multipart())
        if isinstance(message, FleetState):
            self.fleet, self._told_s = message, time.monotonic()
        elif isinstance(message, CameraState):
            self._heard_s[message.camera_id] = time.monotonic()
