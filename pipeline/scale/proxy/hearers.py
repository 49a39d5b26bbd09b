"""Those who hear the same of a proxy: outlets, and the newest of each topic for whoever subscribes later."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from pipeline.relay.outlet import Outlet
from pipeline.wire import CompactFrame, FrameResult, camera_of, compact, decode, encode, topic

_FRAMES, _COMPACT = topic(FrameResult.kind), topic(CompactFrame.kind)


class Hearers:
    """Not thread-safe.

    Attributes:
        outlets: Where these readers connect.
    """

    def __init__(self, outlets: Sequence[Outlet], cameras: Collection[str] | None = None) -> None:
        """Begin with nothing; `cameras` is all that they ever hear of, None for everything."""
        self.outlets = tuple(outlets)
        self._cameras = None if cameras is None else frozenset(cameras)
        self._newest: dict[bytes, bytes] = {}

    @property
    def want_compact(self) -> bool:
        """Whether somebody subscribes to compact frames by name."""
        return any(outlet.wants_compact for outlet in self.outlets)

    def may_hear(self, camera_id: str) -> bool:
        """Whether this camera is for these readers."""
        return self._cameras is None or camera_id in self._cameras

    def hand_on(self, topic_bytes: bytes, body: bytes) -> bool:
        """Send a message to whoever subscribes to it; False for one that was the last of its topic already."""
        if self._newest.get(topic_bytes) == body:
            return False
        if topic_bytes.startswith(_COMPACT):
            for outlet in self.outlets:
                if outlet.wants_compact:
                    outlet.send(topic_bytes, body)
            return True
        self._newest[topic_bytes] = body
        for outlet in self.outlets:
            outlet.send(topic_bytes, body)
        return True

    def repeat(self, now_s: float) -> None:
        """Give newcomers the newest of what they have subscribed to."""
        for outlet in self.outlets:
            if wanted := tuple(outlet.repeats.take(now_s)):
                for topic_bytes, body in self._newest.items():
                    if topic_bytes.startswith(wanted):
                        _repeat(outlet, topic_bytes, body)

    def forget(self, camera_id: str) -> None:
        """A camera that has left is not repeated to newcomers."""
        for one in [one for one in self._newest if one.count(b"/") > 1 and camera_of(one) == camera_id]:
            del self._newest[one]


def _repeat(outlet: Outlet, topic_bytes: bytes, body: bytes) -> None:
    outlet.send(topic_bytes, body)
    if outlet.wants_compact and topic_bytes.startswith(_FRAMES):
        # Of a camera that stands still no shard would make one for a while.
        frame = decode(topic_bytes, body)
        assert isinstance(frame, FrameResult)
        short = compact(frame)
        outlet.send(short.topic, encode(short))
