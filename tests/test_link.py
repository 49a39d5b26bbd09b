from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from pipeline.link import TICK_QUEUE, Admission, Link, State, Tick, WorkerLink, has_message
from pipeline.wire import CameraState

DEADLINE_MS = 10_000


def tick(frame_id: int) -> Tick:
    return Tick(2**46, frame_id, 0.04, 1, 2, "arrival", 3, 4, (640, 360), "slot")


@pytest.fixture
def endpoint(short_path: Path) -> str:
    return f"ipc://{short_path}/link"


@pytest.fixture
def worker(endpoint: str) -> Iterator[WorkerLink]:
    link = WorkerLink(endpoint)
    yield link
    link.close()


@pytest.fixture
def camera(endpoint: str) -> Iterator[Link]:
    link = Link(endpoint, "gate")
    yield link
    link.close()


def heard(worker: WorkerLink, count: int) -> list[object]:
    words: list[object] = []
    while len(words) < count:
        assert worker.socket.poll(DEADLINE_MS, zmq.POLLIN), f"heard only {words}"
        if (word := worker.receive()) is not None:
            assert word[0] == "gate"
            words.append(word[1])
    return words


def test_link_words_come_over_whole_and_in_order(worker: WorkerLink, camera: Link) -> None:
    state = State(CameraState(fleet="town", camera_id="gate", session_id="1f", state="live", frame_wh=(640, 360)))
    for word in (tick(0), state, tick(1)):
        assert camera.send(word, DEADLINE_MS)
    assert heard(worker, 3) == [tick(0), state, tick(1)]
    assert worker.receive() is None


def test_link_wishes_come_in_order(worker: WorkerLink, camera: Link) -> None:
    assert camera.receive() == []
    camera.send(tick(0), DEADLINE_MS)
    heard(worker, 1)
    for stride in (1, 2, 3):
        worker.send("gate", Admission(stride, 0, (640, 640)))
    wishes: list[object] = []
    while len(wishes) < 3:
        wishes += camera.receive(DEADLINE_MS)
    assert wishes == [Admission(stride, 0, (640, 640)) for stride in (1, 2, 3)]
    assert camera.receive() == []


@pytest.mark.parametrize(
    ("stride", "phase", "wanted"), [(1, 0, [0, 1, 2, 3]), (2, 0, [0, 2]), (2, 1, [1, 3]), (3, 1, [2])]
)
def test_admission_wants_every_nth_frame_from_its_phase(stride: int, phase: int, wanted: list[int]) -> None:
    admission = Admission(stride, phase, (640, 640))
    assert [frame_id for frame_id in range(4) if admission.wants(frame_id)] == wanted


def test_link_wish_for_a_camera_that_is_not_there_is_dropped(worker: WorkerLink) -> None:
    worker.send("nobody", Admission(1, 0, (640, 640)))
    assert worker.receive() is None


def test_camera_without_a_worker_does_not_block_and_keeps_the_oldest_words(endpoint: str, camera: Link) -> None:
    sent = [camera.send(tick(frame_id)) for frame_id in range(TICK_QUEUE + 50)]
    assert sent == [True] * TICK_QUEUE + [False] * 50
    assert not camera.send(tick(0), timeout_ms=20)
    worker = WorkerLink(endpoint)
    assert heard(worker, TICK_QUEUE) == [tick(frame_id) for frame_id in range(TICK_QUEUE)]
    worker.close()


def test_camera_finds_a_worker_that_was_started_again(endpoint: str, camera: Link) -> None:
    first = WorkerLink(endpoint)
    camera.send(tick(0), DEADLINE_MS)
    assert heard(first, 1) == [tick(0)]
    first.close()
    second = WorkerLink(endpoint)
    deadline = time.monotonic() + DEADLINE_MS / 1000
    while second.receive() is None:
        assert time.monotonic() < deadline
        camera.send(tick(1))
        second.socket.poll(50)
    second.send("gate", Admission(1, 0, (32, 32)))
    assert camera.receive(DEADLINE_MS) == [Admission(1, 0, (32, 32))]
    second.close()


def test_camera_started_again_takes_over_its_name(endpoint: str, worker: WorkerLink, camera: Link) -> None:
    camera.send(tick(0), DEADLINE_MS)
    heard(worker, 1)
    again = Link(endpoint, "gate")
    again.send(tick(1), DEADLINE_MS)
    assert heard(worker, 1) == [tick(1)]
    worker.send("gate", Admission(1, 0, (32, 32)))
    assert again.receive(DEADLINE_MS) != []
    again.close()


def test_camera_settles_once_a_slow_worker_has_read_everything(worker: WorkerLink, camera: Link) -> None:
    count = 6 * TICK_QUEUE
    words: list[object] = []

    def read_late() -> None:
        threading.Event().wait(0.3)
        words.extend(heard(worker, count))
        while not settled.is_set() and worker.socket.poll(DEADLINE_MS):
            worker.receive()

    settled = threading.Event()
    reader = threading.Thread(target=read_late)
    reader.start()
    for frame_id in range(count):
        while not camera.send(tick(frame_id), DEADLINE_MS):
            pytest.fail("no room")
    assert camera.flush(DEADLINE_MS)
    settled.set()
    camera.send(tick(0))
    camera.close()
    reader.join()
    assert words == [tick(frame_id) for frame_id in range(count)]


def test_camera_settling_without_a_worker_gives_up(camera: Link) -> None:
    assert not camera.flush(50)
    for frame_id in range(TICK_QUEUE):
        camera.send(tick(frame_id))
    assert not camera.flush(50)


def test_camera_settling_hears_pongs_between_wishes(worker: WorkerLink, camera: Link) -> None:
    camera.send(tick(0), DEADLINE_MS)
    heard(worker, 1)
    worker.send("gate", Admission(2, 0, (64, 64)))
    answering = threading.Thread(target=lambda: [worker.socket.poll(DEADLINE_MS), worker.receive()])
    answering.start()
    assert camera.flush(DEADLINE_MS)
    answering.join()
    assert camera.receive() == []


@pytest.mark.parametrize(
    "parts",
    [[b"\xc0"], [b"\x91\xa4tick"], [b"\xff" * 100], [b""], [b"\x91\xa3bye", b"more"]],
    ids=["nothing", "too short a tick", "no msgpack", "empty", "a part too many"],
)
def test_link_rubbish_of_one_camera_is_passed_over_and_the_next_message_heard(
    worker: WorkerLink, camera: Link, endpoint: str, parts: list[bytes]
) -> None:
    rogue: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.DEALER)
    rogue.set(zmq.IDENTITY, b"\xffrogue")
    rogue.connect(endpoint)
    try:
        rogue.send_multipart(parts)
        assert worker.socket.poll(DEADLINE_MS, zmq.POLLIN)
        assert worker.receive() is None
        camera.send(tick(0), DEADLINE_MS)
        assert heard(worker, 1) == [tick(0)]
    finally:
        rogue.close(linger=0)


def test_link_has_message_only_once_something_was_said(worker: WorkerLink, camera: Link):
    assert not has_message(worker.socket)
    camera.send(tick(0))
    assert worker.socket.poll(DEADLINE_MS)
    assert has_message(worker.socket)
    assert worker.receive() == ("gate", tick(0))
    assert not has_message(worker.socket)
