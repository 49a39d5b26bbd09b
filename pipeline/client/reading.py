"""What a subscriber makes of the bytes that come, without sockets: what is for the caller, and what was missed.

The publisher numbers the messages of each topic. A number that is not above the last is a repeat for somebody who has
just come, and is left out; one that jumps says how many messages were lost on the way. A publisher that was started
again begins anew with another id; across it, frames are counted by their own numbers.

A fleet on several machines has a publisher on each, and a camera that moves comes from another. Whoever hears two
proxies of such a fleet gets everything twice: the numbers of the publishers that a camera has left stay known, so that
what the slower proxy still says of them is a repeat, too.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from pipeline.clock import Clock, SystemClock
from pipeline.errors import WireError
from pipeline.wire import CameraMessage, CameraState, CompactFrame, FleetState, FrameResult, Message, decode

log = logging.getLogger("camfleet.client")

MOST_LEFT = 8
"""Publishers of a topic that are remembered behind the newest one."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a subscriber is for.

    Attributes:
        kinds: Types of messages that the caller gets.
        classes: Names of the classes whose objects the caller gets; None for all.
        min_score: The lowest score of objects that the caller gets.
        present: Whether boxes are carried to the moment at which the caller gets them.
    """

    kinds: tuple[type[Message], ...] = (FrameResult,)
    classes: Collection[str] | None = None
    min_score: float = 0.0
    present: bool = False


@dataclass(frozen=True, slots=True)
class Statistics:
    """What a subscriber has heard so far.

    Attributes:
        received: Messages, repeats not counted.
        repeated: Messages that came again, for others who had just come or by a second proxy; the caller does not get
            them.
        missed: Frames that were published and did not arrive, by camera: the reader was too slow for its queue, or the
            connection was away.
        reconnects: How often a connection was made again.
        publisher_restarts: How often a fleet's publisher was started again; of a fleet on several machines, how many
            publishers have taken over a camera.
    """

    received: int = 0
    repeated: int = 0
    missed: Mapping[str, int] = field(default_factory=dict)
    reconnects: int = 0
    publisher_restarts: int = 0


@dataclass(slots=True)
class _Place:
    """How far a topic of a fleet has been read."""

    publisher: str
    number: int
    session_id: str = ""
    frame_id: int = 0


class Reading:
    """Reads one subscriber's messages, in their order. Not thread-safe.

    Attributes:
        states: The newest `CameraState` of each camera.
        fleets: The newest `FleetState` of each fleet, by its name.
    """

    def __init__(self, wanted: Wanted, clock: Clock | None = None) -> None:
        self.states: dict[str, CameraState] = {}
        self.fleets: dict[str, FleetState] = {}
        self._wanted, self._clock = wanted, clock or SystemClock()
        self._places: dict[tuple[str, bytes], _Place] = {}
        self._left: dict[tuple[str, bytes], dict[str, int]] = {}
        self._successors: set[tuple[str, str]] = set()
        self._received = self._repeated = 0
        self._missed: Counter[str] = Counter()

    def take(self, parts: Sequence[bytes]) -> Message | None:
        """What came is read and counted; the message if it is for the caller.

        Raises:
            WireError: It is no message of a version this client knows.
        """
        if len(parts) != 2:
            raise WireError(f"a message of {len(parts)} parts is none of camfleet's; expected topic and body")
        message = decode(parts[0], parts[1])
        if self._is_repeat(parts[0], message):
            self._repeated += 1
            return None
        self._received += 1
        if isinstance(message, CompactFrame):
            message = message.expand()
        if isinstance(message, CameraState):
            self.states[message.camera_id] = message
        elif isinstance(message, FleetState):
            self.fleets[message.fleet] = message
        if not isinstance(message, self._wanted.kinds):
            return None
        if not isinstance(message, FrameResult):
            return message
        chosen = self._chosen(message)
        return chosen.at(self._clock.wall_ns()) if self._wanted.present else chosen

    def statistics(self, reconnects: int) -> Statistics:
        """What was heard so far; `reconnects` is what the socket's owner has counted."""
        return Statistics(self._received, self._repeated, dict(self._missed), reconnects, len(self._successors))

    def _chosen(self, result: FrameResult) -> FrameResult:
        """The frame with the objects that the caller wants."""
        classes, least = self._wanted.classes, self._wanted.min_score
        if classes is None and not least:
            return result
        kept = tuple(
            box for box in result.tracks if box.score >= least and (classes is None or box.class_name in classes)
        )
        return result if len(kept) == len(result.tracks) else replace(result, tracks=kept)

    def _is_repeat(self, topic: bytes, message: Message) -> bool:
        """Note how far the topic has been read; whether the message was read already."""
        if not message.number:
            return False  # a publisher of before there were numbers
        key = message.fleet, topic
        place = self._places.get(key)
        if message.number <= self._number(key, message.publisher):
            return True
        if place is not None and place.publisher != message.publisher:
            self._leave(key, place, message)
        if place is not None and isinstance(message, CameraMessage):
            self._miss(message.camera_id, _missed(place, message))
        frame = message if isinstance(message, FrameResult | CompactFrame) else None
        self._places[key] = _Place(
            message.publisher,
            message.number,
            "" if frame is None else frame.session_id,
            0 if frame is None else frame.frame_id,
        )
        return False

    def _number(self, key: tuple[str, bytes], publisher: str) -> int:
        """How far that publisher was heard on a topic."""
        place = self._places.get(key)
        if place is None or place.publisher == publisher:
            return 0 if place is None else place.number
        return self._left.get(key, {}).get(publisher, 0)

    def _leave(self, key: tuple[str, bytes], place: _Place, message: Message) -> None:
        """Another publisher speaks on a topic than did."""
        left = self._left.setdefault(key, {})
        left.pop(place.publisher, None)
        left[place.publisher] = place.number
        while len(left) > MOST_LEFT:
            del left[next(iter(left))]
        if not isinstance(message, CameraState):
            self._successors.add((message.fleet, message.publisher))

    def _miss(self, camera_id: str, count: int) -> None:
        if not count:
            return
        if not self._missed:
            log.warning(
                "%d frames of camera %s were published and did not arrive; this reader is too slow, or the connection "
                "was away (more are counted and not told)",
                count,
                camera_id,
            )
        self._missed[camera_id] += count


def _missed(place: _Place, message: Message) -> int:
    """How many frames lie between the last message of a topic and this one."""
    if not isinstance(message, FrameResult | CompactFrame):
        return 0
    if message.publisher == place.publisher:
        return message.number - place.number - 1
    if message.session_id != place.session_id:
        return 0
    return max(0, message.frame_id - place.frame_id - 1 - sum(message.lost.values()))
