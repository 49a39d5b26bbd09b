"""One way to run a fleet: what differs from its file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from pipeline.config.locate import KeyPath, Tree
from pipeline.config.overlay import Overlay

Scalar: TypeAlias = str | int | float | bool | tuple[int, int]


@dataclass(frozen=True, slots=True)
class Setting:
    """Keys of a fleet file with other values, and another model.

    Attributes:
        keys: By dotted path, such as ("model.openvino.streams", 2), in alphabetical order; what is not here is as the
            file or its defaults say.
        model: The path of a model to take instead of the file's; empty for the file's own.
    """

    keys: tuple[tuple[str, Scalar], ...] = ()
    model: str = ""

    def but(self, changes: Mapping[str, Scalar | None], model: str | None = None) -> Setting:
        """The setting with other values; None takes a key back to what the file says."""
        known = {**dict(self.keys), **changes}
        keys = tuple(sorted((key, value) for key, value in known.items() if value is not None))
        return replace(self, keys=keys, model=self.model if model is None else model)

    def get(self, key: str) -> Scalar | None:
        """The value at a dotted path; None where it is the file's."""
        return dict(self.keys).get(key)

    @property
    def overlay(self) -> Overlay:
        """The same for `load_fleet`."""
        return Overlay({_path(key): _tree(value) for key, value in self.keys}, self.model)

    @property
    def words(self) -> str:
        """Such as “lanes 3, openvino.streams 2”; “as the file says” where nothing differs."""
        told = [f"{short(key)} {_said(value)}" for key, value in self.keys]
        if self.model:
            told.insert(0, f"model {Path(self.model).name}")
        return ", ".join(told) or "as the file says"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        keys = {key: list(value) if isinstance(value, tuple) else value for key, value in self.keys}
        return {"keys": keys, "model": self.model}

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> Setting:
        """The setting that `as_dict` told."""
        keys = {key: tuple(value) if isinstance(value, list) else value for key, value in told["keys"].items()}
        return cls().but(keys, str(told["model"]))


def as_written(values: Mapping[KeyPath, Tree]) -> list[str]:
    """Values by key path, each in words: “lanes 3”."""
    return [f"{short('.'.join(map(str, path)))} {value}" for path, value in values.items()]


def short(key: str) -> str:
    """A dotted path without its first section, which is clear from the rest."""
    return key.partition(".")[2]


def _path(key: str) -> KeyPath:
    return tuple(key.split("."))


def _tree(value: Scalar) -> Tree:
    return [*value] if isinstance(value, tuple) else value


def _said(value: Scalar) -> str:
    return (
        f"{value[0]}×{value[1]}"
        if isinstance(value, tuple)
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )
