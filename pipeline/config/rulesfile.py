"""Rules by themselves: those of a fleet file, or of a file that has nothing else, for results that were kept."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from pydantic import Field, ValidationError

from pipeline.config.base import Name, Value
from pipeline.config.load import load_fleet, told
from pipeline.config.locate import Document, read_document
from pipeline.config.rules import Rules
from pipeline.config.wording import Schema, describe
from pipeline.errors import ConfigError

_KIND, _NEEDS = "file of rules", "“cameras” with “zones” or “lines”"
_FLEET = re.compile(r"^(model|publish)\s*:", re.MULTILINE)
"""What a fleet file has, and a file of rules has not."""


class RulesFile(Value):
    """A file that has rules only."""

    cameras: dict[Name, Rules] = Field(min_length=1, description="The rules of each camera, by its name.")


def load_rules(path: Path) -> dict[str, Rules]:
    """The rules of each camera that has some.

    Args:
        path: A fleet file, or a file with `cameras` and of each nothing but `zones` and `lines`.

    Raises:
        ConfigError: The file cannot be read, has mistakes, or no rule; one line for each mistake.
    """
    found = _of_fleet(path) if _is_fleet(path) else _alone(path)
    rules = {camera_id: rules for camera_id, rules in found.items() if rules.any}
    if not rules:
        raise ConfigError(f"{path}: no camera has “zones” or “lines”, so nothing is an event")
    return rules


def _is_fleet(path: Path) -> bool:
    try:
        return _FLEET.search(path.read_text(encoding="utf-8")) is not None
    except (OSError, UnicodeDecodeError):
        return False  # which `read_document` tells better


def _of_fleet(path: Path) -> dict[str, Rules]:
    return {camera_id: camera.rules for camera_id, camera in load_fleet(path).cameras.items()}


def _alone(path: Path) -> dict[str, Rules]:
    document = read_document(path, _KIND, _NEEDS)
    if not isinstance(document.data, dict):
        raise ConfigError(f"{path}:1: a {_KIND} is a mapping with {_NEEDS}, this one is not")
    rules = check_rules(document)
    if document.mistakes:
        raise ConfigError(told(document))
    return rules


def check_rules(document: Document) -> dict[str, Rules]:
    """The rules that a document says, by camera; what is wrong with them is among its mistakes afterwards."""
    try:
        return RulesFile.model_validate(document.data).cameras
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_input=False):
            where = (*detail["loc"], *detail.get("ctx", {}).get("at", ()))
            where = where[:-1] if where[-1:] == ("[key]",) else where
            place = document.places.get(where)
            text = describe(detail, where, place.text if place else None, _schema())
            document.report(where, text, at_key=detail["type"] == "extra_forbidden")
    return {}


@cache
def _schema() -> Schema:
    return RulesFile.model_json_schema()
