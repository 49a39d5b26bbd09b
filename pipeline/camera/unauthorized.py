"""Why a camera does not let us in: a wrong password, or a way of asking for it that FFmpeg does not know.

FFmpeg answers Basic and Digest with MD5 (RFC 2617), and of several offers of Digest it takes the last; some cameras
offer SHA-256 (RFC 7616) only, or last, and then a right password seems wrong.
"""

from __future__ import annotations

import re
import socket
import ssl
from contextlib import suppress
from typing import Literal
from urllib.parse import urlsplit

from pipeline.config.camera import Camera

DEFAULT_PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}
_ASK_S = 2.0
_MOST_BYTES = 16 << 10
_OFFER = re.compile(rb"(?im)^www-authenticate:\s*(basic|digest)\b(.*)$")
_ALGORITHM = re.compile(rb"(?i)\balgorithm\s*=\s*\"?([\w-]+)")

_WRONG = "it wants another user or password (401); check those in the address"
_SHA_256 = (
    "it asks for Digest SHA-256, which FFmpeg does not speak (401); allow only Digest MD5, or Basic, in its settings, "
    "and then check user and password"
)

Offer = Literal["basic", "md5", "other"]


def why_unauthorized(camera: Camera) -> str:
    """What to do about an answer of 401; asks the camera what it offers, without any password. Blocks up to 2 s."""
    parts = urlsplit(camera.url.reveal())
    if parts.scheme.lower() not in ("rtsp", "rtsps"):
        return _WRONG
    with suppress(OSError):
        answer = _describe(parts.scheme.lower(), parts.hostname or "", parts.port, parts.path)
        digests = [offer for offer in offered(answer) if offer != "basic"]
        if digests and digests[-1] == "other":
            return _SHA_256
    return _WRONG


def offered(answer: bytes) -> list[Offer]:
    """The ways of authentication that an answer's head offers, in order."""
    found: list[Offer] = []
    for scheme, rest in _OFFER.findall(answer.replace(b"\r", b"")):
        algorithm = _ALGORITHM.search(rest)
        is_md5 = algorithm is None or algorithm[1].upper().startswith(b"MD5")
        found.append("basic" if scheme.lower() == b"basic" else "md5" if is_md5 else "other")
    return found


def _describe(scheme: str, host: str, port: int | None, path: str) -> bytes:
    """The head of the answer to a DESCRIBE (RFC 2326 §10.2)."""
    port = port or DEFAULT_PORTS[scheme]
    shown_host = f"[{host}]" if ":" in host else host
    request = f"DESCRIBE rtsp://{shown_host}:{port}{path} RTSP/1.0\r\nCSeq: 1\r\nAccept: application/sdp\r\n\r\n"
    with socket.create_connection((host, port), _ASK_S) as plain:
        connection = _without_check(plain, host) if scheme == "rtsps" else plain
        connection.sendall(request.encode())
        answer = b""
        while b"\r\n\r\n" not in answer and len(answer) < _MOST_BYTES and (more := connection.recv(4096)):
            answer += more
        return answer


def _without_check(plain: socket.socket, host: str) -> ssl.SSLSocket:
    """Nothing secret is sent here, so whose certificate it is does not matter."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(plain, server_hostname=host)
