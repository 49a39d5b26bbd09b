"""Cameras that FFmpeg cannot log in to: what it says goes through this process, which answers them in its place.

FFmpeg knows no Digest but MD5, of 1992; cameras that ask for SHA-256 (RFC 7616) refuse it. For those, and no others, it
connects to a port of this process, without a password, and a thread passes on what it and the camera say to each other,
with the answers put in (`pipeline.rtsp.login`). Packets come inside the same connection, so RTSP over TCP only.

The port is on loopback, where other users of this machine may connect, too: a word that only FFmpeg is told stands in
its address, and who does not know it is sent away. The sandbox lets no process bind a port, so the process of a camera
with a password binds it before (`reserve`), and listens when it is needed.
"""

from __future__ import annotations

import secrets
import select
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

import structlog

from pipeline.camera.unauthorized import connected, far_end, is_rtsp, needs_login, offered_by
from pipeline.config.camera import Camera
from pipeline.config.url import CameraUrl
from pipeline.errors import RtspError
from pipeline.rtsp.challenge import Credentials, best
from pipeline.rtsp.login import Passage

log = structlog.get_logger()

MOST_WAITING = 256 << 10
"""Bytes that wait for one side before the other is read on; more than the largest message and the largest packet."""
_CHUNK = 64 << 10
_HOST = "127.0.0.1"
_LONGEST_QUEUE = 8
_FIRST_WORD_S = 1.0
"""FFmpeg asks as soon as it has connected."""

_NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)

_reserved: list[socket.socket] = []
_known: set[str] = set()
"""Cameras that FFmpeg cannot log in to; each failed try may count against the user."""


def reserve(camera: Camera) -> frozenset[int]:
    """Ports on which this process may have to speak to itself, bound from now on; it shall be free to connect there."""
    addresses = [url for url in (camera.url, camera.evidence_url) if url is not None]
    _reserved.extend(_bound() for url in addresses if _credentials(url) is not None)
    return frozenset(listener.getsockname()[1] for listener in _reserved)


def learns(camera: Camera) -> bool:
    """Whether a camera that answered 401 asks in a way that FFmpeg does not know and this module does; remembered.

    Asks the camera what it offers, without any password; one that does not say, since it describes its stream to
    everybody, may ask in any way. Blocks up to 2 s.
    """
    if stands_in(camera) or camera.transport == "udp" or _credentials(camera.url) is None:
        return False
    offers = offered_by(camera.url)
    if offers and (not needs_login(offers) or best(offers) is None):
        return False
    _known.add(far_end(camera.url))
    return True


def stands_in(camera: Camera) -> bool:
    """Whether FFmpeg is known to need this for a camera."""
    if _credentials(camera.url) is None or camera.transport == "udp":
        return False
    return far_end(camera.url) in _known


@contextmanager
def login(camera: Camera) -> Iterator[str | None]:
    """Around the opening of a camera: the address that FFmpeg shall open instead; None where its own will do.

    What is passed on ends when FFmpeg hangs up.

    Raises:
        OSError: The camera cannot be reached.
    """
    who = _credentials(camera.url)
    if who is None or not stands_in(camera):
        yield None
        return
    yield _Carrier(camera, who).address


def _credentials(url: CameraUrl) -> Credentials | None:
    """User and password of an RTSP address."""
    parts = urlsplit(url.reveal())
    if not is_rtsp(url) or parts.username is None:
        return None
    return Credentials(unquote(parts.username), unquote(parts.password or ""))


def _bound() -> socket.socket:
    listener = socket.socket()
    listener.bind((_HOST, 0))
    return listener


def _behind_host(url: CameraUrl) -> str:
    """What follows user, host and port in an address."""
    address = url.reveal()
    return address[address.index("://") + 3 + len(urlsplit(address).netloc) :]


@dataclass(slots=True)
class _End:
    """One side of what is passed on: a socket that does not block, and what waits to be sent to it."""

    connection: socket.socket
    waiting: bytearray

    def receive(self) -> bytes | None:
        """What has come; None of nothing yet, empty at the end."""
        try:
            return self.connection.recv(_CHUNK)
        except _NOT_NOW:
            return None

    def send(self) -> None:
        """As much of what waits as goes now."""
        with suppress(*_NOT_NOW):
            while self.waiting:
                del self.waiting[: self.connection.send(self.waiting)]

    @property
    def is_full(self) -> bool:
        """Whether too much waits for more to be read."""
        return len(self.waiting) >= MOST_WAITING

    @property
    def holds_more(self) -> bool:
        """Whether TLS has bytes that the socket does not tell of."""
        return isinstance(self.connection, ssl.SSLSocket) and self.connection.pending() > 0


class _Carrier:
    """One connection of FFmpeg's, passed on to its camera by a thread that ends when one of them hangs up."""

    def __init__(self, camera: Camera, who: Credentials) -> None:
        """Connects to the camera; blocks.

        Raises:
            OSError: It cannot.
        """
        self._camera = camera
        self._far = connected(camera.url, min(camera.open_timeout_s, camera.read_timeout_s))
        self._listener = _reserved.pop() if _reserved else _bound()
        self._listener.listen(_LONGEST_QUEUE)
        _send_away(self._listener)
        near = f"rtsp://{_HOST}:{self._listener.getsockname()[1]}/{secrets.token_urlsafe(16)}"
        self.address = near + _behind_host(camera.url)
        self._passage = Passage(who, near, far_end(camera.url))
        threading.Thread(target=self._run, name="login", daemon=True).start()

    def _run(self) -> None:
        try:
            with self._far, self._accepted() as near:
                self._pass_on(_End(near, self._passage.to_player), _End(self._far, self._passage.to_camera))
        except RtspError as error:
            log.warning("the camera or FFmpeg sends what is no RTSP", url=str(self._camera.url), why=str(error))
        except OSError as error:
            log.debug("a connection that was passed on broke", url=str(self._camera.url), why=str(error))

    def _accepted(self) -> socket.socket:
        """FFmpeg's connection, after its first request.

        Raises:
            OSError: It did not come in time.
        """
        try:
            self._listener.settimeout(self._camera.open_timeout_s)
            while True:
                caller, _ = self._listener.accept()
                with suppress(OSError):
                    caller.settimeout(_FIRST_WORD_S)
                    if self._passage.is_player(said := caller.recv(_CHUNK)):
                        self._passage.from_player(said)
                        return caller
                caller.close()
        finally:
            _reserved.append(self._listener)

    def _pass_on(self, player: _End, camera: _End) -> None:
        """Until one hangs up; what the camera said before it did still reaches FFmpeg.

        Raises:
            OSError: A connection broke.
            RtspError: What came cannot be passed on.
        """
        for end in (player, camera):
            end.connection.setblocking(False)
            end.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        ended = False
        while not ended or player.waiting:
            ready = _ready(player, camera, ended=ended)
            for end, other, take in (
                (player, camera, self._passage.from_player),
                (camera, player, self._passage.from_camera),
            ):
                if ended or not (ready.get(end.connection.fileno(), 0) & ~select.POLLOUT or end.holds_more):
                    continue
                received = None if other.is_full else end.receive()
                if received:
                    take(received)
                elif received is not None:
                    ended = True
                    if end is player:
                        camera.send()
                        return
            player.send()
            camera.send()


def _ready(player: _End, camera: _End, *, ended: bool) -> dict[int, int]:
    """What can be read from or sent to which of the two, by descriptor; waits for it."""
    poll = select.poll()
    for end, other in ((player, camera), (camera, player)):
        events = select.POLLOUT if end.waiting else 0
        if not (ended or other.is_full):
            events |= select.POLLIN
        # One that hung up is told of again and again, whatever was asked for.
        if events and (end is player or not ended):
            poll.register(end.connection, events)
    return dict(poll.poll(0 if camera.holds_more and not player.is_full else None))


def _send_away(listener: socket.socket) -> None:
    """Close what has connected before anybody was asked to."""
    listener.setblocking(False)
    with suppress(BlockingIOError):
        while True:
            listener.accept()[0].close()
