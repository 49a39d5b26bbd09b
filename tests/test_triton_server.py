"""A real Triton server: what camfleet exports runs there, gives the same boxes, and may be killed, stopped and slow."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from pipeline.config.values import Model
from pipeline.detect import Detector, DetectorAway, load_detector
from pipeline.detect.triton.client import Connection
from pipeline.detect.triton.repository import Order, write_repository
from pipeline.detections import Detections
from pipeline.errors import DetectorError
from pipeline.geometry import Letterbox, iou_matrix
from tests.test_fleet import assert_books_are_right, running
from tests.triton_server import TritonServer, needs_triton, triton
from tests.waiting import DEADLINE_S, wait_until

pytestmark = [needs_triton, pytest.mark.timeout(400)]

SAMPLE = Path(__file__).parents[1] / "samples" / "model" / "demo_openvino_model"
STREET = Path(__file__).parents[1] / "samples" / "street.mp4"
SLOW = """
import time
from slow_of import TritonPythonModel as Fast

class TritonPythonModel(Fast):
    def execute(self, requests):
        time.sleep(0.4)
        return super().execute(requests)
"""


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("repository")
    write_repository(Order(SAMPLE, folder, "demo", "python"))
    return folder


@pytest.fixture(scope="module")
def server(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    """One for all tests that leave it as it was."""
    with triton(repository, tmp_path_factory.mktemp("server")) as started:
        yield started


@pytest.fixture(scope="module")
def slow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    """One that takes 0.4 s for each picture."""
    folder = tmp_path_factory.mktemp("slow")
    version = write_repository(Order(SAMPLE, folder, "demo", "python", instances=1)).folder / "1"
    (version / "model.py").rename(version / "slow_of.py")
    (version / "model.py").write_text(SLOW)
    with triton(folder, tmp_path_factory.mktemp("server")) as started:
        yield started


def load(*servers: TritonServer, **settings: Any) -> Detector:
    urls = [server.url for server in servers]
    section = {"start_s": 30, **settings.pop("triton", {})}
    model = Model(backend="triton", path="demo", url=urls, triton=section, **settings)
    detector = load_detector(model, None)
    detector.warm_up()
    return detector


def pictures(count: int) -> list[np.ndarray]:
    capture = cv2.VideoCapture(str(STREET))
    read = [capture.read()[1] for _ in range(10 * count)]
    capture.release()
    return [cv2.cvtColor(picture, cv2.COLOR_BGR2RGB) for picture in read[::10]]


def see(detector: Detector, picture: np.ndarray, lane: int = 0) -> Detections:
    height, width = picture.shape[:2]
    box = Letterbox.fit((width, height), detector.input_wh)
    (left, top), (width, height) = box.pad_xy, box.content_wh
    detector.input(lane)[0, top : top + height, left : left + width] = cv2.resize(picture, (width, height))
    return detector.detect(lane, 1)[0]


def assert_same_boxes(found: Detections, wanted: Detections) -> None:
    assert len(found) == len(wanted)
    if len(wanted):
        assert iou_matrix(found.xyxy, wanted.xyxy).diagonal().min() >= 0.99
    assert found.class_id.tolist() == wanted.class_id.tolist()


def seen_at_last(detector: Detector, picture: np.ndarray, within: Callable) -> Detections:
    """What a server finds as soon as it answers in time."""
    found: list[Detections] = []

    def answers() -> bool:
        try:
            found.append(see(detector, picture))
        except DetectorAway:
            return False
        return True

    wait_until(within, answers)
    return found[0]


def sees(detector: Detector, picture: np.ndarray, wanted: Detections) -> bool:
    """Whether a server answers, and rightly."""
    try:
        assert_same_boxes(see(detector, picture), wanted)
    except DetectorAway:
        return False
    return True


def test_triton_server_gives_the_boxes_that_openvino_gives_here(server: TritonServer) -> None:
    here = load_detector(Model(path=str(SAMPLE)), None)
    for memory in ("auto", "none"):
        there = load(server, triton={"memory": memory})
        assert (there.input_wh, there.class_names) == (here.input_wh, here.class_names)
        seen = 0
        for picture in pictures(6):
            wanted = see(here, picture)
            assert_same_boxes(see(there, picture), wanted)
            seen += len(wanted)
        assert seen > 20
        there.close()
    here.close()
    assert "Traceback" not in server.said()


def test_triton_server_computes_lanes_at_once(server: TritonServer) -> None:
    detector = load(server)
    assert detector.lanes == 2
    picture = pictures(1)[0]
    wanted = see(detector, picture)
    assert len(wanted)
    found: list[Detections] = []
    threads = [
        threading.Thread(target=lambda lane=lane: found.extend(see(detector, picture, lane) for _ in range(10)))
        for lane in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)
    assert len(found) == 20
    for each in found:
        assert_same_boxes(each, wanted)
    detector.close()


def test_triton_server_has_no_such_model(server: TritonServer) -> None:
    model = Model(backend="triton", path="dmeo", url=server.url)
    with pytest.raises(DetectorError, match="has no model 'dmeo'; it has demo"):
        load_detector(model, None)


def test_triton_server_that_cannot_open_memory_gets_pictures_through_the_connection(
    server: TritonServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("pipeline.detect.triton.memory.SHARED", tmp_path)  # as in a container of its own
    detector = load(server)
    assert len(see(detector, pictures(1)[0]))
    detector.close()
    with pytest.raises(DetectorError, match="cannot open it: Unable to open shared memory region"):
        load(server, triton={"memory": "system"})


@pytest.mark.long
def test_triton_server_killed_and_started_again_is_used_again(
    repository: Path, tmp_path: Path, within: Callable
) -> None:
    picture = pictures(1)[0]
    with triton(repository, tmp_path) as mine:
        detector = load(mine, triton={"deadline_ms": 400})
        wanted = seen_at_last(detector, picture, within)
        mine.kill()
        with pytest.raises(DetectorAway, match=mine.url):
            see(detector, picture)
        mine.restart()

        wait_until(within, lambda: sees(detector, picture, wanted))
        detector.close()


@pytest.mark.long
def test_triton_server_that_is_stopped_costs_its_deadline_and_another_takes_over(
    server: TritonServer, repository: Path, tmp_path: Path, within: Callable
) -> None:
    picture = pictures(1)[0]
    with triton(repository, tmp_path) as mine:
        detector = load(mine, server, triton={"deadline_ms": 500})
        wanted = seen_at_last(detector, picture, within)
        with mine.stopped():
            with pytest.raises(DetectorAway, match="no answer in time"):
                see(detector, picture)
            wait_until(within, lambda: sees(detector, picture, wanted))
        detector.close()


def test_triton_server_that_is_slow_costs_its_pictures_and_spoils_no_other(
    slow_server: TritonServer, within: Callable
) -> None:
    picture = pictures(1)[0]
    model = Model(backend="triton", path="demo", url=slow_server.url, triton={"deadline_ms": 200})
    detector = load_detector(model, None)
    detector.warm_up()
    with pytest.raises(DetectorAway, match="no answer in time"):
        see(detector, picture)
    detector.close()
    patient = load(slow_server, triton={"deadline_ms": 4000})
    here = load_detector(Model(path=str(SAMPLE)), None)
    assert_same_boxes(seen_at_last(patient, picture, within), see(here, picture))
    patient.close()
    here.close()


def test_triton_server_keeps_no_memory_of_requests_that_were_given_up_and_have_ended(
    slow_server: TritonServer, within: Callable
) -> None:
    model = Model(backend="triton", path="demo", url=slow_server.url, lanes=1, triton={"deadline_ms": 200})
    detector, picture = load_detector(model, None), pictures(1)[0]
    detector.warm_up()
    for _ in range(10):
        with pytest.raises(DetectorAway):
            see(detector, picture)
    connection = Connection(slow_server.url, model.triton)
    wait_until(within, lambda: len(connection.registered("system", time.monotonic() + DEADLINE_S)) <= 4)
    connection.close()
    detector.close()


def test_fleet_goes_on_while_its_triton_server_is_killed_and_comes_back(
    repository: Path, tmp_path: Path, fleet_file: Callable[..., Path], within: Callable
) -> None:
    with triton(repository, tmp_path / "server") as mine:
        path = fleet_file(
            {"street": {"url": str(STREET), "loop": True}},
            model={"backend": "triton", "path": "demo", "url": mine.url, "triton": {"deadline_ms": 500}},
        )
        with running(path) as run:
            wait_until(within, lambda: any(result.origin == "detected" for result in run.results))
            mine.kill()
            killed_at = len(run.results)
            wait_until(within, lambda: any(result.origin == "skipped" for result in run.results[killed_at:]))
            mine.restart()
            back_at = len(run.results)
            wait_until(within, lambda: any(result.origin == "detected" for result in run.results[back_at:]))
            assert run.restarts("worker") == 0
        assert_books_are_right(run.results)
        assert set(run.results[-1].counts.lost) <= {"late"}, "a worker that is paused gives up what is older than 2 s"
