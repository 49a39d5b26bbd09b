"""What a model finds on pictures, by the detector that fleets run, every lane of it busy."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipeline.config.values import Model
from pipeline.detect import Detector, load_detector
from pipeline.detections import Detections
from pipeline.errors import PipelineError
from pipeline.evaluate.precision import Truth
from pipeline.levers.pictures import Exam, Layer, Picture

JUDGED_CONFIDENCE = 0.001
"""Average precision looks at weak boxes, too; what Ultralytics and COCO validate with."""
SURE, DOUBTFUL = 0.4, 0.1
"""Where a model's boxes are the truth: from SURE on an object is asked for; between the two it is neither wanted nor
counted as false, because a smaller model that is right about it should not be punished."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a model found: its boxes on each picture, in px of the upright picture, and the names of its classes."""

    detections: tuple[Detections, ...]
    class_names: tuple[str, ...]


def detect_all(
    model: Model, pictures: Sequence[Picture], turn: Callable[[int], None], confidence: float = JUDGED_CONFIDENCE
) -> Seen:
    """A model's boxes on pictures; blocks.

    Args:
        model: Loaded for this, and freed afterwards.
        pictures: In any sizes.
        turn: Called with the number of pictures that are done; for progress.
        confidence: Weaker boxes are left out.

    Raises:
        DetectorError: The model cannot be loaded, or fails.
        EvaluationError: A picture cannot be read.
    """
    detector = load_detector(model.model_copy(update={"confidence": confidence}), None)
    try:
        return Seen(tuple(_Work(detector, pictures, turn).done()), detector.class_names)
    finally:
        detector.close()


class _Work:
    """Pictures, taken by the detector's lanes one by one."""

    def __init__(self, detector: Detector, pictures: Sequence[Picture], turn: Callable[[int], None]) -> None:
        self._detector, self._pictures, self._turn = detector, pictures, turn
        self._found = [Detections.empty()] * len(pictures)
        self._next, self._done = itertools.count(), itertools.count(1)
        self._failures: list[Exception] = []

    def done(self) -> list[Detections]:
        lanes = [threading.Thread(target=self._run, args=(lane,)) for lane in range(self._detector.lanes)]
        for lane in lanes:
            lane.start()
        for lane in lanes:
            lane.join()
        if self._failures:
            raise self._failures[0]
        return self._found

    def _run(self, lane: int) -> None:
        layer = Layer()
        try:
            while not self._failures and (index := next(self._next)) < len(self._pictures):
                letterbox = layer.lay(self._pictures[index], self._detector.input(lane)[0])
                boxes = self._detector.detect(lane, 1)[0]
                self._found[index] = replace(boxes, xyxy=letterbox.to_source(boxes.xyxy))
                self._turn(next(self._done))
        except PipelineError as error:
            self._failures.append(error)


def exam_by(reference: Model, pictures: Sequence[Picture], words: str, turn: Callable[[int], None]) -> Exam:
    """Pictures that nobody has labelled, with the boxes of a model taken for the truth.

    Raises:
        DetectorError: The model cannot be loaded, or fails.
    """
    seen = detect_all(reference, pictures, turn, DOUBTFUL)
    truths = tuple(Truth(found.xyxy, found.class_id, np.asarray(found.score >= SURE)) for found in seen.detections)
    return Exam(tuple(pictures), truths, seen.class_names, words, by_model=True)
