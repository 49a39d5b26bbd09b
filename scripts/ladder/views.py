"""What a model sees on every frame of some recordings at each size of its input, recorded once.

The recordings are the samples with their ground truth and the demo's model; or, with LADDER_FOOTAGE=1 in the
environment, real ones with YOLO26n, where what YOLO11n saw for long on every frame at the largest input is the truth.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import av
import cv2
import numpy as np
from footage import data_folder
from recorded_detections import CACHE, detect_recording

from pipeline.config.values import Model
from pipeline.detect import Detector, load_detector
from pipeline.detections import Detections
from pipeline.evaluate.ground_truth import read_ground_truth
from pipeline.evaluate.mot import FrameTruth, Sequence
from pipeline.evaluate.tracking import Setup, track
from pipeline.geometry import Letterbox, WidthHeight
from pipeline.track.fill import FillMode
from pipeline.track.tracker import TrackerConfig

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
REAL = bool(os.environ.get("LADDER_FOOTAGE"))
NAMES = ("town_people", "retail_people") if REAL else tuple(sorted(path.stem for path in SAMPLES.glob("*.mp4")))
FULL: WidthHeight = (640, 384)
"""The demo model's own input; the samples are 640×360."""
SMALL, LESS, MORE, MOST = (416, 256), (512, 288), (768, 448), (960, 544)
SIZES: tuple[WidthHeight, ...] = (SMALL, LESS, FULL, MORE, MOST)
SAME: WidthHeight = (320, 192)
"""For half of a sample's width and height: as many pixels for each of the picture's as the full input has."""
PEOPLE_AND_VEHICLES = 8
"""COCO's classes below this; the demo's are fewer."""
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


def model(input_wh: WidthHeight) -> Model:
    """The model, one lane of one thread; the demo's as `configs/evaluate.yaml` has it."""
    if REAL:
        return _of_footage("yolo26n", input_wh)
    path, asked = str(SAMPLES / "model" / "demo_openvino_model"), None if input_wh == FULL else input_wh
    return Model(path=path, backend="openvino", nms_iou=0.5, input_wh=asked, lanes=1, threads=1)


def _of_footage(name: str, input_wh: WidthHeight) -> Model:
    path = str(data_folder() / "models" / f"{name}_int8_openvino_model")
    return Model(path=path, backend="openvino", input_wh=input_wh, lanes=1, threads=1)


@cache
def truth(name: str) -> Sequence:
    """The ground truth of a recording, all classes together."""
    if REAL:
        return _lasting(name)
    return read_ground_truth(SAMPLES / "ground_truth" / name).of_class(None)


@cache
def seen(name: str, view: View) -> tuple[Detections, ...]:
    """What is seen of a recording, a `Detections` a frame, in source pixels."""
    recording = _recording(name)
    if view.part is None:
        found = detect_recording(recording, model(view.input_wh))[2]
        return tuple(frame[frame.class_id < PEOPLE_AND_VEHICLES] for frame in found)
    kept = CACHE / f"{name}-tiles-{view.input_wh[0]}x{view.input_wh[1]}.npz"
    if not kept.exists():
        _keep_tiles(kept, recording, view.input_wh)
    with np.load(kept) as told:
        number = tiles(view.input_wh).index(view)
        bounds = np.cumsum(told[f"counts{number}"])[:-1]
        columns = (np.split(told[f"{column}{number}"], bounds) for column in ("xyxy", "score", "class_id"))
        return tuple(Detections(*parts) for parts in zip(*columns, strict=True))


def _recording(name: str) -> Path:
    return next((data_folder() / "videos").glob(f"{name}*")) if REAL else SAMPLES / f"{name}.mp4"


def _lasting(name: str) -> Sequence:
    """What YOLO11n saw at the largest input for at least a second, once at least with half its certainty."""
    wh, fps, found = detect_recording(_recording(name), _of_footage("yolo11n", MOST))
    kept = tuple(frame[frame.class_id < PEOPLE_AND_VEHICLES] for frame in found)
    config = TrackerConfig(high_score=0.2, birth_score=0.25)
    blank = FrameTruth(np.empty(0, np.int64), np.empty((0, 4)), np.empty(0, np.int64), np.empty(0, np.int64))
    sequence = Sequence(name, wh, fps, (blank,) * len(kept), kept)
    frames = track(sequence, Setup(1, FillMode.INTERPOLATE, tracker=config)).tracks
    ids, scores = (np.concatenate([getattr(t, column) for t in frames]) for column in ("track_id", "score"))
    long = [i for i in np.unique(ids) if (ids == i).sum() >= fps and scores[ids == i].max() >= 0.5]
    told = []
    for tracks in (t[np.isin(t.track_id, long)] for t in frames):
        xyxy, ones = tracks.xyxy.astype(np.float64), np.ones(len(tracks), np.int64)
        told.append(FrameTruth(tracks.track_id, np.hstack([xyxy[:, :2], xyxy[:, 2:] - xyxy[:, :2]]), ones, ones))
    return replace(sequence, truth=tuple(told))


def _keep_tiles(target: Path, recording: Path, input_wh: WidthHeight) -> None:
    CACHE.mkdir(exist_ok=True)
    print(f"detecting on nine parts of every frame of {recording.name} …", file=sys.stderr)
    detector = load_detector(model(input_wh), 1)
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
