"""A Triton server beside OpenVINO in this process: whether the boxes are the same, and what the way there costs.

    CAMFLEET_TRITONSERVER=… .venv/bin/python scripts/bench_triton.py MODEL PICTURES [--rounds 5] [--json out.json]

MODEL is what a fleet file's `model.path` takes, PICTURES a folder. The model is exported as `camfleet export --triton
--triton-backend python` does, since that runs in every server that there is to test with (`tests/triton_server.py` says
where one is found), and served with one instance on all cores, as it runs here.

Boxes: each picture through both. Every box here has to be there, of the same class; the worst IoU of all pairs is told.

Cost: each picture through one, then the other, in turns; a detection's time begins when the picture is in the lane's
input. `added ms` is the median of the differences, in shared memory and through the connection. `empty ms` is the same
way to a model that computes nothing: request, memory, the server's two processes, answer, boxes.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from pipeline.config.files import pictures_in
from pipeline.config.values import Model
from pipeline.detect import PAD_GREY, Detector, load_detector
from pipeline.detect.triton_repository import Order, write_repository
from pipeline.detections import Detections
from pipeline.geometry import Letterbox, iou_matrix
from tests.triton_server import triton

CONFIDENCE = 0.25
"""Boxes that people would look at; a box at the very threshold may be on either side of it."""
EMPTY = """
import numpy as np
import triton_python_backend_utils as backend

class TritonPythonModel:
    def initialize(self, args):
        self.boxes = np.zeros({shape}, np.float32)

    def execute(self, requests):
        for request in requests:
            np.array(np.from_dlpack(backend.get_input_tensor_by_name(request, "{input}")))
        answers = [backend.Tensor.from_dlpack("{output}", self.boxes) for _ in requests]
        return [backend.InferenceResponse([answer]) for answer in answers]
"""


def main() -> None:
    """Print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = _measured(options.model, options.pictures, options.rounds, Path(folder))
    for name, value in found.items():
        print(f"{name:32} {value}")
    if options.json:
        options.json.write_text(json.dumps(found))


def _measured(model: Path, pictures: Path, rounds: int, folder: Path) -> dict[str, Any]:
    repository = folder / "repository"
    written = write_repository(Order(model, repository, "real", "python", instances=1))
    _write_empty(repository, written.config)
    with triton(repository, folder / "server") as server:
        here = _warm(Model(path=str(model), lanes=1, confidence=CONFIDENCE))
        shared, sent, empty = (
            _warm(
                Model(
                    **{"backend": "triton", "path": name, "url": server.url},
                    lanes=1,
                    confidence=CONFIDENCE,
                    triton={"memory": memory},
                )
            )
            for name, memory in (("real", "system"), ("real", "none"), ("empty", "system"))
        )
        laid = [_laid(file, here) for file in pictures_in(pictures)]
        figures = _compared(here, shared, laid) | _timed(here, {"shared": shared, "sent": sent}, laid, rounds)
        figures["empty ms"] = _round(statistics.median(_took_ms(empty, each) for _ in range(rounds) for each in laid))
        for detector in (here, shared, sent, empty):
            detector.close()
    return figures


def _warm(model: Model) -> Detector:
    detector = load_detector(model, None)
    detector.warm_up()
    return detector


def _laid(file: Path, detector: Detector) -> np.ndarray:
    """A picture as it lies in the model's input, (H, W, 3) uint8 RGB."""
    picture = cv2.cvtColor(cv2.imread(str(file)), cv2.COLOR_BGR2RGB)
    box = Letterbox.fit((picture.shape[1], picture.shape[0]), detector.input_wh)
    (left, top), (width, height) = box.pad_xy, box.content_wh
    laid = np.full((detector.input_wh[1], detector.input_wh[0], 3), PAD_GREY, np.uint8)
    laid[top : top + height, left : left + width] = cv2.resize(picture, (width, height))
    return laid


def _write_empty(repository: Path, config: Any) -> None:
    """A model with the same input and output that computes nothing."""
    version = repository / "empty" / "1"
    version.mkdir(parents=True)
    text = (repository / "real" / "config.pbtxt").read_text().replace('name: "real"', 'name: "empty"')
    (repository / "empty" / "config.pbtxt").write_text(text)
    shape = config.boxes.dims if config.most == 0 else (1, *config.boxes.dims)
    (version / "model.py").write_text(
        EMPTY.format(output=config.boxes.name, input=config.pictures.name, shape=tuple(shape))
    )


def _compared(here: Detector, there: Detector, laid: list[np.ndarray]) -> dict[str, Any]:
    boxes, alone, worst = 0, 0, 1.0
    for each in laid:
        mine, other = _see(here, each), _see(there, each)
        boxes += len(mine)
        alone += abs(len(mine) - len(other))
        if len(mine) and len(other):
            ious = iou_matrix(mine.xyxy, other.xyxy) * (mine.class_id[:, None] == other.class_id[None, :])
            best = ious.max(axis=1)
            worst = min(worst, float(best.min()))
    return {"pictures": len(laid), "boxes": boxes, "boxes in one only": alone, "worst IoU": round(worst, 4)}


def _timed(here: Detector, ways: dict[str, Detector], laid: list[np.ndarray], rounds: int) -> dict[str, Any]:
    """In turns, so that a machine that grows slower does so for all."""
    base: list[float] = []
    added: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for each in laid:
            base.append(_took_ms(here, each))
            for name, detector in ways.items():
                added[name].append(_took_ms(detector, each) - base[-1])
    told: dict[str, Any] = {"openvino here ms": _round(statistics.median(base))}
    for name, differences in added.items():
        told[f"added ms, {name}"] = _round(statistics.median(differences))
        told[f"added ms, {name}, quartiles"] = [_round(one) for one in statistics.quantiles(differences)[::2]]
    return told


def _see(detector: Detector, laid: np.ndarray) -> Detections:
    detector.input(0)[0] = laid
    return detector.detect(0, 1)[0]


def _took_ms(detector: Detector, laid: np.ndarray) -> float:
    detector.input(0)[0] = laid
    began_s = time.perf_counter()
    detector.detect(0, 1)
    return (time.perf_counter() - began_s) * 1000


def _round(value: float) -> float:
    return round(value, 3)


if __name__ == "__main__":
    main()
