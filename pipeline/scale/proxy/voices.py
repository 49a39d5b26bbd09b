"""Which shard is heard for each camera: pure.

A camera that moves is served twice for a moment. The shard that it leaves is heard until boxes that a detection stands
behind come from the other one, and from then on not any more: nothing is lost, nothing comes twice, and a subscriber
sees a new session begin. Where the old shard is gone, or is not to have the camera any more, there is nothing to wait
for: a camera that is paused or cannot be reached has no boxes anywhere, and a machine that is cut off says no farewell.
After a camera has left the fleet, a shard that was cut off and does not know of it yet is not heard.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec

from pipeline.wire import CameraState, FrameResult, topic

_FRAMES, _STATES = topic(FrameResult.kind), topic(CameraState.kind)


class _Origin(msgspec.Struct):
    origin: str


class _State(msgspec.Struct):
    state: str


_origins, _states = msgspec.msgpack.Decoder(_Origin), msgspec.msgpack.Decoder(_State)


class Voices:
    """Who speaks for each camera. Not thread-safe."""

    def __init__(self) -> None:
        self._wanted: dict[str, str] = {}
        self._leaving: dict[str, str] = {}
        self._homeless: frozenset[str] = frozenset()
        self._left: set[str] = set()
        self._unsaid: set[str] = set()
        self._early: dict[str, tuple[bytes, bytes]] = {}
        self._speaks: dict[str, str] = {}
        self._ever: set[str] = set()
        self._passing: dict[bytes, str] = {}

    def know(
        self,
        where: Mapping[str, str],
        shards: Collection[str],
        leaving: Mapping[str, str] | None = None,
        homeless: Collection[str] = (),
    ) -> None:
        """Cameras are to be heard from these shards from now on, as soon as they speak.

        Args:
            where: The shard of each camera that has one.
            shards: All there are; whoever is not among them speaks for nobody any more.
            leaving: The old shard of each camera that moves, which may speak until the new one does.
            homeless: Cameras of the fleet that have no shard.
        """
        before, now = {*self._wanted, *self._homeless}, {*where, *homeless}
        self._left = (self._left | before) - now
        self._unsaid = (self._unsaid | (before - now)) - now
        self._wanted, self._leaving, self._homeless = dict(where), dict(leaving or {}), frozenset(homeless)
        self._speaks = {name: self._heir(name, shard) for name, shard in self._speaks.items() if shard in shards}
        self._passing.clear()

    def hears(self, shard: str, topic_bytes: bytes, camera_id: str, body: bytes) -> bool:
        """Whether this message is for subscribers; notes who speaks."""
        if self._passing.get(topic_bytes) == shard:
            return True
        speaks = self._speaks.get(camera_id)
        if camera_id in self._left or camera_id in self._homeless or shard != self._wanted.get(camera_id, shard):
            if shard != speaks:
                return False
        elif speaks not in (None, shard) and not _stands(topic_bytes, body):
            return False
        if camera_id not in self._left and self._is_in_fleet(camera_id) and _is_farewell(topic_bytes, body):
            self._let_go(camera_id, shard)
            self._early[camera_id] = topic_bytes, body
            return False
        self._early.pop(camera_id, None)
        self._speaks[camera_id] = shard
        self._ever.add(camera_id)
        if shard == self._wanted.get(camera_id) and not topic_bytes.startswith(_STATES):
            self._passing[topic_bytes] = shard
        return True

    def silent(self) -> dict[str, bool]:
        """Cameras that are to be heard and for which nobody speaks; whether somebody ever did."""
        return {camera_id: camera_id in self._ever for camera_id in self._wanted if camera_id not in self._speaks}

    def take_farewells(self) -> list[tuple[str, bytes, bytes]]:
        """Farewells, with their cameras and topics, that were heard before it was known that those leave the fleet."""
        found = [(name, *self._early.pop(name)) for name in list(self._early) if name in self._unsaid]
        return [one for one in found if one[0] not in self._speaks]

    def departed(self) -> set[str]:
        """Cameras that have left the fleet, and nobody has said so, or is there to say it."""
        return {camera_id for camera_id in self._unsaid if camera_id not in self._speaks}

    def forget(self, camera_id: str) -> None:
        """It was said that it has left the fleet."""
        self._speaks.pop(camera_id, None)
        self._ever.discard(camera_id)
        self._unsaid.discard(camera_id)
        self._early.pop(camera_id, None)
        self._passing = {
            topic: shard for topic, shard in self._passing.items() if f"/{camera_id}/".encode() not in topic
        }

    def _is_in_fleet(self, camera_id: str) -> bool:
        return camera_id in self._wanted or camera_id in self._homeless

    def _heir(self, camera_id: str, speaks: str) -> str:
        """Who speaks from now on for a camera for which this shard has spoken."""
        if speaks == self._leaving.get(camera_id):
            return speaks
        return self._wanted.get(camera_id, speaks)

    def _let_go(self, camera_id: str, shard: str) -> None:
        """A shard has let go of a camera that is still in the fleet: whoever is to have it speaks for it."""
        wanted = self._wanted.get(camera_id, shard)
        if wanted != shard:
            self._speaks[camera_id] = wanted
        else:
            self._speaks.pop(camera_id, None)
            self._ever.discard(camera_id)


def is_removed(body: bytes) -> bool:
    """Whether a camera's state is its last."""
    return _states.decode(body).state == "removed"


def _is_farewell(topic_bytes: bytes, body: bytes) -> bool:
    """Whether a shard says that a camera has left."""
    return topic_bytes.startswith(_STATES) and is_removed(body)


def _stands(topic_bytes: bytes, body: bytes) -> bool:
    """Whether it is a frame with boxes that a detection stands behind, or that says that there are none."""
    return topic_bytes.startswith(_FRAMES) and _origins.decode(body).origin != "skipped"
