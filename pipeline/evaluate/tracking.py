"""The worker's tracker, fed every N-th frame of a sequence, as it would have answered live."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from pipeline.detections import Origin, Tracks
from pipeline.errors import EvaluationError
from pipeline.track.fill import Filled, Filling, FillMode, filling
from pipeline.track.tracker import Tracker, TrackerConfig

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.evaluate.mot import Sequence


@dataclass(frozen=True, slots=True)
class Setup:
    """How a sequence is tracked.

    Attributes:
        stride: Every how many frames the detections are shown to the tracker.
        fill: What the other frames get.
        max_delay_s: The longest that `interpolate` may hold a frame, in stream time.
        gmc: Camera motion from the pictures; they must lie beside the sequence.
        tracker: Our parameters. MOTChallenge's boxes reach beyond the picture, so ours must not be clipped here.
    """

    stride: int = 1
    fill: FillMode = FillMode.PREDICT
    max_delay_s: float = 1.0
    gmc: bool = False
    tracker: TrackerConfig = field(default_factory=lambda: TrackerConfig(clip=False))


@dataclass(frozen=True, slots=True)
class Tracked:
    """What a tracker made of a sequence: a `Tracks` a frame, and the time it took, ms a frame."""

    tracks: list[Tracks]
    ms_per_frame: float


def track(sequence: Sequence, setup: Setup) -> Tracked:
    """Every frame with its boxes; the clock of the delay is stream time.

    Raises:
        EvaluationError: `gmc` is asked for and there are no pictures.
    """
    tracker = Tracker(setup.tracker, sequence.picture_wh)
    fill: Filling[int] = filling(setup.fill, tracker, setup.max_delay_s)
    motions = _camera_motions(sequence, setup.stride) if setup.gmc else {}
    finished: list[Filled[int]] = []
    spent_s = 0.0
    for frame, detections in enumerate(sequence.detections):
        at_s = frame / sequence.fps
        began_s = time.perf_counter()
        if frame in motions:
            tracker.compensate(motions[frame])
        finished += fill.expire(at_s)
        if frame % setup.stride:
            finished += fill.skipped(frame, at_s, at_s)
        else:
            finished += fill.detected(frame, detections, at_s, at_s)
        spent_s += time.perf_counter() - began_s
    finished += fill.flush()
    return Tracked([filled.tracks for filled in finished], 1000 * spent_s / max(1, len(sequence)))


def track_reference(sequence: Sequence, setup: Setup) -> Tracked:
    """Ultralytics' ByteTrack on the same frames; for the skipped ones the nearest that can be made of its answers.

    `interpolate` draws linearly between two detected frames for the ids on both; `predict` holds the last boxes.
    """
    from pipeline.evaluate.reference import ReferenceTracker

    tracker = ReferenceTracker()
    shown = range(0, len(sequence), setup.stride)
    began_s = time.perf_counter()
    answers = [tracker.update(sequence.detections[frame]) for frame in shown]
    spent_s = time.perf_counter() - began_s
    tracks = []
    for frame in range(len(sequence)):
        index, offset = divmod(frame, setup.stride)
        last, after = answers[index], answers[index + 1] if index + 1 < len(answers) else Tracks.empty()
        if offset and setup.fill is FillMode.NONE:
            last = Tracks.empty()
        elif offset and setup.fill is FillMode.INTERPOLATE:
            last = _between(last, after, offset / setup.stride)
        tracks.append(last)
    return Tracked(tracks, 1000 * spent_s / max(1, len(sequence)))


def _between(last: Tracks, after: Tracks, share: float) -> Tracks:
    _, a, b = np.intersect1d(last.track_id, after.track_id, return_indices=True)
    return Tracks.of(
        track_id=last.track_id[a],
        xyxy=((1 - share) * last.xyxy[a] + share * after.xyxy[b]).astype(np.float32),
        score=last.score[a],
        class_id=last.class_id[a],
        origin=np.full(len(a), Origin.INTERPOLATED, np.uint8),
        since_detected_s=last.since_detected_s[a],
        uncertainty_px=last.uncertainty_px[a],
        velocity_px_s=last.velocity_px_s[a],
        uncertainty_px_s=last.uncertainty_px_s[a],
    )


def _camera_motions(sequence: Sequence, stride: int) -> dict[int, NDArray[np.float32]]:
    """By frame, for the detected ones but the first: how the picture moved since the detected one before."""
    from pipeline.track.gmc import estimate, read_small, scaled

    if not sequence.pictures:
        raise EvaluationError(f"{sequence.name}: --gmc sparse needs the pictures, and there is no img1/ beside gt.txt")
    motions = {}
    previous = None
    for frame in range(0, len(sequence), stride):
        small = read_small(sequence.pictures[frame])
        if previous is not None:
            motions[frame] = scaled(estimate(previous, small), sequence.picture_wh[0] / small.shape[1])
        previous = small
    return motions
