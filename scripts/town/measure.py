"""Average precision of an exported model on labelled pictures; objects too small or too hidden are left out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from town.ground import Picture
from town.look import KINDS

LEAST_HEIGHT_PX, LEAST_WIDTH_PX, LEAST_VISIBILITY = 10.0, 4.0, 0.25
"""Smaller or more hidden objects are neither asked for in training nor counted, found or missed, in measuring."""
END_TO_END_COLUMNS = 6
LEAST_SCORE, MOST_IOU = 0.001, 0.7
"""What Ultralytics validates with."""
IOUS = np.linspace(0.5, 0.95, 10)


@dataclass(frozen=True, slots=True)
class Truth:
    """What a picture shows: boxes xyxy (N, 4) pixels, class ids (N,), and whether each is asked for (N,)."""

    xyxy: NDArray[np.float64]
    class_id: NDArray[np.int64]
    asked: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Precision:
    """Mean average precision at IoU 0.5 and over 0.5 to 0.95, that at 0.5 by class, and what it was measured on."""

    map50: float
    map50_95: float
    by_class: dict[str, float]
    pictures: int
    objects: int


class ExportedModel:
    """An exported OpenVINO model with its input's height and width; Ultralytics' end-to-end output (1, N, 6)."""

    def __init__(self, xml: Path) -> None:
        """Load and compile a model for the processor."""
        import openvino

        core = openvino.Core()
        core.set_property("CPU", {"INFERENCE_NUM_THREADS": 2, "ENABLE_CPU_PINNING": False})
        self._model = core.compile_model(core.read_model(xml), "CPU")
        self.height, self.width = (int(n) for n in list(self._model.input(0).shape)[2:])

    def infer(self, tensor: NDArray[np.float32]) -> NDArray[np.float32]:
        """The output for one picture (1, 3, height, width), as the model gives it."""
        return np.asarray(self._model(tensor)[0][0])

    def detect(self, picture: Picture) -> NDArray[np.float64]:
        """Rows (N, 6) of x0, y0, x1, y1 in picture pixels, score and class id, best first."""
        output = self.infer(letterboxed(picture, self.height, self.width)).astype(np.float64)
        rows = output if output.shape[1] == END_TO_END_COLUMNS else _suppressed(output.T)
        (left, top), _, scale = fit(picture, self.height, self.width)
        rows[:, :4] = (rows[:, :4] - (left, top, left, top)) / scale
        return rows[np.argsort(-rows[:, 4])]


def letterboxed(picture: Picture, height: int = 384, width: int = 640) -> NDArray[np.float32]:
    """A BGR picture as a model takes it: (1, 3, height, width), RGB, 0…1, its shape kept by grey margins."""
    (left, top), size, _ = fit(picture, height, width)
    canvas = np.full((height, width, 3), 114, np.uint8)
    inner = picture if size == (picture.shape[1], picture.shape[0]) else cv2.resize(picture, size)
    canvas[top : top + size[1], left : left + size[0]] = inner
    return np.ascontiguousarray(canvas[None, :, :, ::-1].transpose(0, 3, 1, 2), np.float32) / 255


def fit(picture: Picture, height: int, width: int) -> tuple[tuple[int, int], tuple[int, int], float]:
    """Where a letterboxed picture lies in the input: its left upper corner, its size (width, height), its scale."""
    tall, wide = picture.shape[:2]
    scale = min(width / wide, height / tall)
    size = round(wide * scale), round(tall * scale)
    return ((width - size[0]) // 2, (height - size[1]) // 2), size, scale


def _suppressed(anchors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows (N, 6) of a raw output (anchors, 4 + classes), each object once."""
    class_id, score = anchors[:, 4:].argmax(axis=1), anchors[:, 4:].max(axis=1)
    kept = score > LEAST_SCORE
    corner, size = anchors[kept, :2] - anchors[kept, 2:4] / 2, anchors[kept, 2:4]
    boxes, scores, classes = np.hstack([corner, size]), score[kept], class_id[kept]
    chosen = cv2.dnn.NMSBoxesBatched(boxes.tolist(), scores.tolist(), classes.tolist(), LEAST_SCORE, MOST_IOU)
    best = np.asarray(chosen, int).reshape(-1)[:300]
    return np.hstack([corner[best], corner[best] + size[best], scores[best, None], classes[best, None]])


def held_out(folder: Path) -> Iterator[tuple[Picture, Truth]]:
    """Pictures and truths of a rendered part; its label files hold only what is asked for."""
    for path in sorted((folder / "images").glob("*.png")):
        picture = _picture(cv2.imread(str(path)))
        tall, wide = picture.shape[:2]
        text = (folder / "labels" / f"{path.stem}.txt").read_text()
        rows = np.array([line.split() for line in text.splitlines()], float).reshape(-1, 5)
        middle, half = rows[:, 1:3] * (wide, tall), rows[:, 3:5] * (wide, tall) / 2
        xyxy = np.concatenate([middle - half, middle + half], axis=1)
        yield picture, Truth(xyxy, rows[:, 0].astype(np.int64), np.ones(len(rows), bool))


def recording(path: Path, ground_truth: Path, every: int) -> Iterator[tuple[Picture, Truth]]:
    """Every so many frames of a recording with its MOTChallenge ground truth."""
    import av

    rows = np.loadtxt(ground_truth, delimiter=",").reshape(-1, 9)
    with av.open(str(path)) as container:
        for number, frame in enumerate(container.decode(video=0), start=1):
            if (number - 1) % every == 0:
                here = rows[rows[:, 0] == number]
                corner, size = here[:, 2:4] - 1, here[:, 4:6]
                asked = (
                    (size[:, 1] >= LEAST_HEIGHT_PX) & (size[:, 0] >= LEAST_WIDTH_PX) & (here[:, 8] >= LEAST_VISIBILITY)
                )
                truth = Truth(np.hstack([corner, corner + size]), here[:, 7].astype(np.int64) - 1, asked)
                yield _picture(frame.to_ndarray(format="bgr24")), truth


def measure(model: ExportedModel, pictures: Iterable[tuple[Picture, Truth]]) -> Precision:
    """The model's average precision, computed by Ultralytics' own ``ap_per_class``."""
    from ultralytics.utils.metrics import ap_per_class

    hits: list[NDArray[np.bool_]] = []
    found: list[NDArray[np.float64]] = []
    wanted: list[NDArray[np.int64]] = []
    count = 0
    for picture, truth in pictures:
        rows = model.detect(picture)
        rows = rows[rows[:, 4] >= LEAST_SCORE]
        hit, kept = match(rows, truth)
        hits.append(hit[kept])
        found.append(rows[kept])
        wanted.append(truth.class_id[truth.asked])
        count += 1
    all_found, all_wanted = np.concatenate(found), np.concatenate(wanted)
    result: Any = ap_per_class(np.concatenate(hits), all_found[:, 4], all_found[:, 5], all_wanted)
    precision, classes = np.asarray(result[5]), np.asarray(result[6], int)
    by_class = {KINDS[c]: float(p[0]) for c, p in zip(classes, precision, strict=True)}
    return Precision(float(precision[:, 0].mean()), float(precision.mean()), by_class, count, len(all_wanted))


def match(rows: NDArray[np.float64], truth: Truth) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Whether each detection is right at each IoU (N, 10), and counts (N,): one on an object not asked for does not."""
    overlap = box_iou(rows[:, :4], truth.xyxy)
    overlap[rows[:, 5].astype(int)[:, None] != truth.class_id[None, :]] = 0
    hit = np.zeros((len(rows), len(IOUS)), bool)
    for step, least in enumerate(IOUS):
        free = truth.asked.copy()
        for index in range(len(rows)):
            options = np.where(free, overlap[index], 0)
            best = int(options.argmax()) if options.size else 0
            if options.size and options[best] >= least:
                free[best] = False
                hit[index, step] = True
    passed_over = (overlap[:, ~truth.asked] >= IOUS[0]).any(axis=1)
    return hit, hit[:, 0] | ~passed_over


def box_iou(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union (N, M) of two sets of boxes xyxy."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    areas = (first[:, 2:] - first[:, :2]).prod(axis=1)[:, None] + (second[:, 2:] - second[:, :2]).prod(axis=1)[None, :]
    return np.asarray(shared / np.maximum(areas - shared, 1e-9))


def _picture(image: Any) -> Picture:
    return np.asarray(image, np.uint8)
