"""A small RTSP camera with the habits that a test gives it: what it says of its stream, offers, and sends when."""

from __future__ import annotations

import base64
import socket
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.camera_media import TcpServer
from tests.coded_pictures import Nal, nal_units

MTU = 1000
PAYLOAD_TYPE = 96


@dataclass(frozen=True)
class Habits:
    """How a camera behaves.

    Attributes:
        fps: Pictures a second that it really sends.
        sets_told: Its description holds the parameter sets.
        begins: Number of the picture that a viewer gets first.
        refuses_tcp: SETUP over TCP is answered with 461.
        challenges: It asks for a password in these ways.
        shape: Changes what is sent.
    """

    fps: float = 25
    sets_told: bool = True
    begins: int = 0
    refuses_tcp: bool = False
    challenges: tuple[str, ...] = ()
    shape: Callable[[list[list[Nal]]], list[list[Nal]]] = list


class RtspCamera(TcpServer):
    """Serves coded H.264 pictures over RTSP and TCP (RFC 2326 §10.12), once for each viewer."""

    def __init__(self, pictures: Sequence[bytes], habits: Habits = Habits()) -> None:
        self._units, self._habits = nal_units(pictures), habits
        super().__init__()

    @property
    def url(self) -> str:
        return f"rtsp://viewer:hunter2@127.0.0.1:{self.port}/live"

    def serve(self, connection: socket.socket) -> None:
        received = b""
        while data := connection.recv(65536):
            received += data
            while b"\r\n\r\n" in received:
                head, _, received = received.partition(b"\r\n\r\n")
                request = head.decode()
                connection.sendall(self._answer(request))
                if request.startswith("PLAY"):
                    self._send(connection)
                    return

    def _answer(self, request: str) -> bytes:
        method = request.split(maxsplit=1)[0]
        number = next(line.split(":")[1].strip() for line in request.splitlines() if line.lower().startswith("cseq"))
        if method == "DESCRIBE" and self._habits.challenges:
            offers = "".join(f"WWW-Authenticate: {offer}\r\n" for offer in self._habits.challenges)
            return f"RTSP/1.0 401 Unauthorized\r\nCSeq: {number}\r\n{offers}\r\n".encode()
        if method == "SETUP" and self._habits.refuses_tcp and "TCP" in request:
            return f"RTSP/1.0 461 Unsupported Transport\r\nCSeq: {number}\r\n\r\n".encode()
        headers, body = f"CSeq: {number}\r\nSession: 7\r\n", ""
        if method == "OPTIONS":
            headers += "Public: OPTIONS, DESCRIBE, SETUP, PLAY\r\n"
        if method == "DESCRIBE":
            body = self._description()
            headers += f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n"
        if method == "SETUP":
            headers += "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"
        return f"RTSP/1.0 200 OK\r\n{headers}\r\n{body}".encode()

    def _description(self) -> str:
        sets = ",".join(base64.b64encode(one.data).decode() for one in self._units[0] if one.is_set("h264"))
        told = f";sprop-parameter-sets={sets}" if self._habits.sets_told else ""
        return (
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=lab\r\nt=0 0\r\na=control:*\r\n"
            f"m=video 0 RTP/AVP {PAYLOAD_TYPE}\r\na=rtpmap:{PAYLOAD_TYPE} H264/90000\r\n"
            f"a=fmtp:{PAYLOAD_TYPE} packetization-mode=1{told}\r\na=control:track1\r\n"
        )

    def _send(self, connection: socket.socket) -> None:
        sequence, began_s = 0, time.monotonic()
        for number, unit in enumerate(self._habits.shape(self._units)[self._habits.begins :]):
            if self.closing.wait(max(0.0, began_s + number / self._habits.fps - time.monotonic())):
                return
            parts = [(part, nal.pts) for nal in unit for part in _fragments(nal.data)]
            for place, (part, pts) in enumerate(parts, start=1):
                marker = 0x80 if place == len(parts) else 0
                header = struct.pack(">BBHII", 0x80, marker | PAYLOAD_TYPE, sequence & 0xFFFF, pts & 0xFFFFFFFF, 99)
                connection.sendall(struct.pack(">BBH", 0x24, 0, len(header) + len(part)) + header + part)
                sequence += 1
        self.closing.wait()


def _fragments(nal: bytes) -> list[bytes]:
    """As RFC 6184 §5.8 has it."""
    if len(nal) <= MTU:
        return [nal]
    body, room = nal[1:], MTU - 2
    return [
        bytes([nal[0] & 0xE0 | 28, (0x80 * (at == 0)) | (0x40 * (at + room >= len(body))) | nal[0] & 0x1F])
        + body[at : at + room]
        for at in range(0, len(body), room)
    ]
