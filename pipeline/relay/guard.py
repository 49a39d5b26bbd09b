"""Who may come in: answers ZeroMQ, which asks before it lets a reader with a key subscribe (ZAP, RFC 27).

Keys that were taken out of the folder are sent away at once, all others look again and come back. Answers are made in
the publisher's own loop: the question of a stranger waits as its messages do, and costs nobody else a turn. pyzmq's own
authenticator knows no names of keys, fails on a key of another length, and writes what it was asked to the log.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog
import zmq

from pipeline.config.keys import Keys
from pipeline.errors import ConfigError, PublishError
from pipeline.keys import fingerprint, read_certificate, read_folder, trace
from pipeline.redact import printable
from pipeline.relay.rate import Rate

log = structlog.get_logger()

ASKED = "inproc://zeromq.zap.01"
EVERYTHING = ("bind", "json_bind")
"""Domains where every camera is heard; a domain is an outlet, as the fleet file calls it under `publish`."""
LOOK_EVERY_S = 1.0
MOST_AT_ONCE = 100
"""Answers before messages go out again."""
HANDSHAKE_MS = 3000
"""How long a reader may take to come in; and how soon one that is not allowed asks again."""
LONGEST_MESSAGE = 512
"""Bytes; what a reader introduces itself with has about 300 (INITIATE of RFC 26)."""
_VERSION, _CURVE = b"1.0", b"CURVE"
_KEY_BYTES = 32
_MOST_PARTS = 7


@dataclass(frozen=True, slots=True)
class Lock:
    """What an outlet needs to ask for keys.

    Attributes:
        domain: Which outlet asks.
        secret: The fleet's own key.
    """

    domain: str
    secret: bytes

    def __repr__(self) -> str:
        return f"Lock({self.domain!r})"

    def put_on(self, socket: zmq.Socket[bytes]) -> None:
        """Let nobody in without a key; before it is bound."""
        socket.curve_server = True
        socket.curve_secretkey = self.secret
        socket.set_string(zmq.ZAP_DOMAIN, self.domain)
        # Otherwise a reader with any key comes in where nobody answers.
        socket.set(zmq.ZAP_ENFORCE_DOMAIN, 1)
        socket.set(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
        socket.set(zmq.MAXMSGSIZE, LONGEST_MESSAGE)


class Lists:
    """Which key may come in where. Pure."""

    def __init__(self) -> None:
        self._names: dict[str, dict[bytes, str]] = {}

    def know(self, domain: str, names: dict[bytes, str]) -> None:
        """From now on these may come in there, each with what it is called."""
        self._names[domain] = names

    def admits(self, domain: str, key: bytes) -> bool:
        """Whether this key may come in there."""
        return key in self._names.get(domain, ())

    def name(self, key: bytes) -> str:
        """What the key is called, wherever it may come in; its fingerprint where nobody knows it."""
        return next((names[key] for names in self._names.values() if key in names), "") or fingerprint(key)


@dataclass(frozen=True, slots=True)
class Asked:
    """A question of ZeroMQ's, as far as it is well-formed.

    Attributes:
        request: What the answer repeats.
        domain: Which outlet asks.
        address: Where the reader is.
        key: Its public key; empty if there is none that could be one.
    """

    request: bytes
    domain: str
    address: str
    key: bytes

    @staticmethod
    def read(parts: Sequence[bytes]) -> Asked:
        """Whatever the parts are; what is wrong with them leaves the key empty."""
        request = parts[1] if len(parts) > 1 else b""
        domain, address = (part.decode("utf-8", "replace") for part in (*parts[2:4], b"", b"")[:2])
        well = len(parts) == _MOST_PARTS and parts[0] == _VERSION and parts[5] == _CURVE
        key = parts[6] if well and len(parts[6]) == _KEY_BYTES else b""
        return Asked(request, domain, printable(address), key)

    def answer(self, lists: Lists) -> list[bytes]:
        """Yes, or try again.

        A reader that is told no (400) never asks again (libzmq 4.3.5), so that to allow it would need its restart.
        """
        if self.key and lists.admits(self.domain, self.key):
            return [_VERSION, self.request, b"200", b"OK", lists.name(self.key).encode(), b""]
        return [_VERSION, self.request, b"300", b"not allowed", b"", b""]


class Folder:
    """The keys of a folder, read again when one of its files is another."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._trace: object = None
        self.names: dict[bytes, str] = {}

    def look(self) -> None:
        """See whether it has changed; a folder that cannot be read has no keys."""
        try:
            found = trace(self._path)
            if found != self._trace:
                self._read()
                self._trace = found
        except OSError as error:
            if self._trace != error.errno:
                log.error(f"the keys in {self._path} cannot be read, nobody may subscribe by them: {error.strerror}")
            self._trace, self.names = error.errno, {}

    def _read(self) -> None:
        allowed, refused = read_folder(self._path)
        for why in refused.values():
            log.warning(f"a key allows nobody: {why}")
        if self._trace is not None:
            log.info("the keys that may subscribe have changed", folder=str(self._path), keys=len(allowed))
        self.names = {certificate.public: name for name, certificate in allowed.items()}


class Guard:
    """Answers ZeroMQ's questions and watches the folders of those who may come in. Not thread-safe."""

    def __init__(self, folders: Mapping[str, Path], poller: zmq.Poller) -> None:
        """Answer from now on; to be made before the outlets that ask.

        Args:
            folders: By domain.
            poller: Is told which socket to wait for before `answer`.
        """
        watched = {path: Folder(path) for path in folders.values()}
        self._folders = {domain: watched[path] for domain, path in folders.items()}
        self._poller, self._lists = poller, Lists()
        self._looked_s: float | None = None
        self._inside: set[tuple[str, bytes]] = set()
        self._refused = Rate()
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.REP)
        self._socket.set(zmq.LINGER, 0)
        self._socket.bind(ASKED)
        poller.register(self._socket, zmq.POLLIN)

    def answer(self, now_s: float) -> set[str]:
        """Answer what was asked; never blocks. The domains from which somebody has to be sent away."""
        gone = self._look(now_s)
        for _ in range(MOST_AT_ONCE):
            if not self._socket.poll(0):
                break
            asked = Asked.read(self._socket.recv_multipart())
            answer = asked.answer(self._lists)
            if answer[2] == b"200":
                self._inside.add((asked.domain, asked.key))
            else:
                self.refuse(now_s, asked.domain, partial(str, asked.address or "this machine"), asked.key)
            self._socket.send_multipart(answer)
        return gone

    def refuse(self, now_s: float, domain: str, address: Callable[[], str], key: bytes = b"") -> None:
        """Say that a reader was refused; floods of them in few lines."""
        if (others := self._refused.count(now_s)) is not None:
            more = {"others": others} if others else {}
            who = f"{self._lists.name(key)} is not allowed there" if key else "it has no key, or another fleet's"
            log.warning(f"a subscriber of publish.{domain} was refused: {who}", address=address(), **more)

    def close(self) -> None:
        """Answer nothing more; whoever asks stays out."""
        self._poller.unregister(self._socket)
        # ZeroMQ closes in a thread of its own, which may take a while; another guard may begin at once.
        self._socket.unbind(ASKED)
        self._socket.close(linger=0)

    def _look(self, now_s: float) -> set[str]:
        """Look at the folders again; where somebody came in whose key has gone."""
        if self._looked_s is not None and now_s < self._looked_s + LOOK_EVERY_S:
            return set()
        self._looked_s = now_s
        for folder in set(self._folders.values()):
            folder.look()
        for domain, folder in self._folders.items():
            self._lists.know(domain, folder.names)
        sent_away = {one for one in self._inside if not self._lists.admits(*one)}
        self._inside -= sent_away
        return {domain for domain, _ in sent_away}


def make_guard(known: Keys | None, poller: zmq.Poller) -> tuple[Guard | None, dict[str, Lock]]:
    """Who answers for keys, and the lock of each outlet by its domain; None and no locks where everybody may come in.

    Raises:
        PublishError: The fleet's own key cannot be read, or is none.
    """
    if known is None:
        return None, {}
    secret = _read_secret(known.server)
    folders = {
        **dict.fromkeys(EVERYTHING, Path(known.clients)),
        **{domain_of(name): Path(limited.clients) for name, limited in known.limited.items()},
    }
    return Guard(folders, poller), {domain: Lock(domain, secret) for domain in folders}


def domain_of(limit: str) -> str:
    """The domain of a limited endpoint, as the fleet file calls it under `publish`."""
    return f"keys.limited.{limit}"


def _read_secret(file: str) -> bytes:
    try:
        secret = read_certificate(Path(file)).secret
    except ConfigError as error:
        raise PublishError(f"cannot publish: {error}") from None
    if secret is None:
        raise PublishError(f"cannot publish: {file} has no secret; name the file that ends in .key_secret")
    return secret
