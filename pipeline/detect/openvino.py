"""OpenVINO: its own models, ONNX as it is, PyTorch by exporting once; one inference request a lane.

Measured with YOLO26n INT8 640×640 on 2 cores: two lanes of one stream each 83 images/s, one lane over both cores 69
(the post-processing in between leaves the cores idle), callbacks of an AsyncInferQueue the same as two lanes.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino.preprocess import PrePostProcessor

from pipeline.detect.cache import cache_folder
from pipeline.detect.classes import Wanted, select
from pipeline.detect.heads import Head, choose_head
from pipeline.detect.metadata import Metadata, from_values, read_metadata
from pipeline.detect.protocol import PAD_GREY
from pipeline.detect.weights import exported, find_weights
from pipeline.detections import Detections
from pipeline.errors import DetectorError
from pipeline.geometry import WidthHeight

if TYPE_CHECKING:
    from pipeline.config.values import Model


CPU_BATCH = 1
"""Pictures a request where nobody asks for more: on a CPU a batch only adds waiting (YOLO26n 640×640, 2 cores)."""


class OpenVinoDetector:
    """A compiled model with `lanes` requests; made by `load`."""

    def __init__(self, compiled: Any, head: Head, class_names: tuple[str, ...], max_batch: int) -> None:
        self._compiled, self._head = compiled, head
        self._batches = _batches(compiled, max_batch)
        self.lanes: int = compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
        self.max_batch = max_batch
        self.class_names = class_names
        _, height, width, _ = compiled.input(0).partial_shape
        self.input_wh: WidthHeight = (width.get_length(), height.get_length())
        self._lanes = [_Lane.make(compiled, self._batches, self.input_wh) for _ in range(self.lanes)]

    def input(self, lane: int) -> NDArray[np.uint8]:
        """(max_batch, H, W, 3) uint8, RGB: the memory that the request reads, so nothing is copied."""
        return self._lanes[lane].pictures[: self.max_batch]

    def detect(self, lane: int, count: int) -> list[Detections]:
        """What is on the lane's first `count` pictures; waits with the GIL free."""
        # A model of fixed batch computes all its pictures; the rest of `_batches` are counts that it can take as is.
        size = min(batch for batch in self._batches if batch >= count)
        return self._head.decode(self._lanes[lane].infer(size)[:count])

    def warm_up(self) -> None:
        """Every lane at every batch size: the plug-in prepares its kernels for a shape when it first meets it."""
        for lane in self._lanes:
            for size in self._batches:
                lane.infer(size)

    def close(self) -> None:
        """Frees the requests and the model."""
        self._lanes, self._compiled = [], None


@dataclass(frozen=True, slots=True)
class _Lane:
    """One request and the picture memory that it reads."""

    request: Any
    pictures: NDArray[np.uint8]
    tensors: dict[int, Any]

    @classmethod
    def make(cls, compiled: Any, batches: tuple[int, ...], input_wh: WidthHeight) -> _Lane:
        pictures = np.full((batches[-1], input_wh[1], input_wh[0], 3), PAD_GREY, np.uint8)
        tensors = {size: ov.Tensor(pictures[:size], shared_memory=True) for size in batches}
        return cls(compiled.create_infer_request(), pictures, tensors)

    def infer(self, size: int) -> NDArray[np.float32]:
        """The raw output for the first `size` pictures; valid until the next call."""
        try:
            self.request.set_input_tensor(self.tensors[size])
            self.request.start_async()
            self.request.wait()
        except RuntimeError as error:
            raise DetectorError(f"OpenVINO failed while detecting: {_reason(error)}") from error
        output: NDArray[np.float32] = self.request.get_output_tensor(0).data
        return output


def load(model: Model, max_batch: int | None) -> OpenVinoDetector:
    """The detector of an OpenVINO model (a folder that holds one .xml, or the .xml), an .onnx or a .pt.

    `model.options` are OpenVINO's own properties by their own names (`PERFORMANCE_HINT`, `INFERENCE_PRECISION_HINT`,
    `ENABLE_CPU_PINNING`, `CACHE_DIR`, …) and win over what is set here. `device: auto` is the CPU; others by
    OpenVINO's names (`GPU`, `NPU`, `AUTO:GPU,CPU`).

    Raises:
        DetectorError: No such model, not a detection model, or one that cannot serve this batch, size or device.
    """
    core = ov.Core()
    device = _device(core, model.device)
    file = model_file(Path(model.path))
    network = _read(core, file)
    metadata = _metadata(network, file)
    wanted = Wanted(model.confidence, model.nms_iou, select(metadata.class_names, model.classes))
    batch = _fit(network, file, model, metadata, max_batch)
    compiled = _compile(core, _with_u8_input(network), device, model)
    head = choose_head(_output_shape(compiled), len(metadata.class_names), wanted)
    return OpenVinoDetector(compiled, head, metadata.class_names, batch)


def model_file(path: Path) -> Path:
    """The .xml or .onnx that `path` is, holds or is exported to.

    Raises:
        DetectorError: There is none, more than one, or its weights are missing.
    """
    if path.suffix == ".pt":
        path = exported(find_weights(path))
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


def _read(core: Any, file: Path) -> Any:
    try:
        network = core.read_model(file)
    except RuntimeError as error:
        raise DetectorError(f"model.path: {file} is no OpenVINO model: {_reason(error)}") from error
    if len(network.inputs) != 1 or len(network.outputs) != 1 or len(network.input(0).partial_shape) != 4:
        raise DetectorError(
            f"model.path: {file} has {len(network.inputs)} inputs and {len(network.outputs)} outputs; "
            "a detection model has one picture in and one list of boxes out"
        )
    return network


def _metadata(network: Any, file: Path) -> Metadata:
    """From the file beside the model; Ultralytics' ONNX carries its own inside, each value as Python text."""
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


def _fit(network: Any, file: Path, model: Model, metadata: Metadata, max_batch: int | None) -> int:
    """Settles what the network's input leaves open; returns the most pictures that a request takes."""
    found = _Input.of(network)
    if found.input_wh and model.input_wh and found.input_wh != model.input_wh:
        raise DetectorError(
            f"model.input_wh: {file} takes {_times(found.input_wh)} only, the fleet asks for {_times(model.input_wh)}; "
            f"leave input_wh out, or export again with imgsz={model.input_wh[::-1]}"
        )
    if found.batch and max_batch and max_batch > found.batch:
        raise DetectorError(
            f"worker.max_batch: {file} takes {found.batch} at once, the fleet asks for {max_batch}; "
            f"leave max_batch out, or export again with dynamic=True or batch={max_batch}"
        )
    size = max_batch or found.batch or CPU_BATCH
    if found.batch is None or found.input_wh is None:
        input_wh = found.input_wh or model.input_wh or metadata.input_wh
        _reshape(network, file, _checked_size(input_wh, metadata.stride, file), found, size)
    return size


def _checked_size(input_wh: WidthHeight | None, stride: int, file: Path) -> WidthHeight:
    if input_wh is None:
        raise DetectorError(f"model.input_wh: {file} takes pictures of any size; say which, such as [640, 384]")
    if input_wh[0] % stride or input_wh[1] % stride:
        raise DetectorError(f"model.input_wh: {_times(input_wh)}; {file} needs multiples of {stride}")
    return input_wh


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
            f"model.path: {file} cannot take {size} × {_times(input_wh)} pictures: {_reason(error)}"
        ) from error


def _with_u8_input(network: Any) -> Any:
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


def _compile(core: Any, network: Any, device: str, model: Model) -> Any:
    properties: dict[str, Any] = {"PERFORMANCE_HINT": "THROUGHPUT", "CACHE_DIR": str(cache_folder("openvino"))}
    if device == "CPU":
        # Pinned threads can run 40 times slower where processes share cores: openvinotoolkit/openvino#31186.
        properties["ENABLE_CPU_PINNING"] = False
        if model.threads:
            properties["INFERENCE_NUM_THREADS"] = model.threads
    if model.lanes:
        properties["PERFORMANCE_HINT_NUM_REQUESTS" if device != "CPU" else "NUM_STREAMS"] = model.lanes
    properties |= model.options
    try:
        return core.compile_model(network, device, properties)
    except RuntimeError as error:
        raise DetectorError(
            f"model: OpenVINO cannot prepare {model.path} for {device} with options {model.options}: {_reason(error)}"
        ) from error


def _device(core: Any, asked: str) -> str:
    """OpenVINO's name of the device; "auto" is the CPU, which is there on every machine and what is measured."""
    if asked == "auto":
        return "CPU"
    device = asked.upper()
    known = [*core.available_devices, "AUTO", "MULTI", "HETERO", "BATCH"]
    if device.split(":")[0].split(".")[0] not in {name.split(".")[0] for name in known}:
        raise DetectorError(f"model.device: OpenVINO has no device {asked!r} here; it has {', '.join(known)}")
    return device


def _output_shape(compiled: Any) -> tuple[int, ...]:
    """The output's shape, 0 where a length is open."""
    return tuple(length.get_length() if length.is_static else 0 for length in compiled.output(0).partial_shape)


def _batches(compiled: Any, max_batch: int) -> tuple[int, ...]:
    """The batch sizes to run, ascending: the model's own, or each up to `max_batch`."""
    own = compiled.input(0).partial_shape[0]
    return (own.get_length(),) if own.is_static else tuple(range(1, max_batch + 1))


def _times(wh: WidthHeight) -> str:
    return f"{wh[0]}×{wh[1]}"


def _reason(error: RuntimeError) -> str:
    """OpenVINO's message without the C++ files it came through."""
    lines = [line.strip() for line in str(error).splitlines()]
    told = [line for line in lines if line and not line.startswith(("Exception from", "Check '"))]
    return told[0] if told else str(error).strip()
