"""What cropping a square model costs in accuracy and brings in time, on pictures that were photographed in that shape.

    .venv/bin/python scripts/bench_crop.py [MODEL …] [--json out.json]

COCO's landscape pictures fill 640×480 of a square model's 640×640. Each is detected by the model as it was exported and
cropped to 640×480, one thread; mAP is COCO's own, by pycocotools. They are few (those of the test material), so compare
the two rows, not either with a published figure.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import statistics
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from footage import data_folder
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from pipeline.config.values import Model
from pipeline.detect import PAD_GREY, Detector, load_detector
from pipeline.geometry import Letterbox

SHAPES = [(640, 640), (640, 480)]
MODELS = ["yolo26n_int8_openvino_model", "yolo11n_int8_openvino_model"]


def main() -> None:
    """Print a row for each model and shape."""
    options = _options()
    pictures = _landscape_pictures()
    results = []
    for model in options.models or [data_folder() / "models" / name for name in MODELS]:
        for wh in SHAPES:
            detector = load_detector(Model(path=str(model), confidence=0.001, input_wh=wh, lanes=1, threads=1), None)
            detector.warm_up()
            results.append({"model": model.name, "input_wh": wh, **_measure(detector, pictures)})
            detector.close()
            print(results[-1], flush=True)
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


def _landscape_pictures() -> list[Path]:
    files = sorted((data_folder() / "coco" / "images").glob("*.jpg"))
    return [file for file in files if (size := cv2.imread(str(file)).shape)[1] * 3 >= size[0] * 4]


def _measure(detector: Detector, pictures: list[Path]) -> dict[str, float]:
    found: list[dict[str, Any]] = []
    took_ms = []
    for number, file in enumerate(pictures):
        image = cv2.imread(str(file))
        letterbox = Letterbox.fit((image.shape[1], image.shape[0]), detector.input_wh)
        (left, top), (width, height) = letterbox.pad_xy, letterbox.content_wh
        target = detector.input(0)[0]
        target[:] = PAD_GREY
        target[top : top + height, left : left + width] = cv2.resize(image, (width, height))[..., ::-1]
        began_s = time.perf_counter()
        boxes = detector.detect(0, 1)[0]
        took_ms.append(1000 * (time.perf_counter() - began_s))
        xyxy = letterbox.to_source(boxes.xyxy)
        xywh = np.concatenate([xyxy[:, :2], xyxy[:, 2:] - xyxy[:, :2]], axis=1)
        found += [
            {"image_id": number, "category_id": int(kind), "bbox": box, "score": float(score)}
            for kind, box, score in zip(boxes.class_id, xywh.tolist(), boxes.score, strict=True)
        ]
    precise, at_50 = _map(pictures, found)
    return {"pictures": len(pictures), "mAP50-95": precise, "mAP50": at_50, "median ms": statistics.median(took_ms)}


def _map(pictures: list[Path], found: list[dict[str, Any]]) -> tuple[float, float]:
    truth = COCO()
    truth.dataset = {"images": [], "annotations": [], "categories": [{"id": kind} for kind in range(80)]}
    for number, file in enumerate(pictures):
        height, width = cv2.imread(str(file)).shape[:2]
        truth.dataset["images"].append({"id": number, "width": width, "height": height})
        labels = file.parents[1] / "labels" / f"{file.stem}.txt"
        for line in labels.read_text(encoding="ascii").splitlines() if labels.exists() else []:
            kind, x, y, w, h = map(float, line.split())
            box = [(x - w / 2) * width, (y - h / 2) * height, w * width, h * height]
            row = {"image_id": number, "category_id": int(kind), "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
            truth.dataset["annotations"].append({"id": len(truth.dataset["annotations"]) + 1, **row})
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        judge = COCOeval(truth, truth.loadRes(found), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return round(100 * float(judge.stats[0]), 1), round(100 * float(judge.stats[1]), 1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", type=Path, help="OpenVINO folders; default: those of the test material")
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
