"""Cameras that send whoever asks to another address: by a redirection, or by a playlist that names others.

FFmpeg follows wherever it is sent, so a camera could make this machine ask services that only this machine may ask.
Unless `allow_redirects` says otherwise, only an http redirection within the camera's own host and port is followed, and
formats that name addresses are not read. An RTSP redirection is told by FFmpeg when it has been followed: what comes
of it is refused, and the sandbox keeps it to the camera's port.
"""

from __future__ import annotations

import base64
import functools
import http.client
import math
import re
import ssl
from contextlib import closing
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

import av

from pipeline.camera.unauthorized import DEFAULT_PORTS
from pipeline.config.camera import Camera
from pipeline.errors import SourceError

_NAMES_ADDRESSES = frozenset(
    {
        *("applehttp", "avisynth", "concat", "dash", "dvdvideo", "hls", "image2", "imf"),
        *("lavfi", "rtp", "rtsp", "sap", "sdp", "vapoursynth"),
    }
)
"""FFmpeg's input formats that open what their content, or a pattern in their name, tells them to."""
_NOT_LISTED = re.compile("not on whitelist|Not detecting m3u8")
_PLAYLIST = re.compile("(?m)^hls: (Format not on whitelist|Not detecting m3u8)")
_REDIRECTING = re.compile(r"Redirecting to (\S+)")
_HOST = re.compile(r"[0-9A-Za-z.:-]{1,253}")
_SKIPPED_BYTES = 64 << 10
_ANSWER_S = 2.0
"""How long a camera that has just sent an answer may take for another."""


def is_http(address: str) -> bool:
    """Whether it is spoken to by HTTP."""
    return urlsplit(address).scheme.lower() in ("http", "https")


def own_address_options(camera: Camera) -> dict[str, str]:
    """Options of FFmpeg that keep an http camera to its address."""
    if camera.allow_redirects or not is_http(camera.url.reveal()):
        return {}
    return {"max_redirects": "0", "format_whitelist": plain_formats()}


def is_playlist(camera: Camera, said: str) -> bool:
    """Whether FFmpeg's log says that the camera sent one of HLS, which was not read."""
    return not camera.allow_redirects and is_http(camera.url.reveal()) and _PLAYLIST.search(said) is not None


def require_plain(camera: Camera, said: str) -> None:
    """Raise if FFmpeg's log says that the camera sent a description that names addresses.

    Raises:
        SourceError: It did.
    """
    if not camera.allow_redirects and is_http(camera.url.reveal()) and _NOT_LISTED.search(said):
        raise SourceError(
            f"{camera.url} sends a playlist or description, which names other addresses; if this machine may ask "
            "those, set allow_redirects for this camera"
        )


def require_own_address(camera: Camera, said: str) -> None:
    """Raise if FFmpeg's log says that it was sent on to another host or port.

    Raises:
        SourceError: It was.
    """
    for address in _REDIRECTING.findall(said):
        if not camera.allow_redirects and origin(address) != origin(camera.url.reveal()):
            raise SourceError(_sent_on(camera, address))


def next_address(camera: Camera, address: str) -> str | None:
    """Where an http camera redirects from `address`, with the same user and password; None if it does not. Blocks.

    Raises:
        SourceError: It is another host or port.
    """
    location = _location(address)
    if location is None:
        return None
    parts = urlsplit(urljoin(address, location))
    if origin(urlunsplit(parts)) != origin(camera.url.reveal()):
        raise SourceError(_sent_on(camera, urlunsplit(parts)))
    userinfo, at, _ = urlsplit(camera.url.reveal()).netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{userinfo}{at}{parts.netloc.rpartition('@')[2]}"))


def origin(address: str) -> tuple[str, str, int | None]:
    """Scheme, host and port; an address that is none has an origin of its own."""
    try:
        parts = urlsplit(address)
        scheme = parts.scheme.lower()
        return scheme, (parts.hostname or "").rstrip("."), parts.port or DEFAULT_PORTS.get(scheme)
    except ValueError:
        return "", address, None


def _sent_on(camera: Camera, address: str) -> str:
    scheme, host, port = origin(address)
    where = f"{scheme}://{host}:{port}" if _HOST.fullmatch(host) else "another address"
    return (
        f"{camera.url} sends on to {where}; write that address for this camera, or set allow_redirects if this machine "
        "may go wherever it is sent"
    )


@functools.cache
def plain_formats() -> str:
    """FFmpeg's input formats that name no addresses, with commas between."""
    return ",".join(sorted(av.formats_available - _NAMES_ADDRESSES))


class Answer:
    """What an http server answers; the connection is for it alone."""

    def __init__(self, connection: http.client.HTTPConnection, part: range | None = None) -> None:
        """Of a connection on which something was asked, or these bytes of it."""
        self._connection, self._response = connection, connection.getresponse()
        self.status = self._response.status
        self.location = self._response.getheader("Location")
        self._skip, self._left = 0, math.inf
        if part is not None and self.status == http.client.OK:
            # Not every server knows of parts (RFC 9110 §14.2).
            self._skip, self._left = part.start, len(part)

    def read(self, size: int = -1) -> bytes:
        """So many bytes of what was asked for, fewer at its end."""
        while self._skip and (skipped := self._response.read(min(self._skip, _SKIPPED_BYTES))):
            self._skip -= len(skipped)
        if math.isfinite(self._left):
            size = int(self._left) if size < 0 else min(size, int(self._left))
        data = self._response.read(size)
        self._left -= len(data)
        return data

    def close(self) -> None:
        """Let it go."""
        self._response.close()
        self._connection.close()


def fetch(camera_address: str, address: str, timeout_s: float, part: range | None = None) -> Answer:
    """What an http server answers to GET; user and password are those of the camera's own address. Blocks.

    Args:
        camera_address: Of the camera.
        address: Of what is asked for.
        timeout_s: Of each operation.
        part: Which of its bytes; all of them for None.

    Raises:
        OSError: It does not.
        HTTPException: Not in HTTP.
    """
    parts = urlsplit(address)
    host, scheme = parts.hostname or "", parts.scheme.lower()
    if scheme == "https":
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # as FFmpeg: cameras sign their own
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            host, parts.port, timeout=timeout_s, context=context
        )
    else:
        connection = http.client.HTTPConnection(host, parts.port, timeout=timeout_s)
    headers = {"Connection": "close", **_headers(camera_address)}
    if part is not None:
        headers["Range"] = f"bytes={part.start}-{part.stop - 1}"
    try:
        connection.request("GET", urlunsplit(("", "", parts.path or "/", parts.query, "")), headers=headers)
        return Answer(connection, part)
    except BaseException:
        connection.close()
        raise


def _location(address: str) -> str | None:
    """What an http server answers as the place to go to."""
    try:
        with closing(fetch(address, address, _ANSWER_S)) as answer:
            return answer.location if answer.status in (301, 302, 303, 307, 308) else None
    except (OSError, http.client.HTTPException, ValueError):
        return None


def _headers(address: str) -> dict[str, str]:
    parts = urlsplit(address)
    if parts.username is None:
        return {}
    words = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"Authorization": f"Basic {base64.b64encode(words.encode()).decode()}"}
