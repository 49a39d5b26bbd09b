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
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from pipeline.detections import Detections, Tracks
from pipeline.track.correction import Correction
from pipeline.track.loss import Loss
from pipeline.track.tracker import Tracker, TrackerConfig

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

    def note(self, found: Correction, at_s: float) -> None:
        """Learn from a detection at this stream time, s."""
        gap_s = 0.0 if self._at_s is None else at_s - self._at_s
        self._at_s = at_s
        if gap_s <= 0:
            return
        wrong = FIRST_SEEN * found.first_seen + found.wrong
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


class WatchedTracker(Tracker):
    """A tracker that tells how wrong its boxes would have been; a tenth of a millisecond a detection with 50 boxes.

    Attributes:
        watching: Whether it does; where nobody asks, it costs nothing.
        drift: Boxes that go wrong a second.
        loss: What that costs in points of HOTA.
    """

    def __init__(self, config: TrackerConfig, picture_wh: tuple[int, int]) -> None:
        super().__init__(config, picture_wh)
        self.watching = True
        self.drift = Drift()
        self.loss = Loss()

    def watch(self, watching: bool) -> None:
        """From now on, whether it does; who begins again knows nothing, for what went wrong meanwhile was not seen."""
        if watching and not self.watching:
            self.drift, self.loss = Drift(), Loss()
        self.watching = watching

    def update(self, detections: Detections, at_s: float) -> Tracks:
        """As `Tracker.update`."""
        if not self.watching:
            return super().update(detections, at_s)
        before = self.predict(at_s)
        after = super().update(detections, at_s)
        found = Correction.between(before, after, self.first_seen)
        self.drift.note(found, at_s)
        self.loss.note(found, at_s)
        return after
