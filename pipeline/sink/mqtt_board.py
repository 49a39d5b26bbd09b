"""What the topics of an MQTT sink are to say: messages in, posts out; without a broker and without a clock.

A topic says how something is, not what happened: of a batch, the newest number of a class counts, and after an outage
the board comes to what is true now. So a batch that comes twice says the same as once.

Events are what happened: each is said once, in its order, and not kept by the broker, who would tell it to everybody
who comes later. The last ones are remembered by their names, since a batch may come twice.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec

from pipeline.clock import NS_PER_S
from pipeline.config.sinks.mqtt import MqttSettings
from pipeline.foreign import UNREADABLE
from pipeline.sink.body import identity_of, picture_of
from pipeline.sink.home_assistant import config_topic, device_config
from pipeline.sink.names import level, name_of
from pipeline.wire import CameraState, Event, Evidence, FleetState, FrameResult, Message, State

REMEMBERED = 1000
"""Events that are known to have been said."""
GONE_S = 60.0
"""So long a camera must be missing from what the fleet says of itself, until it is taken for removed: a fleet that has
just begun does not know all of its cameras, and what Home Assistant is told to forget, it forgets with its history."""

SILENT_S = 10.0
"""Messages come once a second at least while a fleet lives, so one that has been silent for so long does not."""

ONLINE, OFFLINE = b"online", b"offline"
CLEARED = b""
"""A retained message without a body takes the one before away (MQTT 3.1.1, section 3.3.1.3)."""


@dataclass(frozen=True, slots=True)
class Post:
    """One message; `retained` by the broker for those who come later."""

    topic: str
    payload: bytes
    retained: bool = True


class _SaidState(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What stands on the topic of a camera's state.

    Attributes:
        state: See `pipeline.wire.State`.
        detail: Why; empty while all is well.
        since: Wall time of ISO 8601; None where it is not known.
    """

    state: State
    detail: str
    since: str | None


@dataclass(slots=True)
class _Camera:
    """What is known of one.

    Attributes:
        classes: Names by level: all that were ever seen of it.
        newest: A frame that has not been told yet.
        told_at_s: When its frame was told last.
        missing_since_ns: Since when the fleet has not named it; None where it has.
        happenings: Zones and lines, and what has happened there.
    """

    classes: dict[str, str] = field(default_factory=dict)
    newest: FrameResult | None = None
    told_at_s: float = -math.inf
    missing_since_ns: int | None = None
    happenings: set[tuple[str, str]] = field(default_factory=set)


class Board:
    """What each topic is to say, and what it says."""

    def __init__(self, settings: MqttSettings, fleet: str) -> None:
        """An empty board.

        Args:
            settings: The sink's.
            fleet: The fleet's name.
        """
        self.prefix = settings.prefix or f"camfleet/{fleet}"
        self._settings, self._fleet = settings, fleet
        self._objects_every_s = 1 / settings.objects_hz if settings.objects_hz else math.inf
        self._cameras: dict[str, _Camera] = {}
        self._wanted: dict[str, bytes] = {}
        self._told: dict[str, bytes] = {}
        self._moments: dict[str, Post] = {}
        self._said: dict[str, None] = {}
        self._heard_at_s: float | None = None
        self._of_camera = re.compile(rf"{re.escape(self.prefix)}/([A-Za-z0-9][\w.-]*)/(?:state|objects|count/([^/]+))")

    def remember(self, kept: Mapping[str, bytes]) -> None:
        """What the broker has kept: of cameras and classes of an earlier life, so that nothing of them stays behind.

        Whoever else uses the prefix keeps what is theirs: a camera is ours where its state is of our making.
        """
        found = {topic: found for topic in kept if (found := self._of_camera.fullmatch(topic))}
        ours = {one[1] for topic, one in found.items() if topic.endswith("/state") and _is_state(kept[topic])}
        for topic, one in found.items():
            if one[1] in ours:
                self._remember(topic, one[1], one[2])

    def _remember(self, topic: str, camera_id: str, one_level: str | None) -> None:
        if self._settings.cameras is not None and camera_id not in self._settings.cameras:
            self._remove(camera_id)
            self._wanted[topic] = CLEARED
            return
        camera = self._cameras.setdefault(camera_id, self._new_camera())
        if one_level and one_level not in camera.classes:
            name = name_of(one_level)
            if name is None or self._settings.classes is not None:
                # Too long to be read back, or not asked for any more.
                self._wanted.setdefault(topic, CLEARED)
            else:
                camera.classes[one_level] = name

    def take(self, batch: Sequence[Message], now_s: float) -> None:
        """Bring the board up to date.

        Args:
            batch: Messages in their order; none says nothing.
            now_s: Monotonic time.
        """
        if batch or self._heard_at_s is None:
            self._heard_at_s = now_s
        frames: dict[str, FrameResult] = {}
        for message in batch:
            if isinstance(message, FrameResult):
                # Skipped is not empty: of such a frame nothing is known.
                if message.origin != "skipped":
                    frames[message.camera_id] = message
            elif isinstance(message, CameraState):
                if message.state == "removed":
                    frames.pop(message.camera_id, None)
                    self._remove(message.camera_id)
                else:
                    self._say_state(message)
            elif isinstance(message, Event):
                self._happen(message)
            elif isinstance(message, Evidence):
                self._keep(message)
            elif isinstance(message, FleetState):
                self._look_for_missing(message)
        for frame in frames.values():
            self._say_counts(frame)

    def due(self, now_s: float) -> list[Post]:
        """What has to be published, in an order that announces a camera before its numbers.

        Args:
            now_s: Monotonic time.
        """
        silent = self._heard_at_s is not None and now_s - self._heard_at_s > SILENT_S
        self._wanted[f"{self.prefix}/status"] = OFFLINE if silent else ONLINE
        for camera_id, camera in self._cameras.items():
            if camera.newest is not None and now_s - camera.told_at_s >= self._objects_every_s:
                self._wanted[f"{self.prefix}/{camera_id}/objects"] = msgspec.json.encode(camera.newest)
                camera.newest, camera.told_at_s = None, now_s
        board = [Post(topic, payload) for topic, payload in self._wanted.items() if self._told.get(topic) != payload]
        return [*board, *self._moments.values()]

    def told(self, posts: Sequence[Post]) -> None:
        """These are at the broker."""
        for post in posts:
            if not post.retained:
                self._said |= {name: None for name, one in self._moments.items() if one is post}
                self._moments = {name: one for name, one in self._moments.items() if one is not post}
                while len(self._said) > REMEMBERED:
                    del self._said[next(iter(self._said))]
            elif post.payload == CLEARED:
                self._told.pop(post.topic, None)
                if self._wanted.get(post.topic) == CLEARED:
                    del self._wanted[post.topic]
            else:
                self._told[post.topic] = post.payload

    def tell_anew(self) -> None:
        """The broker may have forgotten everything: all of it is due."""
        self._told.clear()

    def _say_state(self, state: CameraState) -> None:
        self._known(state.camera_id)
        since = datetime.fromtimestamp(state.since_ns / NS_PER_S, UTC).isoformat(timespec="milliseconds")
        said = _SaidState(state=state.state, detail=state.detail, since=since if state.since_ns else None)
        self._wanted[f"{self.prefix}/{state.camera_id}/state"] = msgspec.json.encode(said)

    def _happen(self, event: Event) -> None:
        """Something is to be said once."""
        camera, name = self._known(event.camera_id), identity_of(event)
        if name in self._said or name in self._moments:
            return
        topic = f"{self.prefix}/{event.camera_id}/events/{event.rule}"
        self._moments[name] = Post(topic, msgspec.json.encode(event), retained=False)
        if new := {(event.rule, event.happening)} - camera.happenings:
            camera.happenings |= new
            self._announce(event.camera_id, camera)

    def _keep(self, kept: Evidence) -> None:
        """Evidence of an event is said once; its picture stands until the next."""
        self._known(kept.camera_id)
        name = identity_of(kept)
        if name in self._said or name in self._moments:
            return
        topic = f"{self.prefix}/{kept.camera_id}"
        self._moments[name] = Post(f"{topic}/evidence/{kept.rule}", msgspec.json.encode(kept), retained=False)
        if self._settings.snapshots and (jpeg := picture_of(kept)):
            self._wanted[f"{topic}/snapshot"] = jpeg

    def _say_counts(self, frame: FrameResult) -> None:
        camera = self._known(frame.camera_id)
        if self._objects_every_s < math.inf:
            camera.newest = frame
        numbers = Counter(box.class_name for box in frame.tracks)
        if new := {level(name): name for name in numbers if level(name) not in camera.classes}:
            camera.classes.update(new)
            self._announce(frame.camera_id, camera)
        for one_level, name in camera.classes.items():
            self._wanted[f"{self.prefix}/{frame.camera_id}/count/{one_level}"] = b"%d" % numbers[name]

    def _new_camera(self) -> _Camera:
        return _Camera(classes={level(name): name for name in self._settings.classes or ()})

    def _known(self, camera_id: str) -> _Camera:
        """A camera that belongs to the fleet; announced, if it has not been."""
        camera = self._cameras.setdefault(camera_id, self._new_camera())
        camera.missing_since_ns = None
        if self._wanted.get(self._config_topic(camera_id), CLEARED) == CLEARED:
            self._announce(camera_id, camera)
        return camera

    def _announce(self, camera_id: str, camera: _Camera) -> None:
        if self._settings.discovery:
            self._wanted[self._config_topic(camera_id)] = device_config(
                self._fleet,
                camera_id,
                self.prefix,
                camera.classes,
                camera.happenings,
                self._settings.qos,
                snapshots=self._settings.snapshots,
            )

    def _look_for_missing(self, fleet: FleetState) -> None:
        for camera_id, camera in list(self._cameras.items()):
            if camera_id in fleet.cameras:
                camera.missing_since_ns = None
            elif camera.missing_since_ns is None:
                camera.missing_since_ns = fleet.at_ns
            elif fleet.at_ns - camera.missing_since_ns >= GONE_S * NS_PER_S:
                self._remove(camera_id)

    def _remove(self, camera_id: str) -> None:
        """Leave nothing of a camera at the broker."""
        camera = self._cameras.pop(camera_id, self._new_camera())
        for topic in (
            *([self._config_topic(camera_id)] if self._settings.discovery else []),
            *(f"{self.prefix}/{camera_id}/count/{one_level}" for one_level in camera.classes),
            f"{self.prefix}/{camera_id}/objects",
            f"{self.prefix}/{camera_id}/state",
            *([f"{self.prefix}/{camera_id}/snapshot"] if self._settings.snapshots else []),
        ):
            self._wanted[topic] = CLEARED

    def _config_topic(self, camera_id: str) -> str:
        return config_topic(self._settings.discovery_prefix, self._fleet, camera_id)


def _is_state(payload: bytes) -> bool:
    """Whether it is what `_say_state` says."""
    try:
        msgspec.json.decode(payload, type=_SaidState)
    except UNREADABLE:
        return False
    return True
