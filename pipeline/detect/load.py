"""From a fleet file's `model:` to a detector that is ready to warm up."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.detect.protocol import Detector
from pipeline.detect.quiet import forbid_telemetry
from pipeline.detect.weights import require_tools
from pipeline.errors import DetectorError
from pipeline.extras import is_there, require
from pipeline.geometry import WidthHeight
from pipeline.plugins import PluginError, function_at, require_members

if TYPE_CHECKING:
    from pipeline.config.values import Model

_MEMBERS = (
    *("input_wh", "max_batch", "batches", "class_names", "lanes"),
    *("input", "detect", "rebuild", "warm_up", "close"),
)


SQUARE: Sequence[WidthHeight] = ((1, 1),)
"""The shape of crops."""
CROPS = 8
"""Crops that a second look sees at once, where the model leaves that open: several objects come into view together."""


def load_detector(model: Model, max_batch: int | None, cameras: Sequence[WidthHeight] = ()) -> Detector:
    """The detector that `model` names, loaded but cold: call `warm_up` before the first picture.

    May block for minutes the first time, where a model is exported for this machine.

    Args:
        model: The fleet's `model:`; of several devices the first, so ask its `per_device()` for a worker's own.
        max_batch: Pictures that one call must be able to take; None leaves it to the model.
        cameras: Sizes of the cameras' pictures, px, as far as they are known: they shape the input of a model that
            takes any size.

    Raises:
        DetectorError: The model cannot be loaded, or cannot serve the fleet; says what to do.
    """
    forbid_telemetry()
    detector = _load(model.per_device()[0], max_batch, cameras)
    if getattr(detector, "task", "detect") == "classify":
        detector.close()
        raise DetectorError(
            f"model.path: {model.path} classifies pictures and finds no boxes; name a detection model here, and this "
            "one under “cascade”"
        )
    if max_batch is not None and detector.max_batch < max_batch:
        detector.close()
        raise DetectorError(
            f"worker.max_batch: {model.path or model.backend} takes {detector.max_batch} pictures at once, "
            f"the fleet asks for {max_batch}; leave max_batch out"
        )
    return detector


def load_second(model: Model, lanes: int) -> Detector:
    """As `load_detector`, what takes a second look: a classifier or a detector, for crops that are squares.

    A classifier's answer is one box as large as its input.

    Args:
        model: Of the second look.
        lanes: How many lanes the fleet's detector has; as many, unless `model.lanes` says otherwise.

    Raises:
        DetectorError: The model cannot be loaded; says what to do.
    """
    forbid_telemetry()
    return _load(model if model.lanes else model.model_copy(update={"lanes": lanes}), None, SQUARE, CROPS)


def _load(model: Model, max_batch: int | None, cameras: Sequence[WidthHeight], usual_batch: int = 1) -> Detector:
    """Each adapter is imported only here, because each brings a library of tens to hundreds of megabytes."""
    require_library(model)
    backend = pick_backend(model) if model.backend == "auto" else model.backend
    if backend == "stub":
        from pipeline.detect.stub import load as load_stub

        return load_stub(model, max_batch)
    if backend == "openvino":
        from pipeline.detect.openvino import load as load_openvino

        return load_openvino(model, max_batch, cameras, usual_batch)
    if backend == "ultralytics":
        from pipeline.detect.ultralytics import load as load_ultralytics

        return load_ultralytics(model, max_batch, cameras)
    if backend == "triton":
        from pipeline.detect.triton.load import load as load_triton

        return load_triton(model, max_batch, cameras)
    return _plug_in(backend, model)


def require_library(model: Model) -> None:
    """Make sure, before anything begins, that what a model needs beside OpenVINO is installed.

    Costs nothing: no library is imported to find out. Weights (.pt) need Ultralytics also where OpenVINO computes them,
    because that is what exports them.

    Raises:
        DetectorError: It is not; the message says what brings it.
    """
    path = Path(model.path)
    kinds = {"auto": (".pt", ".engine"), "openvino": (".pt",)}.get(model.backend, ())
    if model.backend == "ultralytics" or (path.suffix in kinds and not path.is_dir()):
        require_tools(path, int8=bool(model.openvino.int8_from))
    if model.backend == "triton":
        require("triton", "model.backend: triton", error=DetectorError)


def pick_backend(model: Model) -> str:
    """The backend for `backend: auto`: by what the model is, and by whether this machine has a CUDA device.

    Raises:
        DetectorError: The path is of no kind that anything here loads.
    """
    path = Path(model.path)
    if path.is_dir() or path.suffix == ".xml" or path.name.endswith("_openvino_model"):
        return "openvino"
    if path.suffix == ".engine":
        return "ultralytics"
    if path.suffix in {".pt", ".onnx"}:
        runs = path.suffix == ".pt" or is_there("onnxruntime")
        return "ultralytics" if runs and _has_cuda() else "openvino"
    raise DetectorError(
        f"model.path: found {model.path!r}; expected an OpenVINO folder or .xml, a .pt, an .onnx or an .engine, "
        "or name the backend that loads it"
    )


def _has_cuda() -> bool:
    """Whether torch can use an NVIDIA GPU; torch, 2 s and 200 MB, is asked only where a driver is there at all."""
    drivers = ("/dev/nvidiactl", "/dev/nvhost-gpu", "/dev/dxg")  # a PC's, a Jetson's, Windows' (WSL)
    if not (any(Path(driver).exists() for driver in drivers) and is_there("torch")):
        return False
    import torch

    return torch.cuda.is_available()


def _plug_in(name: str, model: Model) -> Detector:
    """What the function at `package.module:factory` makes of `model`."""
    try:
        detector: Detector = function_at(name)(model)
        require_members(detector, _MEMBERS, name, "pipeline.detect.protocol.Detector")
    except PluginError as error:
        raise DetectorError(f"model.backend: {error}") from error
    return detector
