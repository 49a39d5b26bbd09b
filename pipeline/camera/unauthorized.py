"""Why a camera does not let us in: a wrong password, or a way of asking for it that is not known here.

FFmpeg answers Basic and Digest with MD5 (RFC 2617), and of several offers of Digest it takes the last; some cameras
offer SHA-256 (RFC 7616) only, or last, and then a right password seems wrong. Those are answered by
`pipeline.camera.login`.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from contextlib import suppress
from urllib.parse import urlsplit

from pipeline.config.camera import Camera
from pipeline.config.url import CameraUrl
from pipeline.errors import RtspError, SourceError
from pipeline.rtsp.challenge import Challenge, best, challenges
from pipeline.rtsp.login import Message, MessageReader

DEFAULT_PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}
_ASK_S = 2.0
_OF_FFMPEG = ("", "MD5", "MD5-sess")
"""Algorithms, as FFmpeg compares them."""
_MOST_BYTES = {"realm": 199, "nonce": 299, "opaque": 299, "qop": 29}
"""Of a parameter; FFmpeg keeps no more of it (httpauth.h), and answers with that."""

_WRONG = "it wants another user or password (401); check those in the address"
_UNKNOWN = (
    "it asks for a way of Digest that is not known here (401); allow Digest MD5 or SHA-256, or Basic, in its settings, "
    "and then check user and password"
)
_OVER_UDP = (
    "it asks for Digest SHA-256, or as FFmpeg does not speak it, which is answered over TCP only (401); set "
    "transport: tcp for this camera, or allow Digest MD5 in its settings"
)


_OVER_HTTP = (
    "it asks for Digest SHA-256, or as FFmpeg does not speak it, which is answered over RTSP only (401); take its "
    "rtsp:// address, or allow only Digest MD5, or Basic, in its settings"
)


class LoginRefused(SourceError):
    """A camera wants another user or password: trying again too often may lock the account."""


def why_unauthorized(camera: Camera) -> str:
    """What to do about an answer of 401; asks the camera what it offers, without any password. Blocks up to 2 s."""
    offers = offered_by(camera.url)
    if not needs_login(offers):
        return _WRONG
    if not is_rtsp(camera.url):
        return _OVER_HTTP
    if best(offers) is None:
        return _UNKNOWN
    return _OVER_UDP if camera.transport == "udp" else _WRONG


def needs_login(offers: list[Challenge]) -> bool:
    """Whether FFmpeg cannot answer any of these."""
    digests = [one for one in offers if one.scheme == "digest"]
    return bool(digests) and not _is_known_to_ffmpeg(digests[-1].fields)


def _is_known_to_ffmpeg(fields: dict[str, str]) -> bool:
    """Whether it answers a challenge of Digest rightly."""
    algorithm = fields.get("algorithm", "")
    # It does not say by which cnonce its secret is made.
    is_half_answered = algorithm == "MD5-sess" and not fields.get("qop")
    # It leaves out the backslash of a quoted pair, and sends it back without.
    is_kept = all(
        len(fields.get(name, "").encode("utf-8", "surrogateescape")) <= most and "\\" not in fields.get(name, "")
        for name, most in _MOST_BYTES.items()
    )
    return algorithm in _OF_FFMPEG and not is_half_answered and is_kept


def is_rtsp(url: CameraUrl) -> bool:
    """Whether it is spoken to by RTSP."""
    return url.kind == "network" and urlsplit(url.reveal()).scheme.lower() in ("rtsp", "rtsps")


def offered_by(url: CameraUrl) -> list[Challenge]:
    """The ways of authentication that a camera offers, in order; none where it does not say. Blocks up to 2 s."""
    parts = urlsplit(url.reveal())
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    with suppress(OSError, RtspError, http.client.HTTPException):
        if not is_rtsp(url):
            return list(challenges(_asked_by_http(url, target or "/")))
        with connected(url, _ASK_S) as connection:
            request = f"DESCRIBE {far_end(url)}{target} RTSP/1.0\r\nCSeq: 1\r\nAccept: application/sdp\r\n\r\n"
            connection.sendall(request.encode())
            return offered(_answer(connection))
    return []


def offered(answer: Message) -> list[Challenge]:
    """The ways of authentication that an answer offers, in order."""
    return list(challenges(answer.values("www-authenticate")))


def far_end(url: CameraUrl) -> str:
    """How a camera's own addresses begin: scheme, host and port."""
    parts = urlsplit(url.reveal())
    scheme, host = parts.scheme.lower(), parts.hostname or ""
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{parts.port or DEFAULT_PORTS[scheme]}"


def connected(url: CameraUrl, timeout_s: float) -> socket.socket:
    """A connection to a camera, by TLS where its address says so; blocks.

    Raises:
        OSError: There is none.
    """
    parts = urlsplit(url.reveal())
    scheme, host = parts.scheme.lower(), parts.hostname or ""
    plain = socket.create_connection((host, parts.port or DEFAULT_PORTS[scheme]), timeout_s)
    try:
        return _without_check(plain, host) if scheme in ("rtsps", "https") else plain
    except BaseException:
        plain.close()
        raise


def _asked_by_http(url: CameraUrl, target: str) -> list[str]:
    """The WWW-Authenticate headers of the answer to a GET."""
    with connected(url, _ASK_S) as connection:
        asking = http.client.HTTPConnection(urlsplit(url.reveal()).hostname or "")
        asking.sock = connection
        asking.request("GET", target, headers={"Connection": "close"})
        with asking.getresponse() as answer:
            return answer.headers.get_all("WWW-Authenticate", [])


def _answer(connection: socket.socket) -> Message:
    """The first answer that comes."""
    reader = MessageReader()
    while received := connection.recv(4096):
        for one in reader.feed(received):
            if isinstance(one, Message):
                return one
    raise RtspError("no answer")


def _without_check(plain: socket.socket, host: str) -> ssl.SSLSocket:
    """As FFmpeg does it: cameras sign their own certificates."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(plain, server_hostname=host)
