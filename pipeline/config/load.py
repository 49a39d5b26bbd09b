"""A fleet file, read and checked: every mistake in it is told at once, with its line."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from pipeline.config.base import mask_value
from pipeline.config.files import resolve_files
from pipeline.config.keyfiles import resolve_keys
from pipeline.config.locate import Document, KeyPath, Tree, read_document
from pipeline.config.overlay import Overlay, lay_under
from pipeline.config.schema import json_schema
from pipeline.config.sinks.mistakes import as_written, check_sinks, report_kind, report_missing
from pipeline.config.values import Fleet
from pipeline.config.variables import substitute
from pipeline.config.wording import Schema, describe
from pipeline.errors import ConfigError

_MOST_TOLD = 50
"""Mistakes printed of one file; whoever has more has begun with the wrong file."""


def load_fleet(path: str | Path, environ: Mapping[str, str] | None = None, overlay: Overlay | None = None) -> Fleet:
    """The fleet that a YAML file describes, complete with defaults, its variables replaced and its files found.

    Args:
        path: The fleet file. Recordings and models are looked up beside it, then in the current directory.
        environ: Where `${VAR}` is looked up; the environment by default.
        overlay: Settings that hold where the file says nothing; their values are right by themselves (`read_overlay`).

    Raises:
        ConfigError: The file cannot be read, or has mistakes; the message has one line for each, with file, line,
            column, key, what was found and what is allowed. Credentials in it are masked.
    """
    document = read_document(Path(path))
    if not isinstance(document.data, dict):
        raise ConfigError(f"{path}:1: a fleet file is a mapping with “model” and “cameras”, this one is not")
    substitute(document, os.environ if environ is None else environ)
    resolve_files(document)
    resolve_keys(document)
    check_sinks(document)
    if overlay is not None:
        lay_under(document, overlay)
    complete = _complete(document)
    try:
        fleet = Fleet.model_validate(complete)
    except ValidationError as error:
        _report(error.errors(include_url=False, include_input=False), document)
    else:
        report_missing(fleet.sinks, document)
    if document.mistakes:
        raise ConfigError(told(document))
    return fleet


def _complete(document: Document) -> dict[str, Tree]:
    """The document's data as the values want it: with names, and `defaults` merged under each camera."""
    data = dict(document.data) if isinstance(document.data, dict) else {}
    if data.get("name") is None:
        data["name"] = _name_of(document.file)
    defaults, cameras = data.get("defaults"), data.get("cameras")
    if isinstance(cameras, dict):
        shared = defaults if isinstance(defaults, dict) else {}
        data["cameras"] = {name: _camera(name, own, shared, document) for name, own in cameras.items()}
    return data


def _camera(name: str, own: Tree, shared: dict[str, Tree], document: Document) -> Tree:
    if not isinstance(own, dict | None):
        return own
    if own and "camera_id" in own:
        document.report(
            ("cameras", name, "camera_id"), f"is no key; the camera is called “{name}” already", at_key=True
        )
    return {**merge(shared, own or {}), "camera_id": name}


def merge(under: dict[str, Tree], over: dict[str, Tree]) -> dict[str, Tree]:
    """`over` before `under`, section by section."""
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(below, dict) and isinstance(value, dict | None):
            merged[key] = merge(below, value or {})
        else:
            merged[key] = value
    return merged


def _name_of(file: Path) -> str:
    """A fleet's name from its file's: “north gate.yaml” is north-gate."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", file.stem).strip("-_.")[:63] or "fleet"


def _report(errors: list[ErrorDetails], document: Document) -> None:
    schema = json_schema()
    for error in errors:
        path = _path((*error["loc"], *error.get("ctx", {}).get("at", ())), document, schema)
        if error["type"].startswith("union_tag"):
            report_kind(path, document)
            continue
        place = document.places.get(path)
        # What is allowed in a sink depends on its kind, which pydantic names and the file does not.
        allowed_at = (*path[:2], error["loc"][2], *path[2:]) if path[:1] == ("sinks",) and len(path) > 2 else path
        text = describe(error, allowed_at, place.text if place else None, schema)
        document.report(path, text, at_key=error["type"] == "extra_forbidden")


def _path(loc: KeyPath, document: Document, schema: Schema) -> KeyPath:
    """The path as written in the file: a default that is wrong is wrong in `defaults`, not in each camera."""
    if loc[-1:] == ("[key]",) or (loc[:1] == ("cameras",) and loc[2:] == ("camera_id",)):
        return loc[:-1]
    section = 3 if loc[:1] == ("cascade",) else 1
    if loc[section - 1 : section + 1] == ("model", "options"):
        # Pydantic adds which of the allowed types it tried.
        return loc[: section + 2]
    if loc[:1] == ("sinks",):
        return as_written(loc)
    inherited = ("defaults", *loc[2:])
    if loc[:1] == ("cameras",) and len(loc) > 2 and loc not in document.places and inherited in document.places:
        return inherited
    return loc


def told(document: Document) -> str:
    """All mistakes of a document: the first line counts, then one line for each in the order of the file."""
    mistakes = sorted(document.mistakes, key=lambda mistake: (mistake.line, mistake.column))
    count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
    lines = [
        f"  {document.file}:{mistake.line}:{mistake.column}: {_dotted(mistake.path)} {mistake.text}"
        for mistake in mistakes[:_MOST_TOLD]
    ]
    if len(mistakes) > _MOST_TOLD:
        lines.append(f"  … and {len(mistakes) - _MOST_TOLD} more")
    return "\n".join((f"{document.file}: {count}", *lines))


def _dotted(path: KeyPath) -> str:
    return ".".join(mask_value(str(step)) for step in path) + ":" if path else ""
