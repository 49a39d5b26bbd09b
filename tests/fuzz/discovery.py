"""Targets of what devices of the network say when cameras are looked for."""

from __future__ import annotations

import re
from pathlib import Path

from pipeline.config import CameraUrl
from pipeline.config.base import NAME_PATTERN
from pipeline.config.locate import Document
from pipeline.config.variables import substitute
from pipeline.discover.datagram import MOST_ADDRESSES, MOST_MATCHES, read_matches
from pipeline.discover.device import Login, Profile
from pipeline.discover.lines import name_for
from pipeline.discover.place import Trust
from pipeline.discover.plain import MOST_SHOWN
from pipeline.discover.secret import SCHEMES, Variables, written

PROBE = "6f0f2f4e-0b5a-4c3e-9d3b-0a1b2c3d4e5f"
"""The identifier that answers of the corpus repeat."""
NAME = re.compile(NAME_PATTERN)
_LOGINS = (None, Login("bob", "hunter2"), Login("$", "${"))


def matches(data: bytes) -> None:
    """A datagram that may answer a probe; what is shown of it steers no terminal, and its device gets a name."""
    found = read_matches(data, (PROBE,))
    assert 0 < len(found) <= MOST_MATCHES
    for match in found:
        for text in (match.name, match.model, match.endpoint):
            assert text.isprintable() and len(text) <= MOST_SHOWN
        assert len(match.addresses) <= MOST_ADDRESSES
        for address in match.addresses:
            placed = Trust("10.0.0.7").place(address)
            assert placed is None or Trust("10.0.0.7").place(placed.url) == placed.__class__(placed.url)
        name = name_for(match.name, "10.0.0.7", ())
        assert NAME.fullmatch(name) and name_for(match.name, "10.0.0.7", [name]) != name


def address(data: bytes) -> None:
    """A stream's address that a device told; as a fleet file reads it, it is one of a camera, at the same host."""
    login, uri = _LOGINS[len(data) % 3], data.decode("utf-8", "replace")
    placed = Trust("10.0.0.7").place(uri)
    text = written(Profile("main", "", "", "", uri=placed.url), "gate", login, Variables()) if placed else None
    if text is None:
        return
    assert login is None or len(login.password) < 4 or login.password not in text.text
    document = Document(Path("fleet.yaml"), {"url": text.text})
    substitute(document, dict.fromkeys(text.variables, "x"))
    assert not document.mistakes and isinstance(document.data, dict)
    url = CameraUrl.parse(document.data["url"]).reveal()
    assert url.startswith(tuple(f"{scheme}://" for scheme in SCHEMES))
    again = Trust("10.0.0.7").place(url)
    assert again is not None and not again.named
