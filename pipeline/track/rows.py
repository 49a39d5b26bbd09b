"""What is known of all tracks of a camera, one column a track."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.detections import Detections
from pipeline.track import kalman

Floats = NDArray[np.float64]

LARGEST_VOTE = 5.0
"""Summed score that a class can gather: after that many clear detections of another one the track changes."""

# The lines of the table. The first twelve lie as in `Tracks.figures`, so that these are one copy.
NOW, SCORE, COVARIANCE, VELOCITY, MEAN = slice(0, 4), 4, slice(5, 8), slice(8, 12), slice(12, 16)
SHOWN, KNOWN = slice(0, 12), slice(0, 21)
_MOVEMENT = slice(VELOCITY.start, MEAN.stop)
_SEEN, _SEEN_BOX, SEEN_AT = slice(16, 21), slice(16, 20), 20
_BEFORE, _BEFORE_BOX, _BEFORE_AT = slice(21, 26), slice(21, 25), 25
_VOTE, _SURE, _LINES = 26, 27, 28


@dataclass(slots=True)
class Rows:
    """N tracks.

    All floats lie in one array, so that taking detections, ending and beginning cost one copy each and not ten; the
    properties are views into it that may be written to.

    Attributes:
        table: (28, N) float64.
        names: (2, N) int64: track and class.
        confirmed: (N,) bool, seen more than once.
        ended: (N,) bool, kept for one more interpolation.
    """

    table: Floats
    names: NDArray[np.int64]
    confirmed: NDArray[np.bool_]
    ended: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.confirmed)

    def __getitem__(self, which: NDArray[np.bool_]) -> Rows:
        """A copy of some."""
        return Rows(self.table[:, which], self.names[:, which], self.confirmed[which], self.ended[which])

    def __add__(self, other: Rows) -> Rows:
        """A copy of both."""
        return Rows(
            np.concatenate([self.table, other.table], axis=1),
            np.concatenate([self.names, other.names], axis=1),
            np.concatenate([self.confirmed, other.confirmed]),
            np.concatenate([self.ended, other.ended]),
        )

    @classmethod
    def born(cls, found: Detections, at_s: float, first_id: int, velocity_xy: Floats) -> Rows:
        """A track a detection, with ids from `first_id`; `velocity_xy` is (2, 1) or (2, N) px/s."""
        count = len(found)
        table = np.zeros((_LINES, count))
        table[_SEEN_BOX] = table[_BEFORE_BOX] = table[NOW] = table[MEAN] = found.xyxy.T
        table[SEEN_AT] = table[_BEFORE_AT] = at_s
        table[VELOCITY] = np.concatenate([velocity_xy, velocity_xy])
        table[COVARIANCE] = kalman.first_covariance(_height(table[MEAN]))
        table[SCORE] = table[_VOTE] = found.score
        names = np.array([np.arange(first_id, first_id + count), found.class_id], np.int64)
        return cls(table, names, np.zeros(count, np.bool_), np.zeros(count, np.bool_))

    @property
    def class_id(self) -> NDArray[np.int64]:
        """(N,): the class that most of its detections were of."""
        line: NDArray[np.int64] = self.names[1]
        return line

    @property
    def mean(self) -> Floats:
        """(4, N): the filtered box, xyxy px, at the last update."""
        return self.table[MEAN]

    @property
    def velocity(self) -> Floats:
        """(4, N): how the mean changes, px/s."""
        return self.table[VELOCITY]

    @property
    def covariance(self) -> Floats:
        """(3, N), see `kalman`."""
        return self.table[COVARIANCE]

    @property
    def seen(self) -> Floats:
        """(4, N): the last detected box, xyxy px."""
        return self.table[_SEEN_BOX]

    @property
    def seen_at(self) -> Floats:
        """(N,): when it was, s."""
        line: Floats = self.table[SEEN_AT]
        return line

    @property
    def before(self) -> Floats:
        """(4, N): the last but one detected box, xyxy px; the same for a new track."""
        return self.table[_BEFORE_BOX]

    @property
    def before_at(self) -> Floats:
        """(N,): when it was, s."""
        line: Floats = self.table[_BEFORE_AT]
        return line

    @property
    def now(self) -> Floats:
        """(4, N): the box at the last update, xyxy px; the detected one for what was seen there."""
        return self.table[NOW]

    @property
    def shown(self) -> NDArray[np.bool_]:
        """(N,): what has boxes: seen more than once, or sure to be there."""
        shown: NDArray[np.bool_] = self.confirmed | (self.table[_SURE] > 0)
        return shown

    def figures(self, since_s: Floats) -> NDArray[np.float32]:
        """(12, N): as `Tracks` has them, of the last update; `since_s` is (N,), how long ago each was detected."""
        return figures_of(self.table, self.table[COVARIANCE][1], since_s)

    def be_sure(self, which: NDArray[np.bool_]) -> None:
        """(N,): these have boxes although they were seen only once."""
        self.table[_SURE] = which

    def advance(self, elapsed_s: float) -> None:
        """Carry all on by `elapsed_s` ≥ 0."""
        mean = self.table[MEAN]
        self.table[COVARIANCE] = kalman.advance(self.table[COVARIANCE], _height(mean), elapsed_s)
        mean += self.table[VELOCITY] * elapsed_s
        self.table[NOW] = mean

    def shift(self, by: Floats, faster: Floats) -> None:
        """Move all by (2, 1) or (2, N) px and make them faster by px/s."""
        by, faster = np.concatenate([by, by]), np.concatenate([faster, faster])
        mean, now, velocity = self.mean, self.now, self.velocity
        mean += by
        now += by
        velocity += faster

    def correct(self, index: NDArray[np.intp], found: Detections, at_s: float) -> None:
        """The tracks at `index` were seen at `at_s` as `found`, one each; that confirms them."""
        table = self.table[:, index]
        table[_BEFORE] = table[_SEEN]
        box = table[NOW]
        box[:] = found.xyxy.T
        table[_SEEN_BOX] = box
        table[SEEN_AT] = at_s
        noise = kalman.measurement_var(_height(box), found.score)
        gains = kalman.correct(table[COVARIANCE], noise)
        movement = table[_MOVEMENT].reshape(2, 4, -1)
        movement += gains[:, None] * (box - table[MEAN])
        self._vote(index, table, found)
        self.table[:, index] = table
        self.confirmed[index] = True

    def _vote(self, index: NDArray[np.intp], table: Floats, found: Detections) -> None:
        """A track changes its class only when another one has gathered more score."""
        table[SCORE] = found.score
        class_id, vote = self.class_id, table[_VOTE]
        other = class_id[index] != found.class_id
        if np.count_nonzero(other):
            vote += np.where(other, -found.score, found.score)
            changed = vote < 0
            class_id[index[changed]] = found.class_id[changed]
            np.abs(vote, out=vote)
        else:
            vote += found.score
        np.minimum(vote, LARGEST_VOTE, out=vote)


def _height(xyxy: Floats) -> Floats:
    height: Floats = xyxy[3] - xyxy[1]
    return height


def figures_of(table: Floats, position_var: Floats, since_s: Floats) -> NDArray[np.float32]:
    """(12, N): the lines `SHOWN` of a table as `Tracks.figures`.

    Variances become standard deviations; the mixed one, which nobody is shown, gives its place to the age.

    Args:
        table: (12 or more, N).
        position_var: (N,) px²: how uncertain the boxes are.
        since_s: (N,) s: how long ago each was detected.
    """
    figures = table[SHOWN].astype(np.float32)
    figures[5], figures[6] = since_s, position_var
    deviations = figures[6:8]
    np.sqrt(deviations, out=deviations)
    return figures
