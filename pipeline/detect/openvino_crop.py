"""A network that was exported for one size only, made to take another.

The problem: models come as square exports, 640×640, and refuse any other size, because the exporter wrote the sizes of
the feature maps into the graph. But cameras send 16:9, and 44 % of a square is padding that costs as much as picture
does. Exporting again needs the original weights, which few people keep beside the export.

What ties such a graph to its size is little, and all of it can be cut: the target shapes of `Reshape` (in the attention
blocks and before the detection head), and the grid of anchor points with their strides, one column for each cell of
each feature map, row by row (YOLOv8 to YOLO26, with or without NMS). A smaller input is the upper left part of the
larger one: the same weights, the same grid, fewer cells. Only what lies along the cut edge is computed differently,
zeros instead of grey being beyond it. A larger input is the same the other way round: more cells of the same grid.

A graph that is tied to its size by anything else is left as it is: the grid is compared value by value with what it
must be, and every length must come out right in OpenVINO's own shape inference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from pipeline.errors import DetectorError
from pipeline.geometry import WidthHeight

FINEST_STRIDE = 8
"""Of the finest feature map with a detection head, px; the others' are twice the one before, up to the model's own."""


class NotCroppable(DetectorError):
    """The network is tied to its size by something unknown; says what."""


@dataclass(frozen=True, slots=True)
class _Grid:
    """The cells of all feature maps of one input size."""

    wh: WidthHeight
    strides: tuple[int, ...]

    @property
    def maps_hw(self) -> list[tuple[int, int]]:
        """Height and width of each feature map, finest first."""
        return [(self.wh[1] // stride, self.wh[0] // stride) for stride in self.strides]

    @property
    def cells(self) -> list[int]:
        """How many cells each feature map has."""
        return [height * width for height, width in self.maps_hw]

    def centres(self) -> NDArray[np.float32]:
        """(2, N) float32: x and y of each cell's centre, in cells."""
        return np.concatenate(
            [
                np.stack(np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)).reshape(2, -1)
                for height, width in self.maps_hw
            ],
            axis=1,
            dtype=np.float32,
        )

    def cell_strides(self) -> NDArray[np.float32]:
        """(N,) float32: the stride of each cell, px."""
        return np.repeat(np.array(self.strides, np.float32), self.cells)


def crop(network: Any, to_wh: WidthHeight, stride: int) -> Any:
    """A copy of a static NCHW network that takes pictures of `to_wh` px.

    Args:
        network: Stays as it is.
        to_wh: Multiples of `stride`, smaller or larger than the network's own.
        stride: Of the model's coarsest feature map, px.

    Raises:
        NotCroppable: It is tied to its size by something unknown.
    """
    network = network.clone()
    batch, _, height, width = (length.get_length() for length in network.input(0).partial_shape)
    strides = tuple(FINEST_STRIDE << level for level in range(8) if FINEST_STRIDE << level <= stride)
    before, after = _Grid((width, height), strides), _Grid(to_wh, strides)
    ops = network.get_ordered_ops()
    per_cell = [op for op in ops if op.get_type_name() == "Constant" and sum(before.cells) in op.get_output_shape(0)]
    if not per_cell:
        raise NotCroppable("it has no grid of anchor points")
    for constant in per_cell:
        _crop_per_cell(constant, before, after)
    for op in ops:
        if op.get_type_name() == "Reshape":
            _crop_target(op, before, after)
    try:
        # Not `reshape`, which first goes through the graph at its old size.
        network.input(0).get_node().set_partial_shape(ov.PartialShape([batch, 3, to_wh[1], to_wh[0]]))
        network.validate_nodes_and_infer_types()
    except RuntimeError as error:
        raise NotCroppable(f"a layer is tied to {width}×{height}") from error
    return network


def _crop_target(reshape: Any, before: _Grid, after: _Grid) -> None:
    """The target shape of a `Reshape`, where it tells the size of a feature map or the number of its cells."""
    pattern = reshape.input_value(1).get_node()
    if pattern.get_type_name() != "Constant":
        return  # computed from other shapes, which follow
    lengths = [int(length) for length in pattern.data.ravel()]
    wanted = _cropped(lengths, before, after)
    if wanted != lengths:
        _replace(pattern, np.array(wanted, pattern.data.dtype).reshape(pattern.data.shape), reshape)


def _cropped(lengths: Sequence[int], before: _Grid, after: _Grid) -> list[int]:
    """Lengths of an axis order in which the cells are last."""
    cells = dict(zip(before.cells, after.cells, strict=True)) | {sum(before.cells): sum(after.cells)}
    maps = dict(zip(before.maps_hw, after.maps_hw, strict=True))
    *first, height, width = lengths if len(lengths) > 1 else [0, *lengths]
    if (height, width) in maps:
        return [*first, *maps[height, width]]
    return [*lengths[:-1], cells.get(width, width)]


def _crop_per_cell(constant: Any, before: _Grid, after: _Grid) -> None:
    """A constant with a column for each cell: the anchor points or their strides, nothing else."""
    values = constant.data
    if values.shape[-1] != sum(before.cells):
        raise NotCroppable(f"it holds an unknown constant of shape {list(values.shape)}")
    rows = values.reshape(-1, values.shape[-1]).astype(np.float32)
    made = ((before.centres(), after.centres()), (before.cell_strides()[np.newaxis], after.cell_strides()[np.newaxis]))
    wanted = next((new for old, new in made if np.array_equal(rows, old)), None)
    if wanted is None:
        raise NotCroppable(f"its constant of shape {list(values.shape)} is no grid of anchor points")
    _replace(constant, np.ascontiguousarray(wanted.reshape(*values.shape[:-1], -1), values.dtype))


def _replace(constant: Any, values: NDArray[Any], reader: Any = None) -> None:
    """Put `values` in the place of a constant, for one reader or for all."""
    made = ov.opset13.constant(values)
    for place in constant.output(0).get_target_inputs():
        if reader is None or place.get_node() == reader:
            place.replace_source_output(made.output(0))
