"""How soon a camera's boxes go wrong when nobody looks, which is what a detection there is worth.

A detection corrects the boxes that would have been shown without it. How far it had to is seen for nothing: the tracker
is asked for its prediction just before, and both are compared. A box that was carried on to another place counts
1 − IoU, one that was missing or should have ended counts 1: what HOTA, the mean over all thresholds of overlap, loses
by it. Summed over boxes and divided by the time since the detection before, that is the boxes that go wrong a second.
An empty corridor has none of them, and neither has a full parking place at night.

Missing is also an object that was detected for the first time and has no box yet. At long gaps it may never get one,
because nobody stands where he was a second ago: births of boxes fall from 0.3 a second to none on a road on which
people come and go, from stride 1 to stride 16, and such a camera would be left alone for being empty. First sights do
not: there are 0.2 to 0.3 a second at stride 1, and 0.3 to 0.7 at strides 8 and 16.

Detectors tremble: boxes of the same thing differ by 0.04 to 0.08 in IoU however short the time (MOT17-02, 05, 10, 11,
gaps from 1/30 s to 1/2 s, carried back to a gap of 0). That is no drift, and at short gaps it would be most of what is
seen, so that a camera with many detections seemed to need them; so `TREMBLE` is taken off.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.detections import Detections, Tracks
from pipeline.geometry import Boxes, areas
from pipeline.track.tracker import Tracker, TrackerConfig

TREMBLE = 0.07
"""Of 1 − IoU between a prediction and a detection of the same object: the part that does not grow with time."""
FIRST_SEEN = 2.0
"""Boxes that are missing for an object seen for the first time: one now, and one until it is confirmed. Against 0: +0.1
to +0.8 HOTA at each of five budgets, four lively and four quiet sequences together."""
SOON_S, LATE_S = 1.0, 5.0
"""Two memories of the past, in stream time. The livelier one is believed: somebody who walks into an empty scene counts
at once, and a scene that falls still is believed to be still only after some seconds."""


class Drift:
    """Boxes of one camera that go wrong a second, over the last seconds."""

    def __init__(self) -> None:
        self._at_s: float | None = None
        self._soon, self._late = _Memory(SOON_S), _Memory(LATE_S)

    @property
    def wrong_hz(self) -> float | None:
        """Boxes that go wrong a second; None before the second detection."""
        return max(self._soon.rate, self._late.rate) if self._late.span_s else None

    def note(self, before: Tracks, after: Tracks, at_s: float, first_seen: int = 0) -> None:
        """Learn from a detection.

        Args:
            before: What would have been shown at `at_s` without it.
            after: What is shown with it.
            at_s: Stream time, s.
            first_seen: How many objects it found that have no box yet.
        """
        gap_s = 0.0 if self._at_s is None else at_s - self._at_s
        self._at_s = at_s
        if gap_s <= 0:
            return
        wrong = FIRST_SEEN * first_seen + wrong_boxes(before, after)
        self._soon.add(wrong, gap_s)
        self._late.add(wrong, gap_s)


@dataclass(slots=True)
class _Memory:
    """A rate of which the past counts less and less."""

    fades_s: float
    wrong: float = 0.0
    span_s: float = 0.0

    @property
    def rate(self) -> float:
        return self.wrong / self.span_s

    def add(self, wrong: float, gap_s: float) -> None:
        keep = math.exp(-gap_s / self.fades_s)
        self.wrong = self.wrong * keep + wrong
        self.span_s = self.span_s * keep + gap_s


def wrong_boxes(before: Tracks, after: Tracks) -> float:
    """How many boxes of `before` are not as `after` shows them, and how many it lacks; a little off is a part of one.

    Both have their ids in ascending order. Less than 0 where the detector trembles less than most.
    """
    if not len(before) or not len(after):
        return float(len(before) + len(after))
    place = np.searchsorted(after.track_id, before.track_id)
    np.minimum(place, len(after) - 1, out=place)
    stays = after.track_id[place] == before.track_id
    seen = stays & (after.since_detected_s[place] == 0)
    iou = _paired_iou(before.xyxy, after.xyxy[place])[seen]
    moved = (1 - TREMBLE) * len(iou) - float(iou.sum())
    return moved + len(before) + len(after) - 2 * int(np.count_nonzero(stays))


def _paired_iou(a: Boxes, b: Boxes) -> NDArray[np.float32]:
    """(N,): of the n-th with the n-th."""
    sides = np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2])
    overlap = np.maximum(sides, 0.0).prod(axis=1)
    return np.asarray(overlap / np.maximum(areas(a) + areas(b) - overlap, 1e-9), np.float32)


class WatchedTracker(Tracker):
    """A tracker that tells how wrong its boxes would have been; a tenth of a millisecond a detection with 50 boxes."""

    def __init__(self, config: TrackerConfig, picture_wh: tuple[int, int]) -> None:
        super().__init__(config, picture_wh)
        self.drift = Drift()

    def update(self, detections: Detections, at_s: float) -> Tracks:
        """As `Tracker.update`."""
        before = self.predict(at_s)
        after = super().update(detections, at_s)
        self.drift.note(before, after, at_s, self.first_seen)
        return after
