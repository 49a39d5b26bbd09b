"""Who is who: similarities of tracks and detections, and the assignment that is best for all together."""

from __future__ import annotations

import lap
import numpy as np
from numpy.typing import NDArray

Pairs = tuple[NDArray[np.intp], NDArray[np.intp]]
"""Rows and columns that belong together, (K,) each."""


def assign(similarity: NDArray[np.floating], least: float) -> Pairs:
    """The one-to-one pairs of rows and columns that maximise the sum of `similarity - least`.

    Pairs below `least` are never made. A pair whose row and column have no other candidate is taken directly; in
    ordinary scenes that is most of them, and only the contested rest goes through the Jonker-Volgenant solver.
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
    rest = similarity[np.ix_(rest_rows, rest_columns)]
    cost = np.where(rest >= least, least - rest, 1.0).astype(np.float64)
    _, of_row, _ = lap.lapjv(cost, extend_cost=True, cost_limit=1e-9)
    found = np.flatnonzero(of_row >= 0)
    return (
        np.concatenate([rows, rest_rows[found]]),
        np.concatenate([columns, rest_columns[of_row[found]]]),
    )
