"""Pictures from a fleet's own recordings, read as its camera processes read them, and their ground truth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np

from pipeline.camera.orientation import Orientation, told_orientation
from pipeline.camera.source import open_source
from pipeline.clock import SystemClock
from pipeline.config.camera import Camera
from pipeline.config.values import Fleet
from pipeline.errors import EvaluationError
from pipeline.evaluate.ground_truth import GroundTruth
from pipeline.evaluate.run import find_ground_truth
from pipeline.levers.pictures import Exam, Picture

FRAMES = 30
"""Of each recording; as many as the sample model's card was measured on."""
MOST_READ = 15_000
"""Frames of a recording: ten minutes at 25 fps are read in some 20 s."""
MOST_BYTES = 600_000_000
"""Of decoded frames in memory; with many or large ones fewer of each are taken."""


@dataclass(frozen=True, slots=True)
class Shot:
    """A frame of a recording, counted from 0."""

    camera_id: str
    number: int
    frame: av.VideoFrame
    mounted: Orientation

    @property
    def picture(self) -> Picture:
        """It as a picture to try a model on."""
        return Picture(f"{self.camera_id} {self.number}", lambda: self.frame, self.mounted)


def recordings_of(fleet: Fleet) -> dict[str, Camera]:
    """The cameras that are recordings.

    Raises:
        EvaluationError: None is.
    """
    found = {camera_id: camera for camera_id, camera in fleet.cameras.items() if camera.url.kind == "file"}
    if not found:
        raise EvaluationError(
            f"fleet {fleet.name} has no recording to take pictures from; keep some minutes of it with “camfleet "
            "record” and name those as cameras"
        )
    return found


def shots_of(camera: Camera) -> Iterator[Shot]:
    """Every frame of a recording, as fast as it goes; gaps are counted and left out.

    Raises:
        SourceError: It cannot be opened or read.
    """
    mounted = Orientation(camera.rotate // 90, camera.mirror)
    source = open_source(camera.model_copy(update={"pace": "fastest", "loop": False}), SystemClock())
    try:
        number = 0
        for picture in source.pictures(_Always()):
            if picture is None:
                continue
            if picture.frame is not None and not picture.corrupt:
                yield Shot(camera.camera_id, number, picture.frame, mounted)
            number += 1
            if number >= MOST_READ:
                return
    finally:
        source.close()


def spread(camera: Camera, count: int) -> list[Shot]:
    """`count` frames spread over a recording, or all of a shorter one; it is read once, whatever its length."""
    kept: list[Shot] = []
    every = 1
    for shot in shots_of(camera):
        if shot.number % every:
            continue
        kept.append(shot)
        if len(kept) >= 2 * count:
            every *= 2
            kept = [one for one in kept if one.number % every == 0]
    return [kept[index] for index in np.linspace(0, len(kept) - 1, min(count, len(kept))).round().astype(int)]


def frames_of(fleet: Fleet, each: int = FRAMES) -> list[Shot]:
    """Frames of all recordings of a fleet, as many as memory has room for.

    Raises:
        EvaluationError: It has no recordings, or they have no picture.
        SourceError: One cannot be read.
    """
    cameras, shots, count = recordings_of(fleet), list[Shot](), each
    for camera in cameras.values():
        found = spread(camera, count)
        if found:
            size = found[0].frame.width * found[0].frame.height * 3 // 2
            count = max(1, min(each, MOST_BYTES // (size * len(cameras))))
        shots += found[:: max(1, len(found) // count)][:count]
    if not shots:
        raise EvaluationError(f"the recordings of fleet {fleet.name} have no picture that can be decoded")
    return shots


def write_pictures(shots: list[Shot], folder: Path) -> list[Path]:
    """The frames as files, to calibrate on.

    Raises:
        EvaluationError: They cannot be written.
    """
    written = []
    for shot in shots:
        path = folder / f"{shot.camera_id}-{shot.number:06d}.png"
        picture = shot.frame.to_ndarray(format="bgr24").astype(np.uint8, copy=False)
        upright = told_orientation(shot.frame).then(shot.mounted)
        width, height = upright.upright_wh((shot.frame.width, shot.frame.height))
        out = np.empty((height, width, 3), np.uint8)
        upright.make_upright(picture, out)
        if not cv2.imwrite(str(path), out):
            raise EvaluationError(f"{path} cannot be written")
        written.append(path)
    return written


def grounds_of(fleet: Fleet) -> dict[str, GroundTruth] | None:
    """The ground truth beside each recording; None where one has none.

    Raises:
        EvaluationError: It is there and cannot be read.
    """
    recordings = fleet.model_copy(update={"cameras": recordings_of(fleet)})
    for camera in recordings.cameras.values():
        path = camera.url.path
        if path is None or not (path.parent / "ground_truth" / camera.camera_id).is_dir():
            return None
    return find_ground_truth(recordings, None)


def exam_of(shots: list[Shot], grounds: dict[str, GroundTruth]) -> Exam:
    """Frames with what is on them.

    Raises:
        EvaluationError: A recording is longer than its ground truth.
    """
    for shot in shots:
        if shot.number >= len(grounds[shot.camera_id].sequence):
            raise EvaluationError(
                f"camera {shot.camera_id}: its ground truth is of {len(grounds[shot.camera_id].sequence)} frames, the "
                "recording has more; they do not belong together"
            )
    labels = next(iter(grounds.values())).labels
    truths = tuple(grounds[shot.camera_id].on(shot.number) for shot in shots)
    recordings = "1 recording" if len(grounds) == 1 else f"{len(grounds)} recordings"
    words = f"{len(shots)} frames of {recordings} with ground truth"
    return Exam(tuple(shot.picture for shot in shots), truths, labels, words)


class _Always:
    """A recording is read as fast as it goes, to its end."""

    def go_on(self) -> bool:
        return True

    def wait_until(self, due_ns: int) -> bool:
        return True
