"""Results out to whoever subscribes, over ZeroMQ PUB: at once, or through the relay of several workers."""

from __future__ import annotations

import zmq

from pipeline.errors import PublishError
from pipeline.wire import Message, encode

FAREWELL_MS = 200
"""How long the last messages may take to reach subscribers that read."""
RECONNECT_MS = 20
"""How soon a relay that was started again is found."""


class Publisher:
    """One PUB socket; a subscriber that does not read loses messages, nobody waits for it. Not thread-safe."""

    def __init__(self, endpoint: str, queue: int, *, relayed: bool = False) -> None:
        """Bind to `endpoint`; port 0 takes a free one, the attribute `endpoint` tells which.

        Args:
            endpoint: A tcp:// or ipc:// endpoint.
            queue: Messages kept for each subscriber that does not read fast enough (ZMQ_SNDHWM).
            relayed: Connect instead, to a relay that is bound there, or will be; messages wait for it in the queue.

        Raises:
            PublishError: The address is in use, not of this machine, or not allowed.
        """
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.PUB)
        self._socket.set(zmq.SNDHWM, queue)
        self._socket.set(zmq.LINGER, 0)
        if relayed:
            self._socket.set(zmq.RECONNECT_IVL, RECONNECT_MS)
            self._socket.connect(endpoint)
            self.endpoint = endpoint
        else:
            self.endpoint = bind_results(self._socket, endpoint)

    def publish(self, message: Message) -> None:
        """Hand the message to every subscriber of its topic; never blocks."""
        self._socket.send_multipart([message.topic, encode(message)], copy=True)

    def resize(self, queue: int) -> None:
        """Keep so many messages for each subscriber from now on, also for those that are connected."""
        self._socket.set(zmq.SNDHWM, queue)

    def close(self) -> None:
        """Leave; messages that are still queued have a moment to go out."""
        self._socket.close(linger=FAREWELL_MS)


def bind_results(socket: zmq.Socket[bytes], endpoint: str) -> str:
    """Bind where subscribers look; the endpoint with its port.

    Raises:
        PublishError: The address is in use, not of this machine, or not allowed; the socket is closed then.
    """
    try:
        socket.bind(endpoint)
    except zmq.ZMQError as error:
        socket.close()
        raise PublishError(f"cannot publish on {endpoint}: {error.strerror.lower()}; {_advice(error.errno)}") from error
    return socket.get_string(zmq.LAST_ENDPOINT)


def _advice(code: int | None) -> str:
    """What to do about a failed bind."""
    if code == zmq.EADDRINUSE:
        return "another program uses it; choose another port in publish.bind, or end that program"
    return "publish.bind takes an address of this machine, such as tcp://127.0.0.1:5555"
