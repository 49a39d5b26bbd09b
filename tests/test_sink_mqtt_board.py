from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config.sinks.mqtt import MqttSettings
from pipeline.sink.mqtt_board import CLEARED, GONE_S, SILENT_S, Board
from pipeline.wire import FleetState, FrameResult, Message
from tests.wire_messages import EVENT, EVIDENCE, FLEET, FRAME, STATE

PREFIX = "camfleet/town"
CONFIG = "homeassistant/device/camfleet-town/gate/config"


SAID = b'{"state":"live","detail":"","since":null}'
"""What the sink has said of a camera."""


def settings(**fields: object) -> MqttSettings:
    return MqttSettings.model_validate({"objects_hz": 0, **fields})


def seeing(*classes: str, camera_id: str = "gate", origin: str = "detected") -> FrameResult:
    tracks = tuple(msgspec.structs.replace(FRAME.tracks[0], class_name=name) for name in classes)
    return msgspec.structs.replace(FRAME, camera_id=camera_id, tracks=tracks, origin=origin)


def posted(board: Board, *batch: Message, now_s: float = 0.0) -> dict[str, bytes]:
    """What is due after a batch, and is told; without the sink's own status."""
    board.take(batch, now_s)
    posts = board.due(now_s)
    board.told(posts)
    return {post.topic.removeprefix(f"{PREFIX}/"): post.payload for post in posts if post.topic != f"{PREFIX}/status"}


def test_board_frame_says_how_many_of_each_class():
    board = Board(settings(), "town")
    assert posted(board, seeing("person", "car", "person")) == {"gate/count/person": b"2", "gate/count/car": b"1"}


def test_board_number_that_did_not_change_is_not_said_again():
    board = Board(settings(), "town")
    posted(board, seeing("person", "car"))
    assert posted(board, seeing("person")) == {"gate/count/car": b"0"}
    assert posted(board, seeing("person")) == {}


def test_board_batch_says_its_newest_number_only():
    board = Board(settings(), "town")
    assert posted(board, seeing("person"), seeing(), seeing("person", "person")) == {"gate/count/person": b"2"}


def test_board_skipped_frame_is_not_an_empty_one():
    board = Board(settings(), "town")
    posted(board, seeing("person"))
    assert posted(board, seeing(origin="skipped")) == {}


def test_board_asked_for_classes_says_none_of_them_too():
    board = Board(settings(classes=["person", "car"]), "town")
    assert posted(board, seeing("person")) == {"gate/count/person": b"1", "gate/count/car": b"0"}


def test_board_event_is_said_once_and_not_kept_by_the_broker():
    board = Board(settings(), "town")
    board.take([EVENT], 0.0)
    board.take([EVENT], 0.0)
    posts = [post for post in board.due(0.0) if "events" in post.topic]
    assert [(post.topic, post.retained) for post in posts] == [(f"{PREFIX}/gate/events/drive", False)]
    assert json.loads(posts[0].payload)["event_id"] == EVENT.event_id
    assert len([post for post in board.due(0.0) if "events" in post.topic]) == 1  # until it is told
    board.told(posts)
    board.take([EVENT], 0.0)
    board.tell_anew()
    assert [post for post in board.due(0.0) if "events" in post.topic] == []


def test_board_evidence_is_said_once_and_its_picture_stands_where_it_is_asked_for(tmp_path: Path):
    picture = tmp_path / "gate.jpg"
    picture.write_bytes(b"\xff\xd8jpeg")
    kept = msgspec.structs.replace(EVIDENCE, snapshot=str(picture))
    plain, shown = Board(settings(), "town"), Board(settings(discovery=True, snapshots=True), "town")
    for board, topics in ((plain, []), (shown, [f"{PREFIX}/gate/snapshot"])):
        board.take([kept, kept], 0.0)
        posts = board.due(0.0)
        (said,) = [post for post in posts if post.topic == f"{PREFIX}/gate/evidence/drive"]
        assert not said.retained and json.loads(said.payload)["event_id"] == EVIDENCE.event_id
        assert [post.topic for post in posts if post.payload == picture.read_bytes()] == topics
    (config,) = [json.loads(post.payload) for post in posts if post.topic == CONFIG]
    assert config["components"]["snapshot"]["image_topic"] == f"{PREFIX}/gate/snapshot"
    shown.told(posts)
    shown.take([msgspec.structs.replace(STATE, state="removed")], 1.0)
    assert f"{PREFIX}/gate/snapshot" in [post.topic for post in shown.due(1.0) if post.payload == CLEARED]


def test_board_begin_and_end_of_an_event_are_two():
    board = Board(settings(discovery=True), "town")
    begin = msgspec.structs.replace(EVENT, phase="begin", frame_id=1)
    board.take([begin, EVENT], 0.0)
    posts = board.due(0.0)
    assert [json.loads(post.payload)["phase"] for post in posts if "events" in post.topic] == ["begin", "end"]
    (config,) = [json.loads(post.payload) for post in posts if post.topic == CONFIG]
    assert {"events_drive", "trigger_drive_dwell"} <= set(config["components"])


def test_board_state_says_since_when_and_why():
    said = posted(Board(settings(), "town"), STATE)
    assert json.loads(said["gate/state"]) == {
        "state": "degraded",
        "detail": "decoding falls behind",
        "since": "2025-10-09T08:53:20.000+00:00",
    }


def test_board_removed_camera_leaves_nothing():
    board = Board(settings(discovery=True), "town")
    first = posted(board, STATE, seeing("person"))
    assert posted(board, msgspec.structs.replace(STATE, state="removed")) == {
        **dict.fromkeys(first, CLEARED),
        "gate/objects": CLEARED,
    }
    assert posted(board) == {}
    assert set(posted(board, STATE)) == {"gate/state", CONFIG}


def test_board_camera_removed_while_nobody_looked_is_cleared_after_a_while():
    board = Board(settings(), "town")
    board.remember({f"{PREFIX}/yard/state": SAID, f"{PREFIX}/yard/count/person": b"1", f"{PREFIX}/gate/state": SAID})
    assert posted(board, FLEET) == {}
    late = msgspec.structs.replace(FLEET, at_ns=FLEET.at_ns + int((GONE_S + 1) * 1e9))
    assert posted(board, late) == dict.fromkeys(("yard/state", "yard/objects", "yard/count/person"), CLEARED)


def test_board_camera_that_the_fleet_names_again_stays():
    board = Board(settings(), "town")
    board.remember({f"{PREFIX}/gate/state": SAID})

    def fleet(second: float, *, named: bool) -> FleetState:
        at_ns = FLEET.at_ns + int(second * 1e9)
        return msgspec.structs.replace(FLEET, at_ns=at_ns, cameras=FLEET.cameras if named else {})

    ups = [fleet(0, named=False), fleet(GONE_S - 1, named=True), fleet(GONE_S + 1, named=False)]
    assert posted(board, *ups) == {}


def test_board_class_of_an_earlier_life_is_said_to_be_none():
    board = Board(settings(), "town")
    board.remember({f"{PREFIX}/gate/count/traffic%20light": b"3", f"{PREFIX}/gate/state": SAID})
    assert posted(board, seeing("person")) == {"gate/count/traffic%20light": b"0", "gate/count/person": b"1"}


@pytest.mark.parametrize(
    ("fields", "topic"),
    [
        pytest.param({"classes": ["car"]}, "gate/count/person", id="a class that is not asked for any more"),
        pytest.param({"cameras": ["yard"]}, "gate/state", id="a camera that is not asked for any more"),
        pytest.param({}, "gate/count/a+b", id="a class that nobody writes so"),
    ],
)
def test_board_topic_of_an_earlier_life_that_has_no_use_is_cleared(fields: dict, topic: str):
    board = Board(settings(**fields), "town")
    board.remember({f"{PREFIX}/{topic}": b"3", f"{PREFIX}/gate/state": SAID})
    assert posted(board)[topic] == CLEARED


@pytest.mark.parametrize(
    "body", [b"on", b"{}", b'{"state": "live"}', b'{"state": "on", "detail": "", "since": null}', b""]
)
def test_board_topics_of_somebody_else_stay(body: bytes):
    board = Board(settings(), "town")
    board.remember({f"{PREFIX}/lamp/state": body, f"{PREFIX}/lamp/count/person": b"3"})
    late = msgspec.structs.replace(FLEET, at_ns=FLEET.at_ns + int((GONE_S + 1) * 1e9))
    assert posted(board, FLEET, late) == {}


@given(st.lists(st.text("gate/stcoun+#~%.é", max_size=20)))
def test_board_whatever_the_broker_has_kept_is_survived(rests: list[str]):
    board = Board(settings(), "town")
    kept = {f"{PREFIX}/{rest}": b"x" for rest in rests} | dict.fromkeys(rests, b"x")
    board.remember({**kept, f"{PREFIX}/gate/state": SAID, f"{PREFIX}/yard/state": b"{}"})
    assert "gate/count/person" in posted(board, seeing("person"))


def test_board_broker_that_forgot_is_told_everything_anew():
    board = Board(settings(objects_hz=1), "town")
    first = posted(board, STATE, seeing("person"))
    assert set(first) == {"gate/state", "gate/count/person", "gate/objects"}
    board.tell_anew()
    assert posted(board) == first


def test_board_objects_are_the_newest_frame_at_the_rate_asked_for():
    board = Board(settings(objects_hz=2), "town")
    assert json.loads(posted(board, FRAME, now_s=10.0)["gate/objects"])["frame_id"] == FRAME.frame_id
    later = msgspec.structs.replace(FRAME, frame_id=8)
    assert posted(board, later, now_s=10.4) == {}
    assert json.loads(posted(board, now_s=10.5)["gate/objects"])["frame_id"] == 8
    assert posted(board, now_s=99.0) == {}


@given(st.lists(st.text()))
def test_board_any_class_is_said_on_a_topic_of_its_own(classes: list[str]):
    said = posted(Board(settings(), "town"), seeing(*classes))
    assert len(said) == len(set(classes))
    assert all(re.fullmatch(r"gate/count/[A-Za-z0-9_.%~-]{1,200}", topic) for topic in said)
    assert sum(map(int, said.values())) == len(classes)


def test_board_new_class_is_announced_before_its_number():
    board = Board(settings(discovery=True), "town")
    assert list(posted(board, STATE, seeing("person"))) == [CONFIG, "gate/state", "gate/count/person"]
    assert list(posted(board, seeing("person", "car"))) == [CONFIG, "gate/count/car"]


def test_board_fleet_that_is_silent_for_long_is_offline_until_it_speaks():
    board = Board(settings(), "town")

    def status(now_s: float, *batch: Message) -> bytes | None:
        board.take(batch, now_s)
        posts = board.due(now_s)
        board.told(posts)
        return {post.topic: post.payload for post in posts}.get(f"{PREFIX}/status")

    assert [status(0.0), status(SILENT_S, FLEET), status(2 * SILENT_S)] == [b"online", None, None]
    assert [status(2 * SILENT_S + 1), status(99.0), status(99.5, FLEET)] == [b"offline", None, b"online"]
