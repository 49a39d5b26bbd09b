"""How often a detection of some score is right, on labelled pictures: what a threshold of a tracker lets in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.config.values import Model
from pipeline.detect.load import load_detector
from pipeline.detect.protocol import Detector
from pipeline.detections import Detections
from pipeline.geometry import Letterbox, WidthHeight, iou_matrix

LEAST_IOU = 0.5
GREY = 114
"""What the models were padded with in training."""


@dataclass(frozen=True)
class Judged:
    """(N,) score of each detection and whether it is right, and how many objects there were to find."""

    score: NDArray[np.float32]
    right: NDArray[np.bool_]
    wanted: int

    def cell(self, low: float, high: float) -> str:
        """Right between two scores, right of all from the lower one on, found from there on."""
        band, above = (self.score >= low) & (self.score < high), self.score >= low
        right = self.right
        return f"{right[band].mean():.0%} / {right[above].mean():.0%} / {right[above].sum() / self.wanted:.0%}"


def judge(folder: Path, model: Model) -> Judged:
    """All detections on `folder`/images, each against the labels of its class in YOLO's format, best score first."""
    detector = load_detector(model, 1)
    score, right, wanted = [], [], 0
    for path in sorted((folder / "images").glob("*.jpg")):
        picture = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
        wh = picture.shape[1], picture.shape[0]
        class_id, xyxy = _labels(folder / "labels" / f"{path.stem}.txt", wh)
        seen = _detect(detector, picture, wh)
        seen = seen[np.argsort(-seen.score, kind="stable")]
        score += seen.score.tolist()
        right += _matched(iou_matrix(seen.xyxy, xyxy) * (seen.class_id[:, None] == class_id))
        wanted += len(xyxy)
    detector.close()
    return Judged(np.array(score, np.float32), np.array(right, bool), wanted)


def _matched(iou: NDArray[np.float32]) -> list[bool]:
    """Whether each row has a column of its own."""
    right = []
    for line in iou:
        right.append(bool(len(line)) and bool(line.max() >= LEAST_IOU))
        if right[-1]:
            iou[:, line.argmax()] = 0.0
    return right


def _labels(path: Path, wh: WidthHeight) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Classes (N,) and boxes (N, 4), px; a picture without a file has none."""
    rows = np.loadtxt(path, ndmin=2, dtype=np.float32) if path.exists() else np.zeros((0, 5), np.float32)
    centre, half = rows[:, 1:3] * wh, rows[:, 3:5] * wh / 2
    return rows[:, 0].astype(np.int32), np.hstack([centre - half, centre + half]).astype(np.float32)


def _detect(detector: Detector, picture: NDArray[np.uint8], wh: WidthHeight) -> Detections:
    letterbox = Letterbox.fit(wh, detector.input_wh)
    (left, top), (width, height) = letterbox.pad_xy, letterbox.content_wh
    lane = detector.input(0)[0]
    lane[:] = GREY
    lane[top : top + height, left : left + width] = cv2.resize(picture, (width, height))
    (seen,) = detector.detect(0, 1)
    return Detections(letterbox.to_source(seen.xyxy), seen.score, seen.class_id)
