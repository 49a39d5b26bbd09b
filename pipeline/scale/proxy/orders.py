"""What the front tells a proxy: where the shards are, and which of them serves each camera."""

from __future__ import annotations

import msgspec
import zmq

from pipeline.wire import ProcessFigures

QUEUE = 100
LINGER_MS = 100


class Feed(msgspec.Struct, frozen=True, kw_only=True):
    """A shard that a proxy subscribes to.

    Attributes:
        shard: Its name.
        endpoint: Where its publisher is.
        server_key: The publisher's public key, 32 bytes; empty where it asks for none.
    """

    shard: str
    endpoint: str
    server_key: bytes = b""


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """All that a proxy is to know; new orders replace the old.

    Attributes:
        feeds: The shards.
        where: The shard that is to be heard for each camera; of cameras that are not in it whoever speaks is heard.
        leaving: The shard that is heard until then for each camera that moves.
        homeless: Cameras that no shard serves, and why.
        p95_ms: The age that is promised.
        max_loss: Points of HOTA that a camera may lose; None where nothing is promised.
        processes: Those of the front.
    """

    feeds: tuple[Feed, ...] = ()
    where: dict[str, str] = msgspec.field(default_factory=dict)
    leaving: dict[str, str] = msgspec.field(default_factory=dict)
    homeless: dict[str, str] = msgspec.field(default_factory=dict)
    p95_ms: float = 150.0
    max_loss: float | None = None
    processes: tuple[ProcessFigures, ...] = ()


_decoder = msgspec.msgpack.Decoder(Orders)


class Orderer:
    """A PUSH socket to a proxy of the same machine; orders wait while it is started again. Not thread-safe."""

    def __init__(self, inbox: str) -> None:
        """Connect to the proxy that is bound there, or will be."""
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.PUSH)
        self._socket.set(zmq.SNDHWM, QUEUE)
        self._socket.set(zmq.RECONNECT_IVL, 20)
        self._socket.connect(inbox)

    def send(self, orders: Orders) -> bool:
        """Hand orders on; never blocks. False if too many wait already: try again with newer ones."""
        try:
            self._socket.send(msgspec.msgpack.encode(orders), zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True

    def close(self) -> None:
        """Hang up."""
        self._socket.close(linger=LINGER_MS)


def read_orders(body: bytes) -> Orders:
    """What `Orderer` sent."""
    return _decoder.decode(body)
