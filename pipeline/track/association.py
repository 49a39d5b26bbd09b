"""Who is who: the assignment of detections to tracks that is best for all together, and their common shift.

Arrays for few boxes, too. In plain floats, five against five took 36 instead of 31 µs for the shift and 11 instead of
23 for the IoU, eight against eight 59 instead of 28 and 23 instead of 22.
"""

from __future__ import annotations

import math

import lap
import numpy as np
from numpy.typing import NDArray

from pipeline.geometry import Boxes

Pairs = tuple[NDArray[np.intp], NDArray[np.intp]]
"""Rows and columns that belong together, (K,) each."""

SHIFT_REACH = 0.6
"""Heights, by both axes and the change of height together, that a pair may lie apart from what was predicted and still
say something about the common shift. 0.5 and 0.8 are alike, 0.3 costs 0.6 points of HOTA."""
LEAST_SHIFT_PAIRS = 3
"""Fewer do not tell the camera from what moves by itself; 2 and 4 are alike, 7 costs 0.9 points."""
SHIFT_DOUBT = 1.0
"""Standard errors of the median that a shift has to exceed to count at all. 0 and 1 are alike, 2 costs 0.7 points; a
camera that stands still, as most do, gains 0.3 by it."""
_PLACE = np.array([[0.5, 0, 0.5, 0], [0, 0.5, 0, 0.5], [0, -1, 0, 1]], np.float32)
"""Makes centre and height of a box."""
SHIFT_NOISE = 0.01
"""Heights of a box; smaller shifts are the detector's noise and not worth moving all tracks."""


def assign(similarity: NDArray[np.floating], least: float) -> Pairs:
    """The one-to-one pairs of rows and columns that maximise the sum of `similarity - least`.

    Pairs below `least` are never made, NaN counts as below. A pair whose row and column have no other candidate is
    taken directly; in ordinary scenes that is most of them, and only the contested rest goes through the
    Jonker-Volgenant solver.
    """
    height, width = similarity.shape
    rows, columns = np.divmod((similarity >= least).ravel().nonzero()[0], max(width, 1))
    if len(set(rows.tolist())) == len(rows) == len(set(columns.tolist())):
        return rows, columns
    per_row, per_column = np.bincount(rows, minlength=height), np.bincount(columns, minlength=width)
    alone = (per_row[rows] == 1) & (per_column[columns] == 1)
    per_row[rows[alone]] = 0
    per_column[columns[alone]] = 0
    rest_rows, rest_columns = per_row.nonzero()[0], per_column.nonzero()[0]
    # Square, with 0 for what may not be: the solver then need not extend the costs by their other half.
    size = max(len(rest_rows), len(rest_columns))
    cost = np.zeros((size, size))
    gain = similarity[rest_rows[:, None], rest_columns] - least
    cost[: len(rest_rows), : len(rest_columns)] = np.minimum(-gain, 0.0)
    _, of_row, _ = lap.lapjv(cost)
    found = (of_row[: len(rest_rows)] < len(rest_columns)).nonzero()[0]
    found = found[gain[found, of_row[found]] >= 0.0]
    return (
        np.concatenate([rows[alone], rest_rows[found]]),
        np.concatenate([columns[alone], rest_columns[of_row[found]]]),
    )


def common_shift(predicted: Boxes, found: Boxes) -> NDArray[np.float64]:
    """(2,) px: by how much the boxes as a whole lie beside where they were predicted; zero where that is not clear.

    This is what a turning, shaking or driving camera does to all boxes alike, and it is seen without a picture: the
    median over pairs that are each other's nearest in place and size, made smaller by the doubt about it.

    Args:
        predicted: (N, 4) tracks.
        found: (M, 4) detections.
    """
    still = np.zeros(2)
    if min(len(predicted), len(found)) < LEAST_SHIFT_PAIRS:
        return still
    places, found_places = _PLACE @ predicted.T, _PLACE @ found.T
    apart = places[:, :, None] - found_places[:, None]
    apart = np.add.reduce(np.abs(apart, out=apart), axis=0)
    height, best, every = places[2], apart.argmin(axis=1), np.arange(len(predicted))
    pairs = ((apart.argmin(axis=0)[best] == every) & (apart[every, best] <= SHIFT_REACH * height)).nonzero()[0]
    count = len(pairs)
    if count < LEAST_SHIFT_PAIRS:
        return still
    beside = found_places[:2, best[pairs]] - places[:2, pairs]
    middle = [sorted(axis)[count // 2] for axis in beside.tolist()]
    if max(map(abs, middle)) < SHIFT_NOISE * height.item(pairs.item(count // 2)):
        return still
    shift, beside = np.array(middle), beside.T
    spread = np.sort(np.abs(beside - shift), axis=0)[count // 2]
    doubt = SHIFT_DOUBT * 1.48 * spread / math.sqrt(count)
    trust = 1.0 - np.square(doubt / np.maximum(np.abs(shift), 1e-6))
    return np.asarray(shift * np.maximum(trust, 0.0), np.float64)
