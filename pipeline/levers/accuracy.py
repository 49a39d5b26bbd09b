"""COCO's average precision of what a model found, by faster-coco-eval."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.detections import Detections
from pipeline.errors import EvaluationError
from pipeline.evaluate.precision import asked_for, mean_percent, precision
from pipeline.levers.detecting import Seen
from pipeline.levers.figures import Accuracy, ClassAccuracy
from pipeline.levers.pictures import Exam


def accuracy(exam: Exam, seen: Seen) -> Accuracy:
    """How well a model does in an exam.

    Raises:
        EvaluationError: faster-coco-eval is not installed, nothing is asked for, or the model knows none of the
            exam's classes.
    """
    if not exam.objects:
        raise EvaluationError(f"{exam.words}: there is no object on them that is asked for")
    known = _require_common(exam, seen)
    found = [_renamed(detections, known) for detections in seen.detections]
    curves = precision(exam.truths, found, len(exam.class_names))
    counts = np.bincount(asked_for(exam.truths), minlength=len(exam.class_names))
    classes = {
        exam.class_names[class_id]: ClassAccuracy(
            ap50=mean_percent(curves[0, :, class_id]),
            ap50_95=mean_percent(curves[:, :, class_id]),
            objects=int(counts[class_id]),
        )
        for class_id in np.flatnonzero(counts)
    }
    return Accuracy(
        map50=mean_percent(curves[0]),
        map50_95=mean_percent(curves),
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
