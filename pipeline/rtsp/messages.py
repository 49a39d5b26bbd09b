"""RTSP 1.0 messages (RFC 2326): bytes in, requests out; answers in, bytes out. No sockets here."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from pipeline.errors import RtspError

VERSION = "RTSP/1.0"
MAX_HEADER_BYTES = 16 * 1024
MAX_BODY_BYTES = 64 * 1024

_REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    405: "Method Not Allowed",
    410: "Gone",
    454: "Session Not Found",
    455: "Method Not Valid in This State",
    459: "Aggregate Operation Not Allowed",
    461: "Unsupported Transport",
    501: "Not Implemented",
    505: "RTSP Version Not Supported",
    551: "Option Not Supported",
}
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
"""All but the tab."""
_HEADER_END = b"\r\n\r\n"
_INTERLEAVED = ord("$")


class MalformedRequest(RtspError):
    """These bytes are no RTSP request; nothing after them can be understood."""


@dataclass(frozen=True, slots=True)
class Request:
    """One RTSP request; header names in lower case."""

    method: str
    target: str
    version: str
    headers: Mapping[str, str]

    @property
    def path(self) -> str:
        """The target's path without slashes at its ends, decoded: `gate/trackID=0`; empty for `*` and the root."""
        return "" if self.target == "*" else unquote(urlsplit(self.target).path).strip("/")

    @property
    def cseq(self) -> str:
        """The sequence number to be repeated in the answer."""
        return self.headers.get("cseq", "")

    @property
    def session_id(self) -> str:
        """The session named by the client, without parameters; empty where it named none."""
        return self.headers.get("session", "").split(";")[0].strip()


class RequestReader:
    """Cuts what a client sends into requests; the RTCP that comes in between on the same connection is skipped."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, received: bytes) -> Iterator[Request]:
        """The requests that `received` completes.

        Raises:
            MalformedRequest: the connection must be closed after an answer of 400.
        """
        self._pending += received
        while self._pending:
            if self._pending[0] == _INTERLEAVED:
                if not self._skip_interleaved():
                    return
            elif self._pending[0] in b"\r\n":
                del self._pending[0]
            else:
                request = self._cut_request()
                if request is None:
                    return
                yield request

    def _skip_interleaved(self) -> bool:
        if len(self._pending) < 4:
            return False
        end = 4 + int.from_bytes(self._pending[2:4], "big")
        if len(self._pending) < end:
            return False
        del self._pending[:end]
        return True

    def _cut_request(self) -> Request | None:
        header_end = self._pending.find(_HEADER_END, 0, MAX_HEADER_BYTES)
        if header_end < 0:
            if len(self._pending) >= MAX_HEADER_BYTES:
                raise MalformedRequest(f"header longer than {MAX_HEADER_BYTES} bytes")
            return None
        request = parse_request(bytes(self._pending[:header_end]))
        end = header_end + len(_HEADER_END) + _body_length(request)
        if len(self._pending) < end:
            return None
        del self._pending[:end]
        return request


def parse_request(head: bytes) -> Request:
    """The request whose line and headers are `head`, without the empty line.

    Raises:
        MalformedRequest: no request line of three words, a header without a colon, no CSeq, no text, or a control
            character, such as a line's end without the other half; answers repeat what is asked.
    """
    try:
        request_line, *header_lines = head.decode("utf-8").split("\r\n")
    except UnicodeDecodeError as error:
        raise MalformedRequest("the request is no text") from error
    if _CONTROL.search(head.replace(b"\r\n", b"")):
        raise MalformedRequest("a control character in the request")
    words = request_line.split(" ")
    if len(words) != 3 or not words[0].replace("_", "").isalpha() or not words[1] or not words[2].startswith("RTSP/"):
        raise MalformedRequest("the first line is not METHOD URL RTSP/1.0")
    headers = dict(_header(line) for line in header_lines)
    if not headers.get("cseq", "").isdecimal():
        raise MalformedRequest("CSeq is missing or no number")
    return Request(words[0], _checked_url(words[1]), words[2], headers)


def response(status: int, headers: Mapping[str, str | tuple[str, ...]], body: str = "") -> bytes:
    """The bytes of an answer; a header with several values gets a line for each, the body's length is added."""
    lines = [f"{VERSION} {status} {_REASONS[status]}"]
    for name, value in headers.items():
        lines += [f"{name}: {one}" for one in ((value,) if isinstance(value, str) else value)]
    content = body.encode()
    if content:
        lines.append(f"Content-Length: {len(content)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + content


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not name.strip():
        raise MalformedRequest("a header has no name or no colon")
    return name.strip().lower(), value.strip()


def _checked_url(url: str) -> str:
    try:
        urlsplit(url)
    except ValueError as error:
        raise MalformedRequest("the URL cannot be understood") from error
    return url


def _body_length(request: Request) -> int:
    length = request.headers.get("content-length", "0")
    if not length.isdecimal() or len(length) > 20 or int(length) > MAX_BODY_BYTES:
        raise MalformedRequest(f"Content-Length is no number up to {MAX_BODY_BYTES}")
    return int(length)
