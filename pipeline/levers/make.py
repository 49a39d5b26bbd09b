"""Another form of a model: a smaller input, fewer bits; as a folder that a fleet file's `model.path` takes at once."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from pipeline.detect.quiet import forbid_telemetry
from pipeline.errors import DetectorError
from pipeline.levers.recipe import Recipe

OPENVINO_SUFFIX = "_openvino_model"
"""How the folders of OpenVINO models are called, by which `backend: auto` knows them."""


def make_model(source: Path, recipe: Recipe, calibration: Sequence[Path], folder: Path) -> Path:
    """The folder of an OpenVINO model made by `recipe`, in `folder`; one that is there already is replaced.

    Blocks: for seconds, for minutes where a `.pt` is exported first or INT8 is calibrated.

    Args:
        source: A .pt, an .onnx, an .xml or its folder. What it leaves open (batch, size) stays open.
        recipe: What is to be different.
        calibration: Files of pictures like those the cameras give; only INT8 needs them, 300 are plenty.
        folder: Where the model's own folder is made; created where it is missing.

    Raises:
        DetectorError: There is no such model, or it cannot be made so; says why.
    """
    target = _target(source, recipe, folder)
    if target.resolve() in (source.resolve(), source.resolve().parent):
        raise DetectorError(f"{target} is the model itself; name another folder to make its other forms in")
    forbid_telemetry()
    from pipeline.levers import network

    opened = network.open_source(source)
    opened.require(recipe)
    require_calibration(source, recipe, pictures=bool(calibration))
    made = opened.made_by(recipe, calibration)
    partial = target.with_name(f".{target.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        made.save(partial, named(source))
        shutil.rmtree(target, ignore_errors=True)
        partial.rename(target)
    except OSError as error:
        raise DetectorError(f"{target} cannot be written: {error.strerror}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target


def require_calibration(source: Path, recipe: Recipe, *, pictures: bool) -> None:
    """Raise where INT8 is asked for and there is nothing to calibrate it on.

    Raises:
        DetectorError: So it is, and why that cannot be.
    """
    if recipe.precision == "int8" and not pictures:
        raise DetectorError(
            f"INT8 of {source} needs pictures to be calibrated on: without them nobody knows the ranges of its values, "
            "and accuracy can crater; give --data DATASET.yaml, or --fleet FLEET.yaml with recordings"
        )


def named(source: Path) -> str:
    """A model's name without what tells its kind: `demo` of `demo_openvino_model/`, `yolo26n` of `yolo26n.pt`."""
    own = source.stem if source.suffix in {".pt", ".onnx", ".xml"} else source.name
    return own.removesuffix(OPENVINO_SUFFIX) or "model"


def _target(source: Path, recipe: Recipe, folder: Path) -> Path:
    return folder / f"{'-'.join(filter(None, (named(source), recipe.slug)))}{OPENVINO_SUFFIX}"
