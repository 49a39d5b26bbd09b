"""The Python API from its docstrings: what each name is, its arguments, and what its methods do."""

from __future__ import annotations

import enum
import inspect
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import pipeline
import pipeline.errors
from docs.generate.markdown import defined, docstring, plain

_WIDEST = 88
"""Letters of a call on one line."""


def api(names: list[str]) -> str:
    """A section for each name: one of `pipeline`, or another by its whole path, such as pipeline.detect.Detector."""
    return "\n".join(_section(name, found(name)) for name in names)


def errors() -> str:
    """Every error and when it is raised."""
    kinds = {name: kind for name, kind in vars(pipeline.errors).items() if inspect.isclass(kind)}
    return "\n".join(defined(f"`{name}`", plain(inspect.getdoc(kind) or "")) for name, kind in kinds.items())


def found(name: str) -> Any:
    """What a name stands for."""
    module, _, last = name.rpartition(".")
    return getattr(import_module(module) if module else pipeline, last)


def _section(name: str, named: Any) -> str:
    module, _, last = name.rpartition(".")
    parts = [f"### `{last}`", f"```python\nfrom {module or 'pipeline'} import {last}\n```"]
    if inspect.isclass(named):
        parts += [docstring(named), *_construction(last, named), *_members(last, named)]
    else:
        parts += [_signature(last, named), docstring(named)]
    return "\n\n".join(parts) + "\n"


def _construction(name: str, kind: type) -> Iterator[str]:
    """How an object is made, where its class says more of that than its attributes do."""
    if issubclass(kind, enum.Enum):
        yield "\n".join(f"- `{name}.{member.name}`" for member in kind)
    elif not getattr(kind, "_is_protocol", False) and inspect.isfunction(vars(kind).get("__init__")):
        yield _signature(name, kind)
        if kind.__init__.__doc__:
            yield docstring(kind.__init__)


def _members(name: str, kind: type) -> Iterator[str]:
    """Its public methods and properties, those of its parents within the package included."""
    seen: set[str] = set()
    for base in kind.__mro__:
        if not base.__module__.startswith("pipeline"):
            continue
        for member, what in vars(base).items():
            if member.startswith("_") or member in seen or not _is_documented(what):
                continue
            seen.add(member)
            yield _member(f"{name}.{member}", what)


def _is_documented(what: object) -> bool:
    return isinstance(what, property | classmethod | staticmethod) or inspect.isfunction(what)


def _member(path: str, what: Any) -> str:
    if isinstance(what, property):
        return f"#### `{path}`\n\n{docstring(what)}"
    function: Callable[..., Any] = getattr(what, "__func__", what)
    return f"#### `{path}()`\n\n{_signature(path.rpartition('.')[2], function)}\n\n{docstring(function)}"


def _signature(name: str, called: Callable[..., Any]) -> str:
    """How it is called, without what says only that it belongs to an object."""
    signature = inspect.signature(called)
    words: list[str] = []
    for one in signature.parameters.values():
        if one.name in ("self", "cls"):
            continue
        if one.kind is one.KEYWORD_ONLY and not any(word.startswith("*") for word in words):
            words.append("*")
        words.append(_parameter(one))
    returned = "" if inspect.isclass(called) else _annotation(signature.return_annotation)
    arrow = f" -> {returned}" if returned not in ("", "None") else ""
    line = f"{name}({', '.join(words)}){arrow}"
    if len(line) > _WIDEST:
        line = f"{name}(\n" + "".join(f"    {word},\n" for word in words) + f"){arrow}"
    return f"```python\n{line}\n```"


def _parameter(one: inspect.Parameter) -> str:
    stars = {one.VAR_POSITIONAL: "*", one.VAR_KEYWORD: "**"}.get(one.kind, "")
    annotation = _annotation(one.annotation)
    named = f"{stars}{one.name}: {annotation}" if annotation else f"{stars}{one.name}"
    if one.default is one.empty:
        return named
    return f"{named} = {one.default!r}" if annotation else f"{named}={one.default!r}"


def _annotation(annotation: Any) -> str:
    """A type as its module writes it; empty where there is none."""
    if annotation is inspect.Signature.empty:
        return ""
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
