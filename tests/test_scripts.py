"""The scripts are run seldom: that what they import is still there is looked at here."""

from __future__ import annotations

import ast
import importlib
from importlib.util import find_spec
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parent.parent / "scripts"


@pytest.mark.parametrize("script", sorted(SCRIPTS.rglob("*.py")), ids=lambda path: str(path.relative_to(SCRIPTS)))
def test_script_imports_what_there_is(script: Path):
    for node in ast.walk(ast.parse(script.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("pipeline"):
            module = importlib.import_module(node.module)
            missing = [name.name for name in node.names if not _has(module, node.module, name.name)]
            assert not missing, f"{script.name}:{node.lineno}: {node.module} has no {', '.join(missing)}"


def _has(module: object, path: str, name: str) -> bool:
    return hasattr(module, name) or find_spec(f"{path}.{name}") is not None
