"""A worker's results, on their way to the publisher, which hands them to whoever subscribes (`pipeline.relay`).

What leaves in one turn of the worker goes as one parcel: handing something over to ZeroMQ, and waking whoever waits
for it, costs as much as making a message.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import structlog
import zmq

from pipeline import ledger
from pipeline.wire import FrameResult, LookFigures, Message, ProcessFigures, encode, first_frame_of

log = structlog.get_logger()

FAREWELL_MS = 200
"""How long the last messages may take to reach the publisher."""
RECONNECT_MS = 20
"""How soon a publisher that was started again is found."""
INBOX_QUEUE = 2_500
"""Parcels that wait while there is no publisher: ten seconds of sixty cameras, 30 MB."""
QUEUE_TOPIC = b"queue"
"""Not for subscribers: the body says how many messages the publisher keeps for each of them."""
ROSTER_TOPIC = b"roster"
"""Not for subscribers: the body is a `Roster`."""
LANES_TOPIC = b"lanes"
"""Not for subscribers: the body is a `LanesInUse`."""


class Roster(msgspec.Struct, frozen=True, kw_only=True):
    """What the supervisor tells the publisher, which tells it to everybody once a second.

    Attributes:
        p95_ms: The age that is promised.
        max_loss: Points of HOTA that a camera may lose; None where nothing is promised.
        cameras: The names of all cameras.
        processes: How each process is.
    """

    p95_ms: float
    max_loss: float | None = None
    cameras: tuple[str, ...] = ()
    processes: tuple[ProcessFigures, ...] = ()


class LanesInUse(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker tells the publisher once a second.

    Attributes:
        process: The worker's name among the processes.
        lanes: How many detections may run at once.
        busy: How many ran, on average over the last second.
        looks: What second looks were done, by the names of the attributes.
    """

    process: str
    lanes: int
    busy: float
    looks: dict[str, LookFigures] = {}


class Letter(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One message in a parcel.

    Attributes:
        topic: What subscribers subscribe to.
        body: The message, encoded.
        receipt: What the publisher notes in the camera's ledger; empty for nothing.
    """

    topic: bytes
    body: bytes
    receipt: bytes = b""


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[Letter])


def open_parcel(parcel: bytes) -> list[Letter]:
    """What a `Publisher` has sent at once, in order."""
    return _decoder.decode(parcel)


class Publisher:
    """One PUSH socket: nothing is lost while the publisher is started again. Not thread-safe."""

    def __init__(self, inbox: str) -> None:
        """Connect to the publisher that is bound there, or will be; messages wait for it."""
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.PUSH)
        self._socket.set(zmq.SNDHWM, INBOX_QUEUE)
        self._socket.set(zmq.RECONNECT_IVL, RECONNECT_MS)
        self._socket.connect(inbox)
        self._full = False

    def publish(self, *messages: Message) -> None:
        """Hand messages on, in this order; never blocks."""
        self._send([Letter(message.topic, encode(message), _receipt(message)) for message in messages])

    def resize(self, queue: int) -> None:
        """The publisher is to keep so many messages for each subscriber from now on."""
        self._send([Letter(QUEUE_TOPIC, b"%d" % queue)])

    def tell(self, roster: Roster) -> None:
        """Say who belongs to the fleet."""
        self._send([Letter(ROSTER_TOPIC, _encoder.encode(roster))])

    def tell_lanes(self, use: LanesInUse) -> None:
        """Say how much of the detector is used."""
        self._send([Letter(LANES_TOPIC, _encoder.encode(use))])

    def close(self) -> None:
        """Leave; messages that are still queued have a moment to go out."""
        self._socket.close(linger=FAREWELL_MS)

    def _send(self, letters: Sequence[Letter]) -> None:
        try:
            self._socket.send(_encoder.encode(letters), zmq.NOBLOCK, copy=True)
            self._full = False
        except zmq.Again:
            if not self._full:
                log.error("the publisher takes nothing any more; messages are lost until it does", waiting=INBOX_QUEUE)
            self._full = True


def _receipt(message: Message) -> bytes:
    """What is noted of a frame; nothing of others."""
    if not isinstance(message, FrameResult):
        return b""
    return ledger.receipt(message.session, first_frame_of(message.session_id) + message.frame_id)
