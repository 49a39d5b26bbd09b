"""A subscriber's end: typed results from a running fleet.

from pipeline import Subscriber

with Subscriber("tcp://127.0.0.1:5555", cameras=["gate"]) as results:
    for result in results:
        print(result.camera_id, result.frame_id, len(result.tracks))
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from types import TracebackType

import zmq

from pipeline.errors import PublishError, SubscriberTimeout
from pipeline.wire import CAMERAS, DETECTIONS, CameraState, FrameResult, decode, topic


class Subscriber:
    """The frames of a fleet, one `FrameResult` each, in each camera's own order.

    Connecting never fails because nobody is there yet: ZeroMQ connects when the fleet starts, and again when it comes
    back. What is published while nobody is subscribed is not kept. Use it from one thread.

    Attributes:
        states: The newest `CameraState` of each camera, kept up to date while results are read.
    """

    def __init__(
        self,
        endpoint: str = "tcp://127.0.0.1:5555",
        cameras: Iterable[str] | None = None,
        *,
        timeout_s: float | None = None,
        queue: int = 1000,
    ) -> None:
        """Subscribe to `cameras`, or to all.

        Args:
            endpoint: Where the fleet publishes, as in its `publish.bind`.
            cameras: Names of cameras; None takes all, also those that are added later.
            timeout_s: How long `receive` and the iterator wait for a message; None waits for ever.
            queue: Messages kept while the caller is busy (ZMQ_RCVHWM); beyond it new ones are lost.

        Raises:
            PublishError: The endpoint is not one that ZeroMQ knows.
        """
        self.states: dict[str, CameraState] = {}
        self._timeout_s = timeout_s
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context.instance()
        self._socket: zmq.Socket[bytes] = self._context.socket(zmq.SUB)
        self._socket.set(zmq.RCVHWM, queue)
        self._socket.set(zmq.LINGER, 0)
        for prefix in _prefixes(cameras):
            self._socket.subscribe(prefix)
        try:
            self._socket.connect(endpoint)
        except zmq.ZMQError as error:
            self._socket.close()
            raise PublishError(
                f"cannot subscribe to {endpoint}: {error.strerror.lower()}; expected an endpoint such as "
                "tcp://127.0.0.1:5555"
            ) from error

    def receive(self, timeout_s: float | None = None) -> FrameResult:
        """The next frame; blocks up to `timeout_s`, or as long as the constructor was told.

        Raises:
            SubscriberTimeout: No frame came in time.
            WireError: What came is no message of a version this client knows.
        """
        wait_s = self._timeout_s if timeout_s is None else timeout_s
        deadline_s = None if wait_s is None else time.monotonic() + wait_s
        while True:
            left_s = None if deadline_s is None else max(0.0, deadline_s - time.monotonic())
            if not self._socket.poll(None if left_s is None else math.ceil(left_s * 1000)):
                raise SubscriberTimeout(f"no frame within {wait_s:g} s; is the fleet running, and publishing here?")
            message = decode(*self._socket.recv_multipart())
            if isinstance(message, FrameResult):
                return message
            self.states[message.camera_id] = message

    def __iter__(self) -> Iterator[FrameResult]:
        """Frames until `close` is called; raises as `receive` does."""
        while not self._socket.closed:
            yield self.receive()

    def close(self) -> None:
        """Unsubscribe. Safe to call twice."""
        self._socket.close(linger=0)

    def __enter__(self) -> Subscriber:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _prefixes(cameras: Iterable[str] | None) -> list[bytes]:
    """What to subscribe to: the frames and the states of these cameras, or of all."""
    if cameras is None:
        return [f"{DETECTIONS}/".encode(), f"{CAMERAS}/".encode()]
    return [topic(kind, camera_id) for camera_id in cameras for kind in (DETECTIONS, CAMERAS)]
