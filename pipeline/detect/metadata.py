"""What Ultralytics' export writes beside a model: class names, task, picture size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from pipeline.errors import DetectorError
from pipeline.geometry import WidthHeight


@dataclass(frozen=True, slots=True)
class Metadata:
    """A model's own description.

    Attributes:
        class_names: The name of each class id, from 0.
        input_wh: Width and height it was exported for, px; None where the file does not say.
        stride: Widths and heights must be multiples of this, px.
    """

    class_names: tuple[str, ...]
    input_wh: WidthHeight | None
    stride: int = 32


def read_metadata(file: Path) -> Metadata:
    """The description in a `metadata.yaml`.

    Raises:
        DetectorError: It is missing or unreadable, has no class names, or is of a model that gives no boxes.
    """
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DetectorError(
            f"{file} is missing, so the model's class names are unknown; "
            "put the metadata.yaml there that Ultralytics' export wrote beside the model, "
            "or write one: 'names: {0: person, 1: car}'"
        ) from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DetectorError(f"{file} cannot be read as YAML: {error}") from error
    if not isinstance(values, Mapping):
        raise DetectorError(f"{file}: expected a map with 'names', found {type(values).__name__}")
    return from_values(values, str(file))


def from_values(values: Mapping[str, object], where: str) -> Metadata:
    """The description in `values`, which come from `where`.

    Raises:
        DetectorError: No class names, or a model that gives no boxes.
    """
    check_task(values.get("task", "detect"), where)
    imgsz, stride = values.get("imgsz"), values.get("stride", 32)
    return Metadata(
        class_names=_class_names(values.get("names"), where),
        input_wh=(int(imgsz[1]), int(imgsz[0])) if isinstance(imgsz, list | tuple) and len(imgsz) == 2 else None,
        stride=stride if isinstance(stride, int) else 32,
    )


def check_task(task: object, where: str) -> None:
    """Nothing for a detection model.

    Raises:
        DetectorError: A model for anything else.
    """
    if task != "detect":
        raise DetectorError(f"{where}: a model for task {task!r}; camfleet runs detection models (task 'detect')")


def _class_names(names: object, where: str) -> tuple[str, ...]:
    """Names by id; Ultralytics writes a map `0: person`, some tools a list."""
    by_id = dict(enumerate(names)) if isinstance(names, list) else names
    if not isinstance(by_id, Mapping) or not by_id or sorted(by_id) != list(range(len(by_id))):
        raise DetectorError(f"{where}: 'names' must map 0, 1, 2 … to class names; found {names!r:.80}")
    return tuple(str(by_id[class_id]) for class_id in range(len(by_id)))
