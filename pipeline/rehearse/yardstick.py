"""What should have been seen: ground truth, or what a heavier model sees on every frame, judged by the same rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from pipeline.clock import NS_PER_S
from pipeline.config import CameraUrl, Fleet
from pipeline.config.camera import Stride
from pipeline.config.rules import Rules
from pipeline.detections import Origin
from pipeline.errors import EvaluationError
from pipeline.evaluate.ground_truth import LEAST_HEIGHT_PX, LEAST_WIDTH_PX, GroundTruth, read_ground_truth
from pipeline.evaluate.mot import FrameTruth
from pipeline.evaluate.mot import Sequence as TruthSequence
from pipeline.evaluate.play import play
from pipeline.evaluate.run import ground_folder
from pipeline.rehearse.catalogue import Witness
from pipeline.rehearse.hear import HeardEvent
from pipeline.rehearse.sides import Side, rehearsed
from pipeline.rehearse.sightings import Sighting, sightings
from pipeline.rehearse.take import BOX, Clip, Take
from pipeline.rules import CameraRules
from pipeline.wire import Counts, FrameResult, TrackedBox

TRUTH = "truth"
GROUND_TRUTH = "ground truth"
"""Where what is known comes from, if it is no model."""
ZERO_NS = 1_700_000_000 * NS_PER_S
"""When recordings of the truth are said to have begun; any time does."""
_SESSION = "truth"


@dataclass(frozen=True, slots=True)
class Yardstick:
    """What is known of a camera's recording.

    Attributes:
        source: Where from, in words: `ground truth`, or the reference's model.
        ground: Objects frame by frame.
        results: The same as a fleet would have published it.
    """

    source: str
    ground: GroundTruth
    results: tuple[FrameResult, ...]

    def take(self, clip: Clip) -> Take:
        """The same as boxes by frames."""
        objects: dict[tuple[str, int], int] = {}
        labels: dict[str, int] = {}
        rows = [
            (
                number,
                objects.setdefault((result.session_id, box.track_id), len(objects)),
                labels.setdefault(box.class_name, len(labels)),
                int(Origin.DETECTED),
                box.score,
                box.xyxy,
            )
            for number, result in enumerate(self.results)
            for box in result.tracks
        ]
        wh = self.ground.sequence.picture_wh
        return Take(clip, np.array(rows, BOX), objects, tuple(labels), np.zeros(clip.frames, np.int64), ZERO_NS, wh)


def find_truth(recordings: Mapping[str, Path], clips: Mapping[str, Clip], folder: Path | None) -> dict[str, Yardstick]:
    """The ground truth of those cameras that have some: in `folder`, or in `ground_truth/` beside the recording.

    Raises:
        EvaluationError: It cannot be read, or is of another recording; or `folder` is named and has none.
    """
    found = {}
    for camera_id, recording in recordings.items():
        where = ground_folder(recording, camera_id, folder)
        if where is not None:
            found[camera_id] = _of_truth(camera_id, read_ground_truth(where), clips[camera_id])
    if folder is not None and not found:
        raise EvaluationError(f"--ground-truth {folder} has no folder called as one of {', '.join(recordings)}")
    return found


def _of_truth(camera_id: str, ground: GroundTruth, clip: Clip) -> Yardstick:
    sequence = ground.sequence
    if len(sequence) < clip.frames or clip.picture_wh not in (sequence.picture_wh, sequence.picture_wh[::-1]):
        raise EvaluationError(
            f"camera {camera_id}: its ground truth is of {len(sequence)} frames of {sequence.picture_wh[0]}×"
            f"{sequence.picture_wh[1]}, its recording has {clip.frames} of {clip.picture_wh[0]}×{clip.picture_wh[1]}; "
            "they do not belong together"
        )
    kept = replace(ground, sequence=replace(sequence, truth=sequence.truth[: clip.frames]))
    results = tuple(
        _result(camera_id, number, float(clip.times_s[number]), sequence.picture_wh, tuple(_boxes(truth, kept.labels)))
        for number, truth in enumerate(kept.sequence.truth)
    )
    return Yardstick(GROUND_TRUTH, kept, results)


def _boxes(truth: FrameTruth, labels: Sequence[str]) -> Iterator[TrackedBox]:
    for object_id, (left, top, wide, high), number in zip(
        truth.object_id.tolist(), truth.ltwh.tolist(), truth.class_id.tolist(), strict=True
    ):
        yield TrackedBox(
            track_id=object_id,
            class_id=number - 1,
            class_name=labels[number - 1],
            score=1.0,
            xyxy=(left, top, left + wide, top + high),
            origin="detected",
            since_detected_ms=0.0,
            uncertainty_px=0.0,
        )


def _result(
    camera_id: str, number: int, at_s: float, wh: tuple[int, int], tracks: tuple[TrackedBox, ...]
) -> FrameResult:
    return FrameResult(
        fleet="truth",
        camera_id=camera_id,
        session_id=_SESSION,
        frame_id=number,
        pts_s=at_s,
        captured_at_ns=ZERO_NS + round(at_s * NS_PER_S),
        capture_clock="file",
        published_at_ns=ZERO_NS,
        age_ms=0.0,
        frame_wh=wh,
        origin="detected",
        filled_because=None,
        stride=1,
        lost={},
        counts=Counts(decoded=number + 1, detected=number + 1, filled={}, lost={}),
        latency_ms={},
        tracks=tracks,
    )


def make_reference(
    side: Side, model: str, clips: Mapping[str, Clip], turn: Callable[[int], None]
) -> dict[str, Yardstick]:
    """What a heavier model sees on every frame of these recordings; blocks until all are played, as fast as it goes.

    Args:
        side: Whose cameras, and whose other settings of the model.
        model: Path or name of the model.
        clips: The recordings.
        turn: Called with the number of frames so far.

    Raises:
        PipelineError: It cannot be loaded, or a recording not be played.
    """
    played = play(_with_reference(side, model, clips), turn)
    source = f"{Path(model).name} on every frame"
    labels = tuple(sorted({box.class_name for several in played.values() for one in several for box in one.tracks}))
    return {name: _of_reference(played[name], clip, labels, source) for name, clip in clips.items()}


def _with_reference(side: Side, model: str, clips: Mapping[str, Clip]) -> Fleet:
    fleet = rehearsed(side, {camera_id: str(clip.file) for camera_id, clip in clips.items()})
    found = Path(model).absolute()
    changes: dict[str, Any] = {"path": str(found) if found.exists() else model, "input_wh": None, "url": ()}
    if fleet.model.backend not in ("auto", "openvino"):
        changes |= {"backend": "auto", "options": {}}
    cameras = {
        camera_id: camera.model_copy(
            update={
                "url": CameraUrl(str(clips[camera_id].file)),
                "pace": "fastest",
                "stride": Stride(min=1, max=1),
                "zones": {},
                "lines": {},
            }
        )
        for camera_id, camera in fleet.cameras.items()
    }
    return fleet.model_copy(update={"model": fleet.model.model_copy(update=changes), "cameras": cameras})


def _of_reference(published: Sequence[FrameResult], clip: Clip, labels: tuple[str, ...], source: str) -> Yardstick:
    # A picture that was damaged was decoded and not published, and has its number all the same.
    by_frame, first = {result.frame_id: result for result in published}, published[0]
    results = tuple(
        msgspec.structs.replace(found, captured_at_ns=ZERO_NS + round(found.pts_s * NS_PER_S))
        if (found := by_frame.get(number)) is not None
        else _result(first.camera_id, number, float(clip.times_s[number]), first.frame_wh, ())
        for number in range(clip.frames)
    )
    truth = tuple(_as_truth(result, labels) for result in results)
    sequence = TruthSequence("reference", results[0].frame_wh, clip.fps, truth, ())
    return Yardstick(source, GroundTruth(sequence, labels), results)


def _as_truth(result: FrameResult, labels: Sequence[str]) -> FrameTruth:
    xyxy = np.array([box.xyxy for box in result.tracks], np.float64).reshape(-1, 4)
    sides = xyxy[:, 2:] - xyxy[:, :2]
    seen = np.array([box.origin == "detected" for box in result.tracks], bool)
    asked: NDArray[np.bool_] = seen & (sides[:, 0] >= LEAST_WIDTH_PX) & (sides[:, 1] >= LEAST_HEIGHT_PX)
    return FrameTruth(
        np.array([box.track_id for box in result.tracks], np.int64),
        np.hstack([xyxy[:, :2], sides]),
        asked.astype(np.int64),
        np.array([labels.index(box.class_name) + 1 for box in result.tracks], np.int64),
    )


def true_witness(yardsticks: Mapping[str, Yardstick], rules: Mapping[str, Rules], clips: Mapping[str, Clip]) -> Witness:
    """What happens by these rules in all that should have been seen.

    Raises:
        RuleError: A zone or line lies outside a picture.
    """
    found: list[Sighting] = []
    for camera_id, yardstick in yardsticks.items():
        judge = CameraRules(rules[camera_id])
        heard = [HeardEvent(event, 0) for result in yardstick.results for event in judge.update(result)]
        found += [_asked_for(one, yardstick.ground, clips[camera_id]) for one in sightings(heard, {camera_id: ZERO_NS})]
    takes = {camera_id: yardstick.take(clips[camera_id]) for camera_id, yardstick in yardsticks.items()}
    return Witness(TRUTH, sorted(found, key=lambda one: one.at_s), takes)


def _asked_for(one: Sighting, ground: GroundTruth, clip: Clip) -> Sighting:
    """With whether its object is one that is asked for about that time."""
    track_id = one.object_key[1]
    frame = min(int(np.searchsorted(clip.times_s, one.at_s)), len(ground.sequence) - 1)
    asked = [
        bool(truth.considered[truth.object_id == track_id].any())
        for truth in ground.sequence.truth[max(0, frame - 1) : frame + 1]
    ]
    return one if not track_id or all(asked) else replace(one, wanted=False)
