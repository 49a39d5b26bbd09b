"""What the publisher adds to messages: numbers, repeats for newcomers, the fleet's own message, and a short history."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import c_int64
from pathlib import Path

import pytest
import zmq
from msgspec.structs import replace

from pipeline import Subscriber
from pipeline.client.history import missed
from pipeline.clock import SystemClock
from pipeline.errors import PublishError, WireError
from pipeline.publish import LanesInUse, Publisher, Roster
from pipeline.relay.history import KEPT_S, History
from pipeline.relay.overview import Overview
from pipeline.relay.process import Relay, RelaySpec
from pipeline.relay.repeats import APART_S, Repeats
from pipeline.wire import (
    CameraState,
    Counts,
    FleetState,
    FrameResult,
    LookFigures,
    ProcessFigures,
    State,
    decode,
    encode,
)
from tests import wire_messages
from tests.test_wire import frame
from tests.waiting import DEADLINE_S, wait_until

FRAME, STATE = wire_messages.FRAME, wire_messages.STATE


class Running:
    """A publisher's loop in a thread, and a worker's end."""

    def __init__(self, folder: Path, **spec: object) -> None:
        inbox = f"ipc://{folder}/inbox"
        self.relay = Relay(
            RelaySpec("publisher", "tcp://127.0.0.1:0", False, inbox, 1000, folder, inside=folder, **spec),
            SystemClock(),
        )
        self._thread = threading.Thread(target=self.relay.run, args=(c_int64(),))
        self._thread.start()
        self.worker = Publisher(inbox)

    def close(self) -> None:
        self.worker.close()
        self.relay.stop()
        self._thread.join(DEADLINE_S)
        assert not self._thread.is_alive()


@contextmanager
def running(folder: Path, **spec: object) -> Iterator[Running]:
    it = Running(folder, **spec)
    try:
        yield it
    finally:
        it.close()


@pytest.fixture
def publisher(short_path: Path) -> Iterator[Running]:
    with running(short_path) as it:
        yield it


def numbered(results: Subscriber, count: int) -> list[FrameResult]:
    return [results.receive() for _ in range(count)]


def test_newcomer_gets_the_newest_frame_and_state_of_each_camera_though_nothing_is_published(publisher: Running):
    for frame_id in range(3):
        for camera_id in ("gate", "yard"):
            publisher.worker.publish(frame(camera_id, frame_id))
    publisher.worker.publish(replace(STATE, camera_id="gate"))
    with Subscriber(publisher.relay.endpoint, states=True, timeout_s=DEADLINE_S) as first:
        while not isinstance(first.receive(), CameraState):
            pass  # the state was published last
    with Subscriber(publisher.relay.endpoint, states=True, timeout_s=DEADLINE_S) as late:
        heard = {(type(message).__name__, message.camera_id): message for message in numbered(late, 3)}
    assert set(heard) == {("FrameResult", "gate"), ("FrameResult", "yard"), ("CameraState", "gate")}
    assert heard["FrameResult", "gate"].frame_id == heard["FrameResult", "yard"].frame_id == 2


def test_messages_of_one_turn_go_in_one_parcel_and_arrive_each_in_order(publisher: Running):
    with Subscriber(publisher.relay.endpoint, timeout_s=DEADLINE_S) as results:
        publisher.worker.publish(frame("gate", 0))
        assert results.receive().frame_id == 0
        publisher.worker.publish(frame("gate", 1), frame("yard", 7), STATE, frame("gate", 2))
        heard = numbered(results, 3)
    assert [(one.camera_id, one.frame_id, one.number) for one in heard] == [
        ("gate", 1, 2),
        ("yard", 7, 1),
        ("gate", 2, 3),
    ]


def test_repeat_for_a_newcomer_is_left_out_by_those_who_know_it(publisher: Running):
    with Subscriber(publisher.relay.endpoint, timeout_s=DEADLINE_S) as known:
        publisher.worker.publish(frame("gate", 0))
        assert known.receive().frame_id == 0
        with Subscriber(publisher.relay.endpoint, timeout_s=DEADLINE_S) as late:
            assert late.receive().frame_id == 0
        publisher.worker.publish(frame("gate", 1))
        assert known.receive().frame_id == 1
        statistics = known.statistics()
    assert statistics.repeated >= 1
    assert statistics.missed == {}


def test_camera_that_was_removed_is_not_repeated(publisher: Running):
    publisher.worker.publish(frame("gate", 0))
    publisher.worker.publish(replace(STATE, camera_id="gate", state="removed"))
    publisher.worker.publish(frame("yard", 5))
    with Subscriber(publisher.relay.endpoint, timeout_s=DEADLINE_S) as first:
        while first.receive().camera_id != "yard":
            pass
    with Subscriber(publisher.relay.endpoint, timeout_s=DEADLINE_S) as late:
        assert late.receive().camera_id == "yard"
        with pytest.raises(Exception, match="no frame"):
            late.receive(0.3)


def test_fleet_says_how_it_is_once_a_second_also_with_nothing_to_say(publisher: Running):
    process = ProcessFigures(name="camera gate", role="camera", condition="running", restarts=2)
    publisher.worker.tell(Roster(p95_ms=80.0, cameras=("gate",), processes=(process,)))
    with Subscriber(publisher.relay.endpoint, states="all", timeout_s=DEADLINE_S) as messages:
        while not (first := messages.receive()).processes:
            pass
        second = messages.receive()
    assert isinstance(first, FleetState)
    assert isinstance(second, FleetState)
    assert second.number == first.number + 1
    assert second.processes == (process,)
    assert (second.p95_ms, second.kept, set(second.cameras)) == (80.0, None, {"gate"})


def test_fleet_says_how_much_of_its_detectors_is_used(publisher: Running):
    process = ProcessFigures(name="worker", role="worker", condition="running", restarts=0)
    publisher.worker.tell(Roster(p95_ms=80.0, processes=(process, replace(process, name="worker cuda:1"))))
    looks = {"colour": LookFigures(given=3)}
    publisher.worker.tell_lanes(LanesInUse(process="worker", lanes=2, busy=1.25, looks=looks))
    with Subscriber(publisher.relay.endpoint, states="all", timeout_s=DEADLINE_S) as messages:
        while not (told := messages.receive()).processes:
            pass
    assert isinstance(told, FleetState)
    assert [(one.lanes, one.lanes_busy) for one in told.processes] == [(2, 1.25), (None, None)]
    assert [one.looks for one in told.processes] == [looks, {}]


def test_subscriber_to_json_gets_the_same_messages(short_path: Path):
    with running(short_path, json_bind="tcp://127.0.0.1:0") as it:
        it.worker.publish(FRAME)
        with Subscriber(it.relay.endpoint, timeout_s=DEADLINE_S) as results:
            plain = results.receive()
        with zmq.Context() as context, context.socket(zmq.SUB) as socket:
            socket.connect(it.relay.ready.json_endpoint)
            socket.subscribe(b"detections/")
            assert socket.poll(1000 * DEADLINE_S)
            topic, body = socket.recv_multipart()
        assert body.startswith(b'{"publisher":')
        assert decode(topic, body) == plain


def test_subscriber_to_compact_frames_gets_the_same_to_a_tenth_of_a_pixel(publisher: Running):
    publisher.worker.publish(FRAME)
    with Subscriber(publisher.relay.endpoint, compact=True, timeout_s=DEADLINE_S) as short:
        first = short.receive()
        publisher.worker.publish(replace(FRAME, frame_id=8))
        second = short.receive()
        assert short.statistics().missed == {}
    assert first == replace(FRAME, publisher=first.publisher, number=1, tracks=first.tracks)
    assert (first.boxes == FRAME.boxes).all()
    assert first.tracks[0].class_name == "person"
    assert second.number == 2


def test_member_that_was_away_is_given_what_it_missed_once_and_in_order(publisher: Running, short_path: Path):
    with Subscriber(publisher.relay.endpoint, timeout_s=DEADLINE_S) as results:
        for frame_id in range(500):
            publisher.worker.publish(frame("gate", frame_id))
        last = [results.receive() for _ in range(200)][-1]
        while results.receive().frame_id != 499:
            pass
    given = [
        decode(*parts)
        for parts in missed(short_path, last.publisher, {"detections/gate/": last.number, "fleet/": 9999})
    ]
    frames = [message.frame_id for message in given if isinstance(message, FrameResult)]
    assert frames == list(range(last.frame_id + 1, 500))


def test_member_of_another_publishers_time_is_given_all_there_is(publisher: Running, short_path: Path):
    publisher.worker.publish(frame("gate", 3))
    with Subscriber(publisher.relay.endpoint, timeout_s=DEADLINE_S) as results:
        results.receive()
    given = [decode(*parts) for parts in missed(short_path, "of before", {"detections/gate/": 77})]
    assert [message.frame_id for message in given if isinstance(message, FrameResult)] == [3]


def test_history_keeps_its_bounds_of_bytes_and_of_time():
    history = History("p", most_bytes=10_000)
    body = encode(FRAME)
    for _ in range(100):
        history.add(FRAME.topic, body, now_s=0.0)
    kept, following = history.after({}, 0, 1 << 20)
    assert following is None
    assert 1 < len(kept) < 20
    assert decode(*kept[-1]).number == 100
    history.add(STATE.topic, encode(STATE), now_s=KEPT_S + 1)
    assert [topic for topic, _ in history.after({}, 0, 1 << 20)[0]] == [STATE.topic]
    assert {topic for topic, _ in history.newest([b""])} == {FRAME.topic, STATE.topic}


def test_history_is_given_in_pieces_that_go_on_where_the_last_ended_though_old_ones_are_dropped():
    history = History("p", most_bytes=1 << 20)
    for frame_id in range(50):
        history.add(b"detections/gate/", encode(frame("gate", frame_id)), now_s=frame_id)
    seen: list[int] = []
    following: int | None = 0
    while following is not None:
        found, following = history.after({b"detections/gate/": 10}, following, most_bytes=2000)
        seen += [decode(*parts).frame_id for parts in found if parts[0] == b"detections/gate/"]
        history.add(b"cameras/gate/", encode(STATE), now_s=KEPT_S + min(seen[-1], 49))
    assert seen[:1] == [10]
    assert seen == sorted(set(seen))
    assert seen[-1] == 49


def test_history_of_bytes_that_are_no_message_is_a_wire_error():
    with pytest.raises(WireError, match="number"):
        History("p", 1000).add(b"detections/gate/", b"\x80", 0.0)


def test_repeats_of_many_newcomers_are_made_together():
    repeats = Repeats()
    assert repeats.due_s() is None
    repeats.ask([b"detections/"])
    assert repeats.take(10.0) == {b"detections/"}
    repeats.ask([b"detections/", b"cameras/"])
    repeats.ask([b"cameras/"])
    assert repeats.take(10.0 + APART_S / 2) == set()
    assert repeats.due_s() == pytest.approx(10.0 + APART_S)
    assert repeats.take(10.0 + APART_S) == {b"detections/", b"cameras/"}
    assert repeats.due_s() is None


def overview(*told: tuple[str, State | None, list[float]], seen: int = 1) -> FleetState:
    """A fleet whose cameras are in these states, and whose frames had these ages."""
    it = Overview("town", 100.0, 0.0, 0)
    it.know(Roster(p95_ms=100.0, cameras=tuple(name for name, _, _ in told)))
    for name, state, ages in told:
        if state is not None:
            it.hear_state(encode(replace(STATE, camera_id=name, state=state, detail="as it is")))
        for age_ms in ages:
            counts = Counts(decoded=1, detected=seen, filled={}, lost={})
            it.hear_frame(encode(replace(FRAME, camera_id=name, age_ms=age_ms, counts=counts)), now_s=1.0)
    return it.tell(2.0, 2)


@pytest.mark.parametrize(
    ("told", "kept", "broken"),
    [
        pytest.param([], None, {}, id="no cameras: nothing is known"),
        pytest.param([("gate", None, [])], None, {}, id="one that has never said a word"),
        pytest.param([("gate", "connecting", [])], None, {}, id="one that is still being opened"),
        pytest.param([("gate", "live", [50.0] * 20)], True, {}, id="one that does well"),
        pytest.param([("gate", "live", [50.0] * 20), ("yard", "connecting", [])], None, {}, id="one well, one unknown"),
        pytest.param([("gate", "live", [50.0] * 20), ("yard", "paused", [])], True, {}, id="a paused one is not asked"),
        pytest.param(
            [("gate", "live", [50.0] * 18 + [120.0] * 2)],
            False,
            {"gate": "90 % of its frames are within 100 ms and detected"},
            id="too many late frames",
        ),
        pytest.param([("gate", "blind", [50.0] * 20)], False, {"gate": "blind: as it is"}, id="blind, however young"),
        pytest.param([("gate", "live", [])], False, {"gate": "no frame for 5 s"}, id="live and silent"),
    ],
)
def test_overview_promise_counts_as_kept_only_where_it_is_known_to_be(
    told: list[tuple[str, State | None, list[float]]], kept: bool | None, broken: dict[str, str]
):
    state = overview(*told)
    assert (state.kept, state.broken_by) == (kept, broken)


def test_overview_frames_that_no_detection_stands_behind_keep_no_promise():
    state = overview(("gate", "live", [50.0] * 20), seen=0)
    assert state.kept is False
    assert state.cameras["gate"].kept_percent == 0.0


def test_overview_counts_add_up_from_single_messages():
    it = Overview("town", 100.0, 0.0, 0)
    it.hear_frame(encode(FRAME), 0.1)
    skipped = replace(FRAME, frame_id=10, origin="predicted", filled_because="stride", lost={"link": 2})
    it.hear_frame(encode(skipped), 0.2)
    counts = it.tell(1.0, 1).counts
    assert counts == Counts(decoded=4, detected=1, filled={"stride": 1}, lost={"link": 2})
    assert counts.decoded == counts.detected + sum(counts.filled.values()) + sum(counts.lost.values())


def successor_at(endpoint: str, inbox: str, folder: Path) -> Relay:
    """As soon as the address is free: ZeroMQ closes sockets in a thread of its own."""
    end_s = time.monotonic() + DEADLINE_S
    while True:
        try:
            return Relay(RelaySpec("publisher", endpoint, True, inbox, 100, folder), SystemClock())
        except PublishError:
            assert time.monotonic() < end_s
            threading.Event().wait(0.01)


def test_publisher_that_begins_anew_numbers_anew_under_another_name(short_path: Path, within):
    heard: list[FrameResult] = []
    with running(short_path) as before:
        endpoint = before.relay.endpoint
        results = Subscriber(endpoint, timeout_s=DEADLINE_S)
        before.worker.publish(frame("gate", 0))
        heard.append(results.receive())
    inbox = f"ipc://{short_path}/inbox"
    successor = successor_at(endpoint, inbox, short_path)
    thread = threading.Thread(target=successor.run, args=(c_int64(),))
    thread.start()
    worker = Publisher(inbox)
    wait_until(within, lambda: results._connection.reconnects)
    worker.publish(frame("gate", 4))  # 1, 2 and 3 went with the publisher before
    heard.append(results.receive())
    statistics = results.statistics()
    results.close()
    worker.close()
    successor.stop()
    thread.join(DEADLINE_S)
    assert heard[0].publisher != heard[1].publisher
    assert [result.number for result in heard] == [1, 1]
    assert (statistics.publisher_restarts, statistics.reconnects, statistics.missed) == (1, 1, {"gate": 3})


def test_newcomers_that_come_and_go_all_day_do_not_multiply_what_others_hear(publisher: Running):
    with Subscriber(publisher.relay.endpoint, timeout_s=DEADLINE_S) as known:
        publisher.worker.publish(frame("gate", 0))
        known.receive()
        began_s = time.monotonic()
        for _ in range(100):
            Subscriber(publisher.relay.endpoint).close()
        publisher.worker.publish(frame("gate", 1))
        assert known.receive().frame_id == 1
        most = (time.monotonic() - began_s) / APART_S + 2
        assert known.statistics().repeated <= 2 * most  # a frame, and now and then the fleet's own message
