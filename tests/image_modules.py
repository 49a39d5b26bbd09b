"""What the image has of Python's packages, pretended in an environment that has more."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Iterable
from pathlib import Path

from packaging.requirements import Requirement

_BASE = ("camfleet", "pip", "setuptools", "wheel")
"""What is there besides: itself, and what comes with Python's image."""
_HIDES = """
import sys

HIDDEN = frozenset({hidden!r})

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in HIDDEN:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Hidden())
"""


def hide_others(requirements: Iterable[str], folder: Path) -> set[str]:
    """Make a module in `folder`, on PYTHONPATH, that hides from Python what these do not bring; returns what it hides.

    Args:
        requirements: As in a requirements file.
        folder: Gets `sitecustomize.py`, which each Python reads at its start, those of a fleet's processes too.
    """
    there = {_normal(name) for name in _BASE} | brought(map(Requirement, requirements))
    modules = importlib.metadata.packages_distributions()
    hidden = {module for module, owners in modules.items() if there.isdisjoint(map(_normal, owners))}
    hide(hidden, folder)
    return hidden


def hide(modules: Iterable[str], folder: Path) -> None:
    """Make such a module that hides these, whatever is installed."""
    (folder / "sitecustomize.py").write_text(_HIDES.format(hidden=sorted(modules)))


def brought(requirements: Iterable[Requirement]) -> set[str]:
    """The distributions that these bring, with all that those need."""
    found: set[tuple[str, str]] = set()
    waiting = list(requirements)
    while waiting:
        one = waiting.pop()
        for extra in ("", *one.extras):
            if (key := (_normal(one.name), extra)) not in found:
                found.add(key)
                needs = map(Requirement, importlib.metadata.requires(one.name) or ())
                waiting += [need for need in needs if need.marker is None or need.marker.evaluate({"extra": extra})]
    return {name for name, _ in found}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
