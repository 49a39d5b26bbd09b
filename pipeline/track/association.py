"""Who is who: the assignment of detections to tracks that is best for all together, and their common shift."""

from __future__ import annotations

import lap
import numpy as np
from numpy.typing import NDArray

from pipeline.geometry import Boxes, iou_matrix

Pairs = tuple[NDArray[np.intp], NDArray[np.intp]]
"""Rows and columns that belong together, (K,) each."""

SHIFT_MARGIN = 0.4
"""Sides by which boxes are widened at each edge while the common shift is looked for: a turning camera moves people by
half their width between two detections."""
SHIFT_SIMILARITY = 0.2
"""Least IoU of widened boxes × score of a pair that says something about the common shift."""
LEAST_SHIFT_PAIRS = 3
"""Fewer do not tell the camera from what moves by itself; 2 and 4 were no better, 7 costs 0.6 points."""


def assign(similarity: NDArray[np.floating], least: float) -> Pairs:
    """The one-to-one pairs of rows and columns that maximise the sum of `similarity - least`.

    Pairs below `least` are never made, NaN counts as below. A pair whose row and column have no other candidate is
    taken directly; in ordinary scenes that is most of them, and only the contested rest goes through the
    Jonker-Volgenant solver.
    """
    allowed = similarity >= least
    per_row, per_column = allowed.sum(axis=1), allowed.sum(axis=0)
    candidates = np.flatnonzero(per_row == 1)
    columns = allowed[candidates].argmax(axis=1) if len(candidates) else candidates
    lonely = per_column[columns] == 1
    rows, columns = candidates[lonely], columns[lonely]
    per_row[rows] = 0
    per_column[columns] = 0
    rest_rows, rest_columns = np.flatnonzero(per_row), np.flatnonzero(per_column)
    if not len(rest_rows):
        return rows, columns
    rest = similarity[rest_rows[:, None], rest_columns]
    cost = np.where(rest >= least, least - rest, 1.0).astype(np.float64)
    _, of_row, _ = lap.lapjv(cost, extend_cost=True, cost_limit=1e-9)
    found = np.flatnonzero(of_row >= 0)
    return (
        np.concatenate([rows, rest_rows[found]]),
        np.concatenate([columns, rest_columns[of_row[found]]]),
    )


def common_shift(predicted: Boxes, found: Boxes, score: NDArray[np.float32]) -> NDArray[np.float64]:
    """(2,) px: by how much the boxes as a whole lie beside where they were predicted; zero where that is not clear.

    This is what a turning, shaking or driving camera does to all boxes alike, and it is seen without a picture: the
    median over pairs of widened boxes that are each other's best.

    Args:
        predicted: (N, 4) tracks.
        found: (M, 4) detections.
        score: (M,) of the detections.
    """
    if min(len(predicted), len(found)) < LEAST_SHIFT_PAIRS:
        return np.zeros(2)
    similarity = iou_matrix(_widened(predicted), _widened(found)) * score
    best = similarity.argmax(axis=1)
    every = np.arange(len(predicted))
    mutual = (similarity.argmax(axis=0)[best] == every) & (similarity[every, best] >= SHIFT_SIMILARITY)
    pairs = np.flatnonzero(mutual)
    if len(pairs) < LEAST_SHIFT_PAIRS:
        return np.zeros(2)
    beside = found[best[pairs]] - predicted[pairs]
    centres = np.sort(beside[:, :2] + beside[:, 2:], axis=0)
    return np.asarray((centres[(len(pairs) - 1) // 2] + centres[len(pairs) // 2]) / 4.0, np.float64)


def _widened(xyxy: Boxes) -> Boxes:
    margin = (xyxy[:, 2:] - xyxy[:, :2]) * np.float32(SHIFT_MARGIN)
    return np.concatenate([xyxy[:, :2] - margin, xyxy[:, 2:] + margin], axis=1)
