"""Sequences in MOTChallenge's format: what there is to track, and what a detector saw of it."""

from __future__ import annotations

import configparser
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pipeline.detections import Detections
from pipeline.errors import EvaluationError

R = TypeVar("R")

MOST = 1e9
"""No frame, id or pixel counts as far."""
MOST_FRAMES = 200_000
"""Two hours at 25 fps; every frame takes time and memory, whatever is in it."""


@dataclass(frozen=True, slots=True)
class FrameTruth:
    """The ground truth of one frame, of all classes; MOTChallenge's preprocessing chooses.

    Attributes:
        object_id: (N,) int64.
        ltwh: (N, 4) float64, left, top, width, height, px.
        considered: (N,) int64, 0 where the row is not to be scored.
        class_id: (N,) int64, MOTChallenge's numbers: 1 is a pedestrian.
    """

    object_id: NDArray[np.int64]
    ltwh: NDArray[np.float64]
    considered: NDArray[np.int64]
    class_id: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Sequence:
    """Consecutive frames: the picture size, the rate, and per frame the truth and the detections.

    `pictures` are the files of `img1/`, one a frame, or none where the folder is missing.
    """

    name: str
    picture_wh: tuple[int, int]
    fps: float
    truth: tuple[FrameTruth, ...]
    detections: tuple[Detections, ...]
    pictures: tuple[Path, ...] = ()

    def __len__(self) -> int:
        return len(self.truth)


def read_sequence(folder: Path, *, second_half: bool) -> Sequence:
    """The sequence in `folder` (`gt.txt`, `det.txt`, `seqinfo.ini`), or frames from n // 2 + 1 on alone.

    Raises:
        EvaluationError: A file is missing or cannot be read.
    """
    seqinfo = read_seqinfo(folder / "seqinfo.ini")
    length = seqinfo.length
    start = length // 2 + 1 if second_half else 1
    truth = by_frame(read_rows(first_of(folder, "gt.txt", "gt/gt.txt"), least_columns=8), start, length)
    found = by_frame(read_rows(first_of(folder, "det.txt", "det/det.txt"), least_columns=7), start, length)
    return Sequence(
        name=seqinfo.name,
        picture_wh=seqinfo.picture_wh,
        fps=seqinfo.fps,
        truth=each_frame(_truth, truth),
        detections=each_frame(_detections, found),
        pictures=tuple(sorted((folder / "img1").glob("*.*"))[start - 1 : length]),
    )


@dataclass(frozen=True, slots=True)
class SeqInfo:
    """What `seqinfo.ini` says: the sequence's name, frames, picture size and rate."""

    name: str
    length: int
    picture_wh: tuple[int, int]
    fps: float


def read_seqinfo(path: Path) -> SeqInfo:
    """A sequence's description.

    Raises:
        EvaluationError: The file is missing, or none of MOTChallenge's.
    """
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(path.read_text())
        section = parser["Sequence"]
        length, width, height = (int(section[key]) for key in ("seqLength", "imWidth", "imHeight"))
        fps = float(section["frameRate"])
    except (OSError, KeyError, ValueError, configparser.Error) as error:
        raise EvaluationError(f"{path} is no MOTChallenge seqinfo.ini: {error}") from error
    if not min(length, width, height) > 0 or not fps > 0:
        raise EvaluationError(f"{path}: seqLength, imWidth, imHeight and frameRate must be positive")
    if not (length <= MOST_FRAMES and max(width, height, fps) <= MOST):
        raise EvaluationError(f"{path}: more than {MOST_FRAMES} frames, or a size or rate that is none")
    return SeqInfo(section.get("name", path.parent.name), length, (width, height), fps)


def first_of(folder: Path, *names: str) -> Path:
    """The first of `names` that exists, or the first."""
    return next((folder / name for name in names if (folder / name).exists()), folder / names[0])


def read_rows(path: Path, *, least_columns: int) -> NDArray[np.float64]:
    """(N, at least `least_columns`) float64 of a comma-separated file; all of them finite.

    Raises:
        EvaluationError: The file is missing, holds something else, or has fewer columns.
    """
    try:
        lines = [line for line in path.read_text().splitlines() if line.strip()]
        rows = np.loadtxt(lines, delimiter=",", ndmin=2, comments=None) if lines else np.zeros((0, least_columns))
    except (OSError, ValueError) as error:
        raise EvaluationError(f"{path} is no MOTChallenge file: {error}") from error
    if not (np.abs(rows) <= MOST).all():
        raise EvaluationError(f"{path} holds a number that is none, or larger than {MOST:g}")
    if rows.shape[1] < least_columns:
        raise EvaluationError(f"{path}: {rows.shape[1]} columns, at least {least_columns} are needed")
    return np.asarray(rows, np.float64)


def by_frame(rows: NDArray[np.float64], start: int, length: int) -> list[NDArray[np.float64]]:
    """The rows of each frame from `start` to `length`; their first column counts frames from 1."""
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    bounds = np.searchsorted(rows[:, 0], np.arange(start, length + 2))
    return [rows[a:b] for a, b in pairwise(bounds)]


def each_frame(read: Callable[[NDArray[np.float64]], R], frames: Iterable[NDArray[np.float64]]) -> tuple[R, ...]:
    """What `read` makes of the rows of each frame; frames without any share one value, so that they cost little."""
    nothing: list[R] = []

    def one(rows: NDArray[np.float64]) -> R:
        if len(rows):
            return read(rows)
        if not nothing:
            nothing.append(read(rows))
        return nothing[0]

    return tuple(map(one, frames))


def _truth(rows: NDArray[np.float64]) -> FrameTruth:
    return FrameTruth(
        rows[:, 1].astype(np.int64), rows[:, 2:6], rows[:, 6].astype(np.int64), rows[:, 7].astype(np.int64)
    )


def _detections(rows: NDArray[np.float64]) -> Detections:
    """All of one class: MOTChallenge's detections have none."""
    xyxy = np.concatenate([rows[:, 2:4], rows[:, 2:4] + rows[:, 4:6]], axis=1).astype(np.float32)
    return Detections(xyxy, rows[:, 6].astype(np.float32), np.zeros(len(rows), np.int32))
