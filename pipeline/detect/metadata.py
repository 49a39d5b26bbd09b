"""What Ultralytics' export writes beside a model: class names, task, picture size."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.config.locate import read_document
from pipeline.errors import ConfigError, DetectorError
from pipeline.geometry import WidthHeight

_Scalar = str | int | float


@dataclass(frozen=True, slots=True)
class Metadata:
    """A model's own description.

    Attributes:
        class_names: The name of each class id, from 0.
        input_wh: Width and height it was exported for, px; None where the file does not say.
        stride: Widths and heights must be multiples of this, px.
        task: `detect`, or `classify` of a model for second looks.
    """

    class_names: tuple[str, ...]
    input_wh: WidthHeight | None
    stride: int = 32
    task: str = "detect"


def read_metadata(file: Path) -> Metadata:
    """The description in a `metadata.yaml`.

    Raises:
        DetectorError: It is missing or unreadable, has no class names, or is of a model that gives no boxes.
    """
    if not file.exists():
        raise DetectorError(
            f"{file} is missing, so the model's class names are unknown; "
            "put the metadata.yaml there that Ultralytics' export wrote beside the model, "
            "or write one: 'names: {0: person, 1: car}'"
        )
    try:
        # As models come from anywhere, with the bounds of a fleet file.
        values = read_document(file, "model's description", "“names”").data
    except ConfigError as error:
        raise DetectorError(f"{file} cannot be read as YAML: {error}") from error
    if not isinstance(values, Mapping):
        raise DetectorError(f"{file}: expected a map with 'names', found {type(values).__name__}")
    return from_values(values, str(file))


def from_values(values: Mapping[str, object], where: str) -> Metadata:
    """The description in `values`, which come from `where`.

    Raises:
        DetectorError: No class names, or a model that gives no boxes.
    """
    task = values.get("task", "detect")
    check_task(task, where)
    stride = values.get("stride", 32)
    return Metadata(
        class_names=_class_names(values.get("names"), where),
        input_wh=_input_wh(values.get("imgsz")),
        stride=stride if isinstance(stride, int) and stride > 0 else 32,
        task=str(task),
    )


def check_task(task: object, where: str) -> None:
    """Nothing for a model that detects, or classifies.

    Raises:
        DetectorError: A model for anything else.
    """
    if task not in ("detect", "classify"):
        raise DetectorError(f"{where}: a model for task {task!r}; camfleet runs models that detect, or classify")


def _input_wh(imgsz: object) -> WidthHeight | None:
    """Width and height of `[height, width]`; None for anything else."""
    if not isinstance(imgsz, list | tuple) or len(imgsz) != 2:
        return None
    height, width = imgsz
    if not (isinstance(height, int) and isinstance(width, int) and height > 0 and width > 0):
        return None
    return width, height


def _class_names(names: object, where: str) -> tuple[str, ...]:
    """Names by id; Ultralytics writes a map `0: person`, some tools a list."""
    listed = enumerate(names) if isinstance(names, list) else names.items() if isinstance(names, Mapping) else ()
    by_id = {str(class_id): name for class_id, name in listed}
    ids = [str(class_id) for class_id in range(len(by_id))]
    if not by_id or set(by_id) != set(ids) or not all(isinstance(name, _Scalar) for name in by_id.values()):
        raise DetectorError(f"{where}: 'names' must map 0, 1, 2 … to class names; found {reprlib.repr(names)}")
    return tuple(str(by_id[class_id]) for class_id in ids)
