"""Cameras that send this machine to another address."""

from __future__ import annotations

import base64
import socket
from pathlib import Path

import pytest

from pipeline.camera.elsewhere import origin
from pipeline.camera.opening import open_container
from pipeline.config.camera import Camera
from pipeline.errors import SourceError
from tests.camera_media import CannedServer, Clip, TcpServer, camera

UNAUTHORIZED = b'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm="cam"\r\nContent-Length: 0\r\n\r\n'


class Pages(TcpServer):
    """An http server that has a few pages, some for its users, and keeps what it was asked for."""

    def __init__(self, pages: dict[str, bytes]) -> None:
        self._pages = pages
        self.asked: list[str] = []
        super().__init__()

    def serve(self, connection: socket.socket) -> None:
        request = connection.recv(65536).decode()
        if not request:
            return
        self.asked.append(request)
        page = request.split()[1]
        if page.startswith("/private") and "Authorization" not in request:
            connection.sendall(UNAUTHORIZED)
            return
        connection.sendall(self._pages[page].replace(b"{port}", str(self.port).encode()))

    def url(self, page: str) -> str:
        return f"http://viewer:hunter2@127.0.0.1:{self.port}{page}"


def moved(to: str) -> bytes:
    return f"HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n".encode()


def page(content: bytes, kind: str = "video/mp2t") -> bytes:
    return f"HTTP/1.0 200 OK\r\nContent-Type: {kind}\r\n\r\n".encode() + content


def opens(source: Camera) -> str:
    """The codec of what is there."""
    container = open_container(source)
    try:
        return container.streams.video[0].codec_context.name
    finally:
        container.close()


@pytest.fixture
def stream(tmp_path: Path) -> bytes:
    return Clip().write(tmp_path / "a.ts").read_bytes()


def test_http_camera_that_sends_on_to_another_port_is_refused_and_the_other_not_asked(stream: bytes) -> None:
    with Pages({"/a": page(stream)}) as other, Pages({"/live": moved(f"http://127.0.0.1:{other.port}/a")}) as server:
        with pytest.raises(SourceError) as caught:
            opens(camera(server.url("/live")))
        assert other.asked == []
    assert f"sends on to http://127.0.0.1:{other.port}; write that address for this camera, or set allow_redirects" in (
        str(caught.value)
    )
    assert "hunter2" not in str(caught.value)


def test_http_camera_that_may_send_on_is_followed(stream: bytes) -> None:
    with Pages({"/a": page(stream)}) as other, Pages({"/live": moved(f"http://127.0.0.1:{other.port}/a")}) as server:
        assert opens(camera(server.url("/live"), allow_redirects=True)) == "h264"


@pytest.mark.parametrize("to", ["/private", "private", "http://127.0.0.1:{port}/private"])
def test_http_camera_that_sends_on_within_itself_is_followed_with_its_password(stream: bytes, to: str) -> None:
    with Pages({"/live": moved(to), "/private": page(stream)}) as server:
        assert opens(camera(server.url("/live"))) == "h264"
        words = base64.b64encode(b"viewer:hunter2").decode()
        assert f"Authorization: Basic {words}" in server.asked[-1]


def test_http_camera_that_sends_on_in_a_circle_is_told() -> None:
    with Pages({"/live": moved("/live")}) as server, pytest.raises(SourceError, match="again and again"):
        opens(camera(server.url("/live")))


PLAYLISTS = [
    pytest.param("/live.m3u8", "application/vnd.apple.mpegurl", id="HLS"),
    pytest.param("/live", "application/vnd.apple.mpegurl", id="HLS by its type"),
    pytest.param("/live", "text/plain", id="HLS in disguise"),
]


@pytest.mark.parametrize(("name", "kind"), PLAYLISTS)
def test_http_camera_s_playlist_is_refused_and_what_it_names_not_asked(stream: bytes, name: str, kind: str) -> None:
    with Pages({"/a.ts": page(stream)}) as other:
        listed = f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:2,\nhttp://127.0.0.1:{other.port}/a.ts\n#EXT-X-ENDLIST\n"
        with Pages({name: page(listed.encode(), kind)}) as server, pytest.raises(SourceError) as caught:
            opens(camera(server.url(name)))
        assert other.asked == []
    assert "sends a playlist" in str(caught.value)
    assert "set allow_redirects for this camera" in str(caught.value)


def test_http_camera_s_concatenation_names_nothing_for_this_machine() -> None:
    with Pages({}) as other:
        script = f"ffconcat version 1.0\nfile 'http://127.0.0.1:{other.port}/a'\n".encode()
        with Pages({"/live": page(script, "text/plain")}) as server, pytest.raises(SourceError, match="names other"):
            opens(camera(server.url("/live")))
        assert other.asked == []


def test_http_camera_s_playlist_is_played_where_that_is_allowed(stream: bytes) -> None:
    listed = b"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:2,\n/a.ts\n#EXT-X-ENDLIST\n"
    pages = {"/live.m3u8": page(listed, "application/vnd.apple.mpegurl"), "/a.ts": page(stream)}
    with Pages(pages) as server:
        assert opens(camera(server.url("/live.m3u8"), allow_redirects=True)) == "h264"


def test_rtsp_camera_that_sends_on_to_another_port_is_refused_by_name() -> None:
    with CannedServer(b"") as other:
        answer = f"RTSP/1.0 302 Moved\r\nCSeq: {{cseq}}\r\nLocation: rtsp://127.0.0.1:{other.port}/a\r\n\r\n".encode()
        with CannedServer(answer) as server, pytest.raises(SourceError) as caught:
            opens(camera(f"rtsp://127.0.0.1:{server.port}/live", read_timeout_s=3))
    assert f"sends on to rtsp://127.0.0.1:{other.port}" in str(caught.value)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        pytest.param("http://a/x", "http://a:80/y", True, id="the default port"),
        pytest.param("rtsp://u:p@A/x", "rtsp://a:554/y", True, id="letters of a name"),
        pytest.param("http://a/", "https://a/", False, id="another scheme"),
        pytest.param("http://a/", "http://a:81/", False, id="another port"),
        pytest.param("http://a/", "http://b@c/", False, id="a user is no host"),
        pytest.param("http://a/", "http://a:x/", False, id="no port at all"),
        pytest.param("http://a/", "http://[::1/", False, id="no address"),
    ],
)
def test_origin_is_scheme_host_and_port(one: str, other: str, same: bool) -> None:
    assert (origin(one) == origin(other)) is same
