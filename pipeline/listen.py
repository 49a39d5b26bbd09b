"""A thread that subscribes to a fleet and hands on every message: what tables, reports and laboratories stand on.

def hear(message: FrameResult | CameraState) -> None:
    print(message.camera_id)

with Listener("tcp://127.0.0.1:5555", hear):
    fleet.wait()
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Literal, Self, overload

from pipeline.client import Subscriber
from pipeline.errors import SubscriberTimeout
from pipeline.wire import CameraState, FrameResult, Message

LOOK_S = 0.2
"""How soon the thread notices that it is to end, s."""

Hear = Callable[[FrameResult | CameraState], None]


class Listener:
    """Hears a fleet until closed. Nothing is lost while `hear` is busy: messages wait, in any number."""

    @overload
    def __init__(self, endpoint: str, hear: Hear, *, drain_s: float | None = None) -> None: ...
    @overload
    def __init__(
        self, endpoint: str, hear: Callable[[Message], None], *, drain_s: float | None = None, states: Literal["all"]
    ) -> None: ...
    def __init__(
        self,
        endpoint: str,
        hear: Callable[[Any], None],
        *,
        drain_s: float | None = None,
        states: Literal[True, "all"] = True,
    ) -> None:
        """Begin to listen.

        Args:
            endpoint: Where the fleet publishes.
            hear: Called with every frame and state, in the order of arrival, from the listener's thread.
            drain_s: `close` waits until no message has come for so long, of a fleet that has ended; None ends at once.
            states: "all" also gives what the fleet says of itself, and events.
        """
        self._endpoint, self._hear, self._drain_s = endpoint, hear, drain_s
        self._states: Literal[True, "all"] = states
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="listener", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening; `hear` is not called any more. May be called again."""
        self._stop.set()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self) -> None:
        with Subscriber(self._endpoint, states=self._states, timeout_s=self._drain_s or LOOK_S, queue=0) as subscriber:
            while True:
                # Before the wait: what was published until then is heard before a wait can end without a message.
                ends = self._stop.is_set()
                if ends and self._drain_s is None:
                    return
                try:
                    self._hear(subscriber.receive())
                except SubscriberTimeout:
                    if ends:
                        return
