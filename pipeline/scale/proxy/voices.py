"""Which shard is heard for each camera: pure.

A camera that moves is served twice for a moment. The shard that it leaves is heard until boxes that a detection stands
behind come from the other one, and from then on not any more: nothing is lost, nothing comes twice, and a subscriber
sees a new session begin. Where the old shard is gone there is nothing to wait for.
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
        self._speaks: dict[str, str] = {}
        self._ever: set[str] = set()
        self._passing: dict[bytes, str] = {}

    def know(self, where: Mapping[str, str], shards: Collection[str]) -> None:
        """Cameras are to be heard from these shards from now on, as soon as they speak; `shards` are all there are."""
        if where == self._wanted and set(self._speaks.values()) <= set(shards):
            return
        self._wanted = dict(where)
        self._speaks = {camera_id: shard for camera_id, shard in self._speaks.items() if shard in shards}
        self._passing.clear()

    def hears(self, shard: str, topic_bytes: bytes, camera_id: str, body: bytes) -> bool:
        """Whether this message is for subscribers; notes who speaks."""
        if self._passing.get(topic_bytes) == shard:
            return True
        wanted, speaks = self._wanted.get(camera_id, shard), self._speaks.get(camera_id)
        if speaks is None or speaks == shard:
            if shard != wanted and (speaks is None or _is_farewell(topic_bytes, body)):
                return False
        elif shard != wanted or not _stands(topic_bytes, body):
            return False
        self._speaks[camera_id] = shard
        self._ever.add(camera_id)
        if shard == wanted and not topic_bytes.startswith(_STATES):
            self._passing[topic_bytes] = shard
        return True

    def silent(self) -> dict[str, bool]:
        """Cameras that are to be heard and for which nobody speaks; whether somebody ever did."""
        return {camera_id: camera_id in self._ever for camera_id in self._wanted if camera_id not in self._speaks}

    def forget(self, camera_id: str) -> None:
        """It has left the fleet."""
        self._speaks.pop(camera_id, None)
        self._ever.discard(camera_id)
        self._passing = {
            topic: shard for topic, shard in self._passing.items() if f"/{camera_id}/".encode() not in topic
        }


def is_removed(body: bytes) -> bool:
    """Whether a camera's state is its last."""
    return _states.decode(body).state == "removed"


def _is_farewell(topic_bytes: bytes, body: bytes) -> bool:
    """Whether a shard says that a camera has left, which has only left the shard."""
    return topic_bytes.startswith(_STATES) and is_removed(body)


def _stands(topic_bytes: bytes, body: bytes) -> bool:
    """Whether it is a frame with boxes that a detection stands behind, or that says that there are none."""
    return topic_bytes.startswith(_FRAMES) and _origins.decode(body).origin != "skipped"
