"""COCO's average precision of what a model found, by faster-coco-eval.

Objects that are not asked for are neither wanted nor false, as in `pipeline.evaluate.ground_truth`: a box that lies on
one of them, and on no object that is asked for as well, is taken out before COCO sees it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.detections import Detections
from pipeline.errors import EvaluationError
from pipeline.geometry import iou_matrix
from pipeline.levers.detecting import Seen
from pipeline.levers.figures import Accuracy, ClassAccuracy
from pipeline.levers.pictures import Exam, Truth

LEAST_IOU = 0.5
MOST_BOXES = 100
"""On a picture, best first; COCO's own."""


def require_coco() -> None:
    """Raise in time, before any long work, where faster-coco-eval is not installed.

    Raises:
        EvaluationError: It is not.
    """
    _coco()


def accuracy(exam: Exam, seen: Seen) -> Accuracy:
    """How well a model does in an exam.

    Raises:
        EvaluationError: faster-coco-eval is not installed, nothing is asked for, or the model knows none of the
            exam's classes.
    """
    if not exam.objects:
        raise EvaluationError(f"{exam.words}: there is no object on them that is asked for")
    known = _require_common(exam, seen)
    found = [
        _counted(_renamed(detections, known), truth)
        for detections, truth in zip(seen.detections, exam.truths, strict=True)
    ]
    # Precision by threshold of IoU, recall, class, area and number of boxes; -1 where a class has no object.
    precision = _precision(exam, found)[:, :, :, 0, -1]
    counts = np.bincount(_class_ids(exam), minlength=len(exam.class_names))
    classes = {
        exam.class_names[class_id]: ClassAccuracy(
            ap50=_percent(precision[0, :, class_id]),
            ap50_95=_percent(precision[:, :, class_id]),
            objects=int(counts[class_id]),
        )
        for class_id in np.flatnonzero(counts)
    }
    return Accuracy(
        map50=_percent(precision[0]),
        map50_95=_percent(precision),
        classes=classes,
        pictures=len(exam.truths),
        objects=exam.objects,
    )


def _require_common(exam: Exam, seen: Seen) -> NDArray[np.int32]:
    """(C,) the exam's id of each of the model's classes; -1 of those that it does not ask for.

    Raises:
        EvaluationError: They have none in common.
    """
    asked = {name: number for number, name in enumerate(exam.class_names)}
    known = np.array([asked.get(name, -1) for name in seen.class_names], np.int32)
    if (known < 0).all():
        raise EvaluationError(
            f"the pictures show {', '.join(exam.class_names[:5])}, and the model knows none of it: it knows "
            f"{', '.join(seen.class_names[:5])}. Give the labels the model's names"
        )
    return known


def _renamed(detections: Detections, known: NDArray[np.int32]) -> Detections:
    class_id = known[detections.class_id]
    return Detections(detections.xyxy, detections.score, class_id)[class_id >= 0]


def _counted(detections: Detections, truth: Truth) -> Detections:
    """Without the boxes that lie on what is not asked for."""
    if not len(detections) or truth.asked.all():
        return detections
    overlap = iou_matrix(detections.xyxy, truth.xyxy)
    overlap[detections.class_id[:, None] != truth.class_id[None, :]] = 0
    wanted = np.where(truth.asked, overlap, 0).max(axis=1, initial=0)
    passed_over = np.where(truth.asked, 0, overlap).max(axis=1, initial=0)
    return detections[(passed_over < LEAST_IOU) | (wanted >= LEAST_IOU)]


def _precision(exam: Exam, found: list[Detections]) -> NDArray[np.float64]:
    coco_class, eval_class = _coco()
    truth = coco_class(_as_coco(exam), print_function=_silent)
    rows = np.concatenate([_rows(number, detections) for number, detections in enumerate(found)])
    if not len(rows):
        return np.zeros((10, 101, len(exam.class_names), 4, 3)) - ~_asked(exam)[None, None, :, None, None]
    judge = eval_class(truth, truth.loadRes(rows), "bbox", print_function=_silent)
    judge.params.maxDets = [1, 10, MOST_BOXES]
    judge.evaluate()
    judge.accumulate()
    return np.asarray(judge.eval["precision"])


def _as_coco(exam: Exam) -> dict[str, Any]:
    annotations: list[dict[str, Any]] = []
    for number, truth in enumerate(exam.truths):
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
        "images": [{"id": number} for number in range(len(exam.truths))],
        "annotations": annotations,
        "categories": [{"id": number, "name": name} for number, name in enumerate(exam.class_names)],
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


def _asked(exam: Exam) -> NDArray[np.bool_]:
    return np.isin(np.arange(len(exam.class_names)), _class_ids(exam))


def _class_ids(exam: Exam) -> NDArray[np.int32]:
    return np.concatenate([truth.class_id[truth.asked] for truth in exam.truths])


def _percent(precision: NDArray[np.float64]) -> float:
    known = precision[precision > -1]
    return round(100 * float(known.mean()), 2) if known.size else 0.0


def _silent(*_: object) -> None:
    """COCO's tools print what they do."""


def _coco() -> tuple[Any, Any]:
    try:
        from faster_coco_eval import COCO, COCOeval_faster
    except ImportError as error:
        raise EvaluationError(
            "accuracy needs faster-coco-eval, which is not installed: pip install 'camfleet[levers]'"
        ) from error
    return COCO, COCOeval_faster
