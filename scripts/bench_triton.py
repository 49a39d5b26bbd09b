"""A Triton server beside OpenVINO in this process: whether the boxes are the same, and what the way there costs.

    CAMFLEET_TRITONSERVER=… .venv/bin/python scripts/bench_triton.py MODEL PICTURES [--pairs 400] [--load-s 60]

MODEL is what a fleet file's `model.path` takes, PICTURES a folder. The model is exported as `camfleet export --triton
--triton-backend python` does, since that runs in every server that there is to test with (`tests/triton_server.py` says
where one is found). Both sides compile it with the same properties; where OpenVINO made others of them, that is told.

Boxes: each picture through both. Every box here has to be there, of the same class; the worst IoU of all pairs is told.

One request at a time: each picture through every way, forwards and backwards in turns, so that a machine that grows
slower does so for all and nobody always follows the same. A detection's time begins when the picture is in the lane's
input. The server's model notes when it begins, computes and ends, by the clock that all processes of a machine share:

    added                 the time there less the time here, of the same picture: what a camera sees
    beyond model          the time, there or here, less what OpenVINO took of it: request, memory, answer, boxes
    added beyond model    that there less that here, of the same picture: what the way costs, whatever pace the machine
                          computes at just then
    parts                 of the time there, one after the other

`empty` is the same way to a model that computes nothing. Medians, with quartiles in brackets, ms.

At full load: as many requests at once as there are processors, each a stream of one thread, here and there in turns.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from pipeline.config.files import pictures_in
from pipeline.config.values import Model
from pipeline.detect import PAD_GREY, Detector, load_detector
from pipeline.detect.triton.repository import Order, write_repository
from pipeline.detections import Detections
from pipeline.geometry import Letterbox, iou_matrix
from tests.triton_server import triton

CONFIDENCE = 0.25
"""Boxes that people would look at; a box at the very threshold may be on either side of it."""
CORES = len(os.sched_getaffinity(0))
TURN_S = 3.0
"""How long each side computes at full load before the other does."""
NOTES = 1 << 16
PROPERTIES = ("NUM_STREAMS", "INFERENCE_NUM_THREADS", "INFERENCE_PRECISION_HINT", "ENABLE_CPU_PINNING")
PARTS = ("request to the model", "picture to OpenVINO", "OpenVINO", "boxes to the server", "answer, boxes")
NOTING = f"""
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from exported import TritonPythonModel as Exported

class Noting:
    def __init__(self, request, moments):
        self._request, self._moments = request, moments

    def start_async(self):
        self._moments[1] = time.monotonic_ns()
        self._request.start_async()

    def wait(self):
        self._request.wait()
        self._moments[2] = time.monotonic_ns()

class TritonPythonModel(Exported):
    def initialize(self, args):
        super().initialize(args)
        told = {{name: str(self._compiled.get_property(name)) for name in {PROPERTIES}}}
        folder = Path(__file__).parent
        (folder / "properties").write_text(json.dumps(told))
        (folder / "notes").write_bytes(bytes({NOTES} * 32))
        self._notes = np.memmap(folder / "notes", np.int64, "r+", shape=({NOTES}, 4))
        self._moments, self._count = np.zeros(4, np.int64), 0

    def execute(self, requests):
        self._moments[0] = time.monotonic_ns()
        answers = super().execute(requests)
        self._moments[3] = time.monotonic_ns()
        self._notes[self._count] = self._moments
        self._count += 1
        return answers

    def _new_place(self, shape):
        place = super()._new_place(shape)
        return replace(place, request=Noting(place.request, self._moments))
"""
EMPTY = """
from dataclasses import replace

from exported import TritonPythonModel as Exported

class Nothing:
    def start_async(self):
        pass

    def wait(self):
        pass

class TritonPythonModel(Exported):
    def _new_place(self, shape):
        place = super()._new_place(shape)
        place.boxes[:] = 0
        return replace(place, request=Nothing())
"""


def main() -> None:
    """Print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--pairs", type=int, default=400, help="pictures through each way, one at a time")
    parser.add_argument("--load-s", type=float, default=60.0, help="seconds at full load, here and there together")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = _one_at_a_time(options, Path(folder) / "one") | _full_load(options, Path(folder) / "load")
    for name, value in found.items():
        print(f"{name:34} {value}")
    if options.json:
        options.json.write_text(json.dumps(found))


class Noted:
    """OpenVINO's request in this process, with the moments (ns) at which it began to compute and had done so."""

    def __init__(self, request: Any) -> None:
        self._request, self.moments = request, [0, 0]

    def start_async(self) -> None:
        """As the request does."""
        self.moments[0] = time.monotonic_ns()
        self._request.start_async()

    def wait(self) -> None:
        """As the request does."""
        self._request.wait()
        self.moments[1] = time.monotonic_ns()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._request, name)


@dataclass
class Way:
    """To boxes, through a server or not, and what it took.

    Attributes:
        detector: One lane of it is used.
        noted: Two moments of the last detection at which OpenVINO begins and ends, or four with two around them, ns;
            None where it computes nothing.
    """

    detector: Detector
    noted: Callable[[], Sequence[int]] | None = None
    took_ms: list[float] = field(default_factory=list)
    beyond_ms: list[float] = field(default_factory=list)
    parts_ms: list[list[float]] = field(default_factory=list)

    def take(self, picture: np.ndarray) -> None:
        """One picture; notes how long."""
        self.detector.input(0)[0] = picture
        begun = time.monotonic_ns()
        self.detector.detect(0, 1)
        ended = time.monotonic_ns()
        self.took_ms.append((ended - begun) / 1e6)
        if self.noted is not None:
            parts = [(after - before) / 1e6 for before, after in pairwise((begun, *self.noted(), ended))]
            self.parts_ms.append(parts)
            self.beyond_ms.append(sum(parts) - parts[len(parts) // 2])


def _one_at_a_time(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    repository = folder / "repository"
    for name, model in (("shared", NOTING), ("sent", NOTING), ("empty", EMPTY)):
        _write(repository, options.model, name, model, instances=1)
    with _served(repository, folder) as url, ExitStack() as ways:
        here = _noting_here(ways.enter_context(_here(options.model, lanes=1)))
        there = {
            name: Way(ways.enter_context(_there(url, name, memory)), _noting_there(repository / name / "1" / "notes"))
            for name, memory in (("shared", "system"), ("sent", "none"), ("empty", "system"))
        }
        _require_same_properties(here.detector, repository / "shared" / "1")
        laid = [_laid(file, here.detector) for file in pictures_in(options.pictures)]
        boxes = _compared(here.detector, there["shared"].detector, laid)
        for turn in range(options.pairs):
            for way in [here, *there.values()][:: 1 if turn % 2 else -1]:
                way.take(laid[turn % len(laid)])
    return boxes | _told(here, there)


def _noting_here(detector: Any) -> Way:
    lane = detector._lanes[0]
    noted = Noted(lane.request)
    detector._lanes[0] = replace(lane, request=noted)
    return Way(detector, lambda: noted.moments)


def _noting_there(file: Path) -> Callable[[], Sequence[int]] | None:
    if not file.exists():
        return None
    notes = np.memmap(file, np.int64, "r", shape=(NOTES, 4))
    return lambda: [int(moment) for moment in notes[np.count_nonzero(notes[:, 0]) - 1]]


def _told(here: Way, there: dict[str, Way]) -> dict[str, Any]:
    told: dict[str, Any] = {"here ms": _spread(here.took_ms), "here, beyond model ms": _spread(here.beyond_ms)}
    for name, way in there.items():
        told[f"{name} ms"] = _spread(way.took_ms)
        if way.noted is None:
            continue
        told[f"{name}, added ms"] = _spread(_less(way.took_ms, here.took_ms))
        told[f"{name}, beyond model ms"] = _spread(way.beyond_ms)
        told[f"{name}, added beyond model ms"] = _spread(_less(way.beyond_ms, here.beyond_ms))
        told |= {
            f"{name}, {part} ms": _spread(list(times))
            for part, times in zip(PARTS, zip(*way.parts_ms, strict=True), strict=True)
        }
    return told


def _less(there_ms: list[float], here_ms: list[float]) -> list[float]:
    return [there - here for there, here in zip(there_ms, here_ms, strict=True)]


def _full_load(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    repository = folder / "repository"
    _write(repository, options.model, "full", None, instances=CORES)
    with _served(repository, folder) as url, ExitStack() as ways:
        here, there = (
            ways.enter_context(_here(options.model, CORES)),
            ways.enter_context(_there(url, "full", "system", CORES)),
        )
        laid = [_laid(file, here) for file in pictures_in(options.pictures)]
        rates: dict[str, list[float]] = {"here": [], "there": []}
        for turn in range(max(1, round(options.load_s / TURN_S / 2))):
            for name, detector in [("here", here), ("there", there)][:: 1 if turn % 2 else -1]:
                rates[name].append(_pictures_a_second(detector, laid))
    return {f"full load, {name}, pictures/s": _spread(each, 1) for name, each in rates.items()}


def _pictures_a_second(detector: Detector, laid: list[np.ndarray]) -> float:
    done, end_s = [0] * detector.lanes, time.monotonic() + TURN_S

    def work(lane: int) -> None:
        while time.monotonic() < end_s:
            detector.input(lane)[0] = laid[done[lane] % len(laid)]
            detector.detect(lane, 1)
            done[lane] += 1

    begun_s = time.monotonic()
    threads = [threading.Thread(target=work, args=(lane,)) for lane in range(detector.lanes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done) / (time.monotonic() - begun_s)


def _write(repository: Path, model: Path, name: str, instead: str | None, instances: int) -> None:
    """Export the model, with another `model.py` around the exported one if wanted."""
    version = write_repository(Order(model, repository, name, "python", instances=instances)).folder / "1"
    if instead is not None:
        (version / "model.py").rename(version / "exported.py")
        (version / "model.py").write_text(instead)


@contextmanager
def _served(repository: Path, folder: Path) -> Iterator[str]:
    with triton(repository, folder / "server") as server:
        yield server.url


@contextmanager
def _here(model: Path, lanes: int) -> Iterator[Detector]:
    """With what the exported model asks of OpenVINO, and no more."""
    openvino = {"hint": "none", "streams": lanes, "cache": False}
    with _warm(
        Model(path=str(model), lanes=lanes, threads=CORES, confidence=CONFIDENCE, openvino=openvino)
    ) as detector:
        yield detector


@contextmanager
def _there(url: str, name: str, memory: str, lanes: int = 1) -> Iterator[Detector]:
    triton_settings = {"memory": memory, "deadline_ms": 4000}
    model = Model(
        **{"backend": "triton", "path": name, "url": url, "triton": triton_settings}, lanes=lanes, confidence=CONFIDENCE
    )
    with _warm(model) as detector:
        yield detector


@contextmanager
def _warm(model: Model) -> Iterator[Detector]:
    detector = load_detector(model, None)
    detector.warm_up()
    try:
        yield detector
    finally:
        detector.close()


def _require_same_properties(here: Any, version: Path) -> None:
    there = json.loads((version / "properties").read_text())
    for name in PROPERTIES:
        mine = str(here._compiled.get_property(name))
        if mine != there[name]:
            sys.exit(f"not comparable: {name} is {mine} here and {there[name]} in the server")


def _laid(file: Path, detector: Detector) -> np.ndarray:
    """A picture as it lies in the model's input, (H, W, 3) uint8 RGB."""
    picture = cv2.cvtColor(cv2.imread(str(file)), cv2.COLOR_BGR2RGB)
    box = Letterbox.fit((picture.shape[1], picture.shape[0]), detector.input_wh)
    (left, top), (width, height) = box.pad_xy, box.content_wh
    laid = np.full((detector.input_wh[1], detector.input_wh[0], 3), PAD_GREY, np.uint8)
    laid[top : top + height, left : left + width] = cv2.resize(picture, (width, height))
    return laid


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


def _see(detector: Detector, laid: np.ndarray) -> Detections:
    detector.input(0)[0] = laid
    return detector.detect(0, 1)[0]


def _spread(values: list[float], digits: int = 3) -> str:
    """The median, and the quartiles."""
    low, middle, high = (round(one, digits) for one in statistics.quantiles(values, n=4))
    return f"{middle} [{low} {high}]"


if __name__ == "__main__":
    main()
