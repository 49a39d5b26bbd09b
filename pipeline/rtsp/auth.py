"""Whether a client may watch: Basic (RFC 7617) and Digest (RFC 2617, RFC 7616) in RTSP's headers.

Digest is offered with MD5, which every player knows; a client that answers with SHA-256 is understood as well. A nonce
lives as long as its connection: no other connection's answer fits it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, get_args

from pipeline.errors import ReplayError
from pipeline.rtsp.messages import Request

REALM = "camfleet"
PASSWORD_VARIABLE = "CAMFLEET_REPLAY_PASSWORD"
"""The environment variable that commands take the password from."""

AuthScheme = Literal["any", "basic", "digest"]

_HASHES: dict[str, Callable[[bytes], str]] = {
    "MD5": lambda text: hashlib.md5(text, usedforsecurity=False).hexdigest(),
    "SHA-256": lambda text: hashlib.sha256(text).hexdigest(),
}
_FIELD = re.compile(r'[\s,]*+(\w++)\s*+=\s*+(?:"((?:[^"\\]|\\.)*+)"|([^\s,]++))')
"""Matched one behind the other and never tried again, so that a long header costs no more than in proportion."""


@dataclass(frozen=True, slots=True)
class Login:
    """Who may watch; an empty `user` lets everybody in.

    Attributes:
        user: Name.
        password: Never printed.
        scheme: What clients are offered: Basic, Digest (MD5, or SHA-256 if the client knows it), or both.
    """

    user: str = ""
    password: str = field(default="", repr=False)
    scheme: AuthScheme = "any"

    def __post_init__(self) -> None:
        if self.user and not self.password:
            raise ReplayError(f"user {self.user!r} has no password: set the environment variable {PASSWORD_VARIABLE}")
        if ":" in self.user:
            raise ReplayError("a user name must not contain a colon")
        if self.scheme not in get_args(AuthScheme):
            raise ReplayError(f"there is no authentication {self.scheme!r}: choose any, basic or digest")


class Doorkeeper:
    """Asks one connection for user and password."""

    def __init__(self, login: Login) -> None:
        self._login = login
        self._nonce = secrets.token_hex(16)

    @property
    def challenges(self) -> tuple[str, ...]:
        """The WWW-Authenticate headers of an answer of 401, the safest first."""
        digest = f'Digest realm="{REALM}", nonce="{self._nonce}", algorithm=MD5, qop="auth"'
        basic = f'Basic realm="{REALM}"'
        return {"digest": (digest,), "basic": (basic,), "any": (digest, basic)}[self._login.scheme]

    def admits(self, request: Request) -> bool:
        """Whether the request comes from the user, or nobody is asked for."""
        if not self._login.user:
            return True
        scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic" and self._login.scheme != "digest":
            return self._is_basic(credentials.strip())
        if scheme.lower() == "digest" and self._login.scheme != "basic":
            return self._is_digest(_fields(credentials), request.method)
        return False

    def _is_basic(self, credentials: str) -> bool:
        try:
            given = base64.b64decode(credentials, validate=True)
        except (binascii.Error, ValueError):
            return False
        return hmac.compare_digest(given, f"{self._login.user}:{self._login.password}".encode())

    def _is_digest(self, given: dict[str, str], method: str) -> bool:
        digest = _HASHES.get(given.get("algorithm", "MD5").upper())
        if digest is None or given.get("username") != self._login.user or given.get("nonce") != self._nonce:
            return False
        who = digest(f"{self._login.user}:{REALM}:{self._login.password}".encode())
        what = digest(f"{method}:{given.get('uri', '')}".encode())
        between = [self._nonce]
        if "qop" in given:
            between += [given.get("nc", ""), given.get("cnonce", ""), given["qop"]]
        expected = digest(":".join((who, *between, what)).encode())
        return hmac.compare_digest(given.get("response", "").encode(), expected.encode())


@dataclass(frozen=True, slots=True)
class Parameter:
    """One `name=value` of an authentication header; the name in lower case, the value without quotes around it."""

    name: str
    value: str
    end: int


def parameter(text: str, at: int) -> Parameter | None:
    """The parameter that comes next from offset `at` on; None where something else does."""
    found = _FIELD.match(text, at)
    if found is None:
        return None
    name, quoted, plain = found.groups()
    return Parameter(name.lower(), quoted or plain or "", found.end())


def _fields(credentials: str) -> dict[str, str]:
    """The comma-separated fields of an Authorization header, up to the first that is none; names in lower case."""
    fields, at = {}, 0
    while (found := parameter(credentials, at)) is not None:
        fields[found.name] = found.value
        at = found.end
    return fields
