"""Settings from elsewhere, laid under those that a fleet file writes itself: the user's word wins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from pipeline.config.locate import Document, KeyPath, Tree, read_document
from pipeline.config.schema import json_schema
from pipeline.config.values import Fleet
from pipeline.config.wording import describe

SECTIONS = ("model", "worker", "defaults")
"""What may be laid under a fleet file; names, addresses and promises are its own."""
WHOLE: frozenset[KeyPath] = frozenset({("defaults", "stride")})
"""Sections that are taken from one place: half a range from here and half from there may be none."""


@dataclass(frozen=True, slots=True)
class Overlay:
    """Settings that hold where a fleet file says nothing.

    Attributes:
        values: By the path of keys, such as ("model", "openvino", "streams").
        model_path: A model to take instead of the file's, which always names one; empty to take the file's.
    """

    values: Mapping[KeyPath, Tree] = field(default_factory=dict)
    model_path: str = ""


def own_keys(path: Path) -> frozenset[KeyPath]:
    """Every key that a fleet file writes itself, sections included.

    Raises:
        ConfigError: The file cannot be read, or is no YAML.
    """
    return frozenset(read_document(path).places) - {()}


def is_own(path: KeyPath, own: frozenset[KeyPath]) -> bool:
    """Whether a file that writes the keys `own` decides on the one at `path`."""
    if path in own:
        return True
    return any(whole in own for whole in WHOLE if path[: len(whole)] == whole)


def lay_under(document: Document, overlay: Overlay) -> None:
    """Put the overlay's settings into a document where that says nothing itself."""
    if not isinstance(document.data, dict):
        return
    own = frozenset(document.places)
    for path, value in overlay.values.items():
        if not is_own(path, own):
            _put(document.data, path, value)
    if overlay.model_path:
        _put(document.data, ("model", "path"), overlay.model_path)


def read_overlay(document: Document, at: KeyPath) -> dict[KeyPath, Tree]:
    """The settings in the section at `at` of a document; what is wrong with them is reported there, as of a fleet file.

    They are looked at as if a fleet file had them, so a key that no fleet file knows is told with what is allowed.
    """
    settings = _at(document.data, at)
    if not isinstance(settings, dict):
        document.report(at, "must be a mapping with “model”, “worker” or “defaults”, as in a fleet file")
        return {}
    for section in settings:
        if section not in SECTIONS:
            document.report((*at, section), f"is not taken from here; allowed: {', '.join(SECTIONS)}", at_key=True)
    try:
        Fleet.model_validate(_smallest_fleet(settings))
    except ValidationError as error:
        schema = json_schema()
        for each in error.errors(include_url=False, include_input=False):
            path: KeyPath = tuple(each["loc"])
            place = document.places.get((*at, *path))
            text = describe(each, path, place.text if place else None, schema)
            document.report((*at, *path), text, at_key=each["type"] == "extra_forbidden")
    return dict(_leaves(settings, ()))


def _smallest_fleet(settings: Mapping[str, Tree]) -> dict[str, object]:
    """The least that a fleet file has, with these settings."""
    sections = {name: value for name, value in settings.items() if name in SECTIONS}
    model = sections.get("model")
    camera = {"camera_id": "camera", "url": "rtsp://camera/"}
    named = {"path": "model.pt", **model} if isinstance(model, dict) else {"path": "model.pt"}
    return {**sections, "name": "fleet", "model": named, "cameras": {"camera": camera}}


def _leaves(tree: Tree, path: KeyPath) -> list[tuple[KeyPath, Tree]]:
    if not isinstance(tree, dict):
        return [(path, tree)]
    return [leaf for key, value in tree.items() for leaf in _leaves(value, (*path, key))]


def _at(tree: Tree, path: KeyPath) -> Tree:
    for step in path:
        tree = tree.get(str(step)) if isinstance(tree, dict) else None
    return tree


def _put(tree: dict[str, Tree], path: KeyPath, value: Tree) -> None:
    for step in path[:-1]:
        below = tree.get(str(step))
        if below is None:  # Not there, or “worker:” with every line under it commented out.
            below = tree[str(step)] = {}
        if not isinstance(below, dict):  # A mistake of the file, which is told as such.
            return
        tree = below
    tree[str(path[-1])] = value
