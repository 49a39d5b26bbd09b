"""The JSON Schema of fleet files, so that editors complete and check them."""

from __future__ import annotations

from functools import cache
from typing import Any

from pipeline.config.values import Fleet

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_BOUNDS = {"gt": "exclusiveMinimum", "ge": "minimum", "lt": "exclusiveMaximum", "le": "maximum"}
"""Pydantic writes its own names of bounds where a number may be left out and something is checked before it."""


@cache
def json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a fleet file, with a description for every key.

    Editors with yaml-language-server find it by a first line such as
    `# yaml-language-server: $schema=fleet.schema.json`. It is made once, as that takes ten times as long as checking a
    file; nobody changes it.
    """
    schema = spelled(Fleet.model_json_schema())
    camera = schema["$defs"]["Camera"]
    # The file's key and the file's own name stand for these two.
    del camera["properties"]["camera_id"]
    camera["required"].remove("camera_id")
    schema["required"].remove("name")
    for named in ("cameras", "sinks"):
        schema["properties"][named]["additionalProperties"] = False
    return {
        "$schema": DIALECT,
        **schema,
        "title": "camfleet fleet file",
    }


def spelled(node: Any) -> Any:
    """`node` with the bounds of numbers as JSON Schema calls them, which editors and our messages know."""
    if isinstance(node, list):
        return [spelled(one) for one in node]
    if not isinstance(node, dict):
        return node
    number = node.get("type") in ("number", "integer")
    return {_BOUNDS.get(key, key) if number else key: spelled(value) for key, value in node.items()}
