from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from pipeline.cli.subscribe import readable, readable_state
from pipeline.clock import NS_PER_S
from pipeline.wire import CameraState, FrameResult
from tests.publishing import Publisher
from tests.test_wire import frame

CAMFLEET = Path(sys.executable).parent / "camfleet"
DEADLINE_S = 30
DOOR = CameraState(
    fleet="town",
    camera_id="door",
    session_id="",
    state="retrying",
    detail="rtsp://bob:hunter2@door/ answered 401; check user and password",
)


@pytest.fixture
def endpoint() -> Iterator[str]:
    """A publisher that repeats two cameras' frames, and how a third one is, until the test is over."""
    publisher, stop = Publisher("tcp://127.0.0.1:0", queue=100), threading.Event()

    def run() -> None:
        number = 0
        while not stop.wait(0.01):
            for camera_id in ("gate", "yard"):
                publisher.publish(frame(camera_id, number))
            publisher.publish(DOOR)
            number += 1
        publisher.close()

    thread = threading.Thread(target=run)
    thread.start()
    yield publisher.endpoint
    stop.set()
    thread.join(DEADLINE_S)


def subscribe(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [CAMFLEET, "subscribe", *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=DEADLINE_S)


def test_subscribe_json_has_the_keys_of_the_wire(endpoint: str):
    done = subscribe(endpoint, "--camera", "gate", "--count", "3", "--json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0
    assert [line["camera_id"] for line in lines] == ["gate"] * 3
    assert list(lines[0]) == [field.name for field in msgspec.structs.fields(FrameResult)]


def test_subscribe_line_tells_camera_frame_age_and_boxes(endpoint: str):
    done = subscribe(endpoint, "--camera", "yard", "--count", "1")
    for part in ("yard", "predicted", "41.0 ms", "1 objects", "person#3~40ms"):
        assert part in done.stdout


def test_subscribe_states_come_between_the_frames_once_for_each_change(endpoint: str):
    done = subscribe(endpoint, "--states", "--count", "6")
    lines = [line for line in done.stdout.splitlines() if " is " in line]
    assert lines == ["door         is retrying: rtsp://***@door/ answered 401; check user and password"]


def test_subscribe_states_as_json_have_their_kind(endpoint: str):
    done = subscribe(endpoint, "--states", "--count", "3", "--json")
    objects = [json.loads(line) for line in done.stdout.splitlines()]
    assert {line["kind"]: line["camera_id"] for line in objects if line["camera_id"] != "yard"} == {
        "detections": "gate",
        "cameras": "door",
    }
    assert next(line for line in objects if line["kind"] == "cameras")["state"] == "retrying"


def test_subscribe_without_frames_tells_what_the_camera_says_although_states_come(endpoint: str):
    done = subscribe(endpoint, "--camera", "door", "--states", "--timeout", "1")
    assert done.returncode == 2
    assert done.stderr.startswith("camfleet: no frame within 1 s; door is retrying: ")


def test_readable_frame_without_a_detection_does_not_claim_an_empty_picture():
    line = readable(msgspec.structs.replace(frame(), origin="skipped", tracks=()))
    assert "? objects" in line


def test_readable_state_tells_since_when_and_when_it_is_tried_again():
    now_ns = time.time_ns()
    words = readable_state(msgspec.structs.replace(DOOR, since_ns=now_ns, retry_at_ns=now_ns + 4 * NS_PER_S))
    assert re.match(r"door +is retrying since .*\d\d:\d\d:\d\d, next try at .*\d\d:\d\d:\d\d: rtsp", words)


def test_subscribe_reader_that_leaves_ends_it_quietly(endpoint: str):
    done = subprocess.run(
        f"{CAMFLEET} subscribe {endpoint} --json | head -n 2",
        shell=True,
        check=True,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
    )
    assert len(done.stdout.splitlines()) == 2
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(("tcp://127.0.0.1:9", "--timeout", "0.2"), "no frame within 0.2 s", id="nobody there"),
        pytest.param(("127.0.0.1:5555",), "tcp://127.0.0.1:5555", id="not an endpoint"),
    ],
)
def test_subscribe_without_a_fleet_says_what_to_do(arguments: tuple[str, ...], words: str):
    done = subscribe(*arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
