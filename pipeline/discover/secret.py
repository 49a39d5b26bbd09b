"""A stream's address as a fleet file has it: whatever is secret in it is a variable, and nothing in it runs.

Cameras put user, password and keys into the addresses that they tell, in front of the host and behind it. And a hostile
one may tell an address that a fleet file would take for something else: a program, a file, a variable of this machine.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

from pydantic_core import PydanticCustomError

from pipeline.config import CameraUrl
from pipeline.discover.device import Login, Profile
from pipeline.discover.place import parted

SCHEMES = ("rtsp", "rtsps", "http", "https")
"""What a camera may be watched by; `file:` or `python:` would be this machine's own."""
_MARK = "\0"
"""Around the name of a variable until all else is escaped; no address that `parted` takes has one."""
_SECRET = re.compile(
    r"(?ai)(?P<name>[\w-]{0,24}?(?:user(?:name)?|login|pass(?:word|wd|phrase)?|pwd|secret|token|auth|key|sig(?:nature)?"
    r"|session(?:id)?|sid|ticket))(?P<is>=|%3d)(?P<value>(?:(?!_[A-Za-z]+=)[^&/?;#\s])+)"
)
"""`password=…` up to the next parameter, which `& / ? ;` begin, or in some addresses an underscore."""


@dataclass(frozen=True, slots=True)
class Variables:
    """The environment variables that the fleet file names."""

    user: str = "ONVIF_USER"
    password: str = "ONVIF_PASSWORD"


@dataclass(frozen=True, slots=True)
class Written:
    """An address for a fleet file.

    Attributes:
        text: With `${NAME}` for all that is secret.
        variables: Their names, as they come.
        own: Those of them that are neither user nor password, but something that this camera has in its address.
    """

    text: str
    variables: tuple[str, ...]
    own: tuple[str, ...]


def written(profile: Profile, camera_id: str, login: Login | None, variables: Variables) -> Written | None:
    """The address of a stream without its secrets; None where it is none that a camera of a fleet may have."""
    parts = parted(profile.uri)
    if parts is None or parts.scheme not in SCHEMES:
        return None
    userinfo, at, host = parts.netloc.rpartition("@")
    needs_login = bool(at) or login is not None
    front = f"{_mark(variables.user)}:{_mark(variables.password)}@" if needs_login else ""
    rest = parts.path + (f"?{parts.query}" if parts.query else "")
    masked = _masked(rest, profile, camera_id, login or _login_of(userinfo), variables)
    return _checked(variables, f"{parts.scheme}://{front}{host}{masked}")


def _login_of(userinfo: str) -> Login:
    user, _, password = userinfo.partition(":")
    return Login(user, password)


def _masked(rest: str, profile: Profile, camera_id: str, login: Login, variables: Variables) -> str:
    """Path and query with marks for what is secret."""
    known = {**dict(_forms(login.user, variables.user)), **dict(_forms(login.password, variables.password))}

    def mask(found: re.Match[str]) -> str:
        value = found["value"]
        if value in (profile.token, profile.source, quote(profile.token, safe="")):
            return found[0]
        own = re.sub(r"[^A-Z0-9]+", "_", f"camera {camera_id} {found['name']}".upper())
        return found["name"] + found["is"] + _mark(known.get(value, own))

    masked = _SECRET.sub(mask, rest)
    for form, variable in _forms(login.password, variables.password):
        # Not within the name of a variable, which stands between two marks: those are the odd pieces.
        pieces = masked.split(_MARK)
        pieces[::2] = [piece.replace(form, _mark(variable)) for piece in pieces[::2]]
        masked = _MARK.join(pieces)
    return masked


def _forms(secret: str, variable: str) -> Iterator[tuple[str, str]]:
    """A secret as it is and as addresses have it; the longer one first."""
    if secret:
        yield from ((form, variable) for form in dict.fromkeys((quote(secret, safe=""), quote(secret), secret)))


def _mark(name: str) -> str:
    return f"{_MARK}{name}{_MARK}"


def _checked(variables: Variables, marked: str) -> Written | None:
    pieces = marked.split(_MARK)
    try:
        CameraUrl.parse("x".join(pieces[::2]))
    except PydanticCustomError:
        return None
    literal, names = [piece.replace("${", "$${") for piece in pieces[::2]], pieces[1::2]
    text = "".join(f"{_undollared(piece)}${{{name}}}" for piece, name in zip(literal, names, strict=False))
    used = tuple(dict.fromkeys(names))
    own = tuple(name for name in used if name not in (variables.user, variables.password))
    return Written(text + literal[-1], used, own)


def holds_secret(address: str) -> bool:
    """Whether an address has a password, a token or the like among its parameters."""
    return _SECRET.search(address) is not None


def _undollared(text: str) -> str:
    """A dollar just before a variable would make it none."""
    return f"{text[:-1]}%24" if text.endswith("$") else text
