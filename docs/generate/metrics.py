"""The page's metrics, from the module that makes them; read and not imported, so that no library is needed."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pipeline
from docs.generate.markdown import plain

_MODULE = Path(pipeline.__file__).parent / "web" / "metrics.py"
_COUNTER = ("CounterMetricFamily", "_camera_counter")


def metrics() -> str:
    """A row for each metric."""
    rows = [f"| `{name}` | {plain(words)} |" for name, words in sorted(every_metric())]
    return "\n".join(("| metric | value |", "|---|---|", *rows)) + "\n"


def every_metric() -> Iterator[tuple[str, str]]:
    """Each metric's name and what it says; counters end in `_total`, as Prometheus names them."""
    tree = ast.parse(_MODULE.read_text("utf-8"))
    words = dict(_described(tree))
    counted = {name for name, is_counter in _made(tree) if is_counter} | set(_keys(tree, "_COUNTED"))
    counted |= set(_keys(tree, "_SINKS")) | set(_keys(tree, "_LOOKS"))
    for name, text in words.items():
        yield (f"{name}_total" if name in counted else name), text


def _described(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            pairs = list(zip(node.keys, node.values, strict=True))
        elif isinstance(node, ast.Call) and len(node.args) > 1:
            pairs = [(node.args[0], node.args[1])]
        else:
            continue
        for key, said in pairs:
            if (name := _text(key)) and (words := _text(said)) and name.startswith("camfleet_"):
                yield name, words


def _made(tree: ast.Module) -> Iterator[tuple[str, bool]]:
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.args
            and (name := _text(node.args[0]))
        ):
            yield name, node.func.id in _COUNTER


def _keys(tree: ast.Module, table: str) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == table:
            assert isinstance(node.value, ast.Dict)
            yield from (name for key in node.value.keys if (name := _text(key)))


def _text(node: ast.expr | None) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
