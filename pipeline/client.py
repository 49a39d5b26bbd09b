"""A subscriber's end: typed results from a running fleet.

from pipeline import Subscriber

with Subscriber("tcp://127.0.0.1:5555", cameras=["gate"]) as results:
    for result in results:
        print(result.camera_id, result.frame_id, len(result.tracks))

With `states=True` the cameras' states come between the frames, each when it changes and once a second:

for message in Subscriber(states=True):
    if isinstance(message, CameraState) and message.state == "blind":
        print(message.camera_id, message.detail)
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import Generic, Literal, Self, TypeVar, cast, overload

import zmq

from pipeline.errors import PublishError, SubscriberTimeout, WireError
from pipeline.redact import printable
from pipeline.wire import SEEING, CameraState, FrameResult, Message, decode, prefixes

R = TypeVar("R", bound=Message)
TOLD = 4
"""Cameras that an error explains; the rest is counted."""


class Subscriber(Generic[R]):
    """The frames of a fleet, one `FrameResult` each, in each camera's own order.

    Connecting never fails because nobody is there yet: ZeroMQ connects when the fleet starts, and again when it comes
    back. What is published while nobody is subscribed is not kept. Use it from one thread.

    Attributes:
        states: The newest `CameraState` of each camera, kept up to date while results are read.
    """

    @overload
    def __init__(
        self: Subscriber[FrameResult],
        endpoint: str = ...,
        cameras: Iterable[str] | None = ...,
        *,
        states: Literal[False] = ...,
        timeout_s: float | None = ...,
        queue: int = ...,
    ) -> None: ...

    @overload
    def __init__(
        self: Subscriber[FrameResult | CameraState],
        endpoint: str = ...,
        cameras: Iterable[str] | None = ...,
        *,
        states: Literal[True],
        timeout_s: float | None = ...,
        queue: int = ...,
    ) -> None: ...

    def __init__(
        self,
        endpoint: str = "tcp://127.0.0.1:5555",
        cameras: Iterable[str] | None = None,
        *,
        states: bool = False,
        timeout_s: float | None = None,
        queue: int = 1000,
    ) -> None:
        """Subscribe to `cameras`, or to all.

        Args:
            endpoint: Where the fleet publishes, as in its `publish.bind`.
            cameras: Names of cameras; None takes all, also those that are added later.
            states: Whether `receive` and the iterator give the cameras' states, too.
            timeout_s: How long `receive` and the iterator wait for a message; None waits for ever.
            queue: Messages kept while the caller is busy (ZMQ_RCVHWM); beyond it new ones are lost.

        Raises:
            PublishError: The endpoint is not one that ZeroMQ knows.
        """
        self.states: dict[str, CameraState] = {}
        self._wanted = (FrameResult, CameraState) if states else (FrameResult,)
        self._timeout_s = timeout_s
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context.instance()
        self._socket: zmq.Socket[bytes] = self._context.socket(zmq.SUB)
        self._socket.set(zmq.RCVHWM, queue)
        self._socket.set(zmq.LINGER, 0)
        for camera_id in [None] if cameras is None else cameras:
            for prefix in prefixes(camera_id):
                self._socket.subscribe(prefix)
        try:
            self._socket.connect(endpoint)
        except zmq.ZMQError as error:
            self._socket.close()
            raise PublishError(
                f"cannot subscribe to {endpoint}: {error.strerror.lower()}; expected an endpoint such as "
                "tcp://127.0.0.1:5555"
            ) from error

    def receive(self, timeout_s: float | None = None) -> R:
        """The next frame (or state); blocks up to `timeout_s`, or as long as the constructor was told.

        Raises:
            SubscriberTimeout: Nothing came in time; the message says what is known of the cameras.
            WireError: What came is no message of a version this client knows.
        """
        wait_s = self._timeout_s if timeout_s is None else timeout_s
        deadline_s = None if wait_s is None else time.monotonic() + wait_s
        while True:
            left_s = None if deadline_s is None else max(0.0, deadline_s - time.monotonic())
            if not self._socket.poll(None if left_s is None else math.ceil(left_s * 1000)):
                raise SubscriberTimeout(f"no frame within {wait_s:g} s; {why_silent(self.states)}")
            parts = self._socket.recv_multipart()
            if len(parts) != 2:
                raise WireError(f"a message of {len(parts)} parts is none of camfleet's; expected topic and body")
            message = decode(*parts)
            if isinstance(message, CameraState):
                self.states[message.camera_id] = message
            if isinstance(message, self._wanted):
                return cast(R, message)

    def __iter__(self) -> Iterator[R]:
        """Frames until `close` is called; raises as `receive` does."""
        while not self._socket.closed:
            yield self.receive()

    def close(self) -> None:
        """Unsubscribe. Safe to call twice."""
        self._socket.close(linger=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def why_silent(states: Mapping[str, CameraState]) -> str:
    """What the cameras' states say about why no frame comes."""
    if not states:
        return "is the fleet running, and publishing here?"
    silent = [state for state in states.values() if state.state not in SEEING]
    if not silent:
        return f"its cameras say they are live: {', '.join(sorted(states)[:TOLD])}"
    words = [
        printable(f"{state.camera_id} is {state.state}{': ' * bool(state.detail)}{state.detail}")
        for state in silent[:TOLD]
    ]
    more = f"; and {len(silent) - TOLD} more" if len(silent) > TOLD else ""
    return "; ".join(words) + more
