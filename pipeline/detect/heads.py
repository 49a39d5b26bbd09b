"""A model's raw output → boxes: the layouts that YOLO detection models end in.

End to end, (N, K, 6): rows of x1, y1, x2, y2, score, class; no box twice (YOLO26, YOLOv10, exports with `nms=True`).
The others give the same object many times, so non-maximum suppression follows. A is the number of anchor points of the
input, one in each cell of the grids of 8, 16 and 32 px.

Classic, (N, 4 + classes, A): columns of centre x, centre y, width, height and a score for each class (YOLOv8, YOLO11
and others), or the same as rows, (N, A, 4 + classes).
With objectness, (N, 3 A, 5 + classes): rows of centre x, centre y, width, height, objectness, and each class's score if
there is an object (YOLOv3, YOLOv5, YOLOv7; YOLOX with A rows).
Labelled, (N, A, 6) or (N, 3 A, 6): rows of x1, y1, x2, y2, score, class of every anchor (exports for DeepStream).

Classes, (N, classes): how likely each is on the whole picture, or scores that become so by softmax. Such a classifier
gives one box a picture, as large as its input.

Two of them can have one shape: of six numbers for each anchor, the last is a class or a score, as the values show.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.detect.classes import Wanted
from pipeline.detections import Detections
from pipeline.errors import DetectorError
from pipeline.geometry import Boxes, WidthHeight, iou_matrix

Output = NDArray[np.float32]

CELLS_PX = ((8, 16, 32), (8, 16, 32, 64), (4, 8, 16, 32))
"""Sides of the cells of a YOLO model's grids: most models', those with P6 for large objects, with P2 for small ones."""
MAX_BOXES = 300
"""Most boxes on a picture; what end-to-end heads are built with, and Ultralytics' default `max_det`."""

MAX_CANDIDATES = 1024
"""Most boxes that suppression compares, best first. Crowded street pictures have about 300 at confidence 0.1; more only
come of a broken model or a confidence near 0, and must not stall the worker (1,024: 15 ms, 8,400: 1 s)."""


SUM_SLACK = 0.02
"""What likelihoods add up to may be so far from 1, as they are rounded to 16 bits or 8."""


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
        if class_id.size and not 0 <= class_id.min() <= class_id.max() < len(self._wanted.of_class):
            raise DetectorError(
                f"the model labels an object {class_id.max()}, but its description names {len(self._wanted.of_class)} "
                "classes; put the metadata.yaml beside it that Ultralytics' export wrote with it"
            )
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
        return _best(_corners(candidates[:4]), candidates[4:], self._wanted)


class ClassicRows:
    """Output (N, anchors, 4 + classes): the same, a row for each anchor."""

    def __init__(self, wanted: Wanted) -> None:
        self._classic = Classic(wanted)

    def decode(self, output: Output) -> list[Detections]:
        """One `Detections` a picture, each object once."""
        return self._classic.decode(output.transpose(0, 2, 1))


class WithObjectness:
    """Output (N, anchors, 5 + classes): centre x, centre y, width, height, objectness, then a score for each class."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted

    def decode(self, output: Output) -> list[Detections]:
        """One `Detections` a picture, each object once."""
        return [self._decode_picture(rows) for rows in output]

    def _decode_picture(self, rows: NDArray[np.float32]) -> Detections:
        rows = rows[rows[:, 4] >= self._wanted.confidence]
        scores = rows[:, 5:] * rows[:, 4:5]
        found = scores.max(axis=1) >= self._wanted.confidence
        return _best(_corners(rows[found, :4].T), scores[found].T, self._wanted)


class Labelled:
    """Output (N, anchors, 6): x1, y1, x2, y2, score, class of every anchor."""

    def __init__(self, wanted: Wanted) -> None:
        self._end_to_end, self._nms_iou = EndToEnd(wanted), wanted.nms_iou

    def decode(self, output: Output) -> list[Detections]:
        """One `Detections` a picture, each object once."""
        return [self._once(detections) for detections in self._end_to_end.decode(output)]

    def _once(self, detections: Detections) -> Detections:
        best = detections[np.argsort(-detections.score, kind="stable")[:MAX_CANDIDATES]]
        return best[suppress(best, self._nms_iou)]


class ByValues:
    """Output (N, anchors, 6) of a model that may label its boxes or score them: whichever its values say.

    Scores can be whole numbers, too: 1 where there is one class, 0 after rounding to eight bits. But a box's second
    corner is never left of its first or above it, as the size of most boxes would be if it stood there.
    """

    def __init__(self, scored: Head, wanted: Wanted, *, columns: bool = False) -> None:
        """Read as `scored` unless there are corners and labels; `columns` says that anchors are (N, 6, anchors)."""
        self._scored, self._labelled, self._wanted = scored, Labelled(wanted), wanted
        self._columns = columns

    def decode(self, output: Output) -> list[Detections]:
        """One `Detections` a picture, each object once."""
        rows = output.transpose(0, 2, 1) if self._columns else output
        return self._labelled.decode(rows) if self._are_labelled(rows) else self._scored.decode(output)

    def _are_labelled(self, rows: Output) -> bool:
        labels = rows[:, :, 5][rows[:, :, 4:].max(axis=2) >= self._wanted.confidence]
        are_labels = (labels == np.round(labels)) & (labels >= 0) & (labels < len(self._wanted.of_class))
        return bool(are_labels.all() and (rows[:, :, 2:4] >= rows[:, :, :2]).all())


class WholePicture:
    """Output (N, classes): of a classifier; the likeliest class as a box that is the whole input."""

    def __init__(self, wanted: Wanted, input_wh: WidthHeight) -> None:
        self._wanted = wanted
        self._xyxy = np.array([[0, 0, *input_wh]], np.float32)

    def decode(self, output: Output) -> list[Detections]:
        """One `Detections` a picture, of one box at most."""
        return [self._decode_picture(_likelihoods(scores)) for scores in output]

    def _decode_picture(self, likely: NDArray[np.float32]) -> Detections:
        best = np.where(self._wanted.of_class, likely, -1.0).argmax(axis=0, keepdims=True).astype(np.int32)
        found = Detections(self._xyxy.copy(), likely[best], best)
        return found[found.score >= self._wanted.confidence]


def _likelihoods(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """(C,) that add up to 1: the scores themselves, if they do."""
    if scores.min() >= 0 and abs(float(scores.sum()) - 1) < SUM_SLACK:
        return scores
    raised = np.exp(scores - scores.max())
    return np.asarray(raised / raised.sum(), np.float32)


def choose_head(shape: tuple[int, ...], class_count: int, wanted: Wanted, input_wh: WidthHeight) -> Head:
    """The head that an output calls for.

    Args:
        shape: Of the output; 0 where a length is open.
        class_count: How many classes the model's description names.
        wanted: Which boxes leave it.
        input_wh: The model's input, px.

    Raises:
        DetectorError: It is none of the layouts, or has more classes or fewer than have names.
    """
    grids = [sum((input_wh[0] // cell) * (input_wh[1] // cell) for cell in cells) for cells in CELLS_PX]
    anchors, thrice = grids[0], [3 * grid for grid in grids]
    if len(shape) == 2 and shape[1] == class_count:
        return WholePicture(wanted, input_wh)
    if len(shape) == 3:
        _, rows, columns = shape
        if columns == 6 and rows in (*grids, *thrice):
            return _six_columns(rows in grids, class_count, wanted)
        if columns == 6:
            return EndToEnd(wanted)
        if rows == 4 + class_count and columns in (0, *grids):
            return ByValues(Classic(wanted), wanted, columns=True) if class_count == 2 else Classic(wanted)
        if rows in grids and columns == 4 + class_count:
            return ClassicRows(wanted)
        if rows in (*grids, *thrice) and columns == 5 + class_count:
            return WithObjectness(wanted)
    raise DetectorError(
        f"the model's output has shape {shape}; a detection model of {class_count} classes gives (N, 300, 6), "
        f"(N, {4 + class_count}, {anchors}) or (N, {3 * anchors}, {5 + class_count}) for pictures of "
        f"{input_wh[0]}x{input_wh[1]}. Check the names in its description, or export a detection model with Ultralytics"
    )


def _six_columns(one_a_cell: bool, class_count: int, wanted: Wanted) -> Head:
    """The head for a row of six columns for each anchor."""
    if one_a_cell and class_count == 2:
        return ByValues(ClassicRows(wanted), wanted)
    if class_count == 1:
        return ByValues(WithObjectness(wanted), wanted)
    return Labelled(wanted)


def _best(xyxy: Boxes, scores: NDArray[np.float32], wanted: Wanted) -> Detections:
    """Each object once, best first, of (N, 4) boxes with (C, N) scores."""
    if not scores.size:
        return Detections(np.empty((0, 4), np.float32), np.empty(0, np.float32), np.empty(0, np.int32))
    class_id, score = scores.argmax(axis=0).astype(np.int32), scores.max(axis=0)
    order = np.argsort(-score, kind="stable")
    order = order[wanted.of_class[class_id[order]]][:MAX_CANDIDATES]
    detections = Detections(xyxy[order], score[order], class_id[order])
    return detections[suppress(detections, wanted.nms_iou)]


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
