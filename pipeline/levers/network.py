"""A model's network, opened to be changed: OpenVINO's part of making other forms of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import openvino as ov
import yaml

from pipeline.config.locate import read_document
from pipeline.config.values import Model
from pipeline.detect.metadata import Metadata
from pipeline.detect.openvino_crop import NotCroppable, crop
from pipeline.detect.openvino_network import model_file, network_metadata, read_network, reason
from pipeline.errors import DetectorError
from pipeline.geometry import WidthHeight
from pipeline.levers.recipe import Recipe

_WEIGHTS = 1024
"""A constant of more values is a layer's weights."""
_EIGHT_BITS = ("i8", "u8", "i4", "u4", "nf4")
_KEPT = ("description", "author", "version", "license", "docs", "stride", "task", "head", "channels", "end2end")
"""What of a model's description stays true of every form of it."""


@dataclass(frozen=True, slots=True)
class Source:
    """A model that is open.

    Attributes:
        file: Its .xml or .onnx.
        network: OpenVINO's.
        metadata: Its own description.
        precision: Of its weights: f32, f16 or int8.
        input_wh: Width and height of its input, px; None where it takes any.
        batch: Pictures at once; None where it takes any number.
        calibrated_on: How many pictures its 8 bits were calibrated on here; 0 for any other.
    """

    file: Path
    network: Any
    metadata: Metadata
    precision: str
    input_wh: WidthHeight | None
    batch: int | None
    calibrated_on: int = 0

    @property
    def size_mb(self) -> float:
        """Size of its files on disk, MB."""
        files = (self.file, self.file.with_suffix(".bin"))
        return sum(file.stat().st_size for file in files if file.is_file()) / 1e6

    def made_by(self, recipe: Recipe, calibration: Sequence[Path]) -> Source:
        """What `recipe` makes of it.

        Raises:
            DetectorError: It cannot be made so.
        """
        resized = self._resized(recipe.input_wh) if recipe.input_wh else self
        if recipe.precision == "int8":
            from pipeline.levers.quantize import quantized

            eight_bits = quantized(resized.network, resized.picture_wh, calibration)
            return replace(resized, network=eight_bits, precision="int8", calibrated_on=len(calibration))
        return resized if recipe.precision == "as it is" else replace(resized, precision=recipe.precision)

    @property
    def picture_wh(self) -> WidthHeight:
        """The size of pictures to show it, px: its own, or where it takes any the one it was made for."""
        return self.input_wh or self.metadata.input_wh or (640, 640)

    def save(self, folder: Path, name: str) -> None:
        """Write NAME.xml, NAME.bin and metadata.yaml.

        Raises:
            OSError: The folder cannot be written.
        """
        ov.save_model(self.network, folder / f"{name}.xml", compress_to_fp16=self.precision == "f16")
        (folder / "metadata.yaml").write_text(
            yaml.safe_dump(self._description(), sort_keys=False, allow_unicode=True), encoding="utf-8"
        )

    def require(self, recipe: Recipe) -> None:
        """Raise, in time before any long work, where it has no such precision to give.

        Raises:
            DetectorError: It has not; says what does.
        """
        if recipe.precision == "as it is" or recipe.precision == self.precision != "int8":
            return
        if self.precision == "int8":
            raise DetectorError(
                f"{self.file} is INT8 already, and what its 8 bits have rounded off is lost: make {recipe.precision} "
                "of the .pt or of a float export"
            )
        if recipe.precision == "f32":
            raise DetectorError(
                f"{self.file} has 16-bit weights, and what they have rounded off is lost: make f32 of the .pt or of a "
                "32-bit export"
            )

    def _resized(self, wh: WidthHeight) -> Source:
        """The same for pictures of another size: what is open is settled, what is fixed is cropped.

        Raises:
            DetectorError: It takes no such pictures.
        """
        stride = self.metadata.stride
        if wh[0] % stride or wh[1] % stride:
            near = "x".join(str(max(stride, round(side / stride) * stride)) for side in wh)
            raise DetectorError(f"--input {wh[0]}x{wh[1]}: {self.file} needs multiples of {stride} px, such as {near}")
        if self.input_wh == wh:
            return self
        if self.input_wh is None:
            return replace(self, network=_reshaped(self.network, wh, self.file), input_wh=wh)
        return replace(self, network=self._cropped(wh, self.input_wh), input_wh=wh)

    def _cropped(self, wh: WidthHeight, own: WidthHeight) -> Any:
        if wh[0] > own[0] or wh[1] > own[1]:
            raise DetectorError(
                f"--input {wh[0]}x{wh[1]}: {self.file} was exported for {own[0]}x{own[1]} and can only be "
                "made smaller; export the .pt for more"
            )
        try:
            return crop(self.network, wh, self.metadata.stride)
        except NotCroppable as error:
            raise DetectorError(
                f"--input {wh[0]}x{wh[1]}: {self.file} takes {own[0]}x{own[1]} only, because {error}; export the .pt "
                "for it"
            ) from error

    def _description(self) -> dict[str, object]:
        """For metadata.yaml: what `pipeline.detect.metadata` reads, and what was done."""
        kept = {key: value for key, value in _described(self.file).items() if key in _KEPT}
        size = self.input_wh or self.metadata.input_wh
        described: dict[str, object] = {
            **kept,
            "task": "detect",
            "stride": self.metadata.stride,
            **({"imgsz": [size[1], size[0]]} if size else {}),
            **({"batch": self.batch} if self.batch else {}),
            "precision": self.precision,
            **({"calibrated_on": self.calibrated_on} if self.calibrated_on else {}),
            "names": dict(enumerate(self.metadata.class_names)),
        }
        return described


def open_source(path: Path) -> Source:
    """The model at `path`; a `.pt` is exported first, once.

    Raises:
        DetectorError: There is none, or it is none that OpenVINO reads and that gives boxes.
    """
    if path.suffix == ".engine":
        raise DetectorError(f"{path} was built for one GPU and cannot be changed; give the .pt or .onnx it was made of")
    file, network, metadata = _read(path)
    shape = network.input(0).partial_shape
    if shape[1].is_dynamic or shape[1].get_length() != 3:
        raise DetectorError(f"{file} takes pictures in another layout than (N, 3, H, W); export it with Ultralytics")
    batch, _, height, width = shape
    return Source(
        file=file,
        network=network,
        metadata=metadata,
        precision=_precision(network),
        input_wh=(width.get_length(), height.get_length()) if width.is_static and height.is_static else None,
        batch=batch.get_length() if batch.is_static else None,
    )


def _read(path: Path) -> tuple[Path, Any, Metadata]:
    """What a fleet file's `model.path` would be; mistakes name the path, for here it is an option's and no file's."""
    try:
        file = model_file(Model(path=str(path)))
        network = read_network(ov.Core(), file)
        return file, network, network_metadata(network, file)
    except DetectorError as error:
        said = str(error).removeprefix("model.path: ")
        raise DetectorError(said if str(path) in said else f"{path}: {said}") from error


def arithmetic() -> str:
    """The type that the processor computes floats in where nobody asks for another, such as bf16."""
    return str(ov.Core().get_property("CPU", "INFERENCE_PRECISION_HINT").get_type_name())


def _precision(network: Any) -> str:
    """Of the weights: int8 where values are quantized, else what most large constants are kept in."""
    ops = network.get_ordered_ops()
    if any(op.get_type_name() == "FakeQuantize" for op in ops):
        return "int8"
    kinds = [
        (op.output(0).get_element_type().get_type_name(), count)
        for op in ops
        if op.get_type_name() == "Constant" and (count := _count(op)) > _WEIGHTS
    ]
    totals = {kind: sum(count for other, count in kinds if other == kind) for kind, _ in kinds}
    most = max(totals, key=lambda kind: totals[kind], default="f32")
    return "int8" if most in _EIGHT_BITS else "f16" if most in {"f16", "bf16"} else "f32"


def _count(constant: Any) -> int:
    count = 1
    for length in constant.get_output_shape(0):
        count *= length
    return count


def _reshaped(network: Any, wh: WidthHeight, file: Path) -> Any:
    network = network.clone()
    shape = network.input(0).partial_shape
    shape[2], shape[3] = wh[1], wh[0]
    try:
        network.reshape(shape)
    except RuntimeError as error:
        raise DetectorError(f"--input {wh[0]}x{wh[1]}: {file} cannot take it: {reason(error)}") from error
    return network


def _described(file: Path) -> Mapping[str, object]:
    """What stands beside a model; nothing of an ONNX, which carries its own inside."""
    beside = file.parent / "metadata.yaml"
    if not beside.is_file():
        return {}
    values = read_document(beside, "model's description", "“names”").data
    return values if isinstance(values, Mapping) else {}
