"""Who may hear a fleet: by real sockets, with readers that keep to the rules and readers that do not."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from ctypes import c_int64
from pathlib import Path

import pytest
import zmq
from structlog.testing import capture_logs

from pipeline import PublishError, Subscriber, SubscriberTimeout, keys
from pipeline.client import Key
from pipeline.clock import SystemClock
from pipeline.config.keys import Keys, Limited
from pipeline.publish import Publisher, Roster
from pipeline.relay.comings import lately_closed
from pipeline.relay.process import Relay, RelaySpec
from pipeline.relay.rate import Rate
from pipeline.wire import CameraState, FleetState, FrameResult, ProcessFigures
from tests.key_files import KeyRing
from tests.test_outlet import is_closed
from tests.test_wire import frame
from tests.waiting import DEADLINE_S, wait_until

SILENCE_S = 1.5
"""How long somebody who may hear nothing is listened with."""
CAMERAS = ("gate", "yard", "vault")


@pytest.fixture
def ring(tmp_path: Path) -> KeyRing:
    return KeyRing(tmp_path)


@contextmanager
def relayed(ring: KeyRing, **limited: Limited) -> Iterator[Relay]:
    """A publisher in a thread that asks for keys, and three cameras that publish all the time."""
    inbox = f"ipc://{ring.folder}/inbox"
    known = Keys(server=str(ring.server.secret), clients=str(ring.clients), limited=limited)
    free = "tcp://127.0.0.1:0"
    spec = RelaySpec("publisher", free, False, inbox, 1000, ring.folder, json_bind=free, keys=known)
    relay, stop = Relay(spec, SystemClock()), threading.Event()

    def publish() -> None:
        publisher = Publisher(inbox)
        processes = (ProcessFigures(name="camera vault", role="camera", condition="running", restarts=0),)
        publisher.tell(Roster(p95_ms=150.0, cameras=CAMERAS, processes=processes))
        while not stop.wait(0.01):
            for name in CAMERAS:
                publisher.publish(frame(name))
                publisher.publish(CameraState(fleet="town", camera_id=name, session_id="", state="live", detail=name))
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


def hears(endpoint: str, key: Key | None, timeout_s: float = SILENCE_S) -> bool:
    with Subscriber(endpoint, states="all", timeout_s=timeout_s, key=key) as messages:
        try:
            messages.receive()
        except SubscriberTimeout:
            return False
        return True


@pytest.fixture
def one_refusal_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the test takes."""
    monkeypatch.setattr("pipeline.relay.guard.Rate", lambda: Rate(apart_s=3600.0))


def refusals(lines: list) -> list:
    return [line for line in lines if "was refused" in line["event"]]


@pytest.mark.usefixtures("one_refusal_is_told")
def test_reader_hears_by_an_allowed_key_and_by_nothing_else(ring: KeyRing):
    allowed, stranger = ring.reader("gate-reader"), ring.reader("stranger", allowed=False)
    another_fleet = KeyRing(ring.folder / "another").server.public
    with capture_logs() as lines, relayed(ring) as relay:
        assert hears(relay.endpoint, allowed, DEADLINE_S)
        assert not hears(relay.endpoint, None)
        assert not hears(relay.endpoint, stranger)
        assert not hears(relay.endpoint, Key(allowed.own, another_fleet))
        assert hears(relay.endpoint, allowed, DEADLINE_S)
    refused = refusals(lines)
    assert len(refused) == 1, "of many refusals one is told at once, and the others with the next after a while"
    assert refused[0]["address"] == "127.0.0.1"


@pytest.mark.usefixtures("one_refusal_is_told")
@pytest.mark.parametrize("knows", [False, True], ids=["no key", "a key that is not allowed"])
def test_refusal_is_told_with_address_and_key(ring: KeyRing, knows: bool, within: Callable):
    stranger = ring.reader("stranger", allowed=False)
    with capture_logs() as lines, relayed(ring) as relay:

        def is_told() -> bool:
            assert not hears(relay.endpoint, stranger if knows else None)
            return bool(refusals(lines))

        wait_until(within, is_told)
    (line,) = refusals(lines)
    assert line["address"] == "127.0.0.1"
    fingerprint = keys.read_certificate(stranger.own).fingerprint
    assert (fingerprint if knows else "it has no key") in line["event"]


def test_key_that_is_allowed_later_lets_a_reader_in_that_has_waited(ring: KeyRing):
    reader = ring.reader("gate-reader", allowed=False)
    with relayed(ring) as relay, Subscriber(relay.endpoint, key=reader) as results:
        with pytest.raises(SubscriberTimeout):
            results.receive(SILENCE_S)
        keys.allow(ring.folder / "readers" / "gate-reader.key", ring.clients)
        assert results.receive(DEADLINE_S).camera_id in CAMERAS


def test_key_that_is_revoked_ends_its_connection_and_no_other(ring: KeyRing, within: Callable):
    stays, leaves = ring.reader("stays"), ring.reader("leaves")
    with relayed(ring) as relay, Subscriber(relay.endpoint, key=stays) as one:
        one.receive(DEADLINE_S)
        with Subscriber(relay.endpoint, key=leaves) as other:
            other.receive(DEADLINE_S)
            keys.revoke("leaves", ring.clients)
            with pytest.raises(SubscriberTimeout):
                while True:
                    other.receive(SILENCE_S)
        one.receive(DEADLINE_S)
        wait_until(within, lambda: not hears(relay.endpoint, leaves))
        while one.statistics().reconnects == 0:
            one.receive(DEADLINE_S)
        one.receive(DEADLINE_S)


def test_folder_that_cannot_be_read_any_more_lets_nobody_in(ring: KeyRing, within: Callable):
    reader = ring.reader("gate-reader")
    with capture_logs() as lines, relayed(ring) as relay, Subscriber(relay.endpoint, key=reader) as results:
        results.receive(DEADLINE_S)
        ring.clients.rename(ring.folder / "elsewhere")
        with pytest.raises(SubscriberTimeout):
            while True:
                results.receive(SILENCE_S)
        wait_until(within, lambda: any("nobody may subscribe" in line["event"] for line in lines))
        (ring.folder / "elsewhere").rename(ring.clients)
        results.receive(DEADLINE_S)
    assert sum("cannot be read, nobody may subscribe" in line["event"] for line in lines) == 1


def test_file_with_a_secret_among_the_allowed_allows_nobody(ring: KeyRing):
    careless = ring.reader("careless", allowed=False)
    (ring.clients / "careless.key").write_bytes(careless.own.read_bytes())
    with capture_logs() as lines, relayed(ring) as relay:
        assert not hears(relay.endpoint, careless)
    assert any("has a secret, which stays with its reader" in line["event"] for line in lines)


def limited(ring: KeyRing, folder: str = "team", cameras: tuple[str, ...] = ("gate", "yard")) -> Limited:
    return Limited(bind="tcp://127.0.0.1:0", clients=str(ring.folder / folder), cameras=cameras)


def test_limited_key_hears_its_cameras_and_nothing_of_the_others(ring: KeyRing):
    reader, known = ring.reader("gate-reader", limit="team"), set()
    with (
        relayed(ring, team=limited(ring)) as relay,
        Subscriber(relay.ready.limited["team"], states="all", timeout_s=DEADLINE_S, key=reader) as messages,
    ):
        fleets = []
        while len(fleets) < 3:
            message = messages.receive()
            if isinstance(message, FleetState):
                fleets.append(message)
            else:
                known.add((type(message), message.camera_id))
        assert messages.statistics().missed == {}
    assert known == {(kind, name) for kind in (FrameResult, CameraState) for name in ("gate", "yard")}
    assert all(set(told.cameras) == {"gate", "yard"} and told.processes == () for told in fleets)
    assert fleets[-1].counts.decoded > 0


def test_limited_key_opens_no_other_endpoint_and_no_other_key_opens_its(ring: KeyRing):
    full, gate, vault = ring.reader("full"), ring.reader("one", limit="gates"), ring.reader("two", limit="vaults")
    limits = {"gate": limited(ring, "gates", cameras=("gate",)), "vault": limited(ring, "vaults", cameras=("vault",))}
    with relayed(ring, **limits) as relay:
        endpoints = relay.ready.limited
        assert hears(relay.endpoint, full, DEADLINE_S)
        assert hears(endpoints["gate"], gate, DEADLINE_S)
        assert hears(endpoints["vault"], vault, DEADLINE_S)
        assert not hears(relay.endpoint, gate)
        assert not hears(endpoints["vault"], gate)
        assert not hears(endpoints["gate"], full)


def test_endpoint_of_json_asks_for_keys_as_the_other_does(ring: KeyRing):
    full, gate = ring.reader("full"), ring.reader("gate-reader", limit="team")
    team = limited(ring).model_copy(update={"encoding": "json"})
    with relayed(ring, team=team) as relay:
        assert hears(relay.ready.json_endpoint, full, DEADLINE_S)
        assert hears(relay.ready.limited["team"], gate, DEADLINE_S)
        assert not hears(relay.ready.json_endpoint, gate)
        assert not hears(relay.ready.json_endpoint, None)


def test_limited_key_is_allowed_and_revoked_while_the_fleet_runs(ring: KeyRing):
    ring.reader("somebody", limit="team")
    late = ring.reader("late", allowed=False)
    with relayed(ring, team=limited(ring)) as relay:
        assert not hears(relay.ready.limited["team"], late)
        keys.allow(ring.folder / "readers" / "late.key", ring.folder / "team")
        with Subscriber(relay.ready.limited["team"], timeout_s=DEADLINE_S, key=late) as results:
            results.receive()
            keys.revoke("late", ring.folder / "team")
            with pytest.raises(SubscriberTimeout):
                while True:
                    results.receive(SILENCE_S)


def test_hostile_reader_with_a_limited_key_hears_no_other_camera(ring: KeyRing):
    """It subscribes to everything by every name, and sends what is no subscription in between."""
    full, gate = ring.reader("full"), ring.reader("gate-reader", limit="team")
    heard = set()
    with relayed(ring, team=limited(ring, cameras=("gate",))) as relay:
        peer = zmq.Context.instance().socket(zmq.XSUB)
        own, server = keys.read_certificate(gate.own), keys.read_certificate(gate.server)
        peer.curve_publickey, peer.curve_secretkey = zmq.curve_public(own.secret), own.secret
        peer.curve_serverkey = server.public
        peer.connect(relay.ready.limited["team"])
        with Subscriber(relay.endpoint, ["vault"], timeout_s=DEADLINE_S, key=full) as results:
            for _ in range(200):
                peer.send(b"\x01detections/vault/")
                peer.send(b"\x02junk")
                peer.send(b"\x01cameras/vault/")
                peer.send_multipart([b"\x01", b"\x01compact/vault/", b""])
                peer.send(b"\x01")
                results.receive()
                while peer.poll(0):
                    topic, body = peer.recv_multipart()
                    heard.add(topic)
                    assert b"vault" not in topic + body
            assert {b"detections/gate/", b"cameras/gate/"} <= heard
        peer.close(linger=0)


MECHANISMS = {
    "ZMTP 3 without a key": b"\xff" + b"\0" * 8 + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + b"\0" * 32,
    "ZMTP 3 with a password": b"\xff" + b"\0" * 8 + b"\x7f\x03\x00" + b"PLAIN".ljust(20, b"\0") + b"\0" * 32,
    "ZMTP 2": b"\xff" + b"\0" * 8 + b"\x7f\x01\x02" + b"\0\0",
    "ZMTP 1": b"\x01\x00" + b"\x02\x00\x01",
    "CURVE and then a subscription": b"\xff" + b"\0" * 8 + b"\x7f\x03\x00" + b"CURVE".ljust(20, b"\0") + b"\0" * 32,
}


@pytest.mark.parametrize("greeting", MECHANISMS.values(), ids=MECHANISMS)
def test_raw_peer_without_a_key_is_hung_up_on_and_hears_nothing(ring: KeyRing, greeting: bytes):
    with relayed(ring) as relay:
        host, _, port = relay.endpoint.removeprefix("tcp://").rpartition(":")
        with socket.create_connection((host, int(port)), DEADLINE_S) as peer:
            heard = b""
            with suppress(ConnectionError):
                peer.sendall(greeting)
                peer.sendall(b"\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x03SUB")
                peer.sendall(b"\x00\x01\x01" * 10)
                while more := peer.recv(1 << 16):
                    heard += more
            assert is_closed(peer)
    assert b"detections" not in heard


def test_flood_of_readers_without_a_key_is_told_in_few_lines_and_a_reader_with_one_hears_on(ring: KeyRing):
    reader = ring.reader("gate-reader")
    with capture_logs() as lines, relayed(ring) as relay:
        host, _, port = relay.endpoint.removeprefix("tcp://").rpartition(":")
        with Subscriber(relay.endpoint, timeout_s=DEADLINE_S, key=reader) as results:
            for _ in range(300):
                with socket.create_connection((host, int(port)), DEADLINE_S) as peer, suppress(ConnectionError):
                    peer.sendall(MECHANISMS["ZMTP 3 without a key"])
                    is_closed(peer)
                results.receive()
    assert 1 <= sum("was refused" in line["event"] for line in lines) <= 10


def test_subscriber_with_a_key_that_cannot_be_used_says_why(ring: KeyRing):
    reader = ring.reader("gate-reader")
    for key, why in (
        (Key(Path("nowhere.key_secret"), reader.server), "there is no key nowhere.key_secret"),
        (Key(reader.server, reader.server), "has no secret; give the file that ends in .key_secret"),
        (Key(reader.own, Path(__file__)), "is no key of camfleet keys new"),
    ):
        with pytest.raises(PublishError, match=why):
            Subscriber("tcp://127.0.0.1:1", key=key)


def test_closed_publisher_lets_the_next_one_answer_for_keys(ring: KeyRing, within: Callable):
    reader = ring.reader("gate-reader")
    for _ in range(2):
        with relayed(ring) as relay:
            wait_until(within, lambda endpoint=relay.endpoint: hears(endpoint, reader))


def test_rate_tells_the_first_at_once_and_how_many_others_there_were():
    rate = Rate(apart_s=10.0)
    assert [rate.count(now_s) for now_s in (5.0, 5.1, 14.9, 15.1, 15.2, 99.0)] == [0, None, None, 2, None, 1]


def test_address_of_who_left_last_is_known_of_connections_that_were_closed_here():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert lately_closed(port) == ""
        with socket.create_connection(("127.0.0.1", port), DEADLINE_S) as peer:
            server.accept()[0].close()
            assert is_closed(peer)
        assert lately_closed(port) == "127.0.0.1"
