"""What detecting every n-th frame costs: HOTA against ground truth, and where there is none, what the tracker knows.

Without ground truth the boxes of a run that detected every frame are shown to the tracker again, every n-th frame of
them. How far each detection corrects what would have been shown without it is the error at the end of a gap
(`track.drift`, what HOTA loses by it); it grows with the time since the detection before, so a frame within the gap has
(n − 1) / 2n of it on average.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from pipeline.config.values import Fleet
from pipeline.detections import Detections
from pipeline.errors import EvaluationError, PipelineError
from pipeline.tune.recordings import Footage

if TYPE_CHECKING:
    from pipeline.wire import FrameResult

STRIDES = (1, 2, 4, 8, 16)
"""Where it is measured; in between it is interpolated."""
LONGEST_S = 60.0
"""A recording that lasts longer is not played to its end for this."""

Known = Callable[[str, Callable[[], float]], float | None]


class StrideLoss:
    """Points of HOTA that detecting every n-th frame costs against detecting every one."""

    def __init__(self, measure: Callable[[int], float], known: Known) -> None:
        """Nothing is measured before it is asked for.

        Args:
            measure: The loss at a whole stride; blocks for as long as the recordings take at the detector's speed.
            known: Keeps what was measured, by its name.
        """
        self._measure, self._known = measure, known
        self._found: dict[int, float] = {STRIDES[0]: 0.0}

    def __call__(self, mean_stride: float) -> float:
        """The loss at any stride from 1, between those that are measured by proportion; infinite where unknown."""
        if mean_stride <= STRIDES[0]:
            return 0.0
        above = next((stride for stride in STRIDES if stride >= mean_stride), STRIDES[-1])
        below = max((stride for stride in STRIDES if stride < above), default=STRIDES[0])
        low, high = self._at(below), self._at(above)
        if math.isinf(low + high):
            return math.inf
        share = (min(mean_stride, above) - below) / (above - below)
        return low + share * (high - low)

    def _at(self, stride: int) -> float:
        if stride not in self._found:
            found = self._known(f"points of HOTA lost at stride {stride}", lambda: self._measure(stride))
            self._found[stride] = math.inf if found is None else found
        return self._found[stride]


def stride_loss(fleet: Fleet, footage: Footage, known: Known) -> StrideLoss | None:
    """By ground truth beside the recordings if there is any, else by the tracker; None where they are too long."""
    if any(_lasts_s(footage, camera_id) > LONGEST_S for camera_id in fleet.cameras):
        return None
    by_truth = _by_ground_truth(fleet, footage)
    return StrideLoss(by_truth or _ByDrift(fleet, footage), known)


def _by_ground_truth(fleet: Fleet, footage: Footage) -> Callable[[int], float] | None:
    from pipeline.evaluate.play import play
    from pipeline.evaluate.run import find_ground_truth, score_run

    try:
        grounds = find_ground_truth(footage.to_the_end(fleet, 1), None)
    except EvaluationError:
        return None
    scores: dict[int, float] = {}

    def hota(stride: int) -> float:
        if stride not in scores:
            played = play(footage.to_the_end(fleet, stride), lambda count: None)
            scores[stride] = score_run(grounds, played).combined.hota
        return scores[stride]

    return lambda stride: max(0.0, hota(1) - hota(stride))


class _ByDrift:
    """By what the tracker knows for nothing, from one run that detects every frame."""

    def __init__(self, fleet: Fleet, footage: Footage) -> None:
        self._fleet, self._footage = fleet, footage
        self._played: Mapping[str, Sequence[FrameResult]] | None = None

    def __call__(self, stride: int) -> float:
        from pipeline.evaluate.play import play

        if self._played is None:
            self._played = play(self._footage.to_the_end(self._fleet, 1), lambda count: None)
        wrong, boxes = 0.0, 0
        for results in self._played.values():
            off, shown = corrected(results, stride)
            wrong, boxes = wrong + off, boxes + shown
        return 100 * wrong / boxes * (stride - 1) / (2 * stride) if boxes else 0.0


def corrected(results: Sequence[FrameResult], stride: int) -> tuple[float, int]:
    """How many boxes every n-th detection corrects, and how many there are after it; of one camera's frames."""
    from pipeline.track.correction import Correction
    from pipeline.track.drift import FIRST_SEEN
    from pipeline.track.tracker import Tracker, TrackerConfig

    tracker = Tracker(TrackerConfig(), results[0].frame_wh)
    wrong, boxes = 0.0, 0
    for number, result in enumerate(results[::stride]):
        before = tracker.predict(result.pts_s)
        after = tracker.update(_detections(result), result.pts_s)
        if number:
            wrong += Correction.between(before, after).wrong + FIRST_SEEN * tracker.first_seen
            boxes += len(after)
    return max(0.0, wrong), boxes


def _detections(result: FrameResult) -> Detections:
    seen = [box for box in result.tracks if box.origin == "detected"]
    return Detections(
        np.array([box.xyxy for box in seen], np.float32).reshape(-1, 4),
        np.array([box.score for box in seen], np.float32),
        np.array([box.class_id for box in seen], np.int32),
    )


def _lasts_s(footage: Footage, camera_id: str) -> float:
    """How long a recording is; endless where it does not say, as a folder of pictures does not."""
    import av

    try:
        with av.open(str(footage.files[camera_id])) as container:
            return math.inf if container.duration is None else container.duration / av.time_base
    except (av.FFmpegError, OSError, PipelineError):
        return math.inf
