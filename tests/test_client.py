from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading

import msgspec
import pytest
import zmq
from msgspec.structs import replace

from pipeline import AsyncSubscriber, PublishError, Subscriber, SubscriberClosed, SubscriberTimeout, WireError
from pipeline.client import why_silent
from pipeline.client.reading import Reading, Wanted
from pipeline.wire import CameraState, FleetState, FrameResult, encode, publisher_id, stamp, topic
from tests.publishing import Publisher
from tests.test_wire import STATE, frame
from tests.wire_messages import FLEET

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
        kinds: set[type] = set()
        while len(kinds) < 2:
            kinds.add(type(messages.receive()))
        heard.set()
        thread.join(DEADLINE_S)
        publisher.close()
    assert kinds == {CameraState, FrameResult}


def test_subscriber_with_all_states_gives_how_the_fleet_is_too():
    publisher = Publisher("tcp://127.0.0.1:0", queue=100)
    heard = threading.Event()
    with Subscriber(publisher.endpoint, states="all", timeout_s=DEADLINE_S) as messages:
        thread = publish_until_heard(publisher, [STATE, frame(), FLEET], heard)
        kinds: set[type] = set()
        while len(kinds) < 3:
            kinds.add(type(messages.receive()))
        heard.set()
        thread.join(DEADLINE_S)
        publisher.close()
    assert kinds == {CameraState, FrameResult, FleetState}
    assert messages.fleets == {"town": FLEET}


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


def test_subscriber_closed_by_another_thread_ends_the_loop_that_waits():
    results = Subscriber("tcp://127.0.0.1:9")
    ended = threading.Event()

    def read() -> None:
        for _ in results:
            pass
        ended.set()

    thread = threading.Thread(target=read)
    thread.start()
    results.close()
    assert ended.wait(DEADLINE_S)
    thread.join(DEADLINE_S)
    with pytest.raises(SubscriberClosed):
        results.receive()


def test_subscriber_closed_by_a_signal_handler_ends_the_loop_that_waits():
    results = Subscriber("tcp://127.0.0.1:9", timeout_s=DEADLINE_S)
    before = signal.signal(signal.SIGUSR1, lambda number, frame: results.close())
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGUSR1))
    timer.start()
    try:
        assert list(results) == []
    finally:
        timer.join(DEADLINE_S)
        signal.signal(signal.SIGUSR1, before)


def test_subscriber_gets_objects_of_its_classes_and_scores_and_every_frame():
    person, car = frame().tracks[0], replace(frame().tracks[0], class_name="car", score=0.3)
    publisher = Publisher("tcp://127.0.0.1:0", queue=100)
    heard = threading.Event()
    mixed = replace(frame(), tracks=(person, car))
    with Subscriber(publisher.endpoint, classes=["car"], min_score=0.2, timeout_s=DEADLINE_S) as results:
        thread = publish_until_heard(publisher, [mixed, frame("yard")], heard)
        found = {result.camera_id: result.tracks for result in (results.receive() for _ in range(2))}
        heard.set()
        thread.join(DEADLINE_S)
    publisher.close()
    assert found == {"gate": (car,), "yard": ()}


def test_subscriber_that_hears_nothing_at_all_says_where_it_listens(caplog, monkeypatch):
    monkeypatch.setattr("pipeline.client.subscriber.HINT_S", 0.05)
    with Subscriber("tcp://127.0.0.1:9", timeout_s=0.3) as results, pytest.raises(SubscriberTimeout):
        results.receive()
    (told,) = [record.getMessage() for record in caplog.records]
    assert "no connection to tcp://127.0.0.1:9" in told
    assert "publish.bind" in told


def test_subscriber_to_several_fleets_hears_all_of_them():
    publishers = [Publisher("tcp://127.0.0.1:0", queue=100) for _ in range(2)]
    heard = threading.Event()
    with Subscriber([publisher.endpoint for publisher in publishers], timeout_s=DEADLINE_S) as results:
        threads = [
            publish_until_heard(publisher, [frame(camera_id)], heard)
            for publisher, camera_id in zip(publishers, ("gate", "yard"), strict=True)
        ]
        cameras: set[str] = set()
        while len(cameras) < 2:
            cameras.add(results.receive().camera_id)
        heard.set()
        for thread in threads:
            thread.join(DEADLINE_S)
    for publisher in publishers:
        publisher.close()
    assert cameras == {"gate", "yard"}


def numbers(*numbers: int, publisher: str = "a", camera_id: str = "gate") -> list[list[bytes]]:
    """Stamped messages as they come."""
    return [
        [topic("detections", camera_id), stamp(encode(frame(camera_id, number - 1)), publisher_id(publisher), number)]
        for number in numbers
    ]


@pytest.mark.parametrize(
    ("parts", "received", "repeated", "missed"),
    [
        pytest.param(numbers(1, 2, 3), 3, 0, {}, id="all of them"),
        pytest.param(numbers(7, 8), 2, 0, {}, id="joined later"),
        pytest.param(numbers(1, 2, 6, 7), 4, 0, {"gate": 3}, id="three are missing"),
        pytest.param(numbers(1, 2, 2, 3, 1), 3, 2, {}, id="repeats for others"),
        pytest.param(numbers(1, 5) + numbers(1, 2, camera_id="yard"), 4, 0, {"gate": 3}, id="by camera"),
    ],
)
def test_reading_counts_what_came_what_came_twice_and_what_did_not_come(
    parts: list[list[bytes]], received: int, repeated: int, missed: dict[str, int]
):
    reading = Reading(Wanted())
    given = [reading.take(one) for one in parts]
    statistics = reading.statistics(0)
    assert (statistics.received, statistics.repeated, statistics.missed) == (received, repeated, missed)
    assert sum(message is not None for message in given) == received


def test_reading_of_two_proxies_takes_a_camera_that_moves_to_another_publisher_once():
    def said(publisher: str, number: int) -> list[bytes]:
        message = frame("gate", number, session_id=publisher)
        return [message.topic, stamp(encode(message), publisher_id(publisher), number)]

    reading = Reading(Wanted())
    quick = [said("a", 1), said("a", 2), said("b", 1), said("b", 2), said("a", 3)]
    taken = [reading.take(parts) is not None for parts in (*quick[:4], *quick[:4], quick[4], quick[4])]
    assert taken == [True] * 4 + [False] * 4 + [True, False]
    statistics = reading.statistics(0)
    assert (statistics.repeated, statistics.missed, statistics.publisher_restarts) == (5, {}, 2)


def test_reading_first_gap_is_told_and_later_ones_are_counted(caplog):
    reading = Reading(Wanted())
    for parts in numbers(1, 3, 9):
        reading.take(parts)
    (told,) = [record.getMessage() for record in caplog.records]
    assert "1 frames of camera gate" in told
    assert reading.statistics(0).missed == {"gate": 6}


def test_reading_of_a_publisher_that_numbers_nothing_counts_no_gaps():
    reading = Reading(Wanted())
    for frame_id in (0, 5):
        assert reading.take([b"detections/gate/", encode(frame("gate", frame_id))]) is not None
    assert reading.statistics(0).missed == {}


def test_async_subscriber_gives_frames_and_ends_when_it_is_closed():
    publisher = Publisher("tcp://127.0.0.1:0", queue=100)
    heard = threading.Event()

    async def read() -> list[FrameResult]:
        seen = []
        async with AsyncSubscriber(publisher.endpoint, timeout_s=DEADLINE_S) as results:
            async for result in results:
                seen.append(result)
                if len(seen) == 3:
                    results.close()
        return seen

    thread = publish_until_heard(publisher, [frame()], heard)
    seen = asyncio.run(read())
    heard.set()
    thread.join(DEADLINE_S)
    publisher.close()
    assert [result.camera_id for result in seen] == ["gate"] * 3


def test_async_subscriber_closed_by_another_task_ends_the_loop_that_waits():
    async def read() -> list[FrameResult]:
        results = AsyncSubscriber("tcp://127.0.0.1:9", timeout_s=DEADLINE_S)
        asyncio.get_running_loop().call_later(0.1, results.close)
        return [result async for result in results]

    assert asyncio.run(read()) == []


def test_async_subscriber_when_nobody_publishes_says_so_in_time():
    async def read() -> None:
        async with AsyncSubscriber("tcp://127.0.0.1:9", timeout_s=0.05) as results:
            await results.receive()

    with pytest.raises(SubscriberTimeout, match=r"0\.05 s"):
        asyncio.run(read())


def test_async_subscriber_that_is_cancelled_loses_no_message():
    async def read(endpoint: str, publisher: Publisher) -> list[int]:
        async with AsyncSubscriber(endpoint, timeout_s=DEADLINE_S) as results:
            publisher.publish(frame("gate", 0))
            seen = []
            frame_id = 0
            while len(seen) < 20:
                with contextlib.suppress(SubscriberTimeout):
                    seen.append((await results.receive(0.001)).frame_id)
                frame_id += 1
                publisher.publish(frame("gate", frame_id))
            return seen

    publisher = Publisher("tcp://127.0.0.1:0", queue=10_000)
    seen = asyncio.run(read(publisher.endpoint, publisher))
    publisher.close()
    assert seen == list(range(seen[0], seen[0] + 20))
