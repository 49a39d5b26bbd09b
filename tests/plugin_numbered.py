"""Recordings whose every picture tells its number, and a detector that reads it: a detection's score is the number."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from pipeline.config.values import Model
from pipeline.detect import PAD_GREY
from pipeline.detections import Detections

PERIOD = 125
"""Pictures after which the square is at the same place; with its height, twice as many are told apart."""
WH = (320, 180)


def scene(number: int, wh: tuple[int, int]) -> NDArray[np.uint8]:
    """(H, W) uint8: a bright square that is never twice at the same place within two periods."""
    width, height = wh
    luma = np.tile(np.linspace(40, 90, width).astype(np.uint8), (height, 1))
    side, step = height // 6, (width - height // 6) / PERIOD
    left = round(number % PERIOD * step)
    top = (height // 8) if number // PERIOD % 2 else height * 5 // 8
    luma[top : top + side, left : left + side] = 230
    return luma


def number_in(luma: NDArray[np.uint8]) -> float:
    """The number of a picture (H, W), within a fraction of one."""
    height, width = luma.shape
    rows, columns = np.nonzero(luma > 160)
    left = columns.mean() - (height // 6 - 1) / 2
    return float(left / ((width - height // 6) / PERIOD) + (PERIOD if rows.mean() < height / 2 else 0))


def write(path: Path, wh: tuple[int, int], *, frames: int = 2 * PERIOD, bf: int = 0, fps: int = 25) -> Path:
    with av.open(str(path), "w") as container:
        options = {"g": "25", "bf": str(bf), "preset": "ultrafast" if not bf else "veryfast", "sc_threshold": "0"}
        video = container.add_stream("libx264", rate=fps, options=options)
        assert isinstance(video, av.VideoStream)
        video.width, video.height, video.pix_fmt = *wh, "yuv420p"
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(scene(number, wh), format="gray").reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, fps)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    return path


def number_of(score: float) -> float:
    return (score - 0.5) * 1000


class Numbers:
    input_wh, max_batch, batches, class_names, lanes = WH, 1, (1,), ("number",), 1

    def __init__(self) -> None:
        self.rebuild(0)

    def input(self, lane: int) -> NDArray[np.uint8]:
        return self.pictures

    def detect(self, lane: int, count: int) -> list[Detections]:
        return [found(picture) for picture in self.pictures[:count]]

    def rebuild(self, lane: int) -> None:
        self.pictures = np.full((1, WH[1], WH[0], 3), PAD_GREY, np.uint8)

    def warm_up(self) -> None:
        pass

    def close(self) -> None:
        self.pictures = self.pictures[:0]


def found(picture: NDArray[np.uint8]) -> Detections:
    luma = picture[..., 1]
    if not (luma > 160).any():
        return Detections.empty()
    box = np.array([[10, 10, 100, 100]], np.float32)
    return Detections(box, np.array([0.5 + number_in(luma) / 1000], np.float32), np.zeros(1, np.int32))


def make(model: Model) -> Numbers:
    return Numbers()
