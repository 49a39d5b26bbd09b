"""A sink by options of a command line, with mistakes in the words of a fleet file's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from pipeline.config.locate import Document, KeyPath, Place, Tree
from pipeline.config.schema import json_schema
from pipeline.config.sinks.base import SinkSettings
from pipeline.config.sinks.choice import sink_of, what_is_missing, wrong_kind
from pipeline.config.variables import substitute
from pipeline.config.wording import describe
from pipeline.errors import ConfigError


def sink_by_options(kind: str, settings: Mapping[str, Any], environ: Mapping[str, str]) -> SinkSettings:
    """The settings of a sink; `${NAME}` in a text is taken from the environment.

    Args:
        kind: A kind of sink, or package.module:factory.
        settings: The keys that a fleet file would have below the sink's name.
        environ: Where variables are looked up.

    Raises:
        ConfigError: One of them is wrong, or a library is not installed; secrets are masked.
    """
    document = Document(Path("--set"), dict(settings))
    document.places.update(_places(document.data, ()))
    substitute(document, environ)
    if not document.mistakes:
        assert isinstance(document.data, dict)
        try:
            sink = sink_of(kind, document.data)
        except ValidationError as error:
            for found in error.errors(include_url=False, include_input=False):
                _report(found, kind, document)
        else:
            if missing := what_is_missing(sink):
                raise ConfigError(missing)
            return sink
    raise ConfigError("; ".join(_told(one.path, one.text) for one in document.mistakes))


def _report(error: ErrorDetails, kind: str, document: Document) -> None:
    if error["type"].startswith("union_tag"):
        document.report(("kind",), wrong_kind(kind))
        return
    path = error["loc"][1:3] if error["loc"][1:2] == ("options",) else error["loc"][1:]
    place = document.places.get(path)
    text = describe(error, ("sinks", "a", error["loc"][0], *path), place.text if place else None, json_schema())
    document.report(path, text)


def _told(path: KeyPath, text: str) -> str:
    return f"kind: {text}" if path == ("kind",) else f"--set {'.'.join(map(str, path))}: {text}"


def _places(value: Tree, path: KeyPath) -> dict[KeyPath, Place]:
    """Where everything is: in the command, and as it is written there."""
    text = None if isinstance(value, dict | list) else str(value)
    places = {path: Place(0, 0, 0, 0, text)}
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        places |= _places(item, (*path, key))
    return places
