"""The listener: a thread that hands on every frame and state until it is closed."""

from __future__ import annotations

import threading

from pipeline.listen import Listener
from pipeline.wire import CameraState, FrameResult
from tests.publishing import Publisher
from tests.test_client import DEADLINE_S, publish_until_heard
from tests.test_wire import STATE, frame


def test_listener_hands_on_frames_and_states_until_closed():
    publisher, heard = Publisher("tcp://127.0.0.1:0", queue=100), threading.Event()
    kinds: list[type] = []

    def hear(message: FrameResult | CameraState) -> None:
        kinds.append(type(message))
        if {FrameResult, CameraState} <= set(kinds):
            heard.set()

    with Listener(publisher.endpoint, hear) as listener:
        thread = publish_until_heard(publisher, [STATE, frame("gate")], heard)
        assert heard.wait(DEADLINE_S)
        thread.join(DEADLINE_S)
        listener.close()
        known = len(kinds)
        publisher.publish(frame("gate"))
    publisher.close()
    assert len(kinds) == known


def test_listener_that_drains_hears_all_that_was_said_before_it_was_closed():
    publisher, joined, go_on = Publisher("tcp://127.0.0.1:0", queue=5000), threading.Event(), threading.Event()
    heard: list[int] = []

    def hear(message: FrameResult | CameraState) -> None:
        joined.set()
        go_on.wait(DEADLINE_S)
        heard.append(message.frame_id if isinstance(message, FrameResult) else -1)

    listener = Listener(publisher.endpoint, hear, drain_s=3.0)
    publish_until_heard(publisher, [STATE], joined).join(DEADLINE_S)
    for number in range(1000):
        publisher.publish(frame("gate", number))
    threading.Timer(0.05, go_on.set).start()
    listener.close()
    publisher.close()
    assert [number for number in heard if number >= 0] == list(range(1000))


def test_listener_of_nobody_can_be_closed():
    listener = Listener("tcp://127.0.0.1:9", lambda message: None)
    listener.close()
    listener.close()
