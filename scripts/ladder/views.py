"""What the demo's model sees on every frame of the samples at each size of its input, recorded once."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import av
import cv2
import numpy as np
from recorded_detections import CACHE, detect_recording

from pipeline.config.values import Model
from pipeline.detect import Detector, load_detector
from pipeline.detections import Detections
from pipeline.evaluate.ground_truth import read_ground_truth
from pipeline.evaluate.mot import Sequence
from pipeline.geometry import Letterbox, WidthHeight

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
NAMES = tuple(sorted(path.stem for path in SAMPLES.glob("*.mp4")))
FULL: WidthHeight = (640, 384)
"""The demo model's own input; the samples are 640×360."""
SIZES: tuple[WidthHeight, ...] = ((320, 192), (416, 256), (512, 288), (640, 384), (768, 448), (960, 544))
EDGE_PX = 3.0
"""A box that comes this near to where a tile was cut is taken to be cut itself."""


@dataclass(frozen=True, order=True)
class View:
    """What one detection looks at: the whole picture, or a part of it, at an input of this size.

    Attributes:
        input_wh: The model's input, px.
        part: Left, top, right, bottom in source pixels; None for the whole picture.
    """

    input_wh: WidthHeight
    part: tuple[int, int, int, int] | None = None

    def __str__(self) -> str:
        size = f"{self.input_wh[0]}×{self.input_wh[1]}"
        return size if self.part is None else f"{size} of a part"


def tiles(input_wh: WidthHeight) -> tuple[View, ...]:
    """Nine parts of half the picture's width and height, each half over its neighbours."""
    return tuple(View(input_wh, (left, top, left + 320, top + 180)) for top in (0, 90, 180) for left in (0, 160, 320))


def sample_model(input_wh: WidthHeight) -> Model:
    """The demo's model as `configs/evaluate.yaml` has it, one lane of one thread."""
    path, asked = str(SAMPLES / "model" / "demo_openvino_model"), None if input_wh == FULL else input_wh
    return Model(path=path, backend="openvino", nms_iou=0.5, input_wh=asked, lanes=1, threads=1)


@cache
def truth(name: str) -> Sequence:
    """The ground truth of a sample, all classes together."""
    return read_ground_truth(SAMPLES / "ground_truth" / name).of_class(None)


@cache
def seen(name: str, view: View) -> tuple[Detections, ...]:
    """What is seen of a sample, a `Detections` a frame, in source pixels."""
    recording = SAMPLES / f"{name}.mp4"
    if view.part is None:
        return tuple(detect_recording(recording, sample_model(view.input_wh))[2])
    kept = CACHE / f"{name}-tiles-{view.input_wh[0]}x{view.input_wh[1]}.npz"
    if not kept.exists():
        _keep_tiles(kept, recording, view.input_wh)
    with np.load(kept) as told:
        number = tiles(view.input_wh).index(view)
        bounds = np.cumsum(told[f"counts{number}"])[:-1]
        columns = (np.split(told[f"{column}{number}"], bounds) for column in ("xyxy", "score", "class_id"))
        return tuple(Detections(*parts) for parts in zip(*columns, strict=True))


def _keep_tiles(target: Path, recording: Path, input_wh: WidthHeight) -> None:
    CACHE.mkdir(exist_ok=True)
    print(f"detecting on nine parts of every frame of {recording.name} …", file=sys.stderr)
    detector = load_detector(sample_model(input_wh), 1)
    views = tiles(input_wh)
    found: list[list[Detections]] = [[] for _ in views]
    with av.open(str(recording)) as container:
        for frame in container.decode(video=0):
            picture = frame.to_ndarray(format="rgb24")
            for number, view in enumerate(views):
                found[number].append(_detect_part(detector, picture, view))
    detector.close()
    kept = {}
    for number, frames in enumerate(found):
        kept[f"counts{number}"] = np.array([len(frame) for frame in frames])
        for column in ("xyxy", "score", "class_id"):
            kept[f"{column}{number}"] = np.concatenate([getattr(frame, column) for frame in frames])
    np.savez(target, **kept)


def _detect_part(detector: Detector, picture: np.ndarray, view: View) -> Detections:
    """What is seen in a part of the picture, but for boxes that its inner edges cut; in source pixels."""
    left, top, right, bottom = view.part or (0, 0, picture.shape[1], picture.shape[0])
    letterbox = Letterbox.fit((right - left, bottom - top), view.input_wh)
    (x, y), (width, height) = letterbox.pad_xy, letterbox.content_wh
    lane = detector.input(0)[0]
    lane[y : y + height, x : x + width] = cv2.resize(picture[top:bottom, left:right], (width, height))
    (found,) = detector.detect(0, 1)
    xyxy = letterbox.to_source(found.xyxy) + np.array([left, top, left, top], np.float32)
    inner = inside(xyxy, view, (picture.shape[1], picture.shape[0]))
    return Detections(xyxy[inner], found.score[inner], found.class_id[inner])


def inside(xyxy: np.ndarray, view: View, picture_wh: WidthHeight) -> np.ndarray:
    """(N,) bool: boxes that a view shows whole."""
    if view.part is None:
        return np.ones(len(xyxy), bool)
    left, top, right, bottom = view.part
    low = np.array([left + EDGE_PX if left else -1e9, top + EDGE_PX if top else -1e9])
    high = np.array(
        [right - EDGE_PX if right < picture_wh[0] else 1e9, bottom - EDGE_PX if bottom < picture_wh[1] else 1e9]
    )
    return np.asarray((xyxy[:, :2] >= low).all(1) & (xyxy[:, 2:] <= high).all(1))
