"""Against the broker that librdkafka has for tests; no Kafka of Apache's was at hand, none with passwords or TLS."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from pydantic import ValidationError

from pipeline.config.sinks.kafka import KafkaSettings
from pipeline.errors import SinkError
from pipeline.sink.kafka import KafkaSink, open_sink
from pipeline.sink.protocol import Place, Refused
from pipeline.wire import FrameResult
from tests.servers import PASSWORD, Server, free_port, kafka
from tests.wire_messages import ALL, FRAME

DEADLINE_S = 30.0


@pytest.fixture
def broker() -> Iterator[Server]:
    with kafka() as server:
        yield server


@contextmanager
def sink_to(port: int, **fields: object) -> Iterator[KafkaSink]:
    settings = KafkaSettings.model_validate({"url": f"kafka://127.0.0.1:{port}", **fields})
    sink = open_sink(settings, Place("home", "town", Path()))
    try:
        yield sink
    finally:
        sink.close()


def kept(port: int, topic: str, count: int) -> list[tuple[bytes, bytes, int]]:
    """Key, body and partition of a topic's messages, by another client than the sink's."""
    from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

    reader = Consumer({"bootstrap.servers": f"127.0.0.1:{port}", "group.id": "test", "log_level": 0})
    try:
        partitions = reader.list_topics(topic, timeout=DEADLINE_S).topics[topic].partitions
        reader.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in partitions])
        messages = reader.consume(count, timeout=DEADLINE_S)
    finally:
        reader.close()
    assert [message.error() for message in messages] == [None] * count
    return [(message.key(), message.value(), message.partition()) for message in messages]


def frames(camera_id: str, first: int, count: int) -> list[FrameResult]:
    return [msgspec.structs.replace(FRAME, camera_id=camera_id, frame_id=first + index) for index in range(count)]


def test_kafka_each_kind_of_message_goes_to_its_topic_under_its_camera(broker: Server):
    with sink_to(broker.port) as sink:
        sink.write(ALL)
    ((key, body, _),) = kept(broker.port, "camfleet.town.detections", 1)
    assert key == b"gate"
    assert msgspec.json.decode(body, type=FrameResult) == FRAME
    assert [key for key, _, _ in kept(broker.port, "camfleet.town.cameras", 1)] == [b"gate"]
    assert [key for key, _, _ in kept(broker.port, "camfleet.town.fleet", 1)] == [b"town"]


def test_kafka_each_camera_keeps_its_order_in_one_partition(broker: Server):
    cameras = [f"camera-{number}" for number in range(8)]
    with sink_to(broker.port) as sink:
        for first in range(0, 50, 10):
            sink.write([frame for camera_id in cameras for frame in frames(camera_id, first, 10)])
    read = kept(broker.port, "camfleet.town.detections", 400)
    for camera_id in cameras:
        mine = [(json.loads(body)["frame_id"], partition) for key, body, partition in read if key.decode() == camera_id]
        assert [number for number, _ in mine] == list(range(50))
        assert len({partition for _, partition in mine}) == 1
    assert len({partition for _, _, partition in read}) > 1


def test_kafka_broker_killed_in_midst_ends_in_an_error(broker: Server, monkeypatch: pytest.MonkeyPatch):
    with sink_to(broker.port) as sink:
        sink.write(ALL)
        broker.kill()
        monkeypatch.setattr("pipeline.sink.kafka.ANSWER_S", 2.0)
        for _ in range(2):
            with pytest.raises(SinkError, match=r"the Kafka broker kafka://127.0.0.1:\d+"):
                sink.write(ALL)


def test_kafka_broker_away_at_the_start_is_a_sink_error(capfd: pytest.CaptureFixture[str]):
    with sink_to(free_port()) as sink, pytest.raises(SinkError, match="is it running there"):
        sink.write(ALL)
    assert capfd.readouterr().err == ""


def test_kafka_broker_that_stops_answering_ends_in_an_error(broker: Server, monkeypatch: pytest.MonkeyPatch):
    with sink_to(broker.port) as sink:
        sink.write(ALL)
        with broker.stopped(), monkeypatch.context() as patch:
            patch.setattr("pipeline.sink.kafka.ANSWER_S", 1.0)
            with pytest.raises(SinkError, match="the Kafka broker"):
                sink.write(ALL)
        sink.write(ALL)


def answer(listener: socket.socket, mechanisms: list[bytes]) -> None:
    """A broker that knows ApiVersions, SaslHandshake and SaslAuthenticate, and takes no password (error 58)."""

    def text(body: bytes) -> bytes:
        return struct.pack(">h", len(body)) + body

    known = [(17, 0, 1), (18, 0, 0), (36, 0, 0)]
    answers = {
        17: struct.pack(">hi", 0, len(mechanisms)) + b"".join(map(text, mechanisms)),
        18: struct.pack(">hi", 0, len(known)) + b"".join(struct.pack(">3h", *one) for one in known),
        36: struct.pack(">h", 58) + text(b"invalid credentials") + struct.pack(">i", 0),
    }
    client, _ = listener.accept()
    with client, client.makefile("rb") as requests:
        while size := requests.read(4):
            key, _, correlation = struct.unpack(">hhi", requests.read(struct.unpack(">i", size)[0])[:8])
            client.sendall(struct.pack(">ii", 4 + len(answers[key]), correlation) + answers[key])


IN_THE_ADDRESS = {"url": "kafka://bob:{0}@127.0.0.1:{1}"}
BY_ITSELF = {"url": "kafka://bob@127.0.0.1:{1}", "password": "{0}"}


@pytest.mark.parametrize(
    ("fields", "mechanisms", "told"),
    [
        pytest.param(IN_THE_ADDRESS, [b"SCRAM-SHA-512"], "invalid credentials", id="in the address"),
        pytest.param(BY_ITSELF, [b"SCRAM-SHA-512"], "invalid credentials", id="by itself"),
        pytest.param({**BY_ITSELF, "mechanism": "PLAIN"}, [b"PLAIN"], "invalid credentials", id="plain"),
        pytest.param(BY_ITSELF, [b"OAUTHBEARER"], "does not support SCRAM-SHA-512", id="another mechanism"),
    ],
)
def test_kafka_password_that_is_refused_is_told_nowhere(
    fields: dict, mechanisms: list[bytes], told: str, capfd: pytest.CaptureFixture[str]
):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        given = {key: value.format(PASSWORD, listener.getsockname()[1]) for key, value in fields.items()}
        broker = threading.Thread(target=answer, args=(listener, mechanisms))
        broker.start()
        with sink_to(1, **given) as sink, pytest.raises(SinkError, match=f"refuses the user.*{told}") as caught:
            sink.write(ALL)
        broker.join(DEADLINE_S)
    for shown in (*capfd.readouterr(), str(caught.value), repr(caught.value.__context__)):
        assert PASSWORD not in shown


@pytest.mark.parametrize("topic", ["a:b", "a/b", "", "{nobody}", "a b"])
def test_kafka_topic_that_is_none_is_refused(topic: str):
    with pytest.raises(ValidationError, match="those are to stand"):
        KafkaSettings.model_validate({"topic": topic})


def test_kafka_message_that_is_too_large_is_refused_and_the_others_are_kept(broker: Server):
    huge = msgspec.structs.replace(FRAME, frame_id=1, tracks=FRAME.tracks * 10_000)
    with sink_to(broker.port) as sink, pytest.raises(Refused, match="at most") as caught:
        sink.write([*frames("gate", 0, 1), huge, *frames("gate", 2, 1)])
    assert caught.value.messages == 1
    assert [json.loads(body)["frame_id"] for _, body, _ in kept(broker.port, "camfleet.town.detections", 2)] == [0, 2]
