"""A model's file → an OpenVINO network of uint8 pictures whose every length is settled, before it is compiled."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import openvino as ov
from openvino.frontend import FrontEndManager
from openvino.preprocess import PrePostProcessor

from pipeline.detect.metadata import Metadata, from_values, read_metadata
from pipeline.detect.openvino_crop import NotCroppable, crop
from pipeline.detect.shape import input_for
from pipeline.detect.weights import exported, find_weights
from pipeline.errors import DetectorError
from pipeline.geometry import WidthHeight

if TYPE_CHECKING:
    from pipeline.config.values import Model

CPU_BATCH = 1
"""Pictures a request where nobody asks for more: on a CPU a batch only adds waiting. YOLO26n, bf16, 640×384, 2 cores
(`scripts/bench_detector.py`): one picture 123 a second at 16 ms, four at once 118 a second at 68 ms."""


_READERS = {".xml": "ir", ".onnx": "onnx"}
"""OpenVINO's names of what reads the kinds of files."""


def model_file(model: Model) -> Path:
    """The .xml or .onnx that `model.path` is, holds or is exported to.

    Raises:
        DetectorError: There is none, more than one, or its weights are missing.
    """
    path, int8_from = Path(model.path), model.openvino.int8_from
    if path.suffix == ".pt":
        path = exported(find_weights(path), Path(int8_from) if int8_from else None)
    elif int8_from:
        raise DetectorError(
            f"model.openvino.int8_from: only .pt weights are exported as INT8, {path} is no .pt; leave it out"
        )
    if not path.exists():
        raise DetectorError(f"model.path: there is no {path}")
    files = [path] if path.is_file() else sorted(path.glob("*.xml"))
    if len(files) != 1 or files[0].suffix not in {".xml", ".onnx"}:
        found = ", ".join(file.name for file in files) or "none"
        raise DetectorError(f"model.path: expected a .pt, an .onnx, an .xml or a folder with one .xml; found {found}")
    weights = files[0].with_suffix(".bin")
    if files[0].suffix == ".xml" and not weights.is_file():
        raise DetectorError(f"model.path: the weights {weights} are missing beside the .xml")
    return files[0]


def read_network(core: Any, file: Path) -> Any:
    """The network in `file`.

    Raises:
        DetectorError: It cannot be read, or does not take one picture and give one list of boxes.
    """
    advice = "name one that camfleet export or your training has written, whole"
    # Asked before: what its own reader does not know, OpenVINO shows to all its readers, and one of them writes pages.
    reader = FrontEndManager().load_by_framework(_READERS[file.suffix])
    if reader is not None and not reader.supported(str(file)):
        raise DetectorError(f"model.path: {file} is no OpenVINO model, and no ONNX file; {advice}")
    try:
        network = core.read_model(file)
    except RuntimeError as error:
        raise DetectorError(f"model.path: {file} is no OpenVINO model: {reason(error)}; {advice}") from error
    if len(network.inputs) != 1 or len(network.outputs) != 1 or len(network.input(0).partial_shape) != 4:
        raise DetectorError(
            f"model.path: {file} has {len(network.inputs)} inputs and {len(network.outputs)} outputs; "
            "a detection model has one picture in and one list of boxes out"
        )
    return network


def network_metadata(network: Any, file: Path) -> Metadata:
    """From the file beside the model; Ultralytics' ONNX carries its own inside, each value as Python text.

    Raises:
        DetectorError: There is none, it cannot be read, or it is of a model that gives no boxes.
    """
    if file.suffix != ".onnx" or not network.has_rt_info(["framework", "names"]):
        return read_metadata(file.parent / "metadata.yaml")
    inside = network.get_rt_info(["framework"]).value
    texts = {key: str(inside[key]) for key in ("names", "task", "imgsz", "stride") if key in inside}
    try:
        parsed = {key: text if key == "task" else ast.literal_eval(text) for key, text in texts.items()}
    except (ValueError, SyntaxError) as error:
        raise DetectorError(f"model.path: the metadata inside {file} cannot be read: {error}") from error
    return from_values(parsed, str(file))


@dataclass(frozen=True, slots=True)
class Wish:
    """What a fleet asks of a network; None where it does not matter.

    Attributes:
        max_batch: Pictures at once.
        input_wh: The input's size, px.
        cameras: Sizes of the cameras' pictures, px, as far as they are known.
        usual_batch: Pictures at once where neither the fleet nor the network says.
    """

    max_batch: int | None
    input_wh: WidthHeight | None
    cameras: Sequence[WidthHeight] = ()
    usual_batch: int = CPU_BATCH


@dataclass(frozen=True, slots=True)
class _Input:
    """How a network takes pictures; None where it leaves that open."""

    batch: int | None
    input_wh: WidthHeight | None
    layout: str

    @classmethod
    def of(cls, network: Any) -> _Input:
        shape = network.input(0).partial_shape
        layout = "NHWC" if shape[3] == 3 and shape[1] != 3 else "NCHW"
        batch, height, width = (shape[layout.index(axis)] for axis in "NHW")
        return cls(
            batch.get_length() if batch.is_static else None,
            (width.get_length(), height.get_length()) if width.is_static and height.is_static else None,
            layout,
        )


def require_names(network: Any, metadata: Metadata, file: Path) -> None:
    """Raise where a model has other classes than its description names, as far as its graph tells how many it has.

    End to end, its output does not: the last layer that gives each anchor a score for every class does.

    Raises:
        DetectorError: It has.
    """
    named = len(metadata.class_names)
    shapes = [op.output(0).get_partial_shape() for op in network.get_ordered_ops() if op.get_type_name() == "Sigmoid"]
    scores = [shape for shape in shapes if shape.rank.is_static and len(shape) == 3 and shape[1].is_static]
    output = network.output(0).get_partial_shape()
    is_end_to_end = len(output) == 3 and output[2].is_static and output[2].get_length() == 6
    if not scores or not is_end_to_end:
        return
    classes = min(length.get_length() for length in list(scores[-1])[1:] if length.is_static)
    if classes != named:
        raise DetectorError(
            f"{file} tells {classes} classes apart, but its description names {named}; put the metadata.yaml beside it "
            "that Ultralytics' export wrote with it"
        )


def cropped(network: Any, wish: Wish, metadata: Metadata) -> Any:
    """A network made for one size, brought to the wished or to the cameras' shape; as it is where that cannot be."""
    found = _Input.of(network)
    if found.batch is None or found.input_wh is None or found.layout != "NCHW":
        return network
    wanted = wish.input_wh or input_for(found.input_wh, wish.cameras, metadata.stride)
    fits_grid = all(length % metadata.stride == 0 for length in wanted)
    if wanted == found.input_wh or not fits_grid:
        return network
    try:
        return crop(network, wanted, metadata.stride)
    except NotCroppable:
        return network


def fit(network: Any, file: Path, wish: Wish, metadata: Metadata) -> int:
    """Settles what the network's input leaves open; returns the most pictures that a request takes.

    Raises:
        DetectorError: The network cannot do what is wished.
    """
    found = _Input.of(network)
    if found.input_wh and wish.input_wh and found.input_wh != wish.input_wh:
        raise DetectorError(
            f"model.input_wh: {file} takes {_times(found.input_wh)} only, the fleet asks for {_times(wish.input_wh)}; "
            f"leave input_wh out, or export again with imgsz={wish.input_wh[::-1]}"
        )
    if found.batch and wish.max_batch and wish.max_batch > found.batch:
        raise DetectorError(
            f"worker.max_batch: {file} takes {found.batch} at once, the fleet asks for {wish.max_batch}; "
            f"leave max_batch out, or export again with dynamic=True or batch={wish.max_batch}"
        )
    size = wish.max_batch or found.batch or wish.usual_batch
    if found.batch is None or found.input_wh is None:
        _reshape(network, file, found.input_wh or _open_size(wish, metadata, file), found, size)
    return size


def _open_size(wish: Wish, metadata: Metadata, file: Path) -> WidthHeight:
    """The size of a network that takes any."""
    if wish.input_wh is None:
        if metadata.input_wh is None:
            raise DetectorError(f"model.input_wh: {file} takes pictures of any size; say which, such as [640, 384]")
        return input_for(metadata.input_wh, wish.cameras, metadata.stride)
    if wish.input_wh[0] % metadata.stride or wish.input_wh[1] % metadata.stride:
        raise DetectorError(f"model.input_wh: {_times(wish.input_wh)}; {file} needs multiples of {metadata.stride}")
    return wish.input_wh


def _reshape(network: Any, file: Path, input_wh: WidthHeight, found: _Input, size: int) -> None:
    any_count = ov.Dimension(1, size) if size > 1 else ov.Dimension(1)
    lengths = {
        "N": ov.Dimension(found.batch) if found.batch else any_count,
        "C": ov.Dimension(3),
        "H": ov.Dimension(input_wh[1]),
        "W": ov.Dimension(input_wh[0]),
    }
    try:
        network.reshape(ov.PartialShape([lengths[axis] for axis in found.layout]))
    except RuntimeError as error:
        raise DetectorError(
            f"model.path: {file} cannot take {size} × {_times(input_wh)} pictures: {reason(error)}"
        ) from error


def with_u8_input(network: Any) -> Any:
    """The network with (N, H, W, 3) uint8 RGB in: Python never makes floats, and a picture is a quarter of the bytes.

    A network that takes uint8 by itself is taken to scale by itself.
    """
    scaled = network.input(0).element_type != ov.Type.u8
    steps = PrePostProcessor(network)
    steps.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
    steps.input().model().set_layout(ov.Layout(_Input.of(network).layout))
    if scaled:
        steps.input().preprocess().convert_element_type(ov.Type.f32).scale(255.0)
    steps.output().tensor().set_element_type(ov.Type.f32)
    return steps.build()


def reason(error: RuntimeError) -> str:
    """OpenVINO's message without the C++ files it came through."""
    lines = [line.strip() for line in str(error).splitlines()]
    told = [line for line in lines if line and not line.startswith(("Exception from", "Check '"))]
    return told[0] if told else str(error).strip()


def _times(wh: WidthHeight) -> str:
    return f"{wh[0]}×{wh[1]}"
