"""What strangers can make the publisher cost."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from ctypes import c_int64
from pathlib import Path

import psutil
import pytest
import zmq

from pipeline import Subscriber
from pipeline.clock import SystemClock
from pipeline.publish import Publisher
from pipeline.relay.outlet import Outlet
from pipeline.relay.process import Relay, RelaySpec
from tests.test_wire import frame
from tests.waiting import DEADLINE_S, wait_until

GREETING = b"\xff" + b"\0" * 8 + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + b"\0" * 32
READY = b"\x05READY\x0bSocket-Type" + struct.pack("!I", 3) + b"SUB"


@pytest.fixture
def relay(tmp_path: Path, short_path: Path) -> Iterator[Relay]:
    """A publisher's loop in a thread, and a camera `gate` that publishes all the time."""
    inbox = f"ipc://{short_path}/inbox"
    relay = Relay(RelaySpec("publisher", "tcp://127.0.0.1:0", False, inbox, queue=100, ledgers=tmp_path), SystemClock())
    stop = threading.Event()

    def publish() -> None:
        publisher = Publisher(inbox)
        while not stop.wait(0.005):
            publisher.publish(frame("gate"))
        publisher.close()

    threads = [threading.Thread(target=publish), threading.Thread(target=relay.run, args=(c_int64(),))]
    for thread in threads:
        thread.start()
    try:
        yield relay
    finally:
        stop.set()
        relay.stop()
        for thread in threads:
            thread.join(DEADLINE_S)


def connected(host: str, port: int) -> socket.socket:
    """A connection, as soon as one is accepted."""
    end_s = time.monotonic() + DEADLINE_S
    while True:
        try:
            return socket.create_connection((host, port), DEADLINE_S)
        except ConnectionRefusedError:
            if time.monotonic() > end_s:
                raise
            time.sleep(0.01)


@contextmanager
def peer(endpoint: str) -> Iterator[socket.socket]:
    """A subscriber whose bytes are ours: its handshake (ZMTP 3.0, RFC 23) is done."""
    host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
    while True:
        with connected(host, int(port)) as connection:
            if shakes_hands(connection):
                yield connection
                return


def shakes_hands(connection: socket.socket) -> bool:
    """False if it is closed meanwhile."""
    try:
        connection.sendall(GREETING)
        connection.sendall(b"\x04" + bytes([len(READY)]) + READY)
        heard = b""
        while len(heard) <= len(GREETING):
            if not (more := connection.recv(1000)):
                return False
            heard += more
    except ConnectionError:
        return False
    return True


def subscription(topic: bytes) -> bytes:
    return bytes([0, 1 + len(topic), 1]) + topic


def is_closed(connection: socket.socket) -> bool:
    """Whether the other side has hung up; what it sends until then is read."""
    with suppress(ConnectionResetError):
        while connection.recv(1 << 16):
            pass
    return True


@contextmanager
def no_growth(megabytes: float) -> Iterator[None]:
    before = psutil.Process().memory_info().rss
    yield
    assert psutil.Process().memory_info().rss - before < megabytes * 1e6


def test_message_that_is_longer_than_any_subscription_closes_its_connection(relay: Relay):
    with Subscriber(relay.endpoint, timeout_s=DEADLINE_S) as results:
        results.receive()
        with peer(relay.endpoint) as connection, no_growth(10):
            connection.sendall(b"\x02" + struct.pack("!Q", 8 << 30) + b"\x01")
            with suppress(ConnectionError):
                for _ in range(100):
                    connection.sendall(b"x" * (1 << 20))
            assert is_closed(connection)
        results.receive()


def test_subscriptions_to_what_no_camera_publishes_are_bounded_and_listeners_come_back(relay: Relay):
    with Subscriber(relay.endpoint, ["gate", "not-there-yet"], timeout_s=DEADLINE_S) as results:
        results.receive()
        with no_growth(30):
            for _ in range(3):
                with peer(relay.endpoint) as connection:
                    with suppress(ConnectionError):
                        for number in range(20_000):
                            connection.sendall(subscription(b"%0120d" % number))
                    assert is_closed(connection)
                assert results.receive().camera_id == "gate"


def test_subscriptions_that_end_are_not_counted_any_more():
    poller = zmq.Poller()
    outlet = Outlet("tcp://127.0.0.1:0", queue=10, poller=poller)
    reader = zmq.Context.instance().socket(zmq.XSUB)
    reader.connect(outlet.endpoint)
    for number in range(3000):
        topic = b"%0100d" % number
        for change in (b"\x01", b"\x00"):
            reader.send(change + topic)
        assert poller.poll(DEADLINE_S * 1000)
        assert outlet.look()
    reader.close(linger=0)
    outlet.close()


def test_message_that_is_no_subscription_is_ignored(relay: Relay):
    with peer(relay.endpoint) as connection:
        connection.sendall(b"\x00\x04junk")
        with Subscriber(relay.endpoint, ["gate"], timeout_s=DEADLINE_S) as results:
            assert results.receive().camera_id == "gate"


@pytest.mark.parametrize("share", [1, 3])
def test_no_more_connections_are_accepted_than_there_are_descriptors_for(
    monkeypatch: pytest.MonkeyPatch, within: Callable, share: int
):
    monkeypatch.setattr("pipeline.relay.outlet.descriptor_limit", lambda: 10 * share)
    poller = zmq.Poller()
    outlet = Outlet("tcp://127.0.0.1:0", queue=10, poller=poller, share=share)

    def accepted(count: int) -> bool:
        poller.poll(20)
        outlet.look()
        return outlet.connections == count

    host, _, port = outlet.endpoint.removeprefix("tcp://").rpartition(":")
    held = []
    for number in range(5):
        held.append(connected(host, int(port)))
        wait_until(within, lambda number=number: accepted(number + 1))
    with pytest.raises(TimeoutError):
        socket.create_connection((host, int(port)), 0.5)
    held.pop().close()
    wait_until(within, lambda: accepted(4))
    held.append(connected(host, int(port)))
    wait_until(within, lambda: accepted(5))
    for connection in held:
        connection.close()
    outlet.close()
