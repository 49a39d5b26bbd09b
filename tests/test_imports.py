"""Who imports what: the public names, the processes that must stay light, and what is declared for it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import pipeline

REPOSITORY = Path(__file__).parents[1]
INFERENCE = {"torch", "torchvision", "ultralytics", "openvino"}


@pytest.mark.parametrize("name", pipeline.__all__)
def test_package_exports_what_it_names(name: str):
    assert getattr(pipeline, name).__name__ == name


def test_package_has_no_other_name():
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        _ = pipeline.Nonsense  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("statement", "never"),
    [
        pytest.param("import pipeline.camera.process", INFERENCE, id="a camera process"),
        pytest.param(
            "from pipeline import Subscriber", INFERENCE | {"cv2", "av", "numpy", "pydantic"}, id="a subscriber"
        ),
        pytest.param("import pipeline.supervise.supervisor", INFERENCE, id="the supervisor"),
        pytest.param("import pipeline.worker.process", INFERENCE, id="the worker before it knows its model"),
        pytest.param("import pipeline.cli", INFERENCE | {"cv2", "av", "numpy", "zmq"}, id="the command line"),
        pytest.param("import pipeline", INFERENCE | {"zmq", "msgspec"}, id="the package alone"),
    ],
)
def test_import_leaves_heavy_libraries_alone(statement: str, never: set[str]):
    code = f"import sys; {statement}; print(*sorted({never!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == []


def imported() -> Iterator[tuple[str, str]]:
    """The top-level name of every absolute import in the package, and where it is."""
    for path in sorted((REPOSITORY / "pipeline").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom) and not node.level
                else []
            )
            for name in names:
                yield name.split(".")[0], str(path.relative_to(REPOSITORY))


def normalized(distribution: str) -> str:
    """A distribution's name as registries compare it (PEP 503), without version, extras and markers."""
    name = re.match(r"[\w.-]+", distribution)
    assert name is not None
    return re.sub(r"[-_.]+", "-", name[0]).lower()


def test_every_library_imported_is_declared():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
    extras = [one for extra in project["optional-dependencies"].values() for one in extra]
    declared = {normalized(one) for one in [*project["dependencies"], *extras]}
    installed = packages_distributions()
    ours = sys.stdlib_module_names | {"pipeline"}
    foreign = {(name, where) for name, where in imported() if name not in ours}
    assert {"numpy", "zmq"} <= {name for name, _ in foreign}
    missing = [
        (name, where)
        for name, where in sorted(foreign)
        if not declared & {normalized(one) for one in installed.get(name, [name])}
    ]
    assert missing == []
