from __future__ import annotations

import threading

import msgspec
import pytest
import zmq

from pipeline import PublishError, Subscriber, SubscriberTimeout, WireError
from pipeline.client import why_silent
from pipeline.wire import CameraState, FrameResult
from tests.publishing import Publisher
from tests.test_wire import STATE, frame

DEADLINE_S = 10.0


def publish_until_heard(publisher: Publisher, messages: list, heard: threading.Event) -> threading.Thread:
    """A SUB socket joins late; so say everything again until somebody has heard."""

    def run() -> None:
        while not heard.wait(0.02):
            for message in messages:
                publisher.publish(message)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def receive(cameras: list[str] | None, messages: list, until) -> list:
    publisher = Publisher("tcp://127.0.0.1:0", queue=100)
    heard = threading.Event()
    with Subscriber(publisher.endpoint, cameras, timeout_s=DEADLINE_S) as results:
        thread = publish_until_heard(publisher, messages, heard)
        try:
            seen = []
            for result in results:
                seen.append(result)
                if until(results, seen):
                    return seen
        finally:
            heard.set()
            thread.join(DEADLINE_S)
            publisher.close()
    return []


def test_subscriber_to_one_camera_hears_no_other():
    seen = receive(["cam1"], [frame("cam10"), frame("cam1")], lambda results, seen: len(seen) == 3)
    assert {result.camera_id for result in seen} == {"cam1"}


def test_subscriber_without_names_hears_all_and_their_states():
    seen = receive(
        None, [STATE, frame("gate"), frame("yard")], lambda results, seen: len(seen) >= 4 and "gate" in results.states
    )
    assert {result.camera_id for result in seen} == {"gate", "yard"}


def test_subscriber_when_nobody_publishes_says_so_in_time():
    with Subscriber("tcp://127.0.0.1:9", timeout_s=0.05) as results, pytest.raises(SubscriberTimeout, match=r"0\.05 s"):
        results.receive()


def test_subscriber_closed_in_the_loop_ends_the_loop():
    publisher = Publisher("tcp://127.0.0.1:0", queue=100)
    heard = threading.Event()
    results = Subscriber(publisher.endpoint, timeout_s=DEADLINE_S)
    thread = publish_until_heard(publisher, [frame()], heard)
    seen = 0
    for _ in results:
        seen += 1
        results.close()
    heard.set()
    thread.join(DEADLINE_S)
    publisher.close()
    results.close()
    assert seen == 1


def test_subscriber_to_nonsense_is_told_what_an_endpoint_looks_like():
    with pytest.raises(PublishError, match=r"tcp://127\.0\.0\.1:5555"):
        Subscriber("nonsense")


def test_subscriber_foreign_message_is_a_wire_error():
    publisher = Publisher("tcp://127.0.0.1:0", queue=100)
    heard = threading.Event()
    state = CameraState(fleet="town", camera_id="gate", session_id="", state="live", schema=99)
    with Subscriber(publisher.endpoint, timeout_s=DEADLINE_S) as results:
        thread = publish_until_heard(publisher, [state], heard)
        with pytest.raises(WireError, match="uses another"):
            results.receive()
        heard.set()
        thread.join(DEADLINE_S)
    publisher.close()


@pytest.mark.parametrize(
    "parts", [[b"detections/gate/"], [b"detections/gate/", b"", b""], [b"detections/gate/", b"\xc1"]]
)
def test_subscriber_whatever_comes_is_a_wire_error(parts: list[bytes]):
    with zmq.Context() as context, context.socket(zmq.XPUB) as socket:
        port = socket.bind_to_random_port("tcp://127.0.0.1")
        with Subscriber(f"tcp://127.0.0.1:{port}", timeout_s=DEADLINE_S) as results:
            assert socket.poll(1000 * DEADLINE_S)
            socket.recv()
            socket.send_multipart(parts)
            with pytest.raises(WireError, match="message"):
                results.receive()


def test_publisher_on_a_port_in_use_says_what_to_change():
    first = Publisher("tcp://127.0.0.1:0", queue=10)
    with pytest.raises(PublishError, match=r"publish\.bind"):
        Publisher(first.endpoint, queue=10)
    first.close()


def test_subscriber_with_states_gives_them_between_the_frames():
    publisher = Publisher("tcp://127.0.0.1:0", queue=100)
    heard = threading.Event()
    with Subscriber(publisher.endpoint, states=True, timeout_s=DEADLINE_S) as messages:
        thread = publish_until_heard(publisher, [STATE, frame()], heard)
        seen = [messages.receive() for _ in range(4)]
        heard.set()
        thread.join(DEADLINE_S)
        publisher.close()
    assert {type(message) for message in seen} == {CameraState, FrameResult}


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (None, "is the fleet running"),
        ("live", "its cameras say they are live: gate"),
        ("retrying", "gate is retrying: nothing listens there"),
    ],
)
def test_subscriber_explains_silence_from_what_cameras_say(state: str | None, words: str):
    states = (
        {} if state is None else {"gate": msgspec.structs.replace(STATE, state=state, detail="nothing listens there")}
    )
    assert words in why_silent(states)
