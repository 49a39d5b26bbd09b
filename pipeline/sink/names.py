"""Names of classes and cameras as parts of other systems' topics: safe there, and never the same for two names."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from functools import lru_cache
from urllib.parse import quote, unquote

LONGEST = 200
"""Bytes of one part; names of classes come from a model, which may be anybody's."""
SHORTENED = "~"
"""Stands before the check sum of a name that was too long, and for the empty one; in no other part."""
_HASH_CHARACTERS = 16


@lru_cache(maxsize=4096)
def level(name: str) -> str:
    """One level of an MQTT topic that stands for `name` and for no other.

    Letters and digits of ASCII and “_ . -” stay, all else is percent-encoded (RFC 3986), so that there is no `/`, `+`,
    `#`, space or NUL in it. What would be longer than `LONGEST` ends in a check sum.

    Example:
        >>> level("traffic light")
        'traffic%20light'
    """
    encoded = quote(name, safe="").replace("~", "%7E")
    if len(encoded) > LONGEST:
        return encoded[: LONGEST - _HASH_CHARACTERS - 1] + SHORTENED + _digest(name)
    return encoded or SHORTENED


def name_of(one_level: str) -> str | None:
    """The name that `level` made this of; None if it made it of none, or of one too long to be found again."""
    name = "" if one_level == SHORTENED else unquote(one_level, errors="replace")
    return name if level(name) == one_level else None


def token(name: str) -> str:
    """One token of a NATS subject: a level without dots, which part subjects."""
    return level(name).replace(".", "%2E")


def node(name: str) -> str:
    """One part of a Home Assistant discovery topic, which has letters, digits, “_” and “-” only.

    Example:
        >>> node("gate"), node("gate.1")
        ('gate', 'gate_1_4c8a47379f0ac8be')
    """
    plain = re.sub(r"[^A-Za-z0-9_-]", "_", name)
    return plain if plain and plain == name and len(name) <= LONGEST else f"{plain[:LONGEST]}_{_digest(name)}"


def slug(*names: str) -> str:
    """The names as Home Assistant writes them in the id of an entity; it numbers those that come out the same.

    Example:
        >>> slug("town", "Gate-1", "traffic light")
        'town_gate_1_traffic_light'
    """
    plain = unicodedata.normalize("NFKD", " ".join(names)).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "_", plain).strip("_")[:LONGEST] or "unnamed"


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:_HASH_CHARACTERS]
