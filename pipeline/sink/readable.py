"""Texts as every database keeps them.

PostgreSQL has no text with a zero character in it, and no database has half of a surrogate pair: both become the sign
that stands for what cannot be read.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import msgspec

from pipeline.wire import Attribute

_REPLACEMENT = "\ufffd"
_SHORT = 64
"""Names of classes and sessions come again with each object; longer texts are not worth their memory."""


def readable(text: str) -> str:
    r"""`text` as every database keeps it.

    Example:
        >>> readable("per\0son")
        'per�son'
    """
    return _remembered(text) if len(text) <= _SHORT else _replaced(text)


def _replaced(text: str) -> str:
    return text.replace("\0", _REPLACEMENT).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


_remembered = lru_cache(maxsize=4096)(_replaced)


def as_json(values: Mapping[str, float]) -> str:
    """Figures by name."""
    return msgspec.json.encode({readable(key): value for key, value in values.items()}).decode() if values else "{}"


def attributes_json(attributes: Mapping[str, Attribute]) -> str | None:
    """What second looks have found of an object; None where nothing is known."""
    if not attributes:
        return None
    # Labels are whatever a model's file calls them.
    told = {name: msgspec.structs.replace(one, label=readable(one.label)) for name, one in attributes.items()}
    return msgspec.json.encode(told).decode()
