"""Roboflow's `InferencePipeline`, with the model run by asynchronous OpenVINO in its callback.

No tracker, but where boxes are asked for: then Roboflow's own ByteTrack gives them ids in the sink.

It cannot load an OpenVINO file itself. What it is given here is as quick as we know to make it: u8 pictures into the
model, two requests in flight over the frames of a batch, letterboxing while others compute.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

os.environ |= {"TELEMETRY_OPT_OUT": "True", "OFFLINE_MODE": "True", "DISABLE_VERSION_CHECK": "True"}

import cv2
import numpy as np
import openvino as ov
from blocks import read
from openvino.preprocess import PrePostProcessor
from window import Job, Window

SIDE_PX = 640
CONFIDENCE = 0.1
MOST_IOU = 0.5
"""Boxes of one class that overlap more are one object, with a model that leaves repeated boxes to the caller."""


class Detector:
    """Boxes for the frames of a batch."""

    def __init__(self, folder: str, input_hw: tuple[int, int]) -> None:
        self._input_hw = input_hw
        core = ov.Core()
        network = core.read_model(next(Path(folder).glob("*.xml")))
        steps = PrePostProcessor(network)
        steps.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC")).set_color_format(
            ov.preprocess.ColorFormat.BGR
        )
        steps.input().model().set_layout(ov.Layout("NCHW"))
        steps.input().preprocess().convert_element_type(ov.Type.f32).convert_color(ov.preprocess.ColorFormat.RGB).scale(
            255.0
        )
        compiled = core.compile_model(
            steps.build(), "CPU", {"PERFORMANCE_HINT": "THROUGHPUT", "ENABLE_CPU_PINNING": False}
        )
        self._requests = ov.AsyncInferQueue(compiled, 2)
        self._requests.set_callback(self._finish)
        self._boxes: dict[int, Any] = {}

    def detect(self, frames: list[Any]) -> list[dict[str, Any]]:
        """One result a frame, in order; blocks until all are there."""
        for index, frame in enumerate(frames):
            self._requests.start_async({0: _letterboxed(frame.image, self._input_hw)}, index)
        self._requests.wait_all()
        return [{"boxes": self._boxes[index]} for index in range(len(frames))]

    def _finish(self, request: Any, index: int) -> None:
        rows = request.get_output_tensor(0).data[0]
        if rows.shape[0] < rows.shape[1]:
            rows = _without_repeats(rows)
        self._boxes[index] = rows[rows[:, 4] >= CONFIDENCE].copy()


def _without_repeats(raw: Any) -> Any:
    """(N, 6) of a raw head, (4 + classes, anchors): middle and sides, then a score for each class."""
    scores = raw[4:].max(axis=0)
    sure = scores >= CONFIDENCE
    middle_sides, scores, classes = raw[:4, sure].T, scores[sure], raw[4:, sure].argmax(axis=0)
    left_top = middle_sides[:, :2] - middle_sides[:, 2:] / 2
    kept = cv2.dnn.NMSBoxesBatched(
        np.hstack([left_top, middle_sides[:, 2:]]).tolist(), scores.tolist(), classes.tolist(), CONFIDENCE, MOST_IOU
    )
    rows = np.column_stack([left_top, left_top + middle_sides[:, 2:], scores, classes])
    return rows[np.asarray(kept, np.intp).reshape(-1)].astype(np.float32)


def _place(wh: tuple[int, int], input_hw: tuple[int, int]) -> tuple[float, int, int]:
    """How a picture lies in the input: scale, left, top."""
    scale = min(input_hw[1] / wh[0], input_hw[0] / wh[1])
    return scale, (input_hw[1] - round(wh[0] * scale)) // 2, (input_hw[0] - round(wh[1] * scale)) // 2


def _letterboxed(image: Any, input_hw: tuple[int, int]) -> Any:
    scale, left, top = _place(image.shape[1::-1], input_hw)
    small = cv2.resize(image, (round(image.shape[1] * scale), round(image.shape[0] * scale)))
    padded = np.full((1, *input_hw, 3), 114, np.uint8)
    padded[0, top : top + small.shape[0], left : left + small.shape[1]] = small
    return padded


class Ids:
    """Boxes of each camera in its own pixels, followed by Roboflow's ByteTrack, as its documentation shows it."""

    def __init__(self, input_hw: tuple[int, int]) -> None:
        self._input_hw = input_hw
        self._trackers: dict[int, Any] = {}

    def follow(self, camera: int, rows: Any, wh: tuple[int, int]) -> list[list[float]]:
        """Left, top, right, bottom, score, class and id of each box that has one."""
        import supervision

        scale, left, top = _place(wh, self._input_hw)
        tracker = self._trackers.setdefault(camera, supervision.ByteTrack(frame_rate=25))
        found = supervision.Detections(
            xyxy=(rows[:, :4] - (left, top, left, top)) / scale,
            confidence=rows[:, 4],
            class_id=rows[:, 5].astype(int),
        )
        known = tracker.update_with_detections(found)
        columns = [known.xyxy, known.confidence[:, None], known.class_id[:, None], known.tracker_id[:, None]]
        return np.hstack(columns).tolist() if len(known) else []


def main() -> None:
    """Note every frame that reaches the sink with its prediction."""
    from inference import InferencePipeline

    job = Job(sys.argv[1])
    window, input_hw = Window(job), job.input_hw if job.wants_boxes else (SIDE_PX, SIDE_PX)
    ids = Ids(input_hw)

    def sink(predictions: Any, frames: Any) -> None:
        if not isinstance(frames, list):
            predictions, frames = [predictions], [frames]
        for frame, found in zip(frames, predictions, strict=True):
            if frame is None:
                continue
            camera, wh = frame.source_id or 0, frame.image.shape[1::-1]
            boxes = ids.follow(camera, found["boxes"], wh) if job.wants_boxes else []
            if not window.note(camera, read(frame.image), lambda boxes=boxes: boxes):
                window.write("inference", "openvino", "opencv-python")
                os._exit(0)  # its threads are in FFmpeg and would be waited for

    pipeline = InferencePipeline.init_with_custom_logic(
        video_reference=job.urls,
        on_video_frame=Detector(job.model, input_hw).detect,
        on_prediction=sink,
        video_processing_mode=job.options["mode"],
    )
    pipeline.start()
    pipeline.join()


if __name__ == "__main__":
    main()
