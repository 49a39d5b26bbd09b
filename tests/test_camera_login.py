"""Cameras whose way of asking for a password FFmpeg does not know: answered in its place, or refused in words."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from pipeline.camera import login as login_module
from pipeline.camera.probe import probe
from pipeline.camera.sandbox import ports
from pipeline.camera.source import open_source
from pipeline.camera.unauthorized import offered
from pipeline.clock import SystemClock
from pipeline.errors import SourceError, SourceLost
from pipeline.record import record
from pipeline.rtsp.login import Message
from tests.camera_media import CannedServer, TcpServer, camera
from tests.coded_pictures import coded, decoded
from tests.rtsp_camera import Habits, RtspCamera
from tests.test_camera_habits import Pulse, opened, seen
from tests.waiting import DEADLINE_S

SECRET = "hunter2"
BASIC = 'Basic realm="cam"'
MD5 = 'Digest realm="cam", nonce="{nonce}"'
SHA_256 = 'Digest realm="cam", nonce="{nonce}", algorithm=SHA-256'
QOP = f'{SHA_256}, qop="auth,auth-int", opaque="5ccc", charset=UTF-8'
MOST_TAKEN = 200 << 20


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(login_module, "_known", set())
    yield
    while login_module._reserved:
        login_module._reserved.pop().close()


@pytest.mark.parametrize(
    "offers",
    [
        pytest.param((SHA_256,), id="sha-256"),
        pytest.param((QOP,), id="sha-256-counted"),
        pytest.param((MD5, SHA_256), id="md5-first"),
        pytest.param((BASIC, MD5, QOP), id="all"),
        pytest.param((f"{MD5}, algorithm=MD5, {SHA_256}",), id="both-in-one-header"),
        pytest.param((SHA_256.replace("SHA-256", "SHA-256-sess"),), id="sha-256-of-a-session"),
        pytest.param((QOP.replace("SHA-256", "SHA-256-sess"),), id="sha-256-of-a-session-counted"),
        pytest.param((SHA_256.replace("SHA-256", "SHA-512-256"),), id="sha-512-256"),
        pytest.param((SHA_256.replace("SHA-256", "md5"),), id="md5-in-small-letters"),
        pytest.param((f"{MD5}, algorithm=MD5-sess",), id="md5-of-a-session-not-counted"),
        pytest.param((MD5.replace("cam", r"the \"cam\", gate"),), id="realm-with-quotes"),
        pytest.param((MD5.replace("cam", "c" * 250),), id="long-realm"),
        pytest.param((f'{MD5}, opaque="{"5" * 400}"',), id="long-opaque"),
        pytest.param((SHA_256.replace("cam", r"Höfe \"2\", \\ 3"),), id="sha-256-realm-with-quotes"),
    ],
)
def test_a_camera_that_ffmpeg_cannot_log_in_to_is_seen_as_others_are(offers: tuple[str, ...]) -> None:
    pictures = coded("h264")
    with RtspCamera(pictures, Habits(challenges=offers, password=SECRET)) as server, opened(camera(server.url)) as one:
        came = seen(one, 20)
    frames = [picture.frame.to_ndarray() for picture in came if picture.frame is not None]
    expected = decoded("h264", pictures)
    begins = next(at for at, frame in enumerate(expected) if (frame == frames[0]).all())
    assert all((one == two).all() for one, two in zip(frames, expected[begins:], strict=False))
    asked = [line for request in server.requests for line in request.splitlines()[:1]]
    assert all(f"127.0.0.1:{server.port}/live" in line for line in asked), "nothing of our own address reaches it"


@pytest.mark.parametrize("offers", [(SHA_256, MD5), (MD5,), (BASIC,)])
def test_a_camera_that_ffmpeg_can_log_in_to_is_left_to_it(offers: tuple[str, ...]) -> None:
    with RtspCamera(coded("h264"), Habits(challenges=offers, password=SECRET)) as server:
        with opened(camera(server.url)) as one:
            assert seen(one, 3)
        assert all("Lavf" in request for request in server.requests)
        assert server.connections == 1


@pytest.mark.parametrize("offers", [(MD5,), (BASIC,), (SHA_256, MD5), (SHA_256,), (MD5, SHA_256)])
def test_a_wrong_password_is_said_to_be_one_and_tried_once(offers: tuple[str, ...]) -> None:
    with RtspCamera(coded("h264"), Habits(challenges=offers, password="another")) as server:
        with pytest.raises(SourceError) as caught:
            open_source(camera(server.url), SystemClock())
        tried = [request for request in server.requests if "Authorization: " in request]
        assert len(tried) == 1, "a user may be locked out after a few"
    assert "it wants another user or password" in str(caught.value)
    assert SECRET not in str(caught.value)


def test_a_camera_that_was_lost_is_logged_in_to_at_once_when_it_is_tried_again() -> None:
    with RtspCamera(coded("h264"), Habits(challenges=(SHA_256,), password=SECRET)) as server:
        for _ in range(2):
            with opened(camera(server.url)) as one:
                assert seen(one, 3)
        assert server.connections == 4, "FFmpeg, the question what is offered, and two that were let in"


def test_a_nonce_that_is_stale_is_changed() -> None:
    habits = Habits(challenges=(QOP,), password=SECRET, nonce_lasts=1)
    with RtspCamera(coded("h264"), habits) as server, opened(camera(server.url)) as one:
        assert seen(one, 3)


def test_sha_256_over_udp_is_refused_in_words() -> None:
    habits = Habits(challenges=(SHA_256,), password=SECRET)
    with RtspCamera(coded("h264"), habits) as server, pytest.raises(SourceError) as caught:
        open_source(camera(server.url, transport="udp"), SystemClock())
    assert "asks for Digest SHA-256" in str(caught.value) and "set transport: tcp" in str(caught.value)


def test_sha_256_over_http_is_refused_in_words() -> None:
    offer = SHA_256.replace("{nonce}", "1")
    refused = f"HTTP/1.1 401 No\r\nWWW-Authenticate: {offer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    with CannedServer(refused.encode()) as server, pytest.raises(SourceError) as caught:
        open_source(camera(f"http://viewer:{SECRET}@127.0.0.1:{server.port}/video.mjpg"), SystemClock())
    assert "asks for Digest SHA-256" in str(caught.value) and "take its rtsp:// address" in str(caught.value)


@pytest.mark.parametrize("open_to_all", [("OPTIONS", "DESCRIBE"), ("OPTIONS", "DESCRIBE", "SETUP")])
def test_a_camera_that_describes_its_stream_to_everybody_is_logged_in_to(open_to_all: tuple[str, ...]) -> None:
    habits = Habits(challenges=(SHA_256,), password=SECRET, open_to_all=open_to_all)
    with RtspCamera(coded("h264"), habits) as server, opened(camera(server.url)) as one:
        assert seen(one, 3)


def test_transport_auto_means_tcp_where_ffmpeg_cannot_log_in() -> None:
    habits = Habits(challenges=(SHA_256,), password=SECRET)
    with RtspCamera(coded("h264"), habits) as server, opened(camera(server.url, transport="auto")) as one:
        assert seen(one, 3)


@pytest.mark.parametrize("offer", ['Digest realm="c", nonce="{nonce}", algorithm=BLAKE3', f'{SHA_256}, qop="auth-int"'])
def test_a_way_that_nobody_knows_is_refused_in_words(offer: str) -> None:
    habits = Habits(challenges=(offer,), password=SECRET)
    with RtspCamera(coded("h264"), habits) as server, pytest.raises(SourceError) as caught:
        open_source(camera(server.url), SystemClock())
    assert "a way of Digest that is not known here" in str(caught.value)


def test_probe_and_record_go_the_same_way(tmp_path: Path) -> None:
    with RtspCamera(coded("h264", frames=200), Habits(challenges=(SHA_256,), password=SECRET)) as server:
        assert probe(camera(server.url), timeout_s=10).assembly == "early"
        recorded = record(camera(server.url), tmp_path / "a.mkv", duration_s=4.0, stop=threading.Event())
    assert recorded.sessions == 1 and recorded.pictures > 10


def test_a_camera_that_hangs_up_is_lost() -> None:
    with RtspCamera(coded("h264"), Habits(challenges=(SHA_256,), password=SECRET)) as server:
        source = open_source(camera(server.url), SystemClock())
        with closing(source), pytest.raises(SourceLost):
            for number, _ in enumerate(source.pictures(Pulse())):
                if number == 3:
                    server.closing.set()


class Torrent(TcpServer):
    """Asks for a password, then sends without end what it is told to, until nobody takes any more."""

    def __init__(self, head: bytes, more: bytes) -> None:
        self._head, self._more = head, more
        self.sent, self.stuck = 0, threading.Event()
        super().__init__()

    def serve(self, connection: socket.socket) -> None:
        request = connection.recv(65536)
        if (number := re.search(rb"CSeq: (\d+)", request)) is None:
            return
        asks = f"WWW-Authenticate: {SHA_256.replace('{nonce}', '1')}\r\n".encode()
        connection.sendall(b"RTSP/1.0 401 No\r\nCSeq: " + number[1] + b"\r\n" + asks + b"\r\n")
        if not connection.recv(65536):
            return
        connection.settimeout(2.0)
        try:
            connection.sendall(self._head)
            while self.sent < MOST_TAKEN:
                connection.sendall(self._more)
                self.sent += len(self._more)
        finally:
            self.stuck.set()


def test_a_camera_that_sends_without_end_is_read_no_further_than_its_pictures_are_taken() -> None:
    packet = b"$\x00" + (1000).to_bytes(2, "big") + b"x" * 1000
    with Torrent(b"RTSP/1.0 200 OK\r\nCSeq: 2\r\n\r\n", 60 * packet) as server:
        gate = camera(f"rtsp://viewer:{SECRET}@127.0.0.1:{server.port}/live")
        assert login_module.learns(gate)
        with login_module.login(gate) as nearby:
            assert nearby is not None
            port = int(nearby.split(":")[2].split("/")[0])
            with socket.create_connection(("127.0.0.1", port), 5) as player:
                player.sendall(f"PLAY {nearby} RTSP/1.0\r\nCSeq: 1\r\n\r\n".encode())
                assert server.stuck.wait(DEADLINE_S)
    assert server.sent < MOST_TAKEN, "beyond what the system's buffers hold, it has to wait"


@pytest.mark.long
def test_a_camera_whose_answer_has_no_end_is_refused() -> None:
    with Torrent(b"RTSP/1.0 200 OK\r\nX: ", b"a" * 60_000) as server, pytest.raises(SourceError, match="cannot open"):
        open_source(camera(f"rtsp://viewer:{SECRET}@127.0.0.1:{server.port}/live"), SystemClock())
    assert server.sent < MOST_TAKEN


def test_strangers_at_the_port_are_sent_away() -> None:
    address: list[str] = []
    with RtspCamera(coded("h264"), Habits(challenges=(SHA_256,), password=SECRET)) as server:
        gate = camera(server.url)
        assert login_module.learns(gate)
        with login_module.login(gate) as nearby:
            assert nearby is not None
            address.append(nearby)
            port = int(nearby.split(":")[2].split("/")[0])
            for said in (b"DESCRIBE rtsp://127.0.0.1/x RTSP/1.0\r\n\r\n", b"\r\n"):
                with socket.create_connection(("127.0.0.1", port), 5) as stranger:
                    stranger.sendall(said)
                    with suppress(ConnectionResetError):
                        assert stranger.recv(100) == b""
            with socket.create_connection(("127.0.0.1", port), 5) as player:
                player.sendall(f"OPTIONS {nearby} RTSP/1.0\r\nCSeq: 7\r\n\r\n".encode())
                assert b"CSeq: 7\r\n" in player.recv(1000)
        assert all("/x " not in request for request in server.requests)
    assert SECRET not in address[0] and "viewer" not in address[0]


def test_ports_are_bound_before_the_sandbox_for_cameras_with_a_password_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login_module, "_reserved", reserved := [])
    assert not login_module.reserve(camera("rtsp://cam.example/1"))
    assert not login_module.reserve(camera("http://bob:x@cam.example/1"))
    two = camera("rtsp://bob:x@cam.example/1", evidence_url="rtsps://bob:x@cam.example/2")
    bound = login_module.reserve(two)
    assert len(bound) == 2 and ports(two) is not None and not bound & (ports(two) or set())
    for one in reserved:
        one.close()


def test_offers_are_read_in_any_case_and_with_any_quotes() -> None:
    head = Message(
        "RTSP/1.0 401 No",
        [("www-authenticate", 'DIGEST realm="a", algorithm="sha-256"'), ("WWW-Authenticate", "basic")],
    )
    assert [(one.scheme, one.algorithm) for one in offered(head)] == [("digest", "SHA-256"), ("basic", "MD5")]
