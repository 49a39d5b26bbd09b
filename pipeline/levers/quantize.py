"""INT8 by NNCF: the ranges of a network's values are taken from pictures, the end of a YOLO head is left in floats.

What comes after the last convolutions of a head computes boxes in pixels: sums and products of anchor points, strides
and distances up to 640. 256 steps of it would be 2.5 px each, and scores that differ by less than a step would be
equal. It is next to no work, so it stays in floats; it is found by the graph, because names depend on the exporter.
"""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.detect.quiet import forbid_telemetry
from pipeline.errors import DetectorError
from pipeline.extras import require
from pipeline.geometry import WidthHeight
from pipeline.levers.pictures import laid, picture_file

MOST_PICTURES = 300
"""More change the ranges no more; NNCF's own default."""
_HEAVY = ("Convolution", "GroupConvolution", "MatMul")


def quantized(network: Any, picture_wh: WidthHeight, calibration: Sequence[Path]) -> Any:
    """The network in 8 bits; the one given stays as it is.

    Args:
        network: Of floats, one picture in, (N, 3, H, W).
        picture_wh: The size to show it pictures in, px.
        calibration: Files of pictures; of many, `MOST_PICTURES` spread over all.

    Raises:
        DetectorError: NNCF is not installed or refuses, or a picture cannot be read.
    """
    nncf = _nncf()
    every = max(1, len(calibration) // MOST_PICTURES)
    chosen = list(calibration)[::every][:MOST_PICTURES]
    kind = network.input(0).get_element_type().to_dtype()
    data = nncf.Dataset(chosen, lambda path: _tensor(path, picture_wh, kind))
    try:
        # It draws bars on stdout, which is for the result.
        with contextlib.redirect_stdout(io.StringIO()):
            return nncf.quantize(
                network.clone(),
                data,
                # Asymmetric ranges for activations: SiLU's go from -0.28 to anything.
                preset=nncf.QuantizationPreset.MIXED,
                subset_size=len(chosen),
                ignored_scope=nncf.IgnoredScope(names=tail(network), validate=False),
            )
    except (RuntimeError, nncf.ValidationError, nncf.InternalError, nncf.UnsupportedModelError) as error:
        told = str(error).strip().splitlines() or [type(error).__name__]
        raise DetectorError(f"NNCF cannot make INT8 of it: {told[0]}") from error


def tail(network: Any) -> list[str]:
    """The names of the operations after the last convolutions: those on whose results no convolution depends."""
    before_heavy: set[str] = set()
    ops = network.get_ordered_ops()
    for op in reversed(ops):
        readers = [place.get_node() for output in op.outputs() for place in output.get_target_inputs()]
        if any(_is_heavy(reader) or reader.get_friendly_name() in before_heavy for reader in readers):
            before_heavy.add(op.get_friendly_name())
    skipped = ("Parameter", "Result", "Constant")
    return [
        op.get_friendly_name()
        for op in ops
        if op.get_friendly_name() not in before_heavy and not _is_heavy(op) and op.get_type_name() not in skipped
    ]


def _is_heavy(op: Any) -> bool:
    """Whether it is worth 8 bits: not the 1×1 convolution to one channel by which YOLOv8 to YOLO11 take a mean."""
    if op.get_type_name() not in _HEAVY:
        return False
    shape = op.output(0).get_partial_shape()
    return not (op.get_type_name() == "Convolution" and shape[1].is_static and shape[1].get_length() == 1)


def _tensor(path: Path, picture_wh: WidthHeight, kind: Any) -> NDArray[Any]:
    """(1, 3, H, W): a letterboxed picture as the network takes it, 0..1 for floats."""
    picture = laid(picture_file(path), picture_wh)[np.newaxis].transpose(0, 3, 1, 2)
    values = picture if kind == np.uint8 else (picture / np.float32(255)).astype(kind)
    return np.ascontiguousarray(values)


def _nncf() -> Any:
    require("levers", "INT8", "nncf", error=DetectorError)
    forbid_telemetry()
    # NNCF imports torch, which says that it finds no CUDA.
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    import nncf

    logging.getLogger("nncf").setLevel(logging.ERROR)
    return nncf
