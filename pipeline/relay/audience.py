"""Those who hear the same: all cameras, or the few that their keys may hear; the rest reaches no socket of theirs."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from msgspec.structs import replace

from pipeline.publish import LanesInUse, Roster
from pipeline.relay.history import History
from pipeline.relay.outlet import Outlet
from pipeline.relay.overview import Overview
from pipeline.wire import CameraState, FrameResult, camera_of, compact, decode, encode

_FRAMES, _STATES = f"{FrameResult.kind}/".encode(), f"{CameraState.kind}/".encode()


class Audience:
    """Outlets with the same messages, their numbers, and what they are told of the fleet. Not thread-safe.

    Attributes:
        outlets: Where these readers connect.
        history: What was published to them.
    """

    def __init__(
        self,
        outlets: Sequence[Outlet],
        history: History,
        overview: Overview,
        cameras: Collection[str] | None = None,
    ) -> None:
        """Begin with nothing published; `cameras` is all that is ever published to them, None for everything."""
        self.outlets, self.history = tuple(outlets), history
        self._overview = overview
        self._cameras = None if cameras is None else frozenset(cameras)

    def know(self, roster: Roster) -> None:
        """The supervisor says who belongs to the fleet; names of processes tell of cameras, too."""
        if self._cameras is not None:
            own = tuple(name for name in roster.cameras if name in self._cameras)
            roster = replace(roster, cameras=own, processes=())
        self._overview.know(roster)

    def use(self, lanes: LanesInUse, now_s: float) -> None:
        """A worker says how much of its detector is used; told to those who hear of processes."""
        self._overview.use(lanes, now_s)

    def publish(self, topic: bytes, body: bytes, now_s: float) -> None:
        """Number a message about a camera, send it, and see what it says; nothing if it is not for these readers."""
        if self._cameras is not None and camera_of(topic) not in self._cameras:
            return
        self._number_and_send(topic, body, now_s)
        if topic.startswith(_FRAMES):
            self._overview.hear_frame(body, now_s)
        elif topic.startswith(_STATES) and (gone := self._overview.hear_state(body)) is not None:
            self.history.forget(gone)

    def tell(self, now_s: float, wall_ns: int) -> None:
        """Say how the fleet is, as far as these readers hear of it."""
        state = self._overview.tell(now_s, wall_ns)
        self._number_and_send(state.topic, encode(state), now_s)

    def repeat(self, now_s: float) -> None:
        """Give newcomers the newest of what they have subscribed to."""
        for outlet in self.outlets:
            for topic, body in self.history.newest(outlet.repeats.take(now_s)):
                _send(outlet, topic, body)

    def _number_and_send(self, topic: bytes, body: bytes, now_s: float) -> None:
        numbered = self.history.add(topic, body, now_s)
        for outlet in self.outlets:
            _send(outlet, topic, numbered)


def _send(outlet: Outlet, topic: bytes, body: bytes) -> None:
    outlet.send(topic, body)
    if outlet.wants_compact and topic.startswith(_FRAMES):
        frame = decode(topic, body)
        assert isinstance(frame, FrameResult)
        short = compact(frame)
        outlet.send(short.topic, encode(short))
