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

# The first twelve lines lie as in `Tracks.figures`, so that these are one copy.
_NOW, _SCORE, _COVARIANCE, _VELOCITY, _MEAN = slice(0, 4), 4, slice(5, 8), slice(8, 12), slice(12, 16)
_SEEN, _SEEN_BOX, _SEEN_AT = slice(16, 21), slice(16, 20), 20
_BEFORE, _BEFORE_BOX, _BEFORE_AT = slice(21, 26), slice(21, 25), 25
_VOTE, _SURE, _LINES = 26, 27, 28
_SHOWN = slice(0, 12)
_SINCE, _STANDARD_DEVIATIONS = 5, slice(6, 8)


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
        return self.table.shape[1]

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
        table[_SEEN_BOX] = table[_BEFORE_BOX] = table[_NOW] = table[_MEAN] = found.xyxy.T
        table[_SEEN_AT] = table[_BEFORE_AT] = at_s
        table[_VELOCITY] = np.concatenate([velocity_xy, velocity_xy])
        table[_COVARIANCE] = kalman.first_covariance(_height(table[_MEAN]))
        table[_SCORE] = table[_VOTE] = found.score
        names = np.array([np.arange(first_id, first_id + count), found.class_id], np.int64)
        return cls(table, names, np.zeros(count, np.bool_), np.zeros(count, np.bool_))

    @property
    def class_id(self) -> NDArray[np.int64]:
        """(N,): the class that most of its detections were of."""
        return self.names[1]

    @property
    def mean(self) -> Floats:
        """(4, N): the filtered box, xyxy px, at the last update."""
        return self.table[_MEAN]

    @property
    def velocity(self) -> Floats:
        """(4, N): how the mean changes, px/s."""
        return self.table[_VELOCITY]

    @property
    def covariance(self) -> Floats:
        """(3, N), see `kalman`."""
        return self.table[_COVARIANCE]

    @property
    def seen(self) -> Floats:
        """(4, N): the last detected box, xyxy px."""
        return self.table[_SEEN_BOX]

    @property
    def seen_at(self) -> Floats:
        """(N,): when it was, s."""
        line: Floats = self.table[_SEEN_AT]
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
        return self.table[_NOW]

    @property
    def shown(self) -> NDArray[np.bool_]:
        """(N,): what has boxes: seen more than once, or sure to be there."""
        shown: NDArray[np.bool_] = self.confirmed | (self.table[_SURE] > 0)
        return shown

    def figures(self, since_s: Floats) -> NDArray[np.float32]:
        """(12, N): as `Tracks` has them, of the last update; `since_s` is (N,), how long ago each was detected."""
        figures = self.table[_SHOWN].astype(np.float32)
        figures[_SINCE] = since_s
        deviations = figures[_STANDARD_DEVIATIONS]
        np.sqrt(deviations, out=deviations)
        return figures

    def be_sure(self, which: NDArray[np.bool_]) -> None:
        """(N,): these have boxes although they were seen only once."""
        self.table[_SURE] = which

    def advance(self, elapsed_s: float) -> None:
        """Carry all on by `elapsed_s` ≥ 0."""
        mean = self.table[_MEAN]
        self.table[_COVARIANCE] = kalman.advance(self.table[_COVARIANCE], _height(mean), elapsed_s)
        mean += self.table[_VELOCITY] * elapsed_s
        self.table[_NOW] = mean

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
        box = table[_NOW]
        box[:] = found.xyxy.T
        table[_SEEN_BOX] = box
        table[_SEEN_AT] = at_s
        noise = kalman.measurement_var(_height(box), found.score)
        mean, velocity = table[_MEAN], table[_VELOCITY]
        surprise = box - mean
        gain, velocity_gain = kalman.correct(table[_COVARIANCE], noise)
        mean += gain * surprise
        velocity += velocity_gain * surprise
        self._vote(index, table, found)
        self.table[:, index] = table
        self.confirmed[index] = True

    def _vote(self, index: NDArray[np.intp], table: Floats, found: Detections) -> None:
        """A track changes its class only when another one has gathered more score."""
        table[_SCORE] = found.score
        class_id, vote = self.class_id, table[_VOTE]
        other = class_id[index] != found.class_id
        if other.any():
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
