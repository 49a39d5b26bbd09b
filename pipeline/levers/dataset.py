"""Labelled pictures as Ultralytics keeps them: a YAML file that names folders of pictures, labels beside them.

The labels of `…/images/…/name.jpg` are in `…/labels/…/name.txt`, a line for each object: class, and centre, width and
height of its box as parts of the picture. A picture without such a file shows nothing that is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.camera.orientation import told_orientation
from pipeline.config.files import PICTURES
from pipeline.config.locate import Tree, read_document
from pipeline.errors import EvaluationError
from pipeline.evaluate.precision import Truth
from pipeline.geometry import WidthHeight
from pipeline.levers.pictures import Exam, Picture, picture_file

MOST_PICTURES = 5000
"""As many as COCO's own validation has; more change no figure."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """What a DATASET.yaml names.

    Attributes:
        file: The YAML.
        class_names: By id.
        judged: Pictures to measure on: of `val`, else of `test`, else of `train`.
        shown: Pictures to calibrate on: of `train`, else those of `val`.
    """

    file: Path
    class_names: tuple[str, ...]
    judged: tuple[Path, ...]
    shown: tuple[Path, ...]


def read_dataset(file: Path) -> Dataset:
    """The pictures and classes of a data set.

    Raises:
        ConfigError: The file is missing or no YAML.
        EvaluationError: It names no pictures or classes.
    """
    values = read_document(file, "data set", "“names” and “val”").data
    if not isinstance(values, dict):
        raise EvaluationError(f"{file}: expected a map with “names” and “val”")
    base = _base(file, values.get("path"))
    parts = {name: _pictures(file, base, values.get(name)) for name in ("train", "val", "test")}
    judged, shown = parts["val"] or parts["test"] or parts["train"], parts["train"] or parts["val"]
    if not judged:
        raise EvaluationError(f"{file} names no pictures that are there: “val” or “train” must be a folder of them")
    every = -(-len(judged) // MOST_PICTURES)
    return Dataset(file, _names(file, values.get("names")), judged[::every], shown or judged)


def exam_of(dataset: Dataset) -> Exam:
    """Its pictures with their labels.

    Raises:
        EvaluationError: No picture has labels, or labels or pictures cannot be read.
    """
    if not any(_label_file(path).is_file() for path in dataset.judged):
        raise EvaluationError(
            f"{dataset.file}: no picture has labels: there is no {_label_file(dataset.judged[0])}; without labels give "
            "--fleet FLEET.yaml --reference BIGGER_MODEL"
        )
    pictures = tuple(picture_file(path) for path in dataset.judged)
    pairs = zip(dataset.judged, pictures, strict=True)
    truths = tuple(_truth(path, picture, len(dataset.class_names)) for path, picture in pairs)
    return Exam(pictures, truths, dataset.class_names, f"{len(pictures)} pictures of {dataset.file.name}")


def size_of(picture: Picture) -> WidthHeight:
    """Width and height of a picture, upright, px.

    Raises:
        EvaluationError: It cannot be read.
    """
    frame = picture.read()
    return told_orientation(frame).then(picture.mounted).upright_wh((frame.width, frame.height))


def _truth(path: Path, picture: Picture, classes: int) -> Truth:
    file = _label_file(path)
    rows = _rows(file) if file.is_file() else np.zeros((0, 5), np.float32)
    if len(rows) and not (rows[:, 0].min() >= 0 and rows[:, 0].max() < classes):
        raise EvaluationError(f"{file} has classes outside 0 to {classes - 1}, the names of the data set")
    centre, half = rows[:, 1:3], rows[:, 3:5] / 2
    xyxy = np.hstack([centre - half, centre + half]) * np.array(size_of(picture) * 2, np.float32)
    return Truth(xyxy.astype(np.float32), rows[:, 0].astype(np.int32), np.ones(len(rows), np.bool_))


def _rows(file: Path) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """(N, 5) class and box; of outlines (class x y x y …) the box around."""
    try:
        lines = [np.array(line.split(), np.float32) for line in file.read_text("ascii").splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise EvaluationError(f"{file} holds no YOLO labels: {error}") from error
    if any(len(line) < 5 or not np.isfinite(line).all() for line in lines):
        raise EvaluationError(f"{file} holds no YOLO labels: a line needs class, centre x and y, width and height")
    boxes = [line if len(line) == 5 else _around(line) for line in lines]
    return np.array(boxes, np.float32).reshape(-1, 5)


def _around(outline: np.ndarray[tuple[int], np.dtype[np.float32]]) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    x, y = outline[1::2], outline[2::2]
    sides = (x.max() - x.min(), y.max() - y.min())
    return np.array([outline[0], x.min() + sides[0] / 2, y.min() + sides[1] / 2, *sides], np.float32)


def _label_file(path: Path) -> Path:
    """As Ultralytics looks for it: the last `images` of the path becomes `labels`."""
    parts = list(path.with_suffix(".txt").parts)
    places = [index for index, part in enumerate(parts[:-1]) if part == "images"]
    if places:
        parts[places[-1]] = "labels"
    return Path(*parts)


def _base(file: Path, written: Tree) -> Path:
    base = Path(str(written)) if written else Path()
    return base if base.is_absolute() else file.parent / base


def _names(file: Path, written: Tree) -> tuple[str, ...]:
    by_id = dict(enumerate(written)) if isinstance(written, list) else written if isinstance(written, dict) else {}
    named = {str(class_id): str(name) for class_id, name in by_id.items()}
    if not named or set(named) != {str(class_id) for class_id in range(len(named))}:
        raise EvaluationError(f"{file}: “names” must map 0, 1, 2 … to the names of the classes")
    return tuple(named[str(class_id)] for class_id in range(len(named)))


def _pictures(file: Path, base: Path, written: Tree) -> tuple[Path, ...]:
    """Of a folder, of a list of pictures in a .txt, or of several of them."""
    places = written if isinstance(written, list) else [written] if written else []
    found: list[Path] = []
    for place in places:
        path = base / str(place)
        try:
            found += _listed(path, base) if path.suffix == ".txt" else _inside(path)
        except OSError as error:
            raise EvaluationError(f"{file}: {path} cannot be read: {error.strerror}") from error
    return tuple(found)


def _inside(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in PICTURES)


def _listed(file: Path, base: Path) -> list[Path]:
    if not file.is_file():
        return []
    return [base / line.strip() for line in file.read_text("utf-8").splitlines() if line.strip()]
