"""A proxy's end of the way from one shard: a subscriber to all that its publisher says."""

from __future__ import annotations

from collections.abc import Iterator

import zmq
from zmq.utils import z85

from pipeline.keys import Certificate
from pipeline.scale.proxy.orders import Feed
from pipeline.wire import CompactFrame, prefixes, topic

QUEUE = 20_000
"""Messages that wait here while the proxy is busy or waits for its own subscribers: some 60 MB at most."""
HEARTBEAT_MS, SILENT_MS = 1000, 3000
"""A way that is cut says nothing; the connection is closed then, so that what was queued does not come late."""
RECONNECT_MS, RECONNECT_MOST_MS = 50, 1000
MOST_AT_ONCE = 200
"""Messages of one shard before the next has its turn."""
_SUBSCRIBE, _UNSUBSCRIBE = b"\x01", b"\x00"
_COMPACT = topic(CompactFrame.kind)


class Inlet:
    """An XSUB socket. Connecting never fails because nobody is there yet. Not thread-safe.

    Attributes:
        feed: Which shard.
    """

    def __init__(self, feed: Feed, key: Certificate | None, poller: zmq.Poller) -> None:
        """Subscribe and connect.

        Args:
            feed: Which shard.
            key: The proxy's own, for shards that ask for one.
            poller: Is told which socket to wait for.

        Raises:
            zmq.ZMQError: The endpoint is none.
        """
        self.feed, self._poller = feed, poller
        self._compact = False
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.XSUB)
        self._socket.set(zmq.RCVHWM, QUEUE)
        for prefix in prefixes(None):
            self._socket.send(_SUBSCRIBE + prefix)
        connect(self._socket, feed.endpoint, feed.server_key, key)
        poller.register(self._socket, zmq.POLLIN)

    @property
    def socket(self) -> zmq.Socket[bytes]:
        """What the poller names when something has come."""
        return self._socket

    def ask_for_compact(self, wanted: bool) -> None:
        """Have the shard make compact frames as long as somebody wants them."""
        if wanted != self._compact:
            self._compact = wanted
            self._socket.send((_SUBSCRIBE if wanted else _UNSUBSCRIBE) + _COMPACT)

    def receive(self) -> Iterator[tuple[bytes, bytes]]:
        """Topics and bodies that have come, up to a bound; never blocks. What is no message is left out."""
        for _ in range(MOST_AT_ONCE):
            try:
                parts = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            if len(parts) == 2:
                yield parts[0], parts[1]

    def close(self) -> None:
        """Unsubscribe."""
        self._poller.unregister(self._socket)
        self._socket.close(linger=0)


def connect(socket: zmq.Socket[bytes], endpoint: str, server_key: bytes, key: Certificate | None) -> None:
    """Connect to another machine, and again whenever the way was cut; never fails because nobody is there yet.

    Args:
        socket: Not connected yet.
        endpoint: Where.
        server_key: Of whoever is there, 32 bytes; empty where none is asked for.
        key: What opens that.

    Raises:
        zmq.ZMQError: The endpoint is none.
    """
    for option, value in (
        (zmq.LINGER, 0),
        (zmq.HEARTBEAT_IVL, HEARTBEAT_MS),
        (zmq.HEARTBEAT_TIMEOUT, SILENT_MS),
        (zmq.CONNECT_TIMEOUT, SILENT_MS),
        (zmq.HANDSHAKE_IVL, SILENT_MS),
        (zmq.RECONNECT_IVL, RECONNECT_MS),
        (zmq.RECONNECT_IVL_MAX, RECONNECT_MOST_MS),
    ):
        socket.set(option, value)
    if server_key and key is not None:
        socket.curve_publickey, socket.curve_secretkey = z85.encode(key.public), key.secret
        socket.curve_serverkey = z85.encode(server_key)
    socket.connect(endpoint)
