"""What a detector sees in a recording, frame by frame, kept in a cache folder: benchmarks of tracking need it often."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import av
import cv2
import numpy as np

from pipeline.config.values import Model
from pipeline.detect.load import load_detector
from pipeline.detections import Detections
from pipeline.geometry import Letterbox, WidthHeight

CACHE = Path(tempfile.gettempdir()) / "camfleet-detections"


def detect_recording(recording: Path, model: Model) -> tuple[WidthHeight, float, list[Detections]]:
    """Picture size, frames a second, and a `Detections` a frame in source pixels; computed once for a recording."""
    size = "-{}x{}".format(*model.input_wh) if model.input_wh else ""
    kept = CACHE / f"{recording.stem}-{Path(model.path).name}{size}.npz"
    if not kept.exists():
        CACHE.mkdir(exist_ok=True)
        print(f"detecting on every frame of {recording.name} …", file=sys.stderr)
        _keep(kept, recording, model)
    with np.load(kept) as told:
        bounds = np.cumsum(told["counts"])[:-1]
        columns = (np.split(told[name], bounds) for name in ("xyxy", "score", "class_id"))
        found = [Detections(*parts) for parts in zip(*columns, strict=True)]
        width, height = told["wh"]
        return (int(width), int(height)), float(told["fps"]), found


def _keep(target: Path, recording: Path, model: Model) -> None:
    detector = load_detector(model, 1)
    found = []
    with av.open(str(recording)) as container:
        stream = container.streams.video[0]
        wh, fps = (stream.width, stream.height), float(stream.average_rate)
        letterbox = Letterbox.fit(wh, detector.input_wh)
        (left, top), (width, height) = letterbox.pad_xy, letterbox.content_wh
        lane = detector.input(0)[0]
        for frame in container.decode(stream):
            picture = cv2.resize(frame.to_ndarray(format="rgb24"), (width, height))
            lane[top : top + height, left : left + width] = picture
            (seen,) = detector.detect(0, 1)
            found.append(Detections(letterbox.to_source(seen.xyxy), seen.score, seen.class_id))
    detector.close()
    np.savez(
        target,
        wh=wh,
        fps=fps,
        counts=[len(seen) for seen in found],
        xyxy=np.concatenate([seen.xyxy for seen in found]),
        score=np.concatenate([seen.score for seen in found]),
        class_id=np.concatenate([seen.class_id for seen in found]),
    )
