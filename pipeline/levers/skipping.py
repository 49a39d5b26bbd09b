"""The lever of not detecting every frame: what the tracker's boxes are worth at each stride.

Each frame of the recordings is detected once; then the worker's tracker is fed every n-th of them, as the fleet does
(`pipeline.evaluate.tracking`), and all frames are judged. So nothing is measured twice, and no run depends on the
machine's speed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from pipeline.config.camera import Camera
from pipeline.config.values import Fleet, Model
from pipeline.detect import Detector, load_detector
from pipeline.detections import Detections, Tracks
from pipeline.evaluate.ground_truth import GroundTruth
from pipeline.evaluate.score import score
from pipeline.evaluate.tracking import Setup, track
from pipeline.levers.accuracy import accuracy
from pipeline.levers.board import judged
from pipeline.levers.detecting import Seen
from pipeline.levers.figures import Form, Row, Skipping
from pipeline.levers.pictures import Exam, Layer, Picture
from pipeline.levers.recordings import recordings_of, shots_of
from pipeline.track.fill import FillMode
from pipeline.track.tracker import TrackerConfig

STRIDES = (2, 3, 5)


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What the tracker's boxes at one stride are worth, percent, and its time, ms a frame."""

    map50_95: float
    hota: float
    ms_per_frame: float


def skipping_rows(
    fleet: Fleet, model: Model, grounds: Mapping[str, GroundTruth], base: Form, turn: Callable[[int], None]
) -> list[Row]:
    """A row for each stride; blocks for as long as detecting all frames takes.

    Args:
        fleet: Whose recordings, and how its cameras track.
        model: The base.
        grounds: What the recordings show.
        base: The base's figures.
        turn: Called with the number of frames detected so far; for progress.

    Raises:
        DetectorError: The model cannot be loaded, or fails.
        EvaluationError: TrackEval is not installed, or the recordings are not those of the ground truth.
    """
    cameras = recordings_of(fleet)
    detected = _detected(cameras, model, grounds, turn)
    every = _outcome(cameras, detected, 1)
    rows = []
    for stride in STRIDES:
        one = _outcome(cameras, detected, stride)
        told = Skipping(stride=stride, hota=round(one.hota, 2), hota_cost=round(every.hota - one.hota, 2))
        form = Form(
            name=f"every {_ordinal(stride)} frame, with the tracker",
            path=base.path,
            input_wh=base.input_wh,
            precision=base.precision,
            size_mb=base.size_mb,
            speed=base.speed,
        )
        speed_up = _speed_up(base, stride, every, one)
        rows.append(judged("skipping", form, base, speed_up, every.map50_95 - one.map50_95, skipping=told))
    return rows


def _speed_up(base: Form, stride: int, every: _Outcome, one: _Outcome) -> float | None:
    """Frames a second, the tracker's own time included, for one without skipping."""
    if base.speed is None:
        return None
    detect_ms = 1000 / base.speed.images_hz
    return (detect_ms + every.ms_per_frame) / (detect_ms / stride + one.ms_per_frame)


def _detected(
    cameras: Mapping[str, Camera], model: Model, grounds: Mapping[str, GroundTruth], turn: Callable[[int], None]
) -> dict[str, GroundTruth]:
    """The ground truths with what the model sees on every frame; classes count the labels from 1."""
    detector = load_detector(model, None)
    try:
        labels = next(iter(grounds.values())).labels
        numbers = np.array([labels.index(name) + 1 if name in labels else 0 for name in detector.class_names], np.int32)
        done, found = 0, {}
        for camera_id, camera in cameras.items():
            truth = grounds[camera_id]
            frames = [Detections.empty()] * len(truth.sequence)
            layer = Layer()
            for shot in shots_of(camera):
                if shot.number >= len(frames):
                    break
                boxes = _boxes(detector, layer, shot.picture)
                kept = replace(boxes, class_id=numbers[boxes.class_id])
                frames[shot.number] = kept[kept.class_id > 0]
                done += 1
                turn(done)
            found[camera_id] = replace(truth, sequence=replace(truth.sequence, detections=tuple(frames)))
        return found
    finally:
        detector.close()


def _boxes(detector: Detector, layer: Layer, picture: Picture) -> Detections:
    letterbox = layer.lay(picture, detector.input(0)[0])
    boxes = detector.detect(0, 1)[0]
    return replace(boxes, xyxy=letterbox.to_source(boxes.xyxy))


def _outcome(cameras: Mapping[str, Camera], detected: Mapping[str, GroundTruth], stride: int) -> _Outcome:
    tracked = {
        camera_id: track(ground.sequence, _setup(cameras[camera_id], stride)) for camera_id, ground in detected.items()
    }
    combined, _ = score(
        [ground.of_class(None) for ground in detected.values()], [one.tracks for one in tracked.values()]
    )
    frames = sum(len(one.tracks) for one in tracked.values())
    return _Outcome(
        map50_95=_precision(detected, {camera_id: one.tracks for camera_id, one in tracked.items()}),
        hota=combined.hota,
        ms_per_frame=sum(one.ms_per_frame * len(one.tracks) for one in tracked.values()) / max(1, frames),
    )


def _setup(camera: Camera, stride: int) -> Setup:
    settings = camera.track
    config = TrackerConfig(
        high_score=settings.high_score, birth_score=settings.birth_score, max_fill_s=settings.max_fill_ms / 1000
    )
    return Setup(stride, FillMode(settings.fill), settings.max_delay_ms / 1000, tracker=config)


def _precision(detected: Mapping[str, GroundTruth], tracks: Mapping[str, list[Tracks]]) -> float:
    """mAP50-95 of the boxes of all frames."""
    labels = next(iter(detected.values())).labels
    truths = tuple(ground.on(number) for ground in detected.values() for number in range(len(ground.sequence)))
    exam = Exam((), truths, labels, "the recordings")
    seen = tuple(
        Detections(one.xyxy, one.score, one.class_id - 1) for camera_id in detected for one in tracks[camera_id]
    )
    return accuracy(exam, Seen(seen, labels)).map50_95


def _ordinal(number: int) -> str:
    return {2: "2nd", 3: "3rd"}.get(number, f"{number}th")
