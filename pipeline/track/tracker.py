"""One camera's objects: kept from detection to detection, predicted in between.

A structured array holds one row a track; every step works on all rows at once. Time is an argument: nothing here knows
of frames or rates, so the same parameters serve 30 and 5 detections a second.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.detections import Detections, Origin, Tracks
from pipeline.geometry import clip, iou_matrix
from pipeline.track import kalman
from pipeline.track.association import assign

ROW = np.dtype(
    [
        ("track_id", np.int64),
        ("class_id", np.int32),
        ("class_weight", np.float64),
        ("score", np.float32),
        ("confirmed", np.bool_),
        ("ended", np.bool_),
        ("seen", np.float64, 4),
        ("seen_at", np.float64),
        ("before", np.float64, 4),
        ("before_at", np.float64),
        *kalman.MOTION,
    ]
)
"""A track. `seen` and `before` are its last and its last but one detected box, xyxy px, with their times, s."""


@dataclass(frozen=True, slots=True)
class TrackerConfig:
    """What the tracker believes. One set serves every rate of detection; times are in seconds.

    Attributes:
        high_score: Detections from here on may continue any track.
        low_score: Weaker ones, down to this, may only continue a track that was seen in the last detection.
        birth_score: An unmatched detection from here on starts a track.
        match_similarity: Least IoU × score of a track and a high detection.
        low_match_iou: Least IoU of a track and a low detection.
        tentative_iou: Least IoU × score of a track that was seen only once and a high detection.
        other_class_iou: Least IoU of a track and a detection of another class.
        lost_s: How long an unseen track can still be found again.
        max_fill_s: How long an unseen track still has boxes.
        clip: Cut boxes off at the picture's edges. MOTChallenge's boxes reach beyond, so its evaluation does not.
    """

    high_score: float = 0.6
    low_score: float = 0.1
    birth_score: float = 0.7
    match_similarity: float = 0.2
    low_match_iou: float = 0.5
    tentative_iou: float = 0.3
    other_class_iou: float = 0.7
    lost_s: float = 1.0
    max_fill_s: float = 0.5
    clip: bool = True


class Tracker:
    """The objects of one camera in one session. Track ids start at 1 and are never used again.

    Not thread-safe. Results are copies and belong to the caller.
    """

    def __init__(self, config: TrackerConfig, picture_wh: tuple[int, int]) -> None:
        self._config = config
        self._picture_wh = picture_wh
        self._rows = np.zeros(0, ROW)
        self._at_s: float | None = None
        self._next_id = 1

    def update(self, detections: Detections, at_s: float) -> Tracks:
        """Objects on the frame captured at `at_s` (stream time, s), on which the detector found `detections`.

        Boxes that are not finite, have no area or lie outside the picture are ignored. A time that is not after the
        one before counts as the same moment.
        """
        first = self._at_s is None
        elapsed_s = 0.0 if self._at_s is None else max(0.0, at_s - self._at_s)
        self._at_s = at_s if self._at_s is None else max(at_s, self._at_s)
        self._rows = self._rows[~self._rows["ended"]]
        kalman.advance(self._rows, elapsed_s)
        found = self._sound(detections)
        unmatched = self._associate(found)
        self._end()
        self._give_birth(found[unmatched], confirmed=first)
        return self._tracks(self._visible(at_s), at_s)

    def predict(self, at_s: float) -> Tracks:
        """Objects on a frame captured at `at_s` ≥ the last `update`, on which the detector did not run."""
        if self._at_s is None:
            return Tracks.empty()
        return self._tracks(self._visible(max(at_s, self._at_s)), at_s)

    def interpolate(self, at_s: float) -> Tracks:
        """Objects on a frame between the last two `update`s, or on the earlier of them, knowing both.

        Also holds tracks that were confirmed only by the later one.
        """
        rows = self._rows[self._rows["confirmed"]]
        rows = rows[(rows["before_at"] <= at_s) | (rows["seen_at"] <= at_s)]
        follows = rows["seen_at"] > at_s
        span_s = np.maximum(rows["seen_at"] - rows["before_at"], 1e-9)
        share = np.clip((at_s - rows["before_at"]) / span_s, 0.0, 1.0)[:, None]
        between = rows["before"] * (1.0 - share) + rows["seen"] * share
        since_s = at_s - np.where(follows, rows["before_at"], rows["seen_at"])
        exact = since_s < 1e-6
        elapsed_s = at_s - (self._at_s if self._at_s is not None else at_s)
        carried = kalman.to_xyxy(rows["mean"] + rows["velocity"] * elapsed_s)
        boxes = np.where(follows[:, None], between, np.where(exact[:, None], rows["seen"], carried))
        origin = np.where(exact, Origin.DETECTED, np.where(follows, Origin.INTERPOLATED, Origin.PREDICTED))
        in_view = ~self._outside(rows["mean"] + rows["velocity"] * elapsed_s) & (since_s <= self._config.max_fill_s)
        keep = follows | exact | in_view
        return self._packed(rows[keep], boxes[keep], origin[keep], since_s[keep], 0.0)

    def _sound(self, detections: Detections) -> Detections:
        """Those that can be worked with."""
        xyxy, score = detections.xyxy, detections.score
        with np.errstate(invalid="ignore"):
            width, height = self._picture_wh
            inside = np.minimum(xyxy[:, 2:], (width, height)) - np.maximum(xyxy[:, :2], 0.0)
            sound = np.isfinite(xyxy).all(axis=1) & (inside > 0).all(axis=1) & (score >= self._config.low_score)
        return detections[sound]

    def _associate(self, found: Detections) -> NDArray[np.bool_]:
        """Give detections to tracks; (N,) true for the high ones that are left."""
        config, rows = self._config, self._rows
        boxes = kalman.to_xyxy(rows["mean"]).astype(np.float32)
        iou = iou_matrix(boxes, found.xyxy)
        iou[(rows["class_id"][:, None] != found.class_id) & (iou < config.other_class_iou)] = 0.0
        fused = iou * found.score
        high = found.score >= config.high_score
        free_rows, free = np.ones(len(rows), np.bool_), np.ones(len(found), np.bool_)
        recent = rows["seen_at"] >= rows["seen_at"].max(initial=-np.inf) - 1e-6
        stages = (
            (fused, rows["confirmed"], high, config.match_similarity),
            (iou, rows["confirmed"] & recent, ~high, config.low_match_iou),
            (fused, ~rows["confirmed"], high, config.tentative_iou),
        )
        for similarity, which_rows, which, least in stages:
            row_index, index = np.flatnonzero(which_rows & free_rows), np.flatnonzero(which & free)
            if not len(row_index) or not len(index):
                continue
            r, c = assign(similarity[np.ix_(row_index, index)], least)
            self._take(row_index[r], found[index[c]])
            free_rows[row_index[r]] = False
            free[index[c]] = False
        return np.asarray(free & high)

    def _take(self, index: NDArray[np.intp], found: Detections) -> None:
        """The rows at `index` were seen as `found`, one each."""
        rows = self._rows
        rows["before"][index], rows["before_at"][index] = rows["seen"][index], rows["seen_at"][index]
        rows["seen"][index], rows["seen_at"][index] = found.xyxy, self._at_s
        rows["score"][index] = found.score
        rows["confirmed"][index] = True
        kalman.correct(rows, index, kalman.to_cxcywh(found.xyxy))
        self._vote(index, found)

    def _vote(self, index: NDArray[np.intp], found: Detections) -> None:
        """A track changes its class only when the other one has gathered more score."""
        rows = self._rows
        same = rows["class_id"][index] == found.class_id
        weight = rows["class_weight"][index] + np.where(same, found.score, -found.score)
        changed = index[weight < 0]
        rows["class_weight"][index] = np.minimum(np.abs(weight), 5.0)
        rows["class_id"][changed] = found.class_id[weight < 0]

    def _end(self) -> None:
        """Mark what is over; it stays for one more interpolation."""
        rows, config = self._rows, self._config
        assert self._at_s is not None
        unseen_s = self._at_s - rows["seen_at"]
        rows["ended"] = (unseen_s > config.lost_s) | (~rows["confirmed"] & (unseen_s > 0)) | self._outside(rows["mean"])

    def _outside(self, cxcywh: kalman.Floats) -> NDArray[np.bool_]:
        """(N,) true where no more than an edge of the box is left in the picture."""
        xyxy = kalman.to_xyxy(cxcywh)
        width, height = self._picture_wh
        sides = np.minimum(xyxy[:, 2:], (width, height)) - np.maximum(xyxy[:, :2], 0.0)
        return np.asarray((sides <= 0).any(axis=1))

    def _give_birth(self, found: Detections, *, confirmed: bool) -> None:
        """Start a track for each detection that is good enough."""
        found = found[found.score >= self._config.birth_score]
        born = np.zeros(len(found), ROW)
        born["track_id"] = np.arange(self._next_id, self._next_id + len(found))
        self._next_id += len(found)
        born["class_id"], born["class_weight"], born["score"] = found.class_id, found.score, found.score
        born["confirmed"] = confirmed
        born["seen"] = born["before"] = found.xyxy
        born["seen_at"] = born["before_at"] = self._at_s
        kalman.start(born, kalman.to_cxcywh(found.xyxy))
        self._rows = np.concatenate([self._rows, born])

    def _visible(self, at_s: float) -> NDArray[np.bool_]:
        rows = self._rows
        return np.asarray(rows["confirmed"] & ~rows["ended"] & (at_s - rows["seen_at"] <= self._config.max_fill_s))

    def _tracks(self, which: NDArray[np.bool_], at_s: float) -> Tracks:
        """The rows of `which` as they are at `at_s`, at or after the last update."""
        rows = self._rows[which]
        assert self._at_s is not None
        since_s = np.maximum(at_s - rows["seen_at"], 0.0)
        exact = since_s < 1e-6
        mean = rows["mean"] + rows["velocity"] * max(0.0, at_s - self._at_s)
        boxes = np.where(exact[:, None], rows["seen"], kalman.to_xyxy(mean))
        keep = exact | ~self._outside(mean)
        origin = np.where(exact, Origin.DETECTED, Origin.PREDICTED)
        ahead_s = max(0.0, at_s - self._at_s)
        return self._packed(rows[keep], boxes[keep], origin[keep], since_s[keep], ahead_s)

    def _packed(
        self,
        rows: NDArray[np.void],
        boxes: kalman.Floats,
        origin: NDArray[np.integer],
        since_s: kalman.Floats,
        ahead_s: float,
    ) -> Tracks:
        xyxy = boxes.astype(np.float32)
        return Tracks(
            track_id=rows["track_id"].copy(),
            xyxy=clip(xyxy, self._picture_wh) if self._config.clip else xyxy,
            score=rows["score"].copy(),
            class_id=rows["class_id"].copy(),
            origin=origin.astype(np.uint8),
            since_detected_s=since_s.astype(np.float32),
            uncertainty_px=kalman.centre_std(rows, ahead_s).astype(np.float32),
        )
