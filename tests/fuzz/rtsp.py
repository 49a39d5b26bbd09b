"""Targets of what travels between a client and the replay server."""

from __future__ import annotations

import asyncio
import base64
from fractions import Fraction
from typing import Any

from structlog.testing import capture_logs

from pipeline.replay.connection import RtspConnection, Served
from pipeline.replay.faults import ActiveFaults
from pipeline.rtsp.auth import Doorkeeper, Login
from pipeline.rtsp.challenge import Credentials
from pipeline.rtsp.login import Passage
from pipeline.rtsp.messages import VERSION, Request, RequestReader
from pipeline.rtsp.sdp import MediaFormat, describe
from pipeline.rtsp.transport import ClientPorts, InterleavedChannels, wanted_transport

MEDIA = MediaFormat(96, "H264/90000", "packetization-mode=1", Fraction(25))
PIECES = (1 << 20, 1, 7, 512)
"""In how many bytes at once a connection gets its data, by the first bits of the input."""


class _Transport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 40000)})
        self.written = bytearray()
        self._closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        self._closing = True

    abort = close

    def get_write_buffer_size(self) -> int:
        return 0


class _Camera:
    """The part of a served camera that connections speak to."""

    media, ssrc, ended, entry = MEDIA, 7, False, (1, 2)

    def __init__(self, name: str) -> None:
        self.name, self.faults = name, ActiveFaults()

    def join(self, subscriber: Any) -> None:
        assert subscriber is not None

    leave = join

    def sender_report(self, unit: Any) -> bytes:
        return b""


class _Ports:
    """Two UDP ports that nobody binds."""

    def open(self) -> tuple[int, int]:
        return 6970, 6971

    def on_report(self, client: Any, alive: Any) -> None:
        assert client[0] == "127.0.0.1"

    def forget(self, client: Any) -> None:
        assert client[0] == "127.0.0.1"


async def _serve(data: bytes, login: Login) -> bytes:
    cameras = {name: _Camera(name) for name in ("gate", "yard")}
    connection = RtspConnection(Served(cameras, login, _Ports()))  # type: ignore[arg-type]
    transport = _Transport()
    connection.connection_made(transport)
    size = PIECES[data[0] & 3] if data else 1
    for at in range(1, len(data), size):
        connection.data_received(data[at : at + size])
        if transport.is_closing():
            break
    connection.close()
    connection.connection_lost(None)
    if connection._idle is not None:
        connection._idle.cancel()
    return bytes(transport.written)


_LOOP = asyncio.new_event_loop()


def server(data: bytes) -> None:
    """A client's bytes; every answer has a status line and whole headers, whatever the client said."""
    login = Login("bob", "hunter2") if data[:1] >= b"\x80" else Login()
    with capture_logs():
        written = _LOOP.run_until_complete(_serve(data, login))
    while written:
        head, end, written = written.partition(b"\r\n\r\n")
        status, *headers = head.split(b"\r\n")
        assert end and status.startswith(VERSION.encode() + b" "), "an answer without status or end"
        told = dict(line.split(b": ", 1) for line in headers)
        assert b"CSeq" in told or b" 400 " in status
        assert not any(byte < 32 or byte == 127 for line in headers for byte in line), "an answer's header is cut"
        written = written[int(told.get(b"Content-Length", b"0")) :]


def requests(data: bytes) -> None:
    """Cut into requests the same, however the bytes come."""
    whole = _read(data, len(data) + 1)
    assert _read(data, 3) == whole


def _read(data: bytes, size: int) -> list[Request]:
    reader = RequestReader()
    found: list[Request] = []
    for at in range(0, len(data), size):
        for request in reader.feed(data[at : at + size]):
            assert request.cseq and request.path.strip("/") == request.path and request.session_id is not None
            found.append(request)
    return found


_DOORKEEPERS = [Doorkeeper(Login("bob", "hunter2", scheme)) for scheme in ("any", "basic", "digest")]  # type: ignore[arg-type]


def authorization(data: bytes) -> None:
    """The header with which a client proves who it is; nobody gets in by chance."""
    text = data.decode("utf-8", "replace")
    request = Request("DESCRIBE", "rtsp://host/gate", VERSION, {"authorization": text})
    for doorkeeper in _DOORKEEPERS:
        assert not doorkeeper.admits(request) or base64.b64decode(text.split()[-1]) == b"bob:hunter2"


def transport(data: bytes) -> None:
    """The header with which a client says how it wants its packets."""
    wanted = wanted_transport(data.decode("utf-8", "replace"))
    if isinstance(wanted, InterleavedChannels):
        assert 0 <= wanted.rtp <= 255 and 0 <= wanted.rtcp <= 255
    elif isinstance(wanted, ClientPorts):
        assert 0 < wanted.rtp <= 65535 and 0 < wanted.rtcp <= 65535


def login(data: bytes) -> None:
    """What a camera sends while it is logged in to, and after; the player gets it bounded, and never the password."""
    between = Passage(Credentials("bob", "hunter2"), "rtsp://127.0.0.1:9/word", "rtsp://cam.example:554")
    size = PIECES[data[0] & 3] if data else 1
    asked, at = 0, 1
    while at < len(data):
        if asked < 4:
            asked += 1
            between.from_player(f"DESCRIBE {between.near}/live RTSP/1.0\r\nCSeq: {asked}\r\n\r\n".encode())
        between.from_camera(data[at : at + size])
        at += size
    assert len(between.to_player) <= 2 * len(data) + asked * 32, "more comes out than went in"
    assert between.to_camera.count(b"DESCRIBE ") <= 3 * asked, "a camera has us ask again and again"
    assert b"hunter2" not in between.to_camera + between.to_player
    assert b"127.0.0.1" not in between.to_camera


def sdp(data: bytes) -> None:
    """A recording's first picture and extradata, of which SDP tells; every line is `letter=value`."""
    codec = ("h264", "hevc", "mpeg4", "mjpeg")[data[0] & 3] if data else "h264"
    key_frame, _, extradata = data[1:].partition(b"\x1e")
    media = MediaFormat.from_key_frame(codec, key_frame, extradata, Fraction(30000, 1001))
    lines = describe("gate", media, session=1).split("\r\n")
    assert lines.pop() == ""
    assert all(line[1:2] == "=" and line.isprintable() for line in lines)
