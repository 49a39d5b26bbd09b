"""COCO's average precision of boxes against what pictures show, by faster-coco-eval.

Objects that are not asked for are neither wanted nor false, as in `pipeline.evaluate.ground_truth`: a box that lies on
one of them, and on no object that is asked for as well, is taken out before COCO sees it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.detections import Detections
from pipeline.errors import EvaluationError
from pipeline.extras import require
from pipeline.geometry import Boxes, iou_matrix

LEAST_IOU = 0.5
MOST_BOXES = 100
"""On a picture, best first; COCO's own."""


@dataclass(frozen=True, slots=True)
class Truth:
    """What a picture shows.

    Attributes:
        xyxy: (N, 4) float32, px of the upright picture.
        class_id: (N,) int32, index into the names of the classes.
        asked: (N,) bool; False where an object is neither wanted nor counted as false: tiny, hidden or doubtful.
    """

    xyxy: Boxes
    class_id: NDArray[np.int32]
    asked: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.class_id)


def precision(truths: Sequence[Truth], found: Sequence[Detections], classes: int) -> NDArray[np.float64]:
    """(10, 101, C): precision by IoU from 0.5 to 0.95, recall and class; -1 where nothing of a class is asked for.

    Args:
        truths: What each picture shows.
        found: The boxes on each, `class_id` counting the same classes.
        classes: How many there are.

    Raises:
        EvaluationError: faster-coco-eval is not installed.
    """
    counted = [_counted(detections, truth) for detections, truth in zip(found, truths, strict=True)]
    coco_class, eval_class = _coco()
    truth = coco_class(_as_coco(truths, classes), print_function=_silent)
    rows = np.concatenate([_rows(number, detections) for number, detections in enumerate(counted)])
    if not len(rows):
        asked = np.isin(np.arange(classes), asked_for(truths))
        return np.zeros((10, 101, classes)) - ~asked
    judge = eval_class(truth, truth.loadRes(rows), "bbox", print_function=_silent)
    judge.params.maxDets = [1, 10, MOST_BOXES]
    judge.evaluate()
    judge.accumulate()
    # By area and number of boxes as well: of all areas, and with as many boxes as may be.
    return np.asarray(judge.eval["precision"])[:, :, :, 0, -1]


def mean_percent(precision: NDArray[np.float64]) -> float:
    """The mean over whatever is known, percent; 0 where nothing is."""
    known = precision[precision > -1]
    return round(100 * float(known.mean()), 2) if known.size else 0.0


def asked_for(truths: Sequence[Truth]) -> NDArray[np.int32]:
    """The class of every object that is asked for."""
    return np.concatenate([truth.class_id[truth.asked] for truth in truths])


def _counted(detections: Detections, truth: Truth) -> Detections:
    """Without the boxes that lie on what is not asked for."""
    if not len(detections) or truth.asked.all():
        return detections
    overlap = iou_matrix(detections.xyxy, truth.xyxy)
    overlap[detections.class_id[:, None] != truth.class_id[None, :]] = 0
    wanted = np.where(truth.asked, overlap, 0).max(axis=1, initial=0)
    passed_over = np.where(truth.asked, 0, overlap).max(axis=1, initial=0)
    return detections[(passed_over < LEAST_IOU) | (wanted >= LEAST_IOU)]


def _as_coco(truths: Sequence[Truth], classes: int) -> dict[str, Any]:
    annotations: list[dict[str, Any]] = []
    for number, truth in enumerate(truths):
        for xyxy, class_id in zip(truth.xyxy[truth.asked], truth.class_id[truth.asked], strict=True):
            left, top, right, bottom = xyxy.tolist()
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": int(class_id),
                    "bbox": [left, top, right - left, bottom - top],
                    "area": (right - left) * (bottom - top),
                    "iscrowd": 0,
                }
            )
    return {
        "images": [{"id": number} for number in range(len(truths))],
        "annotations": annotations,
        "categories": [{"id": number, "name": str(number)} for number in range(classes)],
    }


def _rows(number: int, detections: Detections) -> NDArray[np.float64]:
    """(N, 7) as COCO's `loadRes` takes them: picture, left, top, width, height, score, class."""
    xyxy = detections.xyxy.astype(np.float64)
    return np.column_stack(
        [
            np.full(len(detections), number),
            xyxy[:, :2],
            xyxy[:, 2:] - xyxy[:, :2],
            detections.score,
            detections.class_id,
        ]
    )


def _silent(*_: object) -> None:
    """COCO's tools print what they do."""


def _coco() -> tuple[Any, Any]:
    require("evaluate", "accuracy", "faster_coco_eval", error=EvaluationError)
    from faster_coco_eval import COCO, COCOeval_faster

    return COCO, COCOeval_faster
