"""A fleet written out again, with nothing left to defaults."""

from __future__ import annotations

from typing import Any

import yaml

from pipeline.config.values import Fleet


def to_dict(fleet: Fleet) -> dict[str, Any]:
    """The keys and values of a fleet file that says everything; for reading, since its credentials are masked."""
    written: dict[str, Any] = fleet.model_dump(mode="json")
    for camera in written["cameras"].values():
        del camera["camera_id"]
    return written


def to_yaml(fleet: Fleet) -> str:
    """`to_dict` as a YAML file, in the order of the documentation."""
    return yaml.safe_dump(_escaped(to_dict(fleet)), sort_keys=False, allow_unicode=True, width=120)


def _escaped(value: Any) -> Any:
    """Texts as a fleet file writes them, where `${` begins a variable."""
    if isinstance(value, dict):
        return {key: _escaped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_escaped(item) for item in value]
    return value.replace("${", "$${") if isinstance(value, str) else value
