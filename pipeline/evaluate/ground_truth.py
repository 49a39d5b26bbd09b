"""Ground truth of recordings with objects of several classes, and how MOTChallenge's scoring is applied to it.

MOTChallenge scores one class, pedestrians. So each class is scored in a pass of its own, in which its objects and the
boxes published under its name take the pedestrian's number and all others are left away: a box of the wrong class is
false for the class it claims, and missing for the class it hides. The pass over all takes every object and every box,
and does not ask for classes.

Objects that are hardly visible or tiny are neither wanted nor false. For this MOTChallenge has distractors: boxes are
matched with wanted objects and distractors alike (Hungarian, from IoU 0.5), those that fall on a distractor are taken
out, and so are the distractors. An object is a distractor only in the frames in which it is not asked for; a box that
lies as well on a wanted object as on a distractor may go to either, as on MOTChallenge itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.detections import Tracks
from pipeline.errors import EvaluationError
from pipeline.evaluate.mot import FrameTruth, Sequence, by_frame, each_frame, first_of, read_rows, read_seqinfo
from pipeline.evaluate.precision import Truth

LEAST_HEIGHT_PX, LEAST_WIDTH_PX, LEAST_VISIBILITY = 10.0, 4.0, 0.25
"""Smaller or more hidden objects are not asked for; the sample model is trained and measured by the same rule."""
PEDESTRIAN, DISTRACTOR = 1, 8
"""MOTChallenge's numbers of these classes."""
VISIBILITY_COLUMN = 8


@dataclass(frozen=True, slots=True)
class GroundTruth:
    """What a recording shows.

    Attributes:
        sequence: Its frames. `considered` is 0 where an object is not asked for, and `class_id` counts the labels from
            1. Boxes are in published coordinates: the left edge of the first pixel is 0.
        labels: The names of the classes.
    """

    sequence: Sequence
    labels: tuple[str, ...]

    def asked_for(self, label: str) -> int:
        """In how many boxes objects of a class are asked for."""
        number = self._number(label)
        return sum(int(((t.considered != 0) & (t.class_id == number)).sum()) for t in self.sequence.truth)

    def on(self, number: int) -> Truth:
        """What frame `number`, from 0, shows; classes are counted from 0."""
        truth = self.sequence.truth[number]
        xyxy = np.hstack([truth.ltwh[:, :2], truth.ltwh[:, :2] + truth.ltwh[:, 2:]]).astype(np.float32)
        return Truth(xyxy, (truth.class_id - 1).astype(np.int32), truth.considered != 0)

    def of_class(self, label: str | None) -> Sequence:
        """The objects of one class, or of all, as pedestrians and distractors."""
        number = self._number(label)
        return replace(self.sequence, truth=tuple(_as_pedestrians(truth, number) for truth in self.sequence.truth))

    def tracks_of_class(self, tracks: list[Tracks], label: str | None) -> list[Tracks]:
        """The boxes of one class, or all; their `class_id` counts the labels from 1."""
        number = self._number(label)
        return tracks if number is None else [found[found.class_id == number] for found in tracks]

    def _number(self, label: str | None) -> int | None:
        return None if label is None else self.labels.index(label) + 1


def read_ground_truth(folder: Path) -> GroundTruth:
    """The ground truth in `folder`, in MOTChallenge's layout, its labels there or one folder up.

    `gt.txt` has `frame, id, left, top, width, height, conf, class` and may have `visibility`; frames, ids, classes and
    pixels count from 1. Rows of `conf` 0 are not asked for. `labels.txt` names the classes, one a line.

    Raises:
        EvaluationError: A file is missing or cannot be read, or its parts do not fit together.
    """
    told = read_seqinfo(folder / "seqinfo.ini")
    labels = _read_labels(folder)
    path = first_of(folder, "gt.txt", "gt/gt.txt")
    rows = read_rows(path, least_columns=VISIBILITY_COLUMN)
    if len(rows) and not (rows[:, 0].min() >= 1 and rows[:, 0].max() <= told.length):
        raise EvaluationError(f"{path} has frames outside 1 to {told.length}, the seqLength of {folder}/seqinfo.ini")
    if len(rows) and not (rows[:, 7].min() >= 1 and rows[:, 7].max() <= len(labels)):
        raise EvaluationError(f"{path} has classes outside 1 to {len(labels)}, the lines of labels.txt")
    truth = each_frame(_truth, by_frame(rows, 1, told.length))
    return GroundTruth(Sequence(folder.name, told.picture_wh, told.fps, truth, ()), labels)


def _read_labels(folder: Path) -> tuple[str, ...]:
    """CVAT exports them to `gt/`; several recordings may share one file above them."""
    path = first_of(folder, "gt/labels.txt", "labels.txt", "../labels.txt")
    try:
        labels = tuple(line.strip() for line in path.read_text().splitlines() if line.strip())
    except (OSError, ValueError) as error:
        raise EvaluationError(
            f"{folder} and {folder.parent} have no labels.txt with the names of the classes, one a line"
        ) from error
    if len(set(labels)) < len(labels) or not labels:
        raise EvaluationError(f"{path} is empty, or names a class twice")
    return labels


def _truth(rows: NDArray[np.float64]) -> FrameTruth:
    visibility = rows[:, VISIBILITY_COLUMN] if rows.shape[1] > VISIBILITY_COLUMN else np.ones(len(rows))
    asked = (rows[:, 4] >= LEAST_WIDTH_PX) & (rows[:, 5] >= LEAST_HEIGHT_PX)
    asked &= (visibility >= LEAST_VISIBILITY) & (rows[:, 6] != 0)
    ltwh = rows[:, 2:6] - (1, 1, 0, 0)
    return FrameTruth(rows[:, 1].astype(np.int64), ltwh, asked.astype(np.int64), rows[:, 7].astype(np.int64))


def _as_pedestrians(truth: FrameTruth, number: int | None) -> FrameTruth:
    if not len(truth.class_id):
        return truth
    kept = np.ones(len(truth.class_id), bool) if number is None else truth.class_id == number
    asked = truth.considered[kept]
    return FrameTruth(truth.object_id[kept], truth.ltwh[kept], asked, np.where(asked != 0, PEDESTRIAN, DISTRACTOR))
