from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import nats
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import StreamConfig

from pipeline.config.sinks.nats import NatsSettings
from pipeline.errors import SinkError
from pipeline.sink.nats import NatsSink, open_sink
from pipeline.sink.protocol import Place, Refused
from pipeline.wire import FrameResult
from tests.servers import PASSWORD, USER, Server, free_port
from tests.servers import nats as nats_server
from tests.wire_messages import ALL, FRAME


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with nats_server(tmp_path) as server:
        yield server


@contextmanager
def sink_to(port: int, **fields: object) -> Iterator[NatsSink]:
    settings = NatsSettings.model_validate({"url": f"nats://127.0.0.1:{port}", **fields})
    sink = open_sink(settings, Place("home", "town", Path()))
    try:
        yield sink
    finally:
        sink.close()


def asking(port: int, ask: Callable[[Client], Coroutine[Any, Any, Any]]) -> Any:
    """What a client of the test's own is told."""

    async def run() -> Any:
        client = await nats.connect(f"nats://127.0.0.1:{port}")
        try:
            return await ask(client)
        finally:
            await client.close()

    return asyncio.run(run())


def kept(port: int, subject: str = "camfleet.town.>") -> list[Msg]:
    """All that JetStream has kept."""

    async def read(client: Client) -> list[Msg]:
        keeper = client.jetstream()
        stream = await keeper.find_stream_name_by_subject(subject)
        count = (await keeper.stream_info(stream)).state.messages
        reader = await keeper.pull_subscribe(subject, stream=stream)
        return await reader.fetch(count, timeout=10) if count else []

    return asking(port, read)


def frames(first: int, count: int) -> list[FrameResult]:
    return [msgspec.structs.replace(FRAME, frame_id=first + index) for index in range(count)]


def test_nats_subscriber_hears_each_message_on_its_subject(server: Server):
    async def hear(client: Client) -> list[Msg]:
        heard = await client.subscribe("camfleet.>")
        await client.flush()
        await asyncio.to_thread(write)
        return [await heard.next_msg(10) for _ in ALL]

    def write() -> None:
        with sink_to(server.port) as sink:
            sink.write(ALL)

    messages = asking(server.port, hear)
    subjects = [message.subject for message in messages]
    kinds = ("detections.gate", "cameras.gate", "fleet", "events.gate", "evidence.gate")
    assert subjects == [f"camfleet.town.{rest}" for rest in kinds]
    assert msgspec.json.decode(messages[0].data, type=FrameResult) == FRAME


def test_nats_camera_with_a_dot_stays_one_token(server: Server):
    with sink_to(server.port, jetstream=True) as sink:
        sink.write([msgspec.structs.replace(FRAME, camera_id="gate.1")])
        assert [message.subject for message in kept(server.port)] == ["camfleet.town.detections.gate%2E1"]


def test_jetstream_batch_that_comes_twice_is_kept_once(server: Server):
    numbered = [msgspec.structs.replace(one, publisher="p", number=4) for one in ALL]
    with sink_to(server.port, jetstream=True) as sink:
        sink.write(numbered)
        sink.write([*frames(6, 3), *numbered])
    bodies = [json.loads(message.data) for message in kept(server.port)]
    assert [body.get("frame_id") for body in bodies] == [7, None, None, 7, None, 6, 8]


def test_jetstream_server_killed_and_restarted_keeps_each_frame_once_and_in_order(server: Server):
    with sink_to(server.port, jetstream=True) as sink:
        for number in range(10):
            batch = frames(number * 10, 10)
            if number % 4 == 1:
                server.kill()
                with pytest.raises(SinkError, match=r"the NATS server nats://127.0.0.1:\d+"):
                    sink.write(batch)
                server.start()
            sink.write(batch)
    assert [json.loads(message.data)["frame_id"] for message in kept(server.port)] == list(range(100))


def test_jetstream_stream_that_takes_the_subjects_is_used(server: Server):
    async def make(client: Client) -> None:
        await client.jetstream().add_stream(StreamConfig(name="mine", subjects=["camfleet.>"]))

    async def count(client: Client) -> int:
        return (await client.jetstream().stream_info("mine")).state.messages

    asking(server.port, make)
    with sink_to(server.port, jetstream=True) as sink:
        sink.write(ALL)
    assert asking(server.port, count) == len(ALL)


def test_nats_server_killed_between_batches_is_found_again(server: Server):
    with sink_to(server.port) as sink:
        sink.write(ALL)
        server.kill()
        with pytest.raises(SinkError, match="is it running there"):
            sink.write(ALL)
        server.start()
        sink.write(ALL)


def test_nats_server_away_at_the_start_is_a_sink_error():
    with sink_to(free_port()) as sink, pytest.raises(SinkError, match="is it running there"):
        sink.write(ALL)


@pytest.mark.parametrize("jetstream", [False, True])
def test_nats_server_that_stops_answering_ends_in_an_error(
    server: Server, monkeypatch: pytest.MonkeyPatch, jetstream: bool
):
    with sink_to(server.port, jetstream=jetstream) as sink:
        sink.write(ALL)
        with server.stopped(), monkeypatch.context() as patch:
            patch.setattr("pipeline.sink.nats.ANSWER_S", 1.0)
            with pytest.raises(SinkError, match="does not answer within 1 s"):
                sink.write(ALL)
        sink.write(ALL)


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"url": "nats://bob:no{0}@127.0.0.1:{1}"}, id="in the address"),
        pytest.param({"password": "no{0}", "url": "nats://bob@127.0.0.1:{1}"}, id="by itself"),
        pytest.param({"token": "no{0}", "url": "nats://127.0.0.1:{1}"}, id="a token"),
        pytest.param({"url": "nats://127.0.0.1:{1}"}, id="missing"),
    ],
)
def test_nats_wrong_password_is_refused_and_told_nowhere(
    tmp_path: Path, fields: dict, capfd: pytest.CaptureFixture[str]
):
    with nats_server(tmp_path, login=True) as server:
        given = {key: value.format(PASSWORD, server.port) for key, value in fields.items()}
        with sink_to(server.port, **given) as sink, pytest.raises(SinkError, match="refuses the user") as caught:
            sink.write(ALL)
    assert caught.value.__cause__ is None
    for shown in (*capfd.readouterr(), str(caught.value), repr(caught.value.__context__)):
        assert PASSWORD not in shown


def test_nats_right_password_opens(tmp_path: Path):
    with (
        nats_server(tmp_path, login=True) as server,
        sink_to(server.port, url=f"nats://{USER}@127.0.0.1:{server.port}", password=PASSWORD) as sink,
    ):
        sink.write(ALL)


def test_nats_message_that_is_too_large_is_refused_and_the_others_are_kept(server: Server):
    huge = msgspec.structs.replace(FRAME, frame_id=1, tracks=FRAME.tracks * 10_000)
    with sink_to(server.port, jetstream=True) as sink, pytest.raises(Refused, match="at most") as caught:
        sink.write([*frames(0, 1), huge, *frames(2, 1)])
    assert caught.value.messages == 1
    assert [json.loads(message.data)["frame_id"] for message in kept(server.port)] == [0, 2]
