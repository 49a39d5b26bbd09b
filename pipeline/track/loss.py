"""How much accuracy a camera loses by not being detected on every frame, in points of HOTA, as its tracker sees it.

Nobody draws boxes on live pictures, so the loss is estimated from what is known for nothing: how far each detection had
to correct what would have been shown without it (`correction`), and how old the boxes are that are shown.

The model: between two detections boxes go wrong in proportion to the time since the last one. So what is lost is the
mean age of the boxes on the published frames, times what goes wrong a second for each box that is shown: boxes that
moved otherwise than predicted, by the square of 1 − IoU beyond what HOTA forgives, and objects that came and have no
box yet, each with its price in points. A frame without any boxes loses all of it.

The prices were found on MOT17; how near the estimates come to the truth there and on the sample recordings
(`scripts/bench_loss.py`), and what else was tried, is in track/README.md. What it cannot see is luck: whether a long
track keeps its id or not is two to four points of a recording of 12 s.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from pipeline.detections import Origin
from pipeline.track.correction import Correction
from pipeline.track.fill import FillMode

MOVED, CAME = 205.0, 62.0
"""Points of HOTA for a second of age, for each box shown: of squared 1 − IoU a second, of missing boxes a second. By
least squares on 22 pieces of MOT17-02, 05, 10, 11, half of them degraded, at strides 2, 3, 5, 8."""
FORGIVEN = 0.077
"""Of the squared 1 − IoU of a box: detectors tremble, and HOTA's mean over thresholds hardly minds (the same fit)."""
BETWEEN = 0.15
"""Of that, what is lost on a frame whose boxes are drawn between two detections: on MOT17 a quarter at stride 8,
nothing or less at strides to 5."""
EVERYTHING = 60.0
"""Points of HOTA that a tracker has that detects every frame: what a frame without boxes loses."""
SOON_S, LATE_S = 3.0, 30.0
"""Two memories of the past, in stream time: the estimate is of the longer one, as HOTA is of a whole scene; strides
follow the livelier of both, so that a scene that wakes up is looked at soon."""
LEAST_BOXES = 0.5
"""No scene is taken to have fewer, or one passer-by would be a large share of it."""


@dataclass(frozen=True, slots=True)
class LossCurve:
    """What every stride would cost a camera.

    Attributes:
        steepness: Points of HOTA for each second of age that its boxes have on average.
        fill: What its skipped frames get.
        max_delay_s: How long `interpolate` may hold a frame, s.
    """

    steepness: float
    fill: FillMode = FillMode.PREDICT
    max_delay_s: float = 0.0

    def at(self, stride: int, fps: float) -> float:
        """Points of HOTA lost at this stride and frame rate."""
        if self.fill is FillMode.NONE:
            return EVERYTHING * (1 - 1 / stride)
        age_s = (stride - 1) / (2 * fps)
        if self.fill is FillMode.PREDICT:
            return min(EVERYTHING, self.steepness * age_s)
        # Frames that would have to wait longer than that for the next detection leave with predictions.
        predicted_s = max(0.0, (stride - 1) / fps - self.max_delay_s)
        old_s = predicted_s * predicted_s / (2 * stride / fps)
        return min(EVERYTHING, self.steepness * (old_s + BETWEEN * (age_s - old_s)))


@dataclass(slots=True)
class _Shown:
    """Published frames: how many, and of what age their boxes were."""

    frames: float = 0.0
    empty: float = 0.0
    age_s: float = 0.0

    def add(self, origin: Origin, unseen_s: float) -> None:
        """Count one more."""
        self.frames += 1
        if origin is Origin.SKIPPED or math.isinf(unseen_s):  # Interpolated before the first detection.
            self.empty += 1
        elif origin is not Origin.DETECTED:
            self.age_s += unseen_s if origin is Origin.PREDICTED else BETWEEN * unseen_s

    def fade(self, keep: float) -> None:
        """Let what was count as much less."""
        self.frames *= keep
        self.empty *= keep
        self.age_s *= keep


@dataclass(slots=True)
class _Memory:
    """What went wrong, of which the past counts less and less."""

    fades_s: float
    span_s: float = 0.0
    boxes_s: float = 0.0
    moved: float = 0.0
    came: float = 0.0

    def add(self, found: Correction, gap_s: float) -> None:
        """Learn from a detection, so long after the one before."""
        keep = math.exp(-gap_s / self.fades_s)
        self.span_s = self.span_s * keep + gap_s
        self.boxes_s = self.boxes_s * keep + found.shown * gap_s
        self.moved = self.moved * keep + found.squared - FORGIVEN * found.seen
        self.came = self.came * keep + found.missing + found.first_seen

    @property
    def steepness(self) -> float:
        """Points of HOTA for each second of age."""
        price = MOVED * max(0.0, self.moved) + CAME * self.came
        return price / max(self.boxes_s, LEAST_BOXES * self.span_s)


class Loss:
    """What one camera loses in one session. Not thread-safe; times are stream time, s."""

    def __init__(self) -> None:
        self._at_s: float | None = None
        self._soon, self._late = _Memory(SOON_S), _Memory(LATE_S)
        self._shown = _Shown()

    def note(self, found: Correction, at_s: float) -> None:
        """Learn from a detection of the frame of this time."""
        gap_s = 0.0 if self._at_s is None else at_s - self._at_s
        self._at_s = at_s
        if gap_s <= 0:
            return
        self._soon.add(found, gap_s)
        self._late.add(found, gap_s)
        self._shown.fade(math.exp(-gap_s / LATE_S))

    def show(self, origin: Origin, unseen_s: float) -> None:
        """Note a frame that is published.

        Args:
            origin: How its boxes came to be.
            unseen_s: How long before it the detection was that they go back to.
        """
        self._shown.add(origin, unseen_s)

    @property
    def points(self) -> float | None:
        """Points of HOTA lost of late; None before the second detection."""
        if not self._late.span_s or not self._shown.frames:
            return None
        aged = self._late.steepness * self._shown.age_s / self._shown.frames
        return min(EVERYTHING, aged + EVERYTHING * self._shown.empty / self._shown.frames)

    def curve(self, fill: FillMode, max_delay_s: float) -> LossCurve | None:
        """What each stride would cost from now on; None before the second detection."""
        if not self._late.span_s:
            return None
        return LossCurve(max(self._soon.steepness, self._late.steepness), fill, max_delay_s)
