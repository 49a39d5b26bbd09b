"""A small RTSP camera with the habits that a test gives it: what it says of its stream, offers, and sends when."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import socket
import struct
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from pipeline.camera.nal import Codec
from tests.camera_media import TcpServer
from tests.coded_pictures import Nal, nal_units

MTU = 1000
PAYLOAD_TYPE = 96
USER = "viewer"


@dataclass(frozen=True)
class Habits:
    """How a camera behaves.

    Attributes:
        codec: `h264` or `hevc`.
        fps: Pictures a second that it really sends.
        sets_told: Its description holds the parameter sets.
        told: Coded pictures of another stream whose parameter sets it tells instead.
        begins: Number of the picture that a viewer gets first.
        refuses_tcp: SETUP over TCP is answered with 461.
        challenges: It asks for a password in these ways; `{nonce}` in them is a new one for each connection.
        password: That lets the user in; where there is none, nobody is let in.
        nonce_lasts: So many requests; then it is stale.
        open_to_all: Methods for which no password is asked.
        shape: Changes what is sent.
        hangs_up: After the last picture.
    """

    codec: Codec = "h264"
    fps: float = 25
    sets_told: bool = True
    told: tuple[bytes, ...] = ()
    begins: int = 0
    refuses_tcp: bool = False
    challenges: tuple[str, ...] = ()
    password: str = ""
    nonce_lasts: int = 1000
    open_to_all: tuple[str, ...] = ("OPTIONS",)
    shape: Callable[[list[list[Nal]]], list[list[Nal]]] = list
    hangs_up: bool = False


class Door:
    """Asks one connection for its password; knows Digest as RFC 7616 writes it, independent of the package."""

    def __init__(self, habits: Habits) -> None:
        self._habits = habits
        self._asked = 0
        self._nonce = ""
        self.offers: list[str] = []
        self._renew(stale=False)

    def admits(self, request: str) -> bool:
        if not self._habits.challenges:
            return True
        found = re.search(r"(?im)^authorization: *(digest|basic) +(.*?)\r?$", request)
        if found is None or not self._habits.password:
            return False
        if found[1].lower() == "basic":
            return base64.b64decode(found[2]).decode() == f"{USER}:{self._habits.password}"
        fields = re.findall(r'(\w+)=(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))', found[2])
        given = {name: quoted or plain for name, quoted, plain in fields}
        method, uri, _ = request.split(maxsplit=2)
        right = given["response"] == self._expected(method, given) and given["uri"] == uri
        self._asked += right
        if right and self._asked > self._habits.nonce_lasts:
            self._renew(stale=True)
            return False
        return right and given["nonce"] == self._nonce and self._repeats(given)

    def _repeats(self, given: dict[str, str]) -> bool:
        """Whether an answer has what one of the offers has, as it stands there."""
        names = ("realm", "opaque")
        return any(
            all(f'{name}="{given.get(name)}"' in offer for name in names if f"{name}=" in offer)
            for offer in self.offers
        )

    def _renew(self, *, stale: bool) -> None:
        self._asked, self._nonce = 0, secrets.token_hex(8)
        offers = [offer.replace("{nonce}", self._nonce) for offer in self._habits.challenges]
        self.offers = [f"{offer}, stale=true" if stale else offer for offer in offers]

    def _expected(self, method: str, given: dict[str, str]) -> str:
        algorithm = given.get("algorithm", "MD5").upper()
        name = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}[algorithm.removesuffix("-SESS")]

        def digest(*words: str) -> str:
            return hashlib.new(name, ":".join(words).encode()).hexdigest()

        secret = digest(USER, given["realm"], self._habits.password)
        if algorithm.endswith("-SESS"):
            secret = digest(secret, given["nonce"], given.get("cnonce", ""))
        between = [given["nc"], given["cnonce"], given["qop"]] if "qop" in given else []
        return digest(secret, given["nonce"], *between, digest(method, given["uri"]))


class RtspCamera(TcpServer):
    """Serves coded pictures over RTSP, once for each viewer: over TCP (RFC 2326 §10.12), or UDP for one at a time.

    Nobody listens at its RTCP port.
    """

    def __init__(self, pictures: Sequence[bytes], habits: Habits = Habits()) -> None:
        self._units, self._habits = nal_units(pictures), habits
        self.requests: list[str] = []
        self._client_port = 0
        self._udp_port = _two_free_ports()
        super().__init__()

    @property
    def url(self) -> str:
        return f"rtsp://{USER}:hunter2@127.0.0.1:{self.port}/live"

    def serve(self, connection: socket.socket) -> None:
        received = b""
        door = Door(self._habits)
        while data := connection.recv(65536):
            received += data
            while b"\r\n\r\n" in received:
                head, _, received = received.partition(b"\r\n\r\n")
                request = head.decode()
                self.requests.append(request)
                answer = self._answer(request, door)
                connection.sendall(answer)
                if request.startswith("PLAY") and b" 200 " in answer:
                    with socket.socket(type=socket.SOCK_DGRAM) as datagrams:
                        datagrams.bind(("127.0.0.1", self._udp_port if self._client_port else 0))
                        self._send(connection, datagrams)
                    return

    def _answer(self, request: str, door: Door) -> bytes:
        method = request.split(maxsplit=1)[0]
        number = next(line.split(":")[1].strip() for line in request.splitlines() if line.lower().startswith("cseq"))
        if method not in self._habits.open_to_all and not door.admits(request):
            offers = "".join(f"WWW-Authenticate: {offer}\r\n" for offer in door.offers)
            return f"RTSP/1.0 401 Unauthorized\r\nCSeq: {number}\r\n{offers}\r\n".encode()
        if method == "SETUP" and self._habits.refuses_tcp and "TCP" in request:
            return f"RTSP/1.0 461 Unsupported Transport\r\nCSeq: {number}\r\n\r\n".encode()
        headers, body = f"CSeq: {number}\r\nSession: 7\r\n", ""
        if method == "OPTIONS":
            headers += "Public: OPTIONS, DESCRIBE, SETUP, PLAY\r\n"
        if method == "DESCRIBE":
            body = self._description()
            headers += f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n"
        if method == "SETUP" and (ports := re.search(r"RTP/AVP(?:/UDP)?;unicast;client_port=(\d+)-\d+", request)):
            self._client_port = int(ports[1])
            own = f"{self._udp_port}-{self._udp_port + 1}"
            headers += f"Transport: RTP/AVP;unicast;client_port={ports[1]}-{int(ports[1]) + 1};server_port={own}\r\n"
        elif method == "SETUP":
            headers += "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"
        return f"RTSP/1.0 200 OK\r\n{headers}\r\n{body}".encode()

    def _description(self) -> str:
        codec = self._habits.codec
        told = _told(codec, nal_units(self._habits.told) if self._habits.told else self._units)
        fmtp = [*(["packetization-mode=1"] if codec == "h264" else []), *([told] if self._habits.sets_told else [])]
        return (
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=lab\r\nt=0 0\r\na=control:*\r\n"
            f"m=video 0 RTP/AVP {PAYLOAD_TYPE}\r\n"
            f"a=rtpmap:{PAYLOAD_TYPE} {'H264' if codec == 'h264' else 'H265'}/90000\r\n"
            + (f"a=fmtp:{PAYLOAD_TYPE} {';'.join(fmtp)}\r\n" if fmtp else "")
            + "a=control:track1\r\n"
        )

    def _send(self, connection: socket.socket, datagrams: socket.socket) -> None:
        sequence, began_s = 0, time.monotonic()
        for number, unit in enumerate(self._habits.shape(self._units)[self._habits.begins :]):
            if self.closing.wait(max(0.0, began_s + number / self._habits.fps - time.monotonic())):
                return
            parts = [(part, nal.pts) for nal in unit for part in _fragments(nal.data, self._habits.codec)]
            for place, (part, pts) in enumerate(parts, start=1):
                marker = 0x80 if place == len(parts) else 0
                header = struct.pack(">BBHII", 0x80, marker | PAYLOAD_TYPE, sequence & 0xFFFF, pts & 0xFFFFFFFF, 99)
                if self._client_port:
                    datagrams.sendto(header + part, ("127.0.0.1", self._client_port))
                else:
                    connection.sendall(struct.pack(">BBH", 0x24, 0, len(header) + len(part)) + header + part)
                sequence += 1
        if not self._habits.hangs_up:
            self.closing.wait()


def aggregated(units: list[list[Nal]], codec: Codec) -> list[list[Nal]]:
    """The parameter sets and messages of each picture in one packet (RFC 6184 §5.7.1, RFC 7798 §4.4.2)."""
    return [
        [_together(unit[:-1], codec), unit[-1]] if len(unit) > 1 and _size(unit[:-1]) < MTU else unit for unit in units
    ]


def _two_free_ports() -> int:
    """The first of two that follow each other."""
    while True:
        with socket.socket(type=socket.SOCK_DGRAM) as one, socket.socket(type=socket.SOCK_DGRAM) as two:
            one.bind(("127.0.0.1", 0))
            port: int = one.getsockname()[1]
            with suppress(OSError, OverflowError):
                two.bind(("127.0.0.1", port + 1))
                return port


def _together(nals: Sequence[Nal], codec: Codec) -> Nal:
    header = bytes([24]) if codec == "h264" else bytes([48 << 1, 1])
    return Nal(header + b"".join(struct.pack(">H", len(one.data)) + one.data for one in nals), nals[0].pts)


def _size(nals: Sequence[Nal]) -> int:
    return sum(2 + len(one.data) for one in nals) + 2


def _told(codec: Codec, units: list[list[Nal]]) -> str:
    """The parameter sets as a description has them (RFC 6184 §8.1, RFC 7798 §7.1)."""
    sets = [one.data for one in units[0] if one.is_set(codec)]
    coded = [base64.b64encode(one).decode() for one in sets]
    if codec == "h264":
        return f"sprop-parameter-sets={','.join(coded)}"
    names = {32: "vps", 33: "sps", 34: "pps"}
    return ";".join(f"sprop-{names[one[0] >> 1 & 0x3F]}={text}" for one, text in zip(sets, coded, strict=True))


def _fragments(nal: bytes, codec: Codec) -> list[bytes]:
    """As RFC 6184 §5.8 and RFC 7798 §4.4.3 have it."""
    if len(nal) <= MTU:
        return [nal]
    size = 1 if codec == "h264" else 2
    body, room = nal[size:], MTU - size - 1
    kind = nal[0] & 0x1F if codec == "h264" else nal[0] >> 1 & 0x3F
    head = bytes([nal[0] & 0xE0 | 28]) if codec == "h264" else bytes([nal[0] & 0x81 | 49 << 1, nal[1]])
    return [
        head + bytes([(0x80 * (at == 0)) | (0x40 * (at + room >= len(body))) | kind]) + body[at : at + room]
        for at in range(0, len(body), room)
    ]
