"""OpenVINO: its own models, ONNX as it is, PyTorch by exporting once; one inference request a lane.

A lane for each core, each a stream of one thread, is what OpenVINO chooses for throughput and what stays the default.
Measured by `scripts/bench_detector.py`, YOLO26n INT8 640×640, 2 cores, images a second and median time of a detection,
alone and beside 6 decoders of 854×480 at 25 fps (the detector niced by 5 there):

    lanes × streams      1 × 1         2 × 1         2 × 2         3 × 2
    alone             47  21 ms     48  41 ms     60  33 ms     61  39 ms
    beside decoders   40  25 ms     38  51 ms     56  35 ms     58  55 ms
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from pipeline.detect.classes import Wanted, select
from pipeline.detect.heads import Head, choose_head
from pipeline.detect.metadata import Metadata
from pipeline.detect.openvino_network import (
    Wish,
    cropped,
    fit,
    model_file,
    network_metadata,
    read_network,
    reason,
    require_names,
    with_u8_input,
)
from pipeline.detect.openvino_properties import device_name, properties
from pipeline.detect.protocol import PAD_GREY
from pipeline.detect.shape import buckets, smallest
from pipeline.detect.signal_stack import handle_signals_on_own_stack
from pipeline.detections import Detections
from pipeline.errors import DetectorError
from pipeline.geometry import WidthHeight

if TYPE_CHECKING:
    from pipeline.config.values import Model


class OpenVinoDetector:
    """A compiled model with `lanes` requests; made by `load`."""

    def __init__(self, compiled: Any, head: Head, metadata: Metadata, max_batch: int, lanes: int) -> None:
        self._compiled, self._head = compiled, head
        self.task = metadata.task
        self.batches = _batches(compiled, max_batch)
        self.lanes, self.max_batch = lanes, max_batch
        self.computes_in_caller = False
        self.class_names = metadata.class_names
        _, height, width, _ = compiled.input(0).partial_shape
        self.input_wh: WidthHeight = (width.get_length(), height.get_length())
        self._lanes = [self._make_lane() for _ in range(lanes)]

    @property
    def device(self) -> str:
        """What computes, by OpenVINO's names."""
        return ", ".join(self._compiled.get_property("EXECUTION_DEVICES"))

    def input(self, lane: int) -> NDArray[np.uint8]:
        """(max_batch, H, W, 3) uint8, RGB: the memory that the request reads, so nothing is copied."""
        return self._lanes[lane].pictures[: self.max_batch]

    def detect(self, lane: int, count: int) -> list[Detections]:
        """What is on the lane's first `count` pictures; waits with the GIL free."""
        return self._head.decode(self._lanes[lane].infer(smallest(self.batches, count))[:count])

    def rebuild(self, lane: int) -> None:
        """Gives the lane a new request and new memory; the abandoned ones live until their `detect` returns."""
        self._lanes[lane] = self._make_lane()

    def warm_up(self) -> None:
        """Every lane at every batch size: the plug-in prepares its kernels for a shape when it first meets it."""
        for lane in self._lanes:
            for size in self.batches:
                lane.infer(size)

    def close(self) -> None:
        """Frees the requests and the model."""
        self._lanes, self._compiled = [], None

    def _make_lane(self) -> _Lane:
        return _Lane.make(self._compiled, self.batches, self.input_wh)


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
            raise DetectorError(f"OpenVINO failed while detecting: {reason(error)}") from error
        output: NDArray[np.float32] = self.request.get_output_tensor(0).data
        return output


def load(
    model: Model, max_batch: int | None, cameras: Sequence[WidthHeight] = (), usual_batch: int = 1
) -> OpenVinoDetector:
    """The detector of an OpenVINO model (a folder that holds one .xml, or the .xml), an .onnx or a .pt.

    `model.device` is the CPU for `auto`, else by OpenVINO's names (`GPU`, `NPU`, `AUTO:GPU,CPU`, `MULTI:GPU,CPU`);
    `usual_batch` is how many pictures it takes at once where neither `max_batch` nor the model says.

    Raises:
        DetectorError: No such model, not a detection model, or one that cannot serve this batch, size or device.
    """
    core = ov.Core()
    core.set_property({"ENABLE_MMAP": model.openvino.mmap})
    device = device_name(core.available_devices, model.device)
    file = model_file(model)
    network = read_network(core, file)
    metadata = network_metadata(network, file)
    wanted = Wanted(model.confidence, model.nms_iou, select(metadata.class_names, model.classes))
    wish = Wish(max_batch, model.input_wh, cameras, usual_batch)
    network = cropped(network, wish, metadata)
    batch = fit(network, file, wish, metadata)
    compiled = _compile(core, with_u8_input(network), device, model)
    _, height, width, _ = compiled.input(0).partial_shape
    input_wh = (width.get_length(), height.get_length())
    require_names(network, metadata, file)
    head = choose_head(_output_shape(compiled), len(metadata.class_names), wanted, input_wh)
    lanes = model.lanes or compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
    return OpenVinoDetector(compiled, head, metadata, batch, lanes)


def _compile(core: Any, network: Any, device: str, model: Model) -> Any:
    chosen = properties(model, device)
    try:
        return core.compile_model(network, device, chosen)
    except RuntimeError as error:
        told = {key: value for key, value in chosen.items() if key != "CACHE_DIR"}
        raise DetectorError(
            f"model: OpenVINO cannot prepare {model.path} for {device} with {told}: {reason(error)}"
        ) from error
    finally:
        handle_signals_on_own_stack()


def _output_shape(compiled: Any) -> tuple[int, ...]:
    """The output's shape, 0 where a length is open."""
    return tuple(length.get_length() if length.is_static else 0 for length in compiled.output(0).partial_shape)


def _batches(compiled: Any, max_batch: int) -> tuple[int, ...]:
    """The batch sizes to run, ascending: the model's own, or buckets up to `max_batch`."""
    own = compiled.input(0).partial_shape[0]
    return (own.get_length(),) if own.is_static else buckets(max_batch)
