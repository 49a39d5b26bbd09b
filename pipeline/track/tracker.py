"""One camera's objects: kept from detection to detection, predicted in between.

Every step works on all tracks at once. Time is an argument: nothing here knows of frames or rates, so the same
parameters serve 30 and 5 detections a second. It is ByteTrack's two-stage association (arXiv:2110.06864) with:

- the shift that all boxes have in common taken out first, which is what a moving camera does: +3.1 points of HOTA, the
  mean over strides 1, 2, 3, 5 and both fillings on MOT17-02, 05, 10, 11, and +4.5 with all else in place;
- boxes ended soon after the detector looked and did not find them, but shown for long where it did not look: +1.0;
- births from score 0.6 instead of ByteTrack's 0.7: +0.3 on clean detections, +1 to +2 on degraded ones;
- less velocity noise than ByteTrack (+0.4) and measurement noise by score (+0.2);
- new tracks that move as the others do: +0.3;
- boxes at once for what is surely there, where the detector does not look at every frame: +0.1 to +0.5 at strides 2
  to 8 on both halves of the sequences, with either pair of scores. Who is who is decided as without.

What did not help: GIoU as similarity (−5), buffered IoU for all (−0.2; better at strides 3 and 5, worse at 1), the
momentum and re-update of OC-SORT (−0.3 each), height-modulated IoU (0), a penalty by time unseen (0 to −0.4), low
scores for tracks unseen for longer (0), births confirmed by low scores (−0.2), a similarity transform or a robust mean
for the camera instead of the median (−2, −1). These figures are of
YOLOX-x with `high_score` 0.55 and `birth_score` 0.6, best there. The defaults are lower, because small models see most
objects with lower scores: what that gains and costs is in README.md beside, by `scripts/bench_scores.py`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.detections import Detections, Origin, Sighted, Tracks
from pipeline.geometry import iou_matrix
from pipeline.track.association import LEAST_SHIFT_PAIRS, assign, common_shift
from pipeline.track.outlook import Ahead, Outlook, foreseen
from pipeline.track.rows import Floats, Rows

SHIFT_TO_VELOCITY = 0.5
"""Share of the camera's shift that goes into the velocities: a camera that begins to turn will go on. 0 costs 0.4."""
LONGEST_PX = 1e6
"""A box whose coordinates add up to more is a broken one."""
EDGES = np.ones(4, np.float32)
SAME_MOMENT_S = 1e-6
SELDOM_S = 0.05
"""Between two detections: to wait for the second one then costs more than a false alarm that shows once."""


@dataclass(frozen=True, slots=True)
class TrackerConfig:
    """What the tracker believes. One set serves every rate of detection; times are in seconds.

    Attributes:
        high_score: Detections from here on may continue any track, and begin one if they reach `birth_score` too.
        low_score: Weaker ones, down to this, may only continue a track that was seen in the last detection.
        birth_score: An unmatched detection from here on starts a track; it has boxes from its second detection on.
        sure_score: From here on it has boxes at once, where the detector looks seldom (`SELDOM_S`).
        match_similarity: Least IoU × score of a track and a high detection.
        low_match_iou: Least IoU of a track and a low detection.
        tentative_similarity: Least IoU × score of a track that was seen only once and a high detection.
        other_class_iou: Least IoU of a track and a detection of another class.
        lost_s: How long an unseen track can still be found again.
        max_missed_s: How long a track has boxes that the detector looked for and did not find: a missed detection is to
            be bridged, an object that is gone has to end. 0.3 is alike, 0.1 costs 0.5, 1.0 costs 1.3.
        max_fill_s: How long a track has boxes since it was last detected, at most.
        clip: Cut boxes off at the picture's edges. MOTChallenge's boxes reach beyond, so its evaluation does not.
    """

    high_score: float = 0.4
    low_score: float = 0.1
    birth_score: float = 0.5
    sure_score: float = 0.7
    match_similarity: float = 0.2
    low_match_iou: float = 0.5
    tentative_similarity: float = 0.15
    other_class_iou: float = 0.7
    lost_s: float = 1.0
    max_missed_s: float = 0.2
    max_fill_s: float = 1.0
    clip: bool = True


class Tracker:
    """The objects of one camera in one session. Track ids start at 1 and are never used again.

    Not thread-safe. Results are copies and belong to the caller.
    """

    def __init__(self, config: TrackerConfig, picture_wh: tuple[int, int]) -> None:
        self._config = config
        self._picture_wh = picture_wh
        self._limits = np.array(picture_wh, np.float32)
        self._edges = np.array([[*picture_wh, *picture_wh]], np.float32).T
        self._rows = Rows.born(Detections.empty(), 0.0, 1, np.zeros((2, 1)))
        self._at_s: float | None = None
        self._next_id = 1
        self._affine: Floats | None = None
        self._camera_velocity = np.zeros((2, 3))
        self._outlook: Outlook | None = None

    def update(self, detections: Detections, at_s: float) -> Tracks:
        """Objects on the frame captured at `at_s` (stream time, s), on which the detector found `detections`.

        Boxes that are not finite, have no area or lie outside the picture are ignored. A time that is not after the
        one before counts as the same moment.
        """
        first = self._at_s is None
        self._outlook = None
        elapsed_s = 0.0 if self._at_s is None else max(0.0, at_s - self._at_s)
        self._at_s = at_s = at_s if self._at_s is None else max(at_s, self._at_s)
        if np.count_nonzero(self._rows.ended):
            self._rows = self._rows[~self._rows.ended]
        self._rows.advance(elapsed_s)
        self._apply_compensation(elapsed_s)
        found, high = self._sorted(detections)
        self._follow_camera(found, high, elapsed_s)
        unmatched = self._associate(found, high, at_s)
        self._end(at_s)
        if np.count_nonzero(unmatched):
            self._give_birth(found, unmatched, confirmed=first, sure_score=self._sure_score(elapsed_s))
        return self._now()

    def predict(self, at_s: float) -> Tracks:
        """Objects on a frame captured at `at_s` ≥ the last `update`, on which the detector did not run."""
        found = self.ahead(at_s)
        return foreseen([found])[0] if isinstance(found, Ahead) else found

    def ahead(self, at_s: float) -> Ahead | Tracks:
        """As `predict`, but for what is to be worked out together with the frames of other cameras (`foreseen`)."""
        if self._at_s is None:
            return Tracks.empty()
        if at_s <= self._at_s:
            return self._now()
        if self._outlook is None:
            self._outlook = self._look_ahead(self._at_s)
        return Ahead(self._outlook, at_s)

    @property
    def config(self) -> TrackerConfig:
        """What it believes."""
        return self._config

    def reconfigure(self, config: TrackerConfig) -> None:
        """Believe this from now on; the objects that are known stay."""
        self._config, self._outlook = config, None

    def forget(self) -> None:
        """Let go of every object; ids go on, so that none is used again."""
        self._rows, self._outlook = self._rows[np.zeros(len(self._rows), np.bool_)], None

    def sighted(self) -> Sighted:
        """The objects that the last `update` saw and not for the first time, by the boxes it was given."""
        rows = self._rows
        seen = rows.confirmed & ~rows.ended & (rows.seen_at == (self._at_s or 0.0))
        boxes = rows.seen[:, seen].T.astype(np.float32)
        return Sighted(rows.names[0, seen], boxes, tuple(rows.names[0, ~rows.ended].tolist()))

    @property
    def first_seen(self) -> int:
        """How many objects the last `update` saw for the first time; they have boxes if the next one confirms them."""
        return int(np.count_nonzero(~(self._rows.shown | self._rows.ended)))

    def interpolate(self, at_s: float) -> Tracks:
        """Objects on a frame between the last two `update`s, or on the earlier of them, knowing both.

        Also holds tracks that were confirmed only by the later one.
        """
        if self._at_s is None:
            return Tracks.empty()
        rows = self._rows[self._rows.confirmed & (self._rows.before_at <= at_s)]
        follows = rows.seen_at > at_s
        span_s = np.maximum(rows.seen_at - rows.before_at, SAME_MOMENT_S)
        share = np.minimum((at_s - rows.before_at) / span_s, 1.0)
        boxes = rows.before + (rows.seen - rows.before) * share
        since_s = at_s - np.where(follows, rows.before_at, rows.seen_at)
        exact = since_s < SAME_MOMENT_S
        boxes = np.where(follows | exact, boxes, rows.mean + rows.velocity * (at_s - self._at_s))
        velocity = np.where(follows, (rows.seen - rows.before) / span_s, rows.velocity)
        origin = np.where(exact, Origin.DETECTED, np.where(follows, Origin.INTERPOLATED, Origin.PREDICTED))
        keep = follows | exact | ((since_s <= self._longest_missed_s) & self._in_view(boxes) & ~rows.ended)
        figures = rows.figures(since_s)
        figures[:4], figures[8:] = boxes, velocity
        return self._tracks(rows, figures, origin)[keep]

    def compensate(self, affine: NDArray[np.float32]) -> None:
        """Take note of how the camera moved from the picture of the last `update` to that of the next one.

        Args:
            affine: (2, 3), source-frame px: where a point (x, y, 1) of the earlier picture is in the later one.
        """
        self._affine = np.asarray(affine, np.float64)

    def _sorted(self, detections: Detections) -> tuple[Detections, int]:
        """Those that can be worked with, and how many high ones come before the low ones."""
        xyxy, score = detections.xyxy, detections.score
        inside = np.minimum(xyxy[:, 2:], self._limits) > np.maximum(xyxy[:, :2], 0.0)
        sound = inside[:, 0] & inside[:, 1] & (score >= self._config.low_score)
        sound &= np.abs(xyxy) @ EDGES < LONGEST_PX
        if np.count_nonzero(sound) < len(sound):
            detections = detections[sound]
        high = detections.score >= self._config.high_score
        count = int(np.count_nonzero(high))
        if count < len(high):
            detections = detections[np.argsort(~high, kind="stable")]
        return detections, count

    def _apply_compensation(self, elapsed_s: float) -> None:
        """Move the tracks by what the camera did otherwise than before.

        Velocities are in the picture, the camera's share included, so that predictions between detections go on with
        it. Only the change of the camera's motion is news.
        """
        affine, self._affine = self._affine, None
        if affine is None or elapsed_s <= 0:
            return
        velocity = (affine - np.eye(2, 3)) / elapsed_s
        change, self._camera_velocity = velocity - self._camera_velocity, velocity
        rows = self._rows
        before = rows.mean - rows.velocity * elapsed_s
        centres = (before[:2] + before[2:]) / 2
        faster = change[:, :2] @ centres + change[:, 2:]
        rows.shift(faster * elapsed_s, faster)

    def _follow_camera(self, found: Detections, high: int, elapsed_s: float) -> None:
        """Move all tracks by what their detections have in common."""
        rows = self._rows
        if elapsed_s > 0:
            known = np.count_nonzero(rows.confirmed) == len(rows)
            boxes = rows.now if known else rows.now[:, rows.confirmed]
            shift = common_shift(boxes.T.astype(np.float32), found.xyxy[:high])[:, None]
            if np.count_nonzero(shift):
                rows.shift(shift, shift * (SHIFT_TO_VELOCITY / elapsed_s))

    def _associate(self, found: Detections, high: int, at_s: float) -> NDArray[np.bool_]:
        """Give detections to tracks; (N,) true for those that are left."""
        config, rows = self._config, self._rows
        owner = np.full(len(found), -1, np.intp)
        if not len(rows) or not len(found):
            return owner < 0
        iou = iou_matrix(rows.now.T.astype(np.float32), found.xyxy)
        if len({*rows.class_id.tolist(), *found.class_id.tolist()}) > 1:
            other = rows.class_id[:, None] != found.class_id
            iou[other & (iou < config.other_class_iou)] = 0.0
        fused = iou[:, :high] * found.score[:high]
        lone = rows.confirmed.copy()
        self._match(fused, lone, owner[:high], config.match_similarity)
        if high < len(found):
            lone &= rows.seen_at >= rows.seen_at.max()
            self._match(iou[:, high:], lone, owner[high:], config.low_match_iou)
        if np.count_nonzero(rows.confirmed) < len(rows):
            self._match(fused, ~rows.confirmed, owner[:high], config.tentative_similarity)
        left = owner < 0
        if np.count_nonzero(left):
            rows.correct(owner[~left], found[~left], at_s)
        else:
            rows.correct(owner, found, at_s)
        return left

    @staticmethod
    def _match(similarity: NDArray[np.float32], lone: NDArray[np.bool_], owner: NDArray[np.intp], least: float) -> None:
        """Give the detections that have no owner to lone tracks, and note both."""
        index, columns = lone.nonzero()[0], (owner < 0).nonzero()[0]
        if not len(index) or not len(columns):
            return
        if len(index) < len(lone):
            similarity = similarity[index]
        if len(columns) < len(owner):
            similarity = similarity[:, columns]
        r, c = assign(similarity, least)
        owner[columns[c]] = index[r]
        lone[index[r]] = False

    def _end(self, at_s: float) -> None:
        """Mark what is over; it stays for one more interpolation."""
        rows = self._rows
        unseen_s = at_s - rows.seen_at
        if np.count_nonzero(unseen_s):
            limit_s = np.where(rows.confirmed, self._config.lost_s, 0.0)
            rows.ended = (unseen_s > limit_s) | ((unseen_s > 0) & ~self._in_view(rows.now))

    def _sure_score(self, elapsed_s: float) -> float:
        """The score from which a new track has boxes at once, if the last detection is so long ago."""
        return self._config.sure_score if elapsed_s >= SELDOM_S else math.inf

    def _give_birth(
        self, found: Detections, unmatched: NDArray[np.bool_], *, confirmed: bool, sure_score: float
    ) -> None:
        """Start a track for each detection that is good enough, moving as the others do."""
        begins = unmatched & (found.score >= self._config.birth_score)
        if not np.count_nonzero(begins):
            return
        rows = self._rows
        known = rows.velocity[:2, rows.confirmed]
        common = np.zeros((2, 1))
        if known.shape[1] >= LEAST_SHIFT_PAIRS:
            common = np.median(known, axis=1, keepdims=True)
        born = Rows.born(found[begins], self._at_s or 0.0, self._next_id, common)
        born.confirmed[:] = confirmed
        born.be_sure(found.score[begins] >= sure_score)
        self._next_id += len(born)
        self._rows = rows + born

    @property
    def _longest_missed_s(self) -> float:
        return min(self._config.max_missed_s, self._config.max_fill_s) + SAME_MOMENT_S

    def _in_view(self, boxes: Floats) -> NDArray[np.bool_]:
        """(N,) true for boxes (4, N) of which more than an edge is in the picture."""
        inside = np.minimum(boxes[2:], self._limits[:, None]) > np.maximum(boxes[:2], 0.0)
        return np.asarray(inside[0] & inside[1])

    def _now(self) -> Tracks:
        """The objects at the last update."""
        rows = self._rows
        assert self._at_s is not None
        since_s = self._at_s - rows.seen_at
        keep = rows.shown & ~rows.ended & (since_s <= self._longest_missed_s)
        tracks = self._tracks(rows, rows.figures(since_s), since_s > 0)
        return tracks if np.count_nonzero(keep) == len(keep) else tracks[keep]

    def _look_ahead(self, at_s: float) -> Outlook:
        """The objects after the last update, which was at `at_s`."""
        rows = self._rows
        limit_s = np.where(rows.seen_at < at_s, self._longest_missed_s, self._config.max_fill_s)
        until_s = rows.seen_at + limit_s + SAME_MOMENT_S
        return Outlook.of(rows, at_s, until_s, self._picture_wh, clip=self._config.clip)

    def _tracks(
        self, rows: Rows, figures: NDArray[np.float32], origin: NDArray[np.integer] | NDArray[np.bool_]
    ) -> Tracks:
        """All rows; the boxes in `figures` are cut off at the picture's edges."""
        names = np.empty((3, len(rows)), np.int64)
        names[:2], names[2] = rows.names, origin
        if self._config.clip:
            boxes = figures[:4]
            np.minimum(np.maximum(boxes, 0.0, out=boxes), self._edges, out=boxes)
        return Tracks(names, figures)
