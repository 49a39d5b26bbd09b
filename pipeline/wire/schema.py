"""The JSON Schema of messages: for those who read them in other languages."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from pipeline.wire.base import KINDS

_ATTRIBUTE = re.compile(r"^ {4}(?P<name>\w+): (?P<text>.+(?:\n {8}.+)*)", re.MULTILINE)
"""One field in a docstring of a struct."""
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def message_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of every kind of message, with a description of every key.

    A message is one of `oneOf`; each kind is also found by its name among `$defs`, under the name of its struct. Keys
    that are not named may be there: they come with newer versions, and readers skip them.
    """
    _, definitions = msgspec.json.schema_components(KINDS.values(), ref_template="#/$defs/{name}")
    for struct in _structs():
        _describe(definitions[struct.__name__], struct)
    for message in KINDS.values():
        definition = definitions[message.__name__]
        definition["properties"]["schema"] = {
            "const": message.version,
            "description": definition["properties"]["schema"]["description"],
        }
    schema = {
        "$schema": DIALECT,
        "title": "camfleet messages",
        "description": "What is published; the kind is the first part of the topic, see pipeline/wire.md.",
        "oneOf": [
            {"$ref": f"#/$defs/{message.__name__}", "title": f"{kind}/…"} for kind, message in sorted(KINDS.items())
        ],
        "$defs": definitions,
    }
    # What JSON makes of it: defaults that are tuples are lists.
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(schema))
    return plain


def attributes_of(struct: type) -> dict[str, str]:
    """The description of each field by the docstrings of a struct and of those it derives from."""
    found: dict[str, str] = {}
    for base in reversed(struct.__mro__):
        if issubclass(base, msgspec.Struct) and base.__doc__:
            words = _ATTRIBUTE.findall(inspect.cleandoc(base.__doc__).partition("Attributes:")[2])
            found |= {name: " ".join(text.split()) for name, text in words}
    return found


def _describe(definition: dict[str, Any], struct: type[msgspec.Struct]) -> None:
    """Put the docstring's words where they belong."""
    definition["description"] = inspect.cleandoc(struct.__doc__ or "").partition("\n\n")[0].replace("\n", " ")
    attributes = attributes_of(struct)
    for name, value in definition["properties"].items():
        # What is beside a reference counts, too, since 2019-09.
        value["description"] = re.sub(r"\bNone\b", "null", attributes[name])
        if "pattern" in value:
            value["pattern"] = value["pattern"].replace(r"\A", "^").replace(r"\Z", "$")


def _structs() -> Iterator[type[msgspec.Struct]]:
    """All kinds of messages, and the structs in them."""
    seen: set[type] = set()
    todo: list[Any] = [msgspec.inspect.type_info(message) for message in KINDS.values()]
    while todo:
        info = todo.pop()
        if isinstance(info, msgspec.inspect.StructType) and info.cls not in seen:
            seen.add(info.cls)
            yield info.cls
            todo += [field.type for field in info.fields]
        for part in ("types", "item_type", "item_types", "key_type", "value_type"):
            inner = getattr(info, part, ())
            todo += inner if isinstance(inner, tuple) else [inner]
