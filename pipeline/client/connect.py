"""The socket of a subscriber: what it asks for, where it connects, and with which key."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import zmq
from zmq.utils import z85
from zmq.utils.monitor import recv_monitor_message

from pipeline.errors import ConfigError, PublishError
from pipeline.keys import read_certificate
from pipeline.redact import redact
from pipeline.wire import prefixes


@dataclass(frozen=True, slots=True)
class Key:
    """What opens an endpoint that wants a key (CURVE, RFC 26 of ZeroMQ).

    Attributes:
        own: The file with this reader's secret key, as `camfleet keys new` writes it.
        server: The file with the fleet's public key.
    """

    own: Path
    server: Path


def one_or_more(names: str | Iterable[str]) -> tuple[str, ...]:
    """Names as callers give them: several, or one, which is no list of its letters.

    Example:
        >>> one_or_more("gate"), one_or_more(["gate", "yard"])
        (('gate',), ('gate', 'yard'))
    """
    return (names,) if isinstance(names, str) else tuple(names)


class Connection:
    """A SUB socket that is connected, or will be as soon as somebody is there. Not thread-safe.

    Attributes:
        socket: For polling and receiving.
        endpoints: Where it is connected to.
    """

    def __init__(
        self,
        endpoints: str | Iterable[str],
        cameras: str | Iterable[str] | None,
        *,
        queue: int,
        compact: bool = False,
        frames: bool = True,
        key: Key | None = None,
    ) -> None:
        """Subscribe and connect.

        Args:
            endpoints: Where fleets publish.
            cameras: Names of cameras, or one; None for all.
            queue: Messages kept while nobody receives; 0 for any number.
            compact: Frames as `compact/` instead of `detections/`.
            frames: Whether frames are wanted at all.
            key: What opens the endpoints.

        Raises:
            PublishError: An endpoint is not one that ZeroMQ knows, or a key cannot be read.
        """
        self.endpoints: Sequence[str] = one_or_more(endpoints)
        self.socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.SUB)
        self.socket.set(zmq.RCVHWM, queue)
        self.socket.set(zmq.LINGER, 0)
        self._events: zmq.Socket[bytes] = self.socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED)
        self._connected = 0
        try:
            if key is not None:
                _use_key(self.socket, key)
            for camera_id in [None] if cameras is None else one_or_more(cameras):
                for prefix in prefixes(camera_id, compact=compact, frames=frames):
                    self.socket.subscribe(prefix)
            for endpoint in self.endpoints:
                self._connect(endpoint)
        except PublishError:
            self.close()
            raise

    @property
    def connected(self) -> int:
        """How often a connection was made so far."""
        while not self._events.closed and self._events.poll(0):
            recv_monitor_message(self._events)
            self._connected += 1
        return self._connected

    @property
    def reconnects(self) -> int:
        """How often a connection was made again."""
        return max(0, self.connected - len(self.endpoints))

    def close(self) -> None:
        """Unsubscribe; may be called again."""
        if not self.socket.closed:
            self.socket.disable_monitor()
        self._events.close(linger=0)
        self.socket.close(linger=0)

    def _connect(self, endpoint: str) -> None:
        try:
            self.socket.connect(endpoint)
        except zmq.ZMQError as error:
            raise PublishError(
                f"cannot subscribe to {redact(endpoint)}: {error.strerror.lower()}; expected an endpoint such as "
                "tcp://127.0.0.1:5555"
            ) from error


def _use_key(socket: zmq.Socket[bytes], key: Key) -> None:
    try:
        own, server = read_certificate(key.own), read_certificate(key.server)
    except ConfigError as error:
        raise PublishError(f"cannot subscribe: {error}") from None
    if own.secret is None:
        raise PublishError(f"cannot subscribe: {key.own} has no secret; give the file that ends in .key_secret")
    socket.curve_publickey, socket.curve_secretkey = z85.encode(own.public), own.secret
    socket.curve_serverkey = z85.encode(server.public)
