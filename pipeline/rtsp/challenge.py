"""How a client says who it is: answers to a server's challenges, by Basic (RFC 7617) and Digest (RFC 2617, RFC 7616).

The other side of `pipeline.rtsp.auth`. What a server says is kept as it was written, quoted pairs included, and its
bytes go through: it compares what comes back with what it sent.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial

from pipeline.rtsp.auth import parameter

_SCHEME = re.compile(r"[\s,]*+([A-Za-z][\w-]*+)")
_UNQUOTED = {"algorithm", "nc", "qop"}
"""Parameters of the answer that RFC 7616 §3.4 has without quotes."""


def _md5(text: bytes) -> str:
    return hashlib.md5(text, usedforsecurity=False).hexdigest()


def _sha(name: str, text: bytes) -> str:
    return hashlib.new(name, text).hexdigest()


_HASHES: dict[str, Callable[[bytes], str]] = {
    "SHA-512-256": partial(_sha, "sha512_256"),
    "SHA-256": partial(_sha, "sha256"),
    "MD5": _md5,
}
"""The safest first."""
_SESSION = "-SESS"


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user and what nobody may see."""

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way of authentication that a server offers.

    Attributes:
        scheme: `basic`, `digest`, or another word, in lower case.
        fields: Its parameters as they were written, names in lower case.
    """

    scheme: str
    fields: dict[str, str]

    @property
    def algorithm(self) -> str:
        """Of Digest, in upper case."""
        return self.fields.get("algorithm", "MD5").upper()

    @property
    def nonce(self) -> str:
        """What every answer is made with."""
        return self.fields.get("nonce", "")

    @property
    def is_stale(self) -> bool:
        """Whether the answer was right, but for its nonce."""
        return self.fields.get("stale", "").lower() == "true"

    @property
    def strength(self) -> int:
        """The larger the better; 0 where it cannot be answered."""
        if self.scheme == "basic":
            return 1
        names = list(reversed(_HASHES))
        known = self.algorithm.removesuffix(_SESSION)
        if self.scheme != "digest" or known not in names or not self.nonce or self._qop is None:
            return 0
        return 2 + names.index(known)

    @property
    def _qop(self) -> str | None:
        """`auth`, empty where the server knows none (RFC 2069), None where it wants another."""
        offered = [word.strip().lower() for word in self.fields.get("qop", "").split(",") if word.strip()]
        return "auth" if "auth" in offered else None if offered else ""

    def answer(self, who: Credentials, method: str, uri: str, count: int) -> str:
        """The Authorization header's value for a request.

        Args:
            who: Whose request it is.
            method: Of the request.
            uri: As it stands in the request's first line.
            count: Of requests with this nonce, this one included.
        """
        if self.scheme == "basic":
            return f"Basic {base64.b64encode(f'{who.user}:{who.password}'.encode()).decode()}"
        told = {"username": _quotable(who.user), "realm": self.fields.get("realm", ""), "nonce": self.nonce, "uri": uri}
        counted = {"qop": "auth", "nc": f"{count:08x}", "cnonce": secrets.token_hex(8)} if self._qop else {}
        cnonce = counted.get("cnonce", secrets.token_hex(8))
        told |= {"response": self._response(who, method, uri, cnonce, counted)} | counted
        if self.algorithm.endswith(_SESSION):
            told["cnonce"] = cnonce
        told |= {name: self.fields[name] for name in ("algorithm", "opaque") if name in self.fields}
        return "Digest " + ", ".join(
            f"{name}={value}" if name in _UNQUOTED else f'{name}="{value}"' for name, value in told.items()
        )

    def _response(self, who: Credentials, method: str, uri: str, cnonce: str, counted: dict[str, str]) -> str:
        digest = _HASHES[self.algorithm.removesuffix(_SESSION)]
        secret = digest(_bytes(f"{who.user}:{self.fields.get('realm', '')}:{who.password}"))
        if self.algorithm.endswith(_SESSION):
            secret = digest(_bytes(f"{secret}:{self.nonce}:{cnonce}"))
        between = [self.nonce, counted["nc"], cnonce, "auth"] if counted else [self.nonce]
        return digest(_bytes(":".join((secret, *between, digest(_bytes(f"{method}:{uri}"))))))


def challenges(values: Iterable[str]) -> Iterator[Challenge]:
    """What WWW-Authenticate headers offer, in order; several may stand in one header."""
    for value in values:
        at, scheme, fields = 0, "", dict[str, str]()
        while True:
            if (found := parameter(value, at)) is not None:
                fields[found.name] = found.value
                at = found.end
                continue
            if scheme:
                yield Challenge(scheme, fields)
            if (named := _SCHEME.match(value, at)) is None:
                break
            scheme, fields, at = named[1].lower(), {}, named.end()


def best(offers: Iterable[Challenge]) -> Challenge | None:
    """The safest of those that can be answered; None where none can."""
    chosen = max(offers, key=lambda one: one.strength, default=None)
    return chosen if chosen is not None and chosen.strength else None


def _quotable(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
