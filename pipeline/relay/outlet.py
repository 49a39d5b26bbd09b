"""The socket that subscribers connect to, and the bounds of what strangers can make it cost.

Whoever reaches the port can send to it, so there are three bounds. A message from outside, which can only be a
subscription, is short, or its connection is closed. Subscriptions to what no camera publishes are counted, because
ZeroMQ keeps each of them: beyond a bound all connections are closed and the socket begins anew; those who only listen
connect again by themselves. And only so many connections are accepted.

ZMQ_XPUB_MANUAL, which is there for choosing among subscriptions, keeps those not chosen as well (libzmq 4.3.5: 485 MB
after 50,000 of 120 bytes, chosen or not). It mixes up whose is whose when one peer sends something else; and when one
leaves whose subscription is still to be read, the next to come may be taken for it, as peers are known by where they
lie in memory. Readers that may not hear the same therefore have outlets of their own (`audience`).
"""

from __future__ import annotations

import resource
import time
from collections import Counter
from typing import Literal
from urllib.parse import urlsplit

import structlog
import zmq

from pipeline.child import give_memory_back
from pipeline.errors import PublishError
from pipeline.relay.comings import Comings, lately_closed
from pipeline.relay.gate import Gate
from pipeline.relay.guard import Lock
from pipeline.relay.repeats import Repeats
from pipeline.wire import CompactFrame, FrameResult, to_json

log = structlog.get_logger()

Encoding = Literal["msgpack", "json"]
_COMPACT, _WHOLE = f"{CompactFrame.kind}/".encode(), f"{FrameResult.kind}/".encode()

LONGEST_SUBSCRIPTION = 255
"""Bytes; a camera's topic has 80 at most, and short ones travel in frames of this size."""
UNKNOWN_BYTES = 128 << 10
"""Of subscriptions to what no camera publishes; ZeroMQ needs eighty times as much for them in the worst case."""
MOST_CONNECTIONS = 2000
"""Of 30 KB each; half as many as there are descriptors, if that is less."""
BACKLOG = 32
"""Connections that may wait to be accepted."""
MOST_AT_ONCE = 1000
"""Subscriptions that are read before messages go out again."""
REBIND_S, REBIND_EVERY_S = 2.0, 0.01


class Outlet:
    """One XPUB socket; a subscriber that does not read loses messages, and nobody waits for it. Not thread-safe.

    Attributes:
        endpoint: Where it is bound, with its port.
        domain: What a `Guard` calls it; empty where nobody needs a key.
        repeats: What those who have just subscribed are to get.
    """

    def __init__(
        self,
        bind: str,
        queue: int,
        poller: zmq.Poller | None = None,
        encoding: Encoding = "msgpack",
        *,
        lock: Lock | None = None,
        share: int = 1,
    ) -> None:
        """Bind; port 0 takes a free one.

        Args:
            bind: A tcp:// or ipc:// endpoint.
            queue: Messages kept for each subscriber that does not read fast enough (ZMQ_SNDHWM).
            poller: Is told which sockets to wait for before `look`.
            encoding: Of what is sent; `send` takes msgpack.
            lock: Which keys it asks for, a `Guard` being there; None lets everybody in.
            share: How many outlets strangers can reach: together they take half of the descriptors.

        Raises:
            PublishError: The address is in use, not of this machine, or not allowed.
        """
        self._queue, self._poller = queue, poller or zmq.Poller()
        self._encoding, self._lock = encoding, lock
        self.domain = "" if lock is None else lock.domain
        self._refused: list[str] = []
        self.repeats = Repeats()
        self._compact = 0
        self._topics: set[bytes] = set()
        self._unknown: Counter[bytes] = Counter()
        self._unknown_bytes = 0
        self._most = min(MOST_CONNECTIONS, descriptor_limit() // 2 // share)
        self._open(bind)

    def send(self, topic: bytes, body: bytes) -> None:
        """Hand a message to every subscriber of its topic; never blocks."""
        self._topics.add(topic)
        if self._encoding == "json":
            if not self.connections:
                return
            body = to_json(body)
        self._socket.send(topic, zmq.SNDMORE | zmq.NOBLOCK)
        self._socket.send(body, zmq.NOBLOCK)

    @property
    def connections(self) -> int:
        """How many there are."""
        return self._comings.count

    @property
    def wants_compact(self) -> bool:
        """Whether somebody subscribes to `compact/…` by name."""
        return self._compact > 0

    def resize(self, queue: int) -> None:
        """Keep so many messages for each subscriber from now on, also for those that are connected."""
        self._queue = queue
        self._socket.set(zmq.SNDHWM, queue)

    def look(self) -> bool:
        """Read who came, who left and who subscribed; False if everybody has just been sent away."""
        self._look_at_connections()
        for _ in range(MOST_AT_ONCE):
            try:
                asked = self._socket.recv(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return True
            if self._too_much(asked.bytes):
                log.warning(
                    "subscribers asked for more than any camera publishes; all connections are closed, and those who "
                    "listen come back by themselves",
                    subscriptions=self._unknown.total(),
                    last_from=_address(asked),
                )
                self.send_away()
                return False
            self._note(asked.bytes)
        return True

    def take_refused(self) -> list[str]:
        """The addresses of those who tried to come in without a key, since the last time; empty where not known."""
        refused, self._refused = self._refused, []
        return refused

    def complete(self, address: str) -> str:
        """An address that was taken here; where it is empty, that of who has left last, as far as the system knows."""
        port = urlsplit(self.endpoint).port
        return address or (lately_closed(port) if port else "") or "unknown"

    def send_away(self, linger_ms: int = 0) -> None:
        """Close all connections, after so long for what is queued; those who may come back do so by themselves."""
        self.close(linger_ms)
        self._compact = 0
        self._unknown.clear()
        self._unknown_bytes = 0
        give_up_s = time.monotonic() + REBIND_S
        while True:
            try:
                self._open(self.endpoint)
                break
            except PublishError:
                # The address is free a moment after its socket was closed.
                if time.monotonic() > give_up_s:
                    raise
                time.sleep(REBIND_EVERY_S)
        give_memory_back()

    def close(self, linger_ms: int = 0) -> None:
        """Leave; messages that are still queued have so long to go out."""
        self._poller.unregister(self._socket)
        if self._gate is not None:
            self._gate.close()
        self._comings.close()
        self._socket.close(linger=linger_ms)

    def _open(self, bind: str) -> None:
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.XPUB)
        # Every subscription and its end, not only the first and last of a topic.
        self._socket.set(zmq.XPUB_VERBOSER, 1)
        self._socket.set(zmq.MAXMSGSIZE, LONGEST_SUBSCRIPTION)
        self._socket.set(zmq.SNDHWM, self._queue)
        self._socket.set(zmq.LINGER, 0)
        # Of a subscriber whose machine is gone, nothing else would ever tell.
        self._socket.set(zmq.TCP_KEEPALIVE, 1)
        self._socket.set(zmq.TCP_KEEPALIVE_IDLE, 30)
        self._socket.set(zmq.BACKLOG, BACKLOG)
        if self._lock is not None:
            self._lock.put_on(self._socket)
        self.endpoint = bind_results(self._socket, bind)
        port = urlsplit(self.endpoint).port
        self._gate = Gate(port) if port else None
        self._comings = Comings(self._socket, self._poller, port)
        self._full = False
        self._poller.register(self._socket, zmq.POLLIN)

    def _look_at_connections(self) -> None:
        refused = self._comings.look()
        if self._lock is not None:
            self._refused += refused
        if self._gate is not None and self._full != (self.connections >= self._most):
            self._full = not self._full
            if self._full:
                self._gate.shut()
                log.warning(
                    "no more connections are accepted until some are closed",
                    connections=self.connections,
                    descriptors=descriptor_limit(),
                )
            else:
                self._gate.open()

    def _note(self, asked: bytes) -> None:
        """A subscription gets the newest of its topics; who asks for `compact/…` gets what is made on request."""
        subscribes, topic = asked[:1] == b"\x01", asked[1:]
        if topic.startswith(_COMPACT):
            self._compact += 1 if subscribes else -1
        if subscribes:
            self.repeats.ask([topic.replace(_COMPACT, _WHOLE, 1)])

    def _too_much(self, asked: bytes) -> bool:
        """Count a subscription to what no camera publishes, or its end; whether there are too many."""
        topic = asked[1:].replace(_COMPACT, _WHOLE, 1)
        if asked[:1] == b"\x00" and self._unknown[topic]:
            self._unknown[topic] -= 1
            self._unknown_bytes -= len(topic)
            if not self._unknown[topic]:
                del self._unknown[topic]
        elif asked[:1] == b"\x01" and not any(known.startswith(topic) for known in self._topics):
            self._unknown[topic] += 1
            self._unknown_bytes += len(topic)
        return self._unknown_bytes > UNKNOWN_BYTES


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


def _address(asked: zmq.Frame) -> str:
    """Whose subscription it is; ZeroMQ knows it of connections over TCP."""
    try:
        return str(asked.get("Peer-Address"))
    except zmq.ZMQError:
        return "this machine"


def descriptor_limit() -> int:
    """How many this process may have open."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
