from __future__ import annotations

from typing import ClassVar

import msgspec
import pytest
from msgspec.structs import replace

from pipeline import wire
from pipeline.errors import WireError
from pipeline.wire import (
    SCHEMA,
    CameraMessage,
    CameraState,
    Counts,
    FrameResult,
    Message,
    TrackedBox,
    decode,
    encode,
    prefixes,
    published,
    publisher_id,
    stamp,
    topic,
)
from tests import wire_messages


def frame(camera_id: str = "gate", frame_id: int = 7, session: int = 0, session_id: str = "a1") -> FrameResult:
    box = TrackedBox(
        track_id=3,
        class_id=0,
        class_name="person",
        score=0.9,
        xyxy=(1.0, 2.0, 3.0, 4.0),
        origin="predicted",
        since_detected_ms=40.0,
        uncertainty_px=1.5,
    )
    return FrameResult(
        fleet="town",
        camera_id=camera_id,
        session_id=session_id,
        session=session,
        frame_id=frame_id,
        pts_s=0.28,
        captured_at_ns=1,
        capture_clock="rtcp",
        published_at_ns=2,
        age_ms=41.0,
        frame_wh=(640, 360),
        origin="predicted",
        filled_because="stride",
        stride=2,
        lost={},
        counts=Counts(decoded=8, detected=4, filled={"stride": 4}, lost={}),
        latency_ms={"decode": 1.0},
        tracks=(box,),
    )


STATE = CameraState(fleet="town", camera_id="gate", session_id="a1", state="retrying", detail="refused")


@pytest.mark.parametrize(("kind", "message"), [("detections", frame()), ("cameras", STATE)])
def test_wire_message_comes_back_as_it_went(kind: str, message: FrameResult | CameraState):
    assert decode(topic(kind, "gate"), encode(message)) == message


def test_topic_of_a_camera_is_no_prefix_of_another():
    assert not topic("detections", "cam10").startswith(topic("detections", "cam1"))


def test_wire_unknown_fields_are_skipped():
    body = msgspec.msgpack.decode(encode(frame())) | {"weather": "rain"}
    assert decode(b"detections/gate/", msgspec.msgpack.encode(body)) == frame()


@pytest.mark.parametrize(
    ("topic_bytes", "body", "words"),
    [
        pytest.param(b"weather/gate/", encode(frame()), "none of camfleet's", id="foreign topic"),
        pytest.param(b"detections/gate/", b"\xc1", "no map of msgpack", id="not msgpack"),
        pytest.param(b"detections/gate/", b"", "no map of msgpack", id="empty"),
        pytest.param(b"detections/gate/", encode(STATE), "missing required field", id="another kind"),
        pytest.param(
            b"detections/gate/",
            msgspec.msgpack.encode(msgspec.msgpack.decode(encode(frame())) | {"schema": SCHEMA + 1}),
            "uses another",
            id="newer version",
        ),
    ],
)
def test_wire_unreadable_bytes_are_refused_in_words(topic_bytes: bytes, body: bytes, words: str):
    with pytest.raises(WireError, match=words):
        decode(topic_bytes, body)


def test_another_kind_of_message_is_one_struct():
    try:

        @published
        class Weather(CameraMessage, frozen=True, kw_only=True):
            kind: ClassVar[str] = "weather"
            rain: bool

        rain = Weather(fleet="town", camera_id="gate", rain=True)
        assert rain.topic == b"weather/gate/"
        assert b"weather/" in prefixes(None)
        assert decode(rain.topic, encode(rain)) == rain
    finally:
        wire.KINDS.pop("weather", None)


@pytest.mark.parametrize("number", [1, 127, 128, 70_000, (1 << 63) - 1])
@pytest.mark.parametrize(
    "message", [wire_messages.FRAME, wire_messages.STATE, wire_messages.FLEET], ids=lambda m: m.kind
)
def test_stamp_numbers_a_message_and_changes_nothing_else(message: Message, number: int):
    stamped = stamp(encode(message), publisher_id("5f2a90c1d7e4"), number)
    assert decode(message.topic, stamped) == replace(message, publisher="5f2a90c1d7e4", number=number)


def test_stamp_of_a_message_with_a_number_is_refused():
    stamped = stamp(encode(wire_messages.FRAME), publisher_id("a"), 1)
    with pytest.raises(WireError, match="has a number already"):
        stamp(stamped, publisher_id("a"), 2)


def test_message_of_before_states_had_reasons_is_still_read():
    before = {"fleet": "town", "camera_id": "gate", "session_id": "1f", "state": "live", "schema": SCHEMA}
    read = decode(topic("cameras", "gate"), msgspec.msgpack.encode(before))
    assert (read.state, read.session, read.since_ns, read.detection_age_ms) == ("live", 0, 0, None)
