"""A model's raw output → boxes: the two layouts that YOLO detection models end in.

End to end, (N, K, 6): rows of x1, y1, x2, y2, score, class; no box twice (YOLO26, YOLOv10, exports with `nms=True`).
Classic, (N, 4 + classes, anchors): columns of centre x, centre y, width, height and a score for each class; the same
object many times, so non-maximum suppression follows (YOLOv8, YOLO11 and others).
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.detect.classes import Wanted
from pipeline.detections import Detections
from pipeline.errors import DetectorError
from pipeline.geometry import Boxes, iou_matrix

Output = NDArray[np.float32]

MAX_BOXES = 300
"""Most boxes on a picture; what end-to-end heads are built with, and Ultralytics' default `max_det`."""

MAX_CANDIDATES = 1024
"""Most boxes that suppression compares, best first. Crowded street pictures have about 300 at confidence 0.1; more only
come of a broken model or a confidence near 0, and must not stall the worker (1,024: 15 ms, 8,400: 1 s)."""


class Head(Protocol):
    """Knows one output layout."""

    def decode(self, output: Output) -> list[Detections]:
        """One `Detections` a picture, in model pixels; copies, so `output` may be overwritten afterwards."""
        ...


class EndToEnd:
    """Output (N, K, 6): x1, y1, x2, y2, score, class."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted

    def decode(self, output: Output) -> list[Detections]:
        """One `Detections` a picture."""
        return [self._decode_picture(rows) for rows in output]

    def _decode_picture(self, rows: NDArray[np.float32]) -> Detections:
        rows = rows[rows[:, 4] >= self._wanted.confidence]
        class_id = rows[:, 5].astype(np.int32)
        detections = Detections(rows[:, :4], rows[:, 4], class_id)
        return detections[self._wanted.of_class[class_id]]


class Classic:
    """Output (N, 4 + classes, anchors): centre x, centre y, width, height, then a score for each class."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted

    def decode(self, output: Output) -> list[Detections]:
        """One `Detections` a picture, each object once."""
        return [self._decode_picture(columns) for columns in output]

    def _decode_picture(self, columns: NDArray[np.float32]) -> Detections:
        anchors = np.flatnonzero(columns[4:].max(axis=0) >= self._wanted.confidence)
        candidates = columns[:, anchors]
        class_id = candidates[4:].argmax(axis=0).astype(np.int32)
        score = candidates[4:].max(axis=0)
        order = np.argsort(-score, kind="stable")
        order = order[self._wanted.of_class[class_id[order]]][:MAX_CANDIDATES]
        detections = Detections(_corners(candidates[:4, order]), score[order], class_id[order])
        return detections[suppress(detections, self._wanted.nms_iou)]


def choose_head(shape: tuple[int, ...], class_count: int, wanted: Wanted) -> Head:
    """The head that output `shape` calls for, N × … of a model of `class_count` classes.

    Raises:
        DetectorError: It is neither of the two layouts.
    """
    if len(shape) == 3 and shape[2] == 6:
        return EndToEnd(wanted)
    if len(shape) == 3 and shape[1] == 4 + class_count:
        return Classic(wanted)
    raise DetectorError(
        f"the model's output has shape {shape}; a detection model of {class_count} classes gives "
        f"(N, 300, 6) or (N, {4 + class_count}, anchors). Export a detection model with Ultralytics"
    )


def suppress(detections: Detections, most_iou: float) -> NDArray[np.intp]:
    """Rows to keep, best first: none overlaps a better one of its own class by more than `most_iou`; at most 300.

    `detections` are in descending order of score.
    """
    rivals = iou_matrix(detections.xyxy, detections.xyxy) > most_iou
    rivals &= detections.class_id[:, None] == detections.class_id[None, :]
    alive = np.ones(len(detections), np.bool_)
    # Only boxes that meet a rival after them in the order can drop one: in ordinary scenes that is a fraction.
    for row in np.flatnonzero(np.triu(rivals, 1).any(axis=1)):
        if alive[row]:
            alive[row + 1 :] &= ~rivals[row, row + 1 :]
    return np.flatnonzero(alive)[:MAX_BOXES]


def _corners(cxcywh: NDArray[np.float32]) -> Boxes:
    """(4, N) centre x, centre y, width, height → (N, 4) xyxy."""
    centre, half = cxcywh[:2], cxcywh[2:] / 2
    return np.ascontiguousarray(np.concatenate([centre - half, centre + half]).T, np.float32)
