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

from pipeline.cli.subscribe import readable, readable_fleet, readable_missed, readable_state
from pipeline.client import Statistics
from pipeline.clock import NS_PER_S
from pipeline.wire import CameraState, FrameResult, compact
from tests.publishing import Publisher
from tests.test_wire import frame
from tests.wire_messages import FLEET

CAMFLEET = Path(sys.executable).parent / "camfleet"
DEADLINE_S = 60
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
                publisher.publish(compact(frame(camera_id, number)))
            publisher.publish(DOOR)
            publisher.publish(FLEET)
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
    def tells(timeout_s: int) -> bool:
        done = subscribe(endpoint, "--camera", "door", "--states", "--timeout", str(timeout_s))
        assert done.returncode == 2
        return done.stderr.startswith(f"camfleet: no frame within {timeout_s} s; door is retrying: ")

    assert any(tells(timeout_s) for timeout_s in (1, 4, 16))


def test_subscribe_fleet_tells_who_breaks_the_promise(endpoint: str):
    done = subscribe(endpoint, "--fleet", "--count", "6")
    assert next(line for line in done.stdout.splitlines() if line.startswith("town")) == (
        "town         does not keep p95 ≤ 150 ms; 1 cameras, 25 frames/s, 12 detected/s; gate: degraded: decoding "
        "falls behind"
    )


def test_subscribe_fleet_as_json_has_its_kind_and_all_its_keys(endpoint: str):
    done = subscribe(endpoint, "--fleet", "--count", "6", "--json")
    objects = [json.loads(line) for line in done.stdout.splitlines()]
    fleet = next(line for line in objects if line["kind"] == "fleet")
    assert (fleet["kept"], fleet["broken_by"]) == (False, {"gate": "degraded: decoding falls behind"})
    assert {line["kind"] for line in objects} == {"detections", "fleet"}


@pytest.mark.parametrize(
    "arguments", [("--class", "car"), ("--class", "car", "--class", "truck"), ("--min-score", "0.95")], ids=" ".join
)
def test_subscribe_objects_that_are_not_wanted_are_left_out_and_their_frames_come(endpoint: str, arguments):
    done = subscribe(endpoint, "--count", "2", *arguments)
    assert ["  0 objects" in line for line in done.stdout.splitlines()] == [True, True]


def test_subscribe_compact_prints_the_same(endpoint: str):
    done = subscribe(endpoint, "--compact", "--camera", "yard", "--count", "1")
    for part in ("yard", "predicted", "41.0 ms", "1 objects", "person#3~40ms"):
        assert part in done.stdout


def test_subscribe_several_endpoints_are_heard_together(endpoint: str):
    other, stop = Publisher("tcp://127.0.0.1:0", queue=100), threading.Event()

    def run() -> None:
        while not stop.wait(0.01):
            other.publish(frame("attic"))
        other.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        done = subscribe(endpoint, other.endpoint, "--camera", "attic", "--camera", "gate", "--count", "60")
    finally:
        stop.set()
        thread.join(DEADLINE_S)
    assert {line.split()[0] for line in done.stdout.splitlines()} == {"attic", "gate"}


def test_subscribe_tells_at_the_end_what_it_has_missed():
    publisher, stop = Publisher("tcp://127.0.0.1:0", queue=100), threading.Event()

    def run() -> None:
        number = 0
        while not stop.wait(0.01):
            number += 3
            publisher.publish(msgspec.structs.replace(frame("gate", number), publisher="a1", number=number))
        publisher.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        done = subscribe(publisher.endpoint, "--count", "3")
    finally:
        stop.set()
        thread.join(DEADLINE_S)
    assert done.returncode == 0
    assert done.stderr.splitlines()[-1] == "camfleet: 4 frames were published and did not arrive: 4 of gate"


def test_readable_missed_tells_also_what_happened():
    words = readable_missed(Statistics(9, 1, {"gate": 2, "yard": 5}, reconnects=1, publisher_restarts=2))
    assert words == (
        "7 frames were published and did not arrive: 5 of yard, 2 of gate; 1 reconnections, 2 restarts of the publisher"
    )


@pytest.mark.parametrize(("kept", "words"), [(True, "keeps p95 ≤ 150 ms"), (None, "cannot say yet")])
def test_readable_fleet_that_breaks_nothing_names_nobody(kept: bool | None, words: str):
    line = readable_fleet(msgspec.structs.replace(FLEET, kept=kept, broken_by={}))
    assert words in line
    assert line.endswith("12 detected/s")


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
