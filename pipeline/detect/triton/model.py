"""What a model on a Triton server takes and gives, by its own description there, checked before a picture is sent."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.detect.metadata import Metadata, from_values, read_metadata
from pipeline.detect.shape import input_for
from pipeline.errors import DetectorError
from pipeline.geometry import WidthHeight

METADATA = "metadata"
"""The parameter of a model's config in which Ultralytics, too, keeps what its export knows, as Python text."""

INPUT_TYPES: Mapping[str, Any] = {"UINT8": np.uint8, "FP32": np.float32, "FP16": np.float16}
OUTPUT_TYPES: Mapping[str, Any] = {"FP32": np.float32, "FP16": np.float16}
ON_CPU = 2
"""`KIND_CPU` of Triton's `ModelInstanceGroup.Kind`."""
GPU_BATCH = 16
"""Pictures a request where neither the fleet file nor the model says, and it runs on a GPU. Not measured."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """An input or output; lengths of `shape`, the batch's first, are 0 where they are open."""

    name: str
    datatype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model on a server. Two of them are equal where a detector cannot tell them apart.

    Attributes:
        input: Pictures, (N, H, W, 3) or (N, 3, H, W).
        output: A list of boxes for each.
        most: Pictures in one request at most.
        exactly: Whether each request has to have so many.
        metadata: Class names, and what it was exported for.
        instances: How many requests the server computes at once.
        on_cpu: Whether it computes them on its CPU.
        merges: Whether the server makes one batch of requests that come together (Triton's dynamic batching).
    """

    input: Tensor
    output: Tensor
    most: int
    exactly: bool
    metadata: Metadata
    instances: int = field(default=1, compare=False)
    on_cpu: bool = field(default=False, compare=False)
    merges: bool = field(default=False, compare=False)

    @property
    def layout(self) -> str:
        """NHWC or NCHW."""
        return "NHWC" if self.input.shape[3] == 3 and self.input.shape[1] != 3 else "NCHW"

    @property
    def input_wh(self) -> WidthHeight | None:
        """The pictures' size, px; None where any will do."""
        height, width = (self.input.shape[self.layout.index(axis)] for axis in "HW")
        return (width, height) if width and height else None


@dataclass(frozen=True, slots=True)
class Requests:
    """What requests for a model are made of.

    Attributes:
        model: Takes them.
        most: Pictures in one at most.
        input_wh: Their size, px.
    """

    model: ServedModel
    most: int
    input_wh: WidthHeight

    def shape(self, count: int) -> tuple[int, ...]:
        """Of the input with `count` pictures."""
        lengths = {"N": count, "C": 3, "H": self.input_wh[1], "W": self.input_wh[0]}
        return tuple(lengths[axis] for axis in self.model.layout)

    def picture_bytes(self) -> int:
        """Of one picture as the model takes it."""
        return prod(self.shape(1)) * int(np.dtype(INPUT_TYPES[self.model.input.datatype]).itemsize)

    def answer_bytes(self) -> int:
        """Of the boxes of one picture; 0 where their number is open."""
        return prod(self.model.output.shape[1:]) * int(np.dtype(OUTPUT_TYPES[self.model.output.datatype]).itemsize)

    def new_pictures(self) -> NDArray[Any]:
        """Memory for `most` pictures as the model takes them."""
        return np.empty(self.shape(self.most), INPUT_TYPES[self.model.input.datatype])

    def pack(self, pictures: NDArray[np.uint8], into: NDArray[Any]) -> None:
        """Write (N, H, W, 3) uint8 RGB as the model takes it; one that takes uint8 is taken to scale by itself."""
        ordered = pictures if self.model.layout == "NHWC" else pictures.transpose(0, 3, 1, 2)
        if into.dtype == np.uint8:
            np.copyto(into, ordered)
        else:
            np.divide(ordered, np.float32(255), out=into, dtype=np.float32, casting="same_kind")


def read_model(description: Any, config: Any, beside: str, where: str) -> ServedModel:
    """The model that a server describes by its `ModelMetadataResponse` and `ModelConfig`.

    Args:
        description: Names, types and shapes.
        config: Batches, instances and parameters.
        beside: A metadata.yaml to believe; "" for the one in the config's parameters.
        where: The model in words, for errors.

    Raises:
        DetectorError: It is no detection model that takes pictures and gives boxes; says what was found.
    """
    if len(description.inputs) != 1 or len(description.outputs) != 1:
        raise DetectorError(
            f"{where} has {len(description.inputs)} inputs and {len(description.outputs)} outputs; "
            "a detection model has one of pictures in and one list of boxes out"
        )
    if config.model_transaction_policy.decoupled or config.HasField("sequence_batching"):
        raise DetectorError(
            f"{where} answers a request several times, or remembers the one before; a detector does not"
        )
    taken = _input(description.inputs[0], where)
    given = _output(description.outputs[0], where)
    fixed = 0 if config.max_batch_size else taken.shape[0]
    # Without a limit of the server's, an open batch is the model's own affair.
    most = config.max_batch_size or fixed or GPU_BATCH
    groups = config.instance_group
    return ServedModel(
        input=taken,
        output=given,
        most=most,
        exactly=bool(fixed),
        metadata=_metadata(config, beside, where),
        instances=sum(group.count * max(1, len(group.gpus)) for group in groups) or 1,
        on_cpu=bool(groups) and all(group.kind == ON_CPU for group in groups),
        merges=config.HasField("dynamic_batching"),
    )


def settled_input(model: ServedModel, asked: WidthHeight | None, cameras: Sequence[WidthHeight]) -> WidthHeight:
    """The size of pictures to send, px: the model's, or of one that takes any, what is asked for or suits the cameras.

    Raises:
        DetectorError: The model takes another; or nobody says which.
    """
    own = model.input_wh
    if own is not None:
        if asked not in (None, own):
            raise DetectorError(
                f"model.input_wh: the server's model takes {own[0]}×{own[1]} only, the fleet asks for "
                f"{asked[0]}×{asked[1]}; leave input_wh out, or put another model there: camfleet export --triton"
            )
        return own
    stride = model.metadata.stride
    if asked is None and model.metadata.input_wh is None:
        raise DetectorError("model.input_wh: the server's model takes any size; say which, such as [640, 384]")
    size = asked or input_for(model.metadata.input_wh or (640, 640), cameras, stride)
    if size[0] % stride or size[1] % stride:
        raise DetectorError(f"model.input_wh: {size[0]}×{size[1]}; the server's model needs multiples of {stride}")
    return size


def _input(found: Any, where: str) -> Tensor:
    tensor = _tensor(found)
    shape = tensor.shape
    if len(shape) != 4 or 3 not in (shape[1], shape[3]) or tensor.datatype not in INPUT_TYPES:
        raise DetectorError(
            f"{where} takes {tensor.datatype} of shape {list(found.shape)}; pictures are {' or '.join(INPUT_TYPES)} of "
            "(N, 3, H, W) or (N, H, W, 3)"
        )
    return tensor


def _output(found: Any, where: str) -> Tensor:
    tensor = _tensor(found)
    if len(tensor.shape) != 3 or tensor.datatype not in OUTPUT_TYPES:
        raise DetectorError(
            f"{where} gives {tensor.datatype} of shape {list(found.shape)}; a detection model gives "
            f"{' or '.join(OUTPUT_TYPES)} of three dimensions, such as (N, 300, 6) or (N, 84, 8400)"
        )
    return tensor


def _tensor(found: Any) -> Tensor:
    return Tensor(found.name, found.datatype, tuple(max(0, length) for length in found.shape))


def _metadata(config: Any, beside: str, where: str) -> Metadata:
    """From the file that the fleet names, or from what the server's config says."""
    if beside:
        return read_metadata(Path(beside))
    text = config.parameters[METADATA].string_value if METADATA in config.parameters else ""
    if not text:
        raise DetectorError(
            f"{where} does not name its classes: its config has no parameter {METADATA!r}. camfleet export --triton "
            "writes it; or give the metadata.yaml of Ultralytics' export as model.triton.metadata"
        )
    try:
        values = ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError) as error:
        raise DetectorError(f"{where}: the parameter {METADATA!r} of its config is no Python text: {error}") from error
    if not isinstance(values, Mapping):
        raise DetectorError(f"{where}: the parameter {METADATA!r} of its config is a {type(values).__name__}, no map")
    return from_values(values, f"{where}, parameter {METADATA!r}")
