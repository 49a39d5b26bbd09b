"""Roboflow's `InferencePipeline`, with the model run by asynchronous OpenVINO in its callback; no tracker.

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


class Detector:
    """Boxes for the frames of a batch."""

    def __init__(self, folder: str) -> None:
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
            self._requests.start_async({0: _letterboxed(frame.image)}, index)
        self._requests.wait_all()
        return [{"boxes": self._boxes[index]} for index in range(len(frames))]

    def _finish(self, request: Any, index: int) -> None:
        rows = request.get_output_tensor(0).data[0]
        self._boxes[index] = rows[rows[:, 4] >= CONFIDENCE].copy()


def _letterboxed(image: Any) -> Any:
    scale = SIDE_PX / max(image.shape[:2])
    small = cv2.resize(image, (round(image.shape[1] * scale), round(image.shape[0] * scale)))
    padded = np.full((1, SIDE_PX, SIDE_PX, 3), 114, np.uint8)
    top, left = (SIDE_PX - small.shape[0]) // 2, (SIDE_PX - small.shape[1]) // 2
    padded[0, top : top + small.shape[0], left : left + small.shape[1]] = small
    return padded


def main() -> None:
    """Note every frame that reaches the sink with its prediction."""
    from inference import InferencePipeline

    job = Job(sys.argv[1])
    window = Window(job)

    def sink(predictions: Any, frames: Any) -> None:
        if not isinstance(frames, list):
            predictions, frames = [predictions], [frames]
        for frame in frames:
            if frame is not None and not window.note(frame.source_id or 0, read(frame.image)):
                window.write("inference", "openvino", "opencv-python")
                os._exit(0)  # its threads are in FFmpeg and would be waited for

    pipeline = InferencePipeline.init_with_custom_logic(
        video_reference=job.urls,
        on_video_frame=Detector(job.model).detect,
        on_prediction=sink,
        video_processing_mode=job.options["mode"],
    )
    pipeline.start()
    pipeline.join()


if __name__ == "__main__":
    main()
