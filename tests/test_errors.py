"""The tree of errors: whole, drawn and exported; read from the sources, so that nothing heavy is imported."""

from __future__ import annotations

import ast
import builtins
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import pipeline
from pipeline import errors

PACKAGE = Path(pipeline.__file__).parent
PUBLIC = [name for name, kind in inspect.getmembers(errors, inspect.isclass) if kind.__module__ == errors.__name__]
DRAWN = re.compile(r"^(?P<indent>[│ ]*)(?:[├└]── )?(?P<name>[A-Z]\w+)(?:  |$)", re.MULTILINE)


def classes() -> Iterator[tuple[str, str, list[str]]]:
    """Module, name and the names of the bases of every class in the package."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef):
                yield (
                    str(path.relative_to(PACKAGE)),
                    node.name,
                    [ast.unparse(base).split(".")[-1] for base in node.bases],
                )


def is_exception(name: str) -> bool:
    """Whether a base from outside the package is an exception; libraries name theirs so."""
    known = getattr(builtins, name, None)
    if isinstance(known, type):
        return issubclass(known, BaseException)
    return name.endswith(("Error", "Exception", "Exit", "Warning"))


def ancestors(name: str, bases: dict[str, list[str]]) -> set[str]:
    found = {name}
    for base in bases.get(name, []):
        found |= ancestors(base, bases) if base != name else {base}
    return found


def test_every_exception_of_the_package_is_in_the_tree():
    bases = {name: named for _, name, named in classes()}
    exceptions = {
        (module, name): ancestors(name, bases)
        for module, name, _ in classes()
        if any(is_exception(one) for one in ancestors(name, bases) - set(bases))
    }
    assert ("errors.py", "PipelineError") in exceptions and len(exceptions) > len(PUBLIC), "the walk finds them"
    assert [where for where, above in exceptions.items() if "PipelineError" not in above] == []


@pytest.mark.parametrize("name", PUBLIC)
def test_error_is_exported_and_drawn_below_its_base(name: str):
    assert name in pipeline.__all__
    drawn = [(len(line["indent"]), line["name"]) for line in DRAWN.finditer(errors.__doc__ or "")]
    assert drawn[0][1] == "PipelineError"
    above: list[str] = []
    parents = {}
    for indent, one in drawn:
        depth = 0 if one == "PipelineError" else 1 + indent // 4
        above = [*above[:depth], one]
        parents[one] = above[-2] if depth else "Exception"
    assert parents.get(name) == getattr(errors, name).__base__.__name__
