from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from pydantic import ValidationError
from redis import Redis

from pipeline.config.sinks.redis import RedisSettings
from pipeline.errors import SinkError
from pipeline.sink.protocol import Place
from pipeline.sink.redis import RedisSink, open_sink
from pipeline.wire import FrameResult, decode
from tests.servers import PASSWORD, Server, free_port, redis
from tests.wire_messages import ALL, FRAME


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with redis(tmp_path) as server:
        yield server


@contextmanager
def sink_to(port: int, **fields: object) -> Iterator[RedisSink]:
    settings = RedisSettings.model_validate({"url": f"redis://127.0.0.1:{port}", **fields})
    sink = open_sink(settings, Place("home", "town", Path()))
    try:
        yield sink
    finally:
        sink.close()


@contextmanager
def reader(port: int) -> Iterator[Redis]:
    with Redis(port=port) as client:
        yield client


def frames(first: int, count: int) -> list[FrameResult]:
    return [msgspec.structs.replace(FRAME, frame_id=first + index) for index in range(count)]


def test_redis_each_kind_of_message_goes_to_a_stream_of_its_own(server: Server):
    with sink_to(server.port) as sink, reader(server.port) as client:
        sink.write(ALL)
        names = {name.decode() for name in client.scan_iter()}
        (_, entry), *more = client.xrange("camfleet:town:detections:gate")
    kinds = ("detections:gate", "cameras:gate", "fleet", "events:gate", "evidence:gate")
    assert names == {f"camfleet:town:{rest}" for rest in kinds}
    assert more == []
    body = json.loads(entry.pop(b"json"))
    assert entry == {b"kind": b"detections", b"camera": b"gate", b"session": b"0000000001f0", b"frame": b"7"}
    assert msgspec.convert(body, FrameResult) == FRAME


def test_redis_template_puts_all_into_one_stream_and_msgpack_is_the_fleets_own(server: Server):
    with sink_to(server.port, stream="all", encoding="msgpack") as sink, reader(server.port) as client:
        sink.write(ALL)
        entries = [entry for _, entry in client.xrange("all")]
    kinds = [f"{entry[b'kind'].decode()}/".encode() for entry in entries]
    assert [decode(kind, entry[b"msgpack"]) for kind, entry in zip(kinds, entries, strict=True)] == list(ALL)


def test_redis_stream_keeps_about_as_many_as_it_is_told(server: Server):
    with sink_to(server.port, max_length=100) as sink, reader(server.port) as client:
        sink.write(frames(0, 1000))
        assert 100 <= client.xlen("camfleet:town:detections:gate") < 300


def test_redis_server_killed_and_restarted_loses_nothing(server: Server):
    with sink_to(server.port) as sink:
        for number in range(10):
            batch = frames(number * 10, 10)
            if number % 4 == 1:
                server.kill()
                with pytest.raises(SinkError, match=r"the Redis server redis://127.0.0.1:\d+ cannot be reached"):
                    sink.write(batch)
                server.start()
            sink.write(batch)
    with reader(server.port) as client:
        seen = [int(entry[b"frame"]) for _, entry in client.xrange("camfleet:town:detections:gate")]
    assert seen == list(range(100))


def test_redis_server_away_at_the_start_is_a_sink_error_until_it_is_there(tmp_path: Path):
    with sink_to(free_port()) as sink, pytest.raises(SinkError, match="is it running there"):
        sink.write(ALL)


def test_redis_server_that_stops_answering_ends_in_an_error(server: Server, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("pipeline.sink.redis.ANSWER_S", 3.0)
    with sink_to(server.port) as sink:
        sink.write(ALL)
        with server.stopped(), pytest.raises(SinkError, match="cannot be reached"):
            sink.write(ALL)
        sink.write(ALL)


def test_redis_key_that_is_no_stream_says_so_and_repeats_no_entry(server: Server):
    with sink_to(server.port, stream="taken") as sink, reader(server.port) as client:
        client.set("taken", "by somebody")
        with pytest.raises(SinkError, match="does not take the entries: WRONGTYPE") as caught:
            sink.write(ALL)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"url": "redis://:no{0}@127.0.0.1:{1}"}, id="in the address"),
        pytest.param({"password": "no{0}", "url": "redis://127.0.0.1:{1}"}, id="by itself"),
        pytest.param({"password": "no{0}", "url": "redis://bob@127.0.0.1:{1}"}, id="of a user"),
        pytest.param({"url": "redis://127.0.0.1:{1}"}, id="missing"),
    ],
)
def test_redis_wrong_password_is_refused_and_told_nowhere(
    tmp_path: Path, fields: dict, capfd: pytest.CaptureFixture[str]
):
    with redis(tmp_path, login=True) as server:
        given = {key: value.format(PASSWORD, server.port) for key, value in fields.items()}
        with sink_to(server.port, **given) as sink, pytest.raises(SinkError, match="refuses the user") as caught:
            sink.write(ALL)
    assert caught.value.__cause__ is None
    for shown in (*capfd.readouterr(), str(caught.value), repr(caught.value.__context__)):
        assert PASSWORD not in shown


def test_redis_right_password_opens(tmp_path: Path):
    with redis(tmp_path, login=True) as server, sink_to(server.port, password=PASSWORD) as sink:
        sink.write(ALL)


@pytest.mark.parametrize("stream", ["", "{}", "{fleet.x}", "a b", "{camera!r}", "{kind", "a\n", "x" * 300])
def test_redis_template_that_is_none_is_refused(stream: str):
    with pytest.raises(ValidationError, match="those are to stand"):
        RedisSettings.model_validate({"stream": stream})
