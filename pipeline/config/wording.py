"""What is allowed at a key, in words, from the JSON Schema; so that no message has to be written twice."""

from __future__ import annotations

import difflib
import re
from typing import Any

from pydantic_core import ErrorDetails

from pipeline.config.base import mask_value
from pipeline.config.locate import KeyPath

Schema = dict[str, Any]
_FOUND_LENGTH = 60
_UNITS = {
    **{"ms": "milliseconds", "s": "seconds", "mb": "megabytes", "hz": "times a second", "px": "pixels"},
    **{"days": "days", "percent": "percent"},
}
"""What the last part of a key says its number is in."""
_NOT_TEXT = {"dict_type": "a list", "model_type": "a list", "tuple_type": "a mapping", "list_type": "a mapping"}
"""What stands where these of pydantic's errors find neither what they want nor text."""
_WITH_UNIT = re.compile(r"\s*[-+]?[0-9][0-9.,_]*\s*[A-Za-zµ%]{1,12}\s*")


def describe(error: ErrorDetails, path: KeyPath, found: str | None, schema: Schema) -> str:
    """One of pydantic's errors in this project's words: what was found and what is allowed."""
    kind = error["type"]
    if kind == "mistake":
        return error["msg"]
    if kind == "extra_forbidden":
        return _unknown(str(path[-1]), _mapping(at(schema, path[:-1])), schema)
    allowed = at(schema, path)
    if kind == "missing":
        return f"is missing; expected {expected(allowed, schema)}"
    if kind == "too_short" and allowed.get("type") == "object":
        return "is empty; a fleet needs at least one camera"
    if kind == "too_short" and found is None:
        return f"is too short a list; expected at least {allowed.get('minItems', 1)}"
    hint = _close_word(found, allowed) or _unit(found, path)
    what = _NOT_TEXT.get(kind, "a list or mapping") if found is None else _quote(found)
    return f"found {what}, expected {expected(allowed, schema)}{hint}"


def at(schema: Schema, path: KeyPath) -> Schema:
    """The part of the schema that speaks of the value at `path`; empty where the schema knows nothing."""
    node = _resolve(schema, schema)
    for step in path:
        if "oneOf" in node:
            node = _of_kind(str(step), node["oneOf"], schema)
            continue
        if isinstance(step, int):
            places = node.get("prefixItems", [])
            node = places[step] if step < len(places) else node.get("items", {})
        else:
            node = _mapping(node)
            others = (*node.get("patternProperties", {}).values(), node.get("additionalProperties"))
            node = node.get("properties", {}).get(step) or others[0] or {}
        node = _resolve(node if isinstance(node, dict) else {}, schema)
    return node


def expected(node: Schema, schema: Schema) -> str:
    """What a value may be, such as “a whole number from 1 to 100”."""
    node = _resolve(node, schema)
    if "anyOf" in node:
        return " or ".join(expected(choice, schema) for choice in node["anyOf"])
    if "enum" in node:
        return f"one of {', '.join(str(word) for word in node['enum'] if word is not False)}"
    kind = node.get("type")
    if kind in ("integer", "number"):
        return ("a whole number" if kind == "integer" else "a number") + _range(node)
    if kind == "array":
        return _list(node, schema)
    if kind == "string" and "examples" in node:
        return f"text such as {node['examples'][0]}"
    words = {"boolean": "true or false", "string": "text", "object": "a mapping (lines of “key: value”)"}
    return words.get(kind, "another value") if isinstance(kind, str) else "text"


def _mapping(node: Schema) -> Schema:
    """Of several things that a value may be, the one with keys."""
    return next((choice for choice in node.get("anyOf", ()) if "properties" in choice), node)


def _of_kind(kind: str, choices: list[Schema], schema: Schema) -> Schema:
    """Of the kinds of a sink, the one that is named, else the one that takes any other name."""
    kinds = [_resolve(choice, schema) for choice in choices]
    return next((one for one in kinds if one["properties"]["kind"].get("const") == kind), kinds[-1])


def _list(node: Schema, schema: Schema) -> str:
    if "prefixItems" in node:
        return f"a list of {len(node['prefixItems'])}, each {expected(node['prefixItems'][0], schema)}"
    return f"a list, each {expected(node.get('items', {}), schema)}"


def _range(node: Schema) -> str:
    low, high = node.get("minimum"), node.get("maximum")
    above = node.get("exclusiveMinimum")
    start = f" from {low:g}" if low is not None else f" above {above:g}" if above is not None else ""
    return f"{start} to {high}" if start and high is not None else start


def _resolve(node: Schema, schema: Schema) -> Schema:
    if "$ref" in node:
        return _resolve(schema["$defs"][node["$ref"].rpartition("/")[2]], schema)
    choices = [choice for choice in node.get("anyOf", []) if choice.get("type") != "null"]
    return _resolve(choices[0], schema) if len(choices) == 1 else node


def _quote(found: str) -> str:
    if not found.strip():
        return "nothing"
    text = " ".join(mask_value(found).split())
    return f"“{text if len(text) <= _FOUND_LENGTH else text[:_FOUND_LENGTH] + '…'}”"


def _close_word(found: str | None, allowed: Schema) -> str:
    close = difflib.get_close_matches(found or "", map(str, allowed.get("enum", ())), 1)
    return f"; did you mean “{close[0]}”?" if close else ""


def _unit(found: str | None, path: KeyPath) -> str:
    """That the unit is in the name of the key, where it was written behind the number."""
    suffix = str(path[-1]).rpartition("_")[2] if path else ""
    if suffix not in _UNITS or not _WITH_UNIT.fullmatch(found or ""):
        return ""
    return f"; the number alone, which is in {_UNITS[suffix]}"


def _unknown(key: str, section: Schema, schema: Schema) -> str:
    allowed = list(section.get("properties", ()))
    homes = _sections_with(key, schema)
    close = difflib.get_close_matches(key, allowed, 1)
    # A key that is right one section further in was not mistyped.
    if close and not set(homes) & set(allowed):
        return f"is no key; did you mean “{close[0]}”?"
    hint = f"; it belongs under {' or '.join(homes)}" if homes else ""
    return f"is no key{hint}; allowed here: {', '.join(allowed)}"


def _sections_with(key: str, schema: Schema) -> list[str]:
    """The sections of a fleet file in which `key` would be right."""
    sections: dict[str, KeyPath] = {
        **{name: (name,) for name in ("model", "publish", "worker", "slo", "defaults")},
        "publish.keys": ("publish", "keys"),
        "model.openvino": ("model", "openvino"),
        "model.cuda": ("model", "cuda"),
        "a camera": ("cameras", "*"),
        "track": ("defaults", "track"),
        "stride": ("defaults", "stride"),
        "privacy": ("defaults", "privacy"),
        "reconnect": ("defaults", "reconnect"),
    }
    return [name for name, path in sections.items() if key in _mapping(at(schema, path)).get("properties", {})]
