"""Results out to whoever subscribes, over ZeroMQ PUB."""

from __future__ import annotations

import zmq

from pipeline.errors import PublishError
from pipeline.wire import CAMERAS, DETECTIONS, CameraState, FrameResult, encode, topic

FAREWELL_MS = 200
"""How long the last messages may take to reach subscribers that read."""


class Publisher:
    """One PUB socket; a subscriber that does not read loses messages, nobody waits for it. Not thread-safe."""

    def __init__(self, bind: str, queue: int) -> None:
        """Bind to `bind`; port 0 takes a free one, `endpoint` tells which.

        Args:
            bind: A tcp:// or ipc:// endpoint.
            queue: Messages kept for each subscriber that does not read fast enough (ZMQ_SNDHWM).

        Raises:
            PublishError: The address is in use, not of this machine, or not allowed.
        """
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.PUB)
        self._socket.set(zmq.SNDHWM, queue)
        self._socket.set(zmq.LINGER, 0)
        try:
            self._socket.bind(bind)
        except zmq.ZMQError as error:
            self._socket.close()
            raise PublishError(f"cannot publish on {bind}: {error.strerror.lower()}; {_advice(error.errno)}") from error
        self.endpoint: str = self._socket.get_string(zmq.LAST_ENDPOINT)

    def publish(self, message: FrameResult | CameraState) -> None:
        """Hand the message to every subscriber of its topic; never blocks."""
        kind = DETECTIONS if isinstance(message, FrameResult) else CAMERAS
        self._socket.send_multipart([topic(kind, message.camera_id), encode(message)], copy=True)

    def close(self) -> None:
        """Leave; messages that are still queued have a moment to go out."""
        self._socket.close(linger=FAREWELL_MS)


def _advice(code: int | None) -> str:
    """What to do about a failed bind."""
    if code == zmq.EADDRINUSE:
        return "another program uses it; choose another port in publish.bind, or end that program"
    return "publish.bind takes an address of this machine, such as tcp://127.0.0.1:5555"
