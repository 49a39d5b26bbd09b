"""What is known of all tracks of a camera, one column a track, in a few arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.detections import Detections
from pipeline.track import kalman

Floats = NDArray[np.float64]

LARGEST_VOTE = 5.0
"""Summed score that a class can gather: after that many clear detections of another one the track changes."""


@dataclass(slots=True)
class Rows:
    """N tracks.

    Attributes:
        track_id: (N,) int64.
        class_id: (N,) int32.
        vote: (N,) float64, score gathered for the class against others.
        score: (N,) float32, of the last detection.
        confirmed: (N,) bool, seen more than once.
        ended: (N,) bool, kept for one more interpolation.
        seen: (4, N) float64, xyxy px, the last detected box.
        seen_at: (N,) float64, s.
        before: (4, N) float64, xyxy px, the last but one detected box, or the same.
        before_at: (N,) float64, s.
        mean: (4, N) float64, centre x, centre y, width, height px, now.
        velocity: (4, N) float64, of these, px/s.
        covariance: (3, N) float64, see `kalman`.
    """

    track_id: NDArray[np.int64]
    class_id: NDArray[np.int32]
    vote: Floats
    score: NDArray[np.float32]
    confirmed: NDArray[np.bool_]
    ended: NDArray[np.bool_]
    seen: Floats
    seen_at: Floats
    before: Floats
    before_at: Floats
    mean: Floats
    velocity: Floats
    covariance: Floats

    def __len__(self) -> int:
        return len(self.track_id)

    def __getitem__(self, which: NDArray[np.bool_]) -> Rows:
        """A copy of some."""
        return Rows(*(getattr(self, name)[..., which] for name in self.__slots__))

    def __add__(self, other: Rows) -> Rows:
        """A copy of both."""
        return Rows(*(np.concatenate([getattr(self, n), getattr(other, n)], axis=-1) for n in self.__slots__))

    @classmethod
    def born(cls, found: Detections, at_s: float, first_id: int, velocity_xy: Floats) -> Rows:
        """A track a detection, with ids from `first_id`; `velocity_xy` is (2, 1) or (2, N) px/s."""
        count = len(found)
        box = np.ascontiguousarray(found.xyxy.T, np.float64)
        mean = kalman.to_cxcywh(box)
        velocity = np.zeros((4, count))
        velocity[:2] = velocity_xy
        at = np.full(count, at_s)
        return cls(
            track_id=np.arange(first_id, first_id + count, dtype=np.int64),
            class_id=found.class_id.copy(),
            vote=found.score.astype(np.float64),
            score=found.score.copy(),
            confirmed=np.zeros(count, np.bool_),
            ended=np.zeros(count, np.bool_),
            seen=box,
            seen_at=at,
            before=box.copy(),
            before_at=at.copy(),
            mean=mean,
            velocity=velocity,
            covariance=kalman.first_covariance(mean[3]),
        )

    def advance(self, elapsed_s: float) -> None:
        """Carry all on by `elapsed_s` ≥ 0."""
        self.covariance = kalman.advance(self.covariance, self.mean[3], elapsed_s)
        self.mean += self.velocity * elapsed_s

    def take(self, index: NDArray[np.intp], found: Detections, at_s: float) -> None:
        """The tracks at `index` were seen at `at_s` as `found`, one each; that confirms them."""
        box = found.xyxy.T.astype(np.float64)
        measured = kalman.to_cxcywh(box)
        self.before[:, index], self.before_at[index] = self.seen[:, index], self.seen_at[index]
        self.seen[:, index], self.seen_at[index] = box, at_s
        self.score[index] = found.score
        self.confirmed[index] = True
        noise = kalman.measurement_var(measured[3], found.score)
        gain, velocity_gain, self.covariance[:, index] = kalman.gains(self.covariance[:, index], noise)
        surprise = measured - self.mean[:, index]
        self.mean[:, index] += gain * surprise
        self.velocity[:, index] += velocity_gain * surprise
        self._vote(index, found)

    def _vote(self, index: NDArray[np.intp], found: Detections) -> None:
        """A track changes its class only when another one has gathered more score."""
        other = self.class_id[index] != found.class_id
        vote = self.vote[index] + np.where(other, -found.score, found.score)
        if other.any():
            changed = vote < 0
            self.class_id[index[changed]] = found.class_id[changed]
            vote = np.abs(vote)
        self.vote[index] = np.minimum(vote, LARGEST_VOTE)
