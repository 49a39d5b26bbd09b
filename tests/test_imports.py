"""Who imports what: the public names, and the processes that must stay light."""

from __future__ import annotations

import subprocess
import sys

import pytest

import pipeline

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
