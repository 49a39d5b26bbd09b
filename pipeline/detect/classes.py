"""Which of a model's classes a fleet wants, and how sure the model must be."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import DetectorError


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which boxes leave a detector.

    Attributes:
        confidence: Boxes that score less are dropped, 0..1.
        nms_iou: Boxes of one class that overlap a better one by more than this are dropped, 0..1.
        of_class: (C,) bool, True for the classes that are wanted.
    """

    confidence: float
    nms_iou: float
    of_class: NDArray[np.bool_]


def select(class_names: Sequence[str], asked: Sequence[str] | None) -> NDArray[np.bool_]:
    """(C,) bool: the classes named in `asked`; all of them for None.

    Raises:
        DetectorError: A name that the model does not know; says which it does.
    """
    if asked is None:
        return np.ones(len(class_names), np.bool_)
    for name in asked:
        if name not in class_names:
            raise DetectorError(_unknown_class(name, class_names))
    return np.isin(np.array(class_names), np.array(asked))


def _unknown_class(name: str, class_names: Sequence[str]) -> str:
    by_lower = {known.lower(): known for known in class_names}
    close = difflib.get_close_matches(name.lower(), by_lower, n=1)
    hint = f"; did you mean {by_lower[close[0]]!r}?" if close else ";"
    return f"model.classes: the model knows no class {name!r}{hint} It knows {', '.join(class_names)}"
