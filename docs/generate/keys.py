"""Every key of a YAML file, from its JSON Schema: what it may be, its default, and when to set it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from docs.generate.markdown import plain, value
from pipeline.burst.schema import scenario_schema
from pipeline.config import json_schema
from pipeline.config.schema import spelled
from pipeline.config.wording import expected
from pipeline.scale.simulate.scenario import Scenario as Day

Schema = dict[str, Any]
NAME = "NAME"
"""Stands for a name of the user's own, such as a camera's."""
_OF_FLEET_FILES = frozenset({"model", "worker", "slo", "defaults", f"settings.{NAME}"})
"""Sections of a scenario that are those of fleet files."""
_MAPPING = "a mapping (lines of “key: value”)"
"""What messages call it."""
_ENDS = re.compile(rf"(\[\]|\.{NAME})?( \(\S+\))?$")
"""What a section's path has behind that of the key that holds it."""
_AS_DEFAULTS = f"cameras.{NAME}"
"""The section with the keys of `defaults`, and two of its own."""
_AS_MODEL = f"cascade.{NAME}.model"
"""The section with the keys of `model`."""


@dataclass(frozen=True, slots=True)
class Section:
    """Keys that stand side by side in a file.

    Attributes:
        path: The dotted path of the mapping that holds them; empty at the top.
        about: What the section is, in a sentence or more.
        keys: What the schema says of each key.
        required: Keys that have to be there.
    """

    path: str
    about: str
    keys: dict[str, Schema]
    required: frozenset[str] = field(default_factory=frozenset)

    def dotted(self, key: str) -> str:
        """The whole path of one of its keys."""
        return f"{self.path}.{key}" if self.path else key


def fleet_keys() -> str:
    """All keys of a fleet file."""
    return _rendered(fleet_sections(), json_schema())


def scenario_keys() -> str:
    """All keys of a scenario that a fleet file has not, too."""
    return _rendered(scenario_sections(), scenario_schema())


def day_keys() -> str:
    """All keys of a day to be simulated."""
    schema = spelled(Day.model_json_schema())
    return _rendered(list(_sections(schema, schema, "", "")), schema)


def fleet_sections() -> list[Section]:
    """The sections of a fleet file, in the file's order, without what another has: `defaults`, or `model`."""
    schema = json_schema()
    common = schema["$defs"]["CameraSettings"]["properties"]
    found = []
    for section in _sections(schema, schema, "", ""):
        if section.path == _AS_DEFAULTS:
            keys = {key: node for key, node in section.keys.items() if key not in common}
            about = "One camera: its address, and every key of `defaults`, which goes before what stands there."
            found.append(Section(section.path, about, keys, section.required))
        elif not any(
            _is_within(section.path, path) for path in (_AS_MODEL, *(f"{_AS_DEFAULTS}.{key}" for key in common))
        ):
            found.append(section)
    return found


def scenario_sections() -> list[Section]:
    """The sections of a scenario, without those that are a fleet file's."""
    schema = scenario_schema()
    sections = _sections(schema, schema, "", "")
    return [one for one in sections if not any(_is_within(one.path, path) for path in _OF_FLEET_FILES)]


def _is_within(path: str, section: str) -> bool:
    return path == section or path.startswith(f"{section}.")


def _sections(node: Schema, schema: Schema, path: str, about: str) -> Iterator[Section]:
    """The keys of a mapping, and those of every mapping under it."""
    yield Section(path, about, node["properties"], frozenset(node.get("required", ())))
    for key, inner in node["properties"].items():
        dotted = f"{path}.{key}" if path else key
        for below, step, words in _mappings(inner, schema):
            yield from _sections(below, schema, f"{dotted}{step}", words)


def _mappings(node: Schema, schema: Schema) -> Iterator[tuple[Schema, str, str]]:
    """The mappings with keys that a value may be or hold: each with the rest of its path and what is said of it."""
    said = node.get("description", "")
    resolved = _resolved(node, schema)
    if "properties" in resolved:
        yield resolved, "", said or _first_paragraph(resolved)
        return
    for choice in (*resolved.get("anyOf", ()), *resolved.get("oneOf", ())):
        one = _resolved(choice, schema)
        kind = one.get("properties", {}).get("kind", {})
        for below, step, words in _mappings(choice, schema):
            named = f" ({kind.get('const', 'package.module:factory')})" if kind else ""
            yield below, f"{named}{step}", _first_paragraph(one) or words or said
    if isinstance(items := resolved.get("items"), dict):
        yield from ((below, f"[]{step}", words) for below, step, words in _mappings(items, schema))
    for inner in (*resolved.get("patternProperties", {}).values(), resolved.get("additionalProperties")):
        if isinstance(inner, dict):
            yield from ((below, f".{NAME}{step}", words) for below, step, words in _mappings(inner, schema))


def _resolved(node: Schema, schema: Schema) -> Schema:
    """A node without references, and without the word that it may be left out."""
    if "$ref" in node:
        return _resolved(schema["$defs"][node["$ref"].rpartition("/")[2]], schema)
    choices = [choice for choice in node.get("anyOf", ()) if choice.get("type") != "null"]
    return _resolved(choices[0], schema) if len(choices) == 1 else node


def _first_paragraph(node: Schema) -> str:
    return " ".join(str(node.get("description", "")).partition("\n\n")[0].split())


def _rendered(sections: list[Section], schema: Schema) -> str:
    parts = []
    for section in sections:
        parts.append(f"## Keys of `{section.path}`" if section.path else "## The file")
        parts.append(plain(section.about))
        for key, node in section.keys.items():
            dotted = section.dotted(key)
            below = next((one.path for one in sections if _ENDS.sub("", one.path) == dotted), "")
            parts.append(f"### `{dotted}`")
            parts.append(f"{_allowed(node, schema, below)} · {_default(key, node, section, below)}")
            parts.append(plain(node.get("description") or _first_paragraph(_resolved(node, schema))))
    return "\n\n".join(part for part in parts if part) + "\n"


def _allowed(node: Schema, schema: Schema, below: str) -> str:
    """What a value may be, in the words of the messages about wrong ones; a section leads to its keys."""
    if "const" in node:
        return f"*{node['const']}*"
    words = plain(expected(node, schema).replace(_MAPPING, "a mapping"))
    if any(choice.get("type") == "null" for choice in node.get("anyOf", ())):
        words += ", or null"
    return f"*{words}*, [its keys](#keys-of-{_slug(below)})" if below else f"*{words}*"


def _default(key: str, node: Schema, section: Section, below: str) -> str:
    if key in section.required or "const" in node:
        return "required"
    if below or isinstance(node.get("default"), dict):
        return "optional"
    return f"default: `{value(node['default'])}`" if node.get("default", {}) != {} else "default: empty"


def _slug(path: str) -> str:
    """How the anchor of a section's heading ends."""
    return re.sub(r"[^\w\- ]", "", path.lower()).replace(" ", "-")
