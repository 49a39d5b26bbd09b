"""What a page hears of its fleet: the newest of everything, and everything to those who listen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import structlog
import zmq

from pipeline.client.reading import Reading, Wanted
from pipeline.errors import WireError
from pipeline.web.inlet import Inlets, subscriber
from pipeline.wire import CameraState, FleetState, Message, prefixes

log = structlog.get_logger()

QUEUE = 20_000
"""Messages that wait while the page is busy: twenty seconds of sixty cameras; beyond them the newest are lost."""

Listener = Callable[[Message], None]


class Heard:
    """The fleet as its messages tell it. Not thread-safe; belongs to an event loop.

    Attributes:
        fleet: The fleet's name.
        directory: The run's, where cameras show their pictures and the fleet can be asked.
        listeners: Each gets every message, as soon as it is here; they must not block.
    """

    def __init__(self, fleet: str, directory: Path, inside: str) -> None:
        """Remember where; nothing is heard before `open`."""
        self.fleet, self.directory = fleet, directory
        self.listeners: list[Listener] = []
        self._inside = inside
        self._reading = Reading(Wanted((Message,)))

    @property
    def cameras(self) -> dict[str, CameraState]:
        """The newest state of each camera."""
        return {name: state for name, state in self._reading.states.items() if state.state != "removed"}

    @property
    def state(self) -> FleetState | None:
        """The newest word on the fleet; None before the first."""
        return self._reading.fleets.get(self.fleet)

    def knows(self, camera_id: str) -> bool:
        """Whether the fleet has such a camera, though it may have said nothing yet."""
        state = self._reading.states.get(camera_id)
        if state is None:
            return self.state is not None and camera_id in self.state.cameras
        return state.state != "removed"

    def open(self, inlets: Inlets) -> None:
        """Begin to hear."""
        socket = subscriber(self._inside, QUEUE)
        for prefix in prefixes(None):
            socket.setsockopt(zmq.SUBSCRIBE, prefix)
        inlets.add(socket, self._hear)

    def _hear(self, batch: list[list[bytes]]) -> None:
        for parts in batch:
            try:
                message = self._reading.take(parts)
            except WireError as error:
                log.error("a message cannot be read and is passed over", why=str(error))
                continue
            if message is not None:
                for listener in self.listeners:
                    listener(message)
