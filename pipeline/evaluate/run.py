"""Scores of a real run: recordings through camera processes, detector, tracker and wire, against their ground truth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.config.values import Fleet
from pipeline.detections import Origin, Tracks
from pipeline.errors import EvaluationError
from pipeline.evaluate.ground_truth import GroundTruth, read_ground_truth
from pipeline.evaluate.score import Scores, score
from pipeline.wire import FrameResult, TrackedBox

BESIDE = "ground_truth"
"""The folder beside a recording that is looked in if none is named."""


@dataclass(frozen=True, slots=True)
class CameraScores:
    """One camera: its scores over all classes, and what became of its frames; `filled` and `lost` by reason."""

    camera_id: str
    scores: Scores
    frames: int
    detected: int
    filled: Mapping[str, int]
    lost: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class RunScores:
    """A whole run.

    Attributes:
        combined: All cameras, a box right if it is in place, whatever class it says.
        classes: All cameras, by class; those that the ground truth asks for.
        cameras: In the order of the fleet.
        left_out: Boxes of classes that the ground truth does not know, by name; they count for nothing.
    """

    combined: Scores
    classes: Mapping[str, Scores]
    cameras: tuple[CameraScores, ...]
    left_out: Mapping[str, int]


def find_ground_truth(fleet: Fleet, folder: Path | None) -> dict[str, GroundTruth]:
    """The ground truth of each camera: `folder`/<camera>, or `ground_truth/<camera>` beside its recording.

    Raises:
        EvaluationError: There is none for a camera, it cannot be read, or cameras have different labels.
    """
    grounds = {camera_id: read_ground_truth(_found_ground(fleet, camera_id, folder)) for camera_id in fleet.cameras}
    first = next(iter(grounds))
    for camera_id, ground in grounds.items():
        if ground.labels != grounds[first].labels:
            raise EvaluationError(f"the labels.txt of {camera_id} and {first} differ; evaluate one at a time")
    return grounds


def score_run(grounds: Mapping[str, GroundTruth], played: Mapping[str, list[FrameResult]]) -> RunScores:
    """The scores of what was published, of all cameras in `grounds`.

    Raises:
        EvaluationError: A recording and its ground truth do not belong together, no box is of a class that the ground
            truth knows, or it cannot be scored.
    """
    left_out = require_fit(grounds, played)
    labels = next(iter(grounds.values())).labels
    tracks = {camera_id: published_tracks(ground, played[camera_id]) for camera_id, ground in grounds.items()}

    def scored(label: str | None) -> tuple[Scores, list[Scores]]:
        sequences = [ground.of_class(label) for ground in grounds.values()]
        return score(sequences, [ground.tracks_of_class(tracks[name], label) for name, ground in grounds.items()])

    combined, single = scored(None)
    asked = [label for label in labels if any(ground.asked_for(label) for ground in grounds.values())]
    cameras = tuple(
        _of_camera(camera_id, scores, played[camera_id]) for camera_id, scores in zip(grounds, single, strict=True)
    )
    return RunScores(combined, {label: scored(label)[0] for label in asked}, cameras, left_out)


def require_fit(grounds: Mapping[str, GroundTruth], played: Mapping[str, list[FrameResult]]) -> Mapping[str, int]:
    """Check that recordings and ground truth belong together; the boxes of classes that it does not know, by name.

    Raises:
        EvaluationError: They do not, or no box is of a class that the ground truth knows.
    """
    for camera_id, ground in grounds.items():
        _require_match(camera_id, ground, played[camera_id][-1])
    return _unknown(played, next(iter(grounds.values())).labels)


def published_tracks(ground: GroundTruth, results: list[FrameResult]) -> list[Tracks]:
    """A `Tracks` for each frame of the ground truth, `class_id` counting its labels from 1; none where one was lost.

    Boxes of classes that it does not know are left out.
    """
    numbers = {label: number for number, label in enumerate(ground.labels, start=1)}
    tracks = [Tracks.empty()] * len(ground.sequence)
    for result in results:
        tracks[result.frame_id] = as_tracks(result.tracks, numbers)
    return tracks


def as_tracks(published: Sequence[TrackedBox], numbers: Mapping[str, int]) -> Tracks:
    """The boxes whose class has a number, with that as `class_id`."""
    boxes = [box for box in published if box.class_name in numbers]
    return Tracks.of(
        track_id=np.array([box.track_id for box in boxes], np.int64),
        xyxy=np.array([box.xyxy for box in boxes], np.float32).reshape(-1, 4),
        score=np.array([box.score for box in boxes], np.float32),
        class_id=np.array([numbers[box.class_name] for box in boxes], np.int32),
        origin=np.array([Origin[box.origin.upper()] for box in boxes], np.uint8),
        since_detected_s=np.array([box.since_detected_ms / 1000 for box in boxes], np.float32),
        uncertainty_px=np.array([box.uncertainty_px for box in boxes], np.float32),
        velocity_px_s=np.array([box.velocity_px_s or (0, 0, 0, 0) for box in boxes], np.float32).reshape(-1, 4),
        uncertainty_px_s=np.array([box.uncertainty_px_s or 0 for box in boxes], np.float32),
    )


def ground_folder(recording: Path, camera_id: str, folder: Path | None) -> Path | None:
    """Where the ground truth of a recording is: in `folder`, else in `ground_truth/` beside it; None where it is not.

    Args:
        recording: The file.
        camera_id: Which camera shows it; the ground truth is called as the camera, or as the file.
        folder: Has a folder for each camera or recording; None for the usual one.
    """
    place = folder or recording.parent / BESIDE
    return next((place / name for name in (camera_id, recording.stem) if (place / name).is_dir()), None)


def _found_ground(fleet: Fleet, camera_id: str, folder: Path | None) -> Path:
    recording = Path(fleet.cameras[camera_id].url.reveal().removeprefix("file://"))
    found = ground_folder(recording, camera_id, folder)
    if found is None:
        place = folder or recording.parent / BESIDE
        raise EvaluationError(
            f"camera {camera_id}: there is no ground truth {place / camera_id}; --ground-truth DIR names the folder "
            "that holds one folder for each camera, called as the camera or its recording is"
        )
    return found


def _require_match(camera_id: str, ground: GroundTruth, last: FrameResult) -> None:
    truth = ground.sequence
    width, height = truth.picture_wh
    if last.counts.decoded != len(truth) or last.frame_wh != truth.picture_wh:
        raise EvaluationError(
            f"camera {camera_id}: the recording has {last.counts.decoded} frames of {last.frame_wh[0]}×"
            f"{last.frame_wh[1]}, its ground truth is of {len(truth)} frames of {width}×{height}; "
            "they do not belong together"
        )


def _unknown(played: Mapping[str, list[FrameResult]], labels: tuple[str, ...]) -> Mapping[str, int]:
    names = Counter(box.class_name for results in played.values() for frame in results for box in frame.tracks)
    unknown = {name: count for name, count in names.items() if name not in labels}
    if names and len(unknown) == len(names):
        raise EvaluationError(
            f"the ground truth knows {', '.join(labels)}, and the model none of them: it saw {', '.join(unknown)}. "
            "Give labels.txt the model's names"
        )
    return unknown


def _of_camera(camera_id: str, scores: Scores, results: list[FrameResult]) -> CameraScores:
    counts = results[-1].counts
    return CameraScores(camera_id, scores, counts.decoded, counts.detected, counts.filled, counts.lost)
