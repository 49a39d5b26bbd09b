"""Ultralytics' `track` on a list of streams, as its documentation shows it, with its cheaper tracker."""

from __future__ import annotations

import os
import sys
import tempfile
from functools import partial
from typing import Any

import numpy as np
from blocks import read
from window import Job, Window

os.environ |= {"YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false", "YOLO_CONFIG_DIR": tempfile.mkdtemp()}


def _boxes(result: Any) -> list[list[float]]:
    """Those that the tracker has given an id; without one there is no object to follow."""
    found = result.boxes
    if found.id is None:
        return []
    columns = [found.xyxy.numpy(), found.conf.numpy()[:, None], found.cls.numpy()[:, None], found.id.numpy()[:, None]]
    return np.concatenate(columns, axis=1).tolist()


def main() -> None:
    """Note every result; each is one frame of one camera, and the cameras take turns."""
    from ultralytics import YOLO

    job = Job(sys.argv[1])
    window = Window(job)
    with tempfile.NamedTemporaryFile("w", suffix=".streams") as streams:
        streams.write("\n".join(job.urls))
        streams.flush()
        results = YOLO(job.model, task="detect").track(
            source=streams.name,
            stream=True,
            tracker="bytetrack.yaml",
            imgsz=job.input_hw if job.wants_boxes else 640,
            device="cpu",
            verbose=False,
            **job.options,
        )
        for number, result in enumerate(results):
            result.boxes.xyxy.numpy()
            if not window.note(number % len(job.urls), read(result.orig_img), partial(_boxes, result)):
                break
    window.write("ultralytics", "openvino", "torch", "opencv-python")
    sys.stdout.flush()
    os._exit(0)  # its reader threads are in FFmpeg and would be waited for


if __name__ == "__main__":
    main()
