"""What the subscriber of threads and that of asyncio have in common: what is asked for, and what is known."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypedDict

from pipeline.client.connect import Connection, Key, one_or_more
from pipeline.client.reading import Reading, Statistics, Wanted, log
from pipeline.client.silence import HINT_S, hint, unknown_cameras, why_silent
from pipeline.wire import CameraState, Event, Evidence, FleetState, FrameResult, Message, topic

_FLEET = topic(FleetState.kind)
QUEUE = 1000
"""Messages kept while the caller is busy, unless it says otherwise."""


class Settings(TypedDict, total=False):
    """What a subscriber may be told besides where to listen.

    Attributes:
        classes: Names of classes, or one; objects of others are left out of the frames, which all come.
        min_score: Objects below are left out, likewise.
        timeout_s: How long `receive` and the iterator wait for a message; without it, for ever.
        queue: Messages kept while the caller is busy (ZMQ_RCVHWM; 1000 without it, 0 for any number); beyond it new
            ones are lost, and counted.
        present: Give boxes carried to the moment at which a frame is handed over, see `FrameResult.at`.
        compact: Let frames travel in a sixth of the bytes, their boxes rounded to tenths of a pixel.
        key: What opens an endpoint that wants one.
    """

    classes: str | Iterable[str] | None
    min_score: float
    timeout_s: float | None
    queue: int
    present: bool
    compact: bool
    key: Key | None


class BaseSubscriber:
    """A connection and what was read from it."""

    def __init__(
        self,
        endpoint: str | Iterable[str],
        cameras: str | Iterable[str] | None,
        states: bool | Literal["all"],
        settings: Settings,
        *,
        events: bool | Literal["all"],
    ) -> None:
        """Connect; raises as the subscribers do."""
        classes, key = settings.get("classes"), settings.get("key")
        wanted = Wanted(
            _kinds_of_events(events) if events else _kinds(states),
            None if classes is None else frozenset(one_or_more(classes)),
            settings.get("min_score", 0.0),
            present=settings.get("present", False),
        )
        self._reading = Reading(wanted)
        self._cameras = None if cameras is None else one_or_more(cameras)
        self._told_unknown = False
        self._timeout_s, self._has_key = settings.get("timeout_s"), key is not None
        self._connection = Connection(
            endpoint,
            self._cameras,
            queue=settings.get("queue", QUEUE),
            compact=settings.get("compact", False),
            frames=not events,
            key=key,
        )

    @property
    def states(self) -> dict[str, CameraState]:
        """The newest state of each camera, kept up to date while messages are read."""
        return self._reading.states

    @property
    def fleets(self) -> dict[str, FleetState]:
        """How each fleet is, by its name, likewise."""
        return self._reading.fleets

    def statistics(self) -> Statistics:
        """What was heard and missed so far."""
        return self._reading.statistics(self._connection.reconnects)

    def why_silent(self) -> str:
        """What is known about why no frame comes: of the cameras, of the fleet, or of the connection."""
        if self.states or self.fleets:
            return why_silent(self.states, self.fleets, self._cameras or ())
        return self._hint()

    def _take(self, parts: list[bytes]) -> Message | None:
        """What came, if it is for the caller; says once that a camera asked for is none of the fleet's."""
        message = self._reading.take(parts)
        if self._cameras and not self._told_unknown and parts[0] == _FLEET:
            every = len(self.fleets) >= len(self._connection.endpoints)
            unheard = [one for one in self._cameras if one not in self.states]
            if every and (words := unknown_cameras(unheard, self.fleets)):
                self._told_unknown = True
                log.warning(words)
        return message

    def _hint(self, for_s: float | None = None) -> str:
        """What may be wrong where nothing at all was heard, in that time if it is told."""
        connected = self._connection.connected > 0
        return hint(self._connection.endpoints, connected=connected, has_key=self._has_key, for_s=for_s)

    def _tell_silence(self) -> None:
        """Say where this listens, and what may be wrong."""
        log.warning(self._hint(HINT_S))


def _kinds(states: bool | Literal["all"]) -> tuple[type[Message], ...]:
    """The kinds of messages that the caller gets."""
    if states == "all":
        return (FrameResult, CameraState, FleetState, Event, Evidence)
    return (FrameResult, CameraState) if states else (FrameResult,)


def _kinds_of_events(events: bool | Literal["all"]) -> tuple[type[Message], ...]:
    """Likewise, of one who asked for events."""
    return (Event, Evidence) if events == "all" else (Event,)
