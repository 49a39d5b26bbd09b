"""What a proxy says itself, once in each second: how the whole fleet is, and cameras for which nobody speaks."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping

from pipeline.clock import NS_PER_MS, NS_PER_S, Clock
from pipeline.scale.proxy.orders import Orders
from pipeline.scale.proxy.whole import Whole
from pipeline.wire import CameraState, FleetState, Message, State, encode, publisher_id, stamp

MOST_MS = 250
GONE = "its machine is gone; another takes it up"
REMOVED = "removed from the fleet"


class Teller:
    """Numbers are the wall clock's seconds, so that they are the same at every proxy. Not thread-safe.

    Attributes:
        whole: What the shards say of themselves.
    """

    def __init__(self, fleet: str, clock: Clock) -> None:
        """Begin; the first second is the next."""
        self.whole = Whole(fleet, clock.wall_ns())
        self._fleet, self._clock = fleet, clock
        self._publisher = publisher_id(f"proxy.{hashlib.blake2s(fleet.encode(), digest_size=6).hexdigest()}")
        self._second, self._told_ns = clock.wall_ns() // NS_PER_S, clock.monotonic_ns()
        self._since_ns: dict[str, int] = {}

    def due_ms(self) -> int:
        """How long until the next second of the wall clock begins, or until one is over that was set back; 0 if so."""
        left_ns = (self._second + 1) * NS_PER_S - self._clock.wall_ns()
        over_ns = self._told_ns + NS_PER_S - self._clock.monotonic_ns()
        return min(MOST_MS, max(0, math.ceil(min(left_ns, over_ns) / NS_PER_MS)))

    def begin(self) -> None:
        """Another second. A clock that was set back must not silence the fleet, nor may a number be said twice."""
        self._second = max(self._second + 1, self._clock.wall_ns() // NS_PER_S)
        self._told_ns = self._clock.monotonic_ns()

    def number(self, message: Message) -> bytes:
        """What is sent of a message of this second."""
        return stamp(encode(message), self._publisher, self._second)

    def fleet(self, orders: Orders, silent: Mapping[str, str | None]) -> FleetState:
        """How the fleet is; `silent` as `silences` gives it."""
        return self.whole.tell(orders, silent, self._clock.monotonic_ns() / NS_PER_S, self._clock.wall_ns())

    def cameras(self, silent: Mapping[str, str | None]) -> Iterator[CameraState]:
        """How the cameras are for which nobody speaks."""
        wall_ns = self._clock.wall_ns()
        self._since_ns = {name: self._since_ns.get(name, wall_ns) for name in silent}
        for name, why in silent.items():
            yield self._state(name, "connecting" if why is None else "retrying", why or "", self._since_ns[name])

    def farewell(self, camera_id: str) -> CameraState:
        """That a camera has left the fleet whose shard is not there to say so."""
        return self._state(camera_id, "removed", REMOVED, self._clock.wall_ns())

    def _state(self, camera_id: str, state: State, detail: str, since_ns: int) -> CameraState:
        return CameraState(
            fleet=self._fleet,
            camera_id=camera_id,
            session_id="",
            state=state,
            detail=detail,
            since_ns=since_ns,
            at_ns=self._clock.wall_ns(),
        )


def silences(orders: Orders, silent: Mapping[str, bool]) -> dict[str, str | None]:
    """Cameras for which nobody speaks, and why; None for those that are still awaited.

    Args:
        orders: Which have no home.
        silent: Those that are to be heard; whether they ever were.
    """
    found = {name: GONE if was_heard else None for name, was_heard in silent.items()}
    return found | {name: why for name, why in orders.homeless.items() if name not in orders.where}
