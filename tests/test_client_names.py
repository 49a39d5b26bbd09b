"""Names that a subscriber asks for: one may be given as it is, and one that is no camera is told."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from pipeline import AsyncSubscriber, Subscriber, SubscriberTimeout
from pipeline.client.connect import one_or_more
from pipeline.client.silence import unknown_cameras
from pipeline.wire import FleetState, Message
from tests.publishing import Publisher
from tests.test_client import DEADLINE_S, publish_until_heard
from tests.test_wire import frame
from tests.waiting import wait_until
from tests.wire_messages import FLEET

TOWN = replace(FLEET, cameras=dict.fromkeys(("gate", "yard", "g"), FLEET.cameras["gate"]))
Heard = Callable[..., list[Message]]


@pytest.mark.parametrize(
    "given",
    ["gate", ["gate"], ("gate",), iter(["gate"]), {"gate"}],
    ids=["name", "list", "tuple", "iterator", "set"],
)
def test_one_name_is_no_list_of_its_letters(given: object) -> None:
    assert one_or_more(given) == ("gate",)  # type: ignore[arg-type]


def test_subscriber_to_a_camera_given_as_text_hears_that_camera() -> None:
    publisher, heard = Publisher("tcp://127.0.0.1:0", queue=100), threading.Event()
    with Subscriber(publisher.endpoint, cameras="gate", classes="person", timeout_s=DEADLINE_S) as results:
        thread = publish_until_heard(publisher, [frame("g"), frame("yard"), frame("gate")], heard)
        seen = [results.receive() for _ in range(3)]
        heard.set()
        thread.join(DEADLINE_S)
        publisher.close()
    assert {result.camera_id for result in seen} == {"gate"}
    assert {box.class_name for result in seen for box in result.tracks} == {"person"}


def test_async_subscriber_to_a_camera_given_as_text_hears_that_camera() -> None:
    publisher, heard = Publisher("tcp://127.0.0.1:0", queue=100), threading.Event()

    async def read() -> set[str]:
        async with AsyncSubscriber(publisher.endpoint, cameras="gate", timeout_s=DEADLINE_S) as results:
            return {(await results.receive()).camera_id for _ in range(3)}

    thread = publish_until_heard(publisher, [frame("g"), frame("gate")], heard)
    try:
        assert asyncio.run(read()) == {"gate"}
    finally:
        heard.set()
        thread.join(DEADLINE_S)
        publisher.close()


@pytest.mark.parametrize(
    ("cameras", "fleet", "words"),
    [
        pytest.param(["gate", "yard"], TOWN, "", id="all are there"),
        pytest.param([], TOWN, "", id="all are asked for"),
        pytest.param(
            ["gaet"],
            TOWN,
            "the fleet “town” has no camera “gaet”; did you mean “gate”? there is “g”, “gate”, “yard”",
            id="a typo",
        ),
        pytest.param(["gate", "x\x1b[2J"], TOWN, "the fleet “town” has no camera “x�[2J”; there is", id="a terminal"),
        pytest.param(["gaet"], replace(TOWN, processes=()), "", id="a publisher that knows nothing yet"),
    ],
)
def test_cameras_that_no_fleet_has_are_told(cameras: list[str], fleet: FleetState, words: str) -> None:
    told = unknown_cameras(cameras, {fleet.fleet: fleet})
    assert told.startswith(words) and bool(told) == bool(words)


def test_subscriber_to_a_camera_that_is_none_says_so_once_and_why_nothing_comes(
    caplog: pytest.LogCaptureFixture, within: Callable
) -> None:
    publisher, heard = Publisher("tcp://127.0.0.1:0", queue=100), threading.Event()
    with caplog.at_level(logging.WARNING), Subscriber(publisher.endpoint, cameras="gaet") as results:
        thread = publish_until_heard(publisher, [TOWN, frame("gate")], heard)

        def is_told() -> bool:
            with pytest.raises(SubscriberTimeout) as caught:
                results.receive(timeout_s=0.5)
            return "has no camera “gaet”; did you mean “gate”" in str(caught.value)

        wait_until(within, is_told)
        assert is_told()
        heard.set()
        thread.join(DEADLINE_S)
        publisher.close()
    assert [record.message.partition(";")[0] for record in caplog.records] == ["the fleet “town” has no camera “gaet”"]


def test_subscriber_that_hears_nothing_says_where_it_listens() -> None:
    with Subscriber("tcp://127.0.0.1:9") as results, pytest.raises(SubscriberTimeout) as caught:
        results.receive(timeout_s=0.05)
    assert str(caught.value).startswith(
        "no frame within 0.05 s; nothing heard, and no connection to tcp://127.0.0.1:9; is the fleet running"
    )
