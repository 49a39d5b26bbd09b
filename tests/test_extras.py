"""What is not installed is told in one line with the command that brings it, before anything else is done."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from pipeline.errors import ConfigError, DetectorError
from pipeline.extras import EXTRAS, is_there, lack, opencv_trouble, require
from tests.float_model import write_float_model
from tests.image_modules import brought, hide

ROOT = Path(__file__).parents[1]
MODEL = ROOT / "samples/model/demo_openvino_model"
DEADLINE_S = 60
OURS = {"all", "dev", "docs", "fuzz"}
"""Extras that stand for others, and what only developers need."""
OPTIONAL = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]


def fleet(model: str = "{backend: stub}", more: str = "") -> str:
    return f"model: {model}\ncameras: {{gate: {{url: {ROOT}/samples/gate.mp4}}}}\n{more}"


ROWS = {
    "burst --report": (
        ["matplotlib"],
        ["burst", ROOT / "configs/scenarios/ci.yaml", "--report", "out"],
        "burst --report needs matplotlib, which is not installed: pip install 'camfleet[report]'",
    ),
    "results --plot": (
        ["matplotlib"],
        ["results", "nothing.sqlite", "--plot", "out.png"],
        "--plot needs matplotlib, which is not installed: pip install 'camfleet[report]'",
    ),
    "results in Parquet": (
        ["duckdb"],
        ["results", "kept.parquet"],
        "kept.parquet: reading Parquet needs duckdb, which is not installed: pip install 'camfleet[sinks]'",
    ),
    "evaluate tracking": (
        ["trackeval"],
        ["evaluate", "tracking", "MOT17-02"],
        "evaluate tracking needs trackeval, which is not installed: pip install 'camfleet[evaluate]'",
    ),
    "evaluate tracking --tracker ultralytics": (
        ["ultralytics", "torch"],
        ["evaluate", "tracking", "MOT17-02", "--tracker", "ultralytics"],
        "--tracker ultralytics needs ultralytics and torch, which are not installed: "
        "pip install 'camfleet[ultralytics]'",
    ),
    "evaluate run": (
        ["trackeval"],
        ["evaluate", "run", ROOT / "configs/evaluate.yaml"],
        "evaluate run needs trackeval, which is not installed: pip install 'camfleet[evaluate]'",
    ),
    "evaluate streaming": (
        ["faster_coco_eval"],
        ["evaluate", "streaming", ROOT / "configs/evaluate.yaml"],
        "evaluate streaming needs faster_coco_eval, which is not installed: pip install 'camfleet[evaluate]'",
    ),
    "levers": (
        ["nncf", "matplotlib"],
        ["levers", MODEL, "--fleet", ROOT / "configs/evaluate.yaml"],
        "levers needs nncf and matplotlib, which are not installed: pip install 'camfleet[levers]'",
    ),
    "export in 8 bits": (
        ["nncf"],
        ["export", "floats", "--precision", "int8", "--fleet", ROOT / "configs/evaluate.yaml", "--out", "made"],
        "--precision int8 needs nncf, which is not installed: pip install 'camfleet[levers]'",
    ),
    "export that is judged": (
        ["faster_coco_eval"],
        ["export", "floats", "--precision", "f16", "--fleet", ROOT / "configs/evaluate.yaml", "--out", "made"],
        "accuracy needs faster_coco_eval, which is not installed: pip install 'camfleet[levers]'",
    ),
    "export of weights": (
        ["ultralytics", "torch"],
        ["export", "weights.pt", "--out", "made"],
        "weights.pt needs ultralytics and torch, which are not installed: pip install 'camfleet[ultralytics]'",
    ),
    "tune": (
        ["optuna"],
        ["tune", "stub.yaml"],
        "tune needs optuna, which is not installed: pip install 'camfleet[tune]'",
    ),
    "run --on ray": (
        ["ray"],
        ["run", "stub.yaml", "--on", "ray"],
        "--on ray needs ray, which is not installed: pip install 'camfleet[ray]'",
    ),
    "run --page": (
        ["starlette", "uvicorn", "websockets"],
        ["run", "stub.yaml", "--page", "0"],
        "the page needs starlette, uvicorn and websockets, which are not installed: pip install 'camfleet[page]'",
    ),
    "weights": (
        ["ultralytics", "torch"],
        ["run", "weights.yaml"],
        "model.path: yolo26n.pt needs ultralytics and torch, which are not installed: "
        "pip install 'camfleet[ultralytics]'",
    ),
    "weights to be made INT8": (
        ["nncf"],
        ["run", "int8.yaml"],
        "model.openvino.int8_from needs nncf, which is not installed: pip install 'camfleet[int8]'",
    ),
    "an engine": (
        ["torch"],
        ["run", "engine.yaml"],
        "model.path: gpu.engine needs torch, which is not installed: pip install 'camfleet[ultralytics]'",
    ),
    "a model on Triton": (
        ["tritonclient"],
        ["run", "triton.yaml"],
        "model.backend: triton needs tritonclient, which is not installed: pip install 'camfleet[triton]'",
    ),
    "a scenario with weights": (
        ["ultralytics"],
        ["burst", "scenario.yaml"],
        "model.path: yolo26n.pt needs ultralytics, which is not installed: pip install 'camfleet[ultralytics]'",
    ),
    "discover": (
        ["onvif", "zeep"],
        ["discover", "--address", "127.0.0.1:9"],
        "discover needs onvif and zeep, which are not installed: pip install 'camfleet[discover]'",
    ),
}
"""By what is asked for: what is not there, the command, and all that it says."""
FILES = {
    "stub.yaml": fleet(),
    "weights.yaml": fleet("{path: yolo26n.pt}"),
    "int8.yaml": fleet("{path: yolo26n.pt, openvino: {int8_from: pictures}}"),
    "engine.yaml": fleet("{path: gpu.engine}"),
    "triton.yaml": fleet("{backend: triton, path: tiny, url: 'grpc://127.0.0.1:1'}"),
    "scenario.yaml": f"recordings: [{ROOT}/samples/gate.mp4]\nmodel: {{path: yolo26n.pt}}\n"
    "phases: [{name: calm, seconds: 1}]\n",
    "weights.pt": "PK",
    "kept.parquet": "",
    "pictures/a.jpg": "",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with fleets, and `sitecustomize.py` is written elsewhere."""
    there = tmp_path / "there"
    for name, content in FILES.items():
        (there / name).parent.mkdir(parents=True, exist_ok=True)
        (there / name).write_text(content)
    return there


def without(modules: Iterable[str], folder: Path, arguments: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
    """The command, in this folder, where these modules are not installed."""
    hide(modules, folder.parent)
    return command(folder, arguments)


def command(folder: Path, arguments: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
    """The command, in this folder, with the `sitecustomize.py` above it."""
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(folder.parent),
        "PYTHONPATH": f"{folder.parent}:{ROOT}",
        "COLUMNS": "500",
    }
    words = [sys.executable, "-m", "pipeline", *map(str, arguments)]
    return subprocess.run(
        words, cwd=folder, env=environment, capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )


@pytest.mark.parametrize(("hidden", "arguments", "said"), ROWS.values(), ids=ROWS)
def test_what_is_missing_is_one_line_before_anything_is_done(
    folder: Path, hidden: list[str], arguments: list[str | Path], said: str
):
    if "floats" in arguments:
        write_float_model(folder / "models").rename(folder / "floats")
        (folder / "models").rmdir()
    before = set(folder.rglob("*"))
    ended = without(hidden, folder, arguments)
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", f"camfleet: {said}\n")
    assert set(folder.rglob("*")) - before <= {folder / "made"}, "nothing was begun"


NO_SCREEN = """
import sys
from importlib.machinery import ModuleSpec

class NoScreen:
    def find_spec(self, name, path=None, target=None):
        return ModuleSpec(name, self) if name == "cv2" else None
    def create_module(self, spec):
        return None
    def exec_module(self, module):
        raise ImportError({reason!r}, name="cv2")

sys.meta_path.insert(0, NoScreen())
"""


def test_opencv_for_desktops_on_a_machine_without_one_is_told_with_what_to_do(folder: Path):
    reason = "libGL.so.1: cannot open shared object file: No such file or directory"
    (folder.parent / "sitecustomize.py").write_text(NO_SCREEN.format(reason=reason))
    ended = command(folder, ["run", "stub.yaml", "--duration", "1"])
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == (
        f"camfleet: OpenCV cannot be loaded ({reason}); the edition for machines without a screen can: "
        "pip install --force-reinstall --no-deps opencv-python-headless\n"
    )


def test_import_that_fails_for_another_reason_is_not_opencv():
    assert opencv_trouble(ImportError("cannot import name x", name="numpy")) == ""


def test_what_is_missing_is_listed_as_one_would_say_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("pipeline.extras.find_spec", lambda name: None)
    assert lack("x", "it", "a") == "it needs a, which is not installed: pip install 'camfleet[x]'"
    assert lack("x", "it", "a", "b") == "it needs a and b, which are not installed: pip install 'camfleet[x]'"
    assert lack("x", "it", "a", "b", "c").startswith("it needs a, b and c, which are not")
    with pytest.raises(DetectorError, match="needs ray"):
        require("ray", "it", error=DetectorError)


def test_what_is_there_is_not_missed_and_not_imported():
    assert lack("x", "it", "numpy", "json") == ""
    assert not is_there("no_such_package.module")
    require("x", "it", "antigravity")
    assert "antigravity" not in sys.modules


def brings(extra: str) -> set[str]:
    """The requirements of an extra, its own and those of other extras that it names."""
    found: set[str] = set()
    for one in OPTIONAL[extra]:
        own = re.fullmatch(r"camfleet\[(.+)\]", one)
        found = found.union(*map(brings, own[1].split(","))) if own else found | {one}
    return found


def normal(distribution: str) -> str:
    """Its name as registries compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def test_extras_are_those_that_are_declared():
    assert set(EXTRAS) == set(OPTIONAL) - OURS
    assert brings("all") == set().union(*map(brings, EXTRAS))


@pytest.mark.parametrize("extra", sorted(set(EXTRAS) - {"profile"}))
def test_extra_brings_the_modules_that_are_looked_for(extra: str):
    owners = packages_distributions()
    try:
        there = brought(map(Requirement, brings(extra)))
    except PackageNotFoundError as error:
        pytest.skip(f"not installed here: {error}")
    for module in EXTRAS[extra]:
        assert {normal(one) for one in owners[module.partition(".")[0]]} & there, module


def test_extra_that_is_none_is_a_mistake_of_ours():
    with pytest.raises(KeyError):
        require("reports", "it", error=ConfigError)
