"""A fleet with one camera more or less, as if its file had said so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from pipeline.config.base import Name
from pipeline.config.camera import Camera
from pipeline.config.load import merge
from pipeline.config.locate import KeyPath, Tree
from pipeline.config.schema import json_schema
from pipeline.config.values import Fleet
from pipeline.config.wording import describe
from pipeline.errors import ConfigError

_NAME: TypeAdapter[str] = TypeAdapter(Name)


def with_camera(fleet: Fleet, camera_id: str, settings: Mapping[str, Any]) -> Fleet:
    """The fleet with this camera, too; `settings` are the keys of a fleet file, laid over the fleet's `defaults`.

    Raises:
        ConfigError: It has a camera of that name, or a setting is wrong.
    """
    if camera_id in fleet.cameras:
        raise ConfigError(f"the fleet has a camera “{camera_id}” already; give the new one another name")
    merged = merge(fleet.defaults.model_dump(exclude_unset=True), dict(settings))
    try:
        _NAME.validate_python(camera_id)
        camera = Camera.model_validate({**merged, "camera_id": camera_id})
    except ValidationError as error:
        raise ConfigError(f"camera “{camera_id}”: {_told(error, merged)}") from None
    return fleet.model_copy(update={"cameras": {**fleet.cameras, camera_id: camera}})


def without_camera(fleet: Fleet, camera_id: str) -> Fleet:
    """The fleet without this camera.

    Raises:
        ConfigError: It is the only one.
    """
    left = {name: camera for name, camera in fleet.cameras.items() if name != camera_id}
    if not left:
        raise ConfigError(f"“{camera_id}” is the fleet's only camera; pause it, or end the fleet")
    return fleet.model_copy(update={"cameras": left})


def _told(error: ValidationError, settings: Tree) -> str:
    schema = json_schema()
    told = []
    for mistake in error.errors(include_url=False, include_input=False):
        path = ("cameras", "name", *mistake["loc"])
        words = describe(mistake, path, _found(settings, mistake["loc"]), schema)
        told.append(f"{'.'.join(str(step) for step in mistake['loc'])} {words}".strip())
    return "; ".join(told)


def _found(settings: Tree, path: KeyPath) -> str | None:
    """What was given there, as a fleet file would have it; None of a list or mapping."""
    value = settings
    for step in path:
        value = value.get(str(step)) if isinstance(value, dict) else None
    return None if value is None or isinstance(value, dict | list) else str(value)
