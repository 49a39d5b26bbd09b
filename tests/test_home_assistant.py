"""What cameras tell Home Assistant of themselves, by the keys that its documentation names.

https://www.home-assistant.io/integrations/mqtt/, …/sensor.mqtt/ and …/binary_sensor.mqtt/.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import jinja2
import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config import load_fleet
from pipeline.config.sinks.mqtt import MqttSettings
from pipeline.sink.home_assistant import config_topic, device_config
from pipeline.sink.mqtt_board import Board
from pipeline.sink.names import level
from pipeline.wire import SEEING, Happening, State
from tests.wire_messages import EVENT, FRAME, STATE

REPOSITORY = Path(__file__).parents[1]
DASHBOARD = REPOSITORY / "samples/clients/home_assistant/dashboard.yaml"

ROOT = {"device", "origin", "components", "availability", "availability_mode", "qos"}
DEVICE = {"identifiers", "name", "manufacturer", "model"}
AVAILABILITY = {"topic", "value_template", "payload_available", "payload_not_available"}
ENTITY = {
    *("platform", "name", "unique_id", "default_entity_id", "state_topic", "value_template", "json_attributes_topic"),
    *("availability", "entity_category", "icon"),
}
OF_PLATFORM = {
    "sensor": ENTITY | {"state_class"},
    "binary_sensor": ENTITY | {"device_class"},
    "event": ENTITY | {"event_types", "device_class"},
}
TRIGGER = {"platform", "automation_type", "type", "subtype", "topic", "payload", "value_template"}
TOPIC = re.compile(r"(?P<prefix>.+)/device/[a-zA-Z0-9_-]+/[a-zA-Z0-9_-]+/config")
NAME = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}", fullmatch=True)


def announced(fleet: str, camera_id: str, *classes: str, happenings: Any = ()) -> dict[str, Any]:
    named = {level(name): name for name in classes}
    return json.loads(device_config(fleet, camera_id, f"camfleet/{fleet}", named, happenings, 1))


def said() -> dict[str, bytes]:
    """What the sink has told of a camera."""
    board = Board(MqttSettings.model_validate({"discovery": True}), "town")
    board.take([STATE, FRAME], 0.0)
    return {post.topic: post.payload for post in board.due(0.0)}


def rendered(template: str, payload: bytes) -> str:
    """As Home Assistant does it: `value` is the body, `value_json` what it says."""
    text = payload.decode()
    return jinja2.Environment().from_string(template).render(value=text, value_json=json.loads(text))


@given(NAME, NAME, st.lists(st.text()), st.sets(st.tuples(NAME, st.sampled_from(get_args(Happening)))))
def test_announcement_of_any_camera_has_documented_keys_only(
    fleet: str, camera_id: str, classes: list[str], happenings: set[tuple[str, str]]
):
    config = announced(fleet, camera_id, *classes, happenings=happenings)
    assert set(config) == ROOT
    assert set(config["device"]) == DEVICE
    assert set(config["origin"]) == {"name"}
    components = config["components"].values()
    triggers = [one for one in components if one["platform"] == "device_automation"]
    assert all(set(trigger) == TRIGGER for trigger in triggers)
    assert len(triggers) == len(happenings)
    for entity in [one for one in components if one["platform"] != "device_automation"]:
        assert set(entity) <= OF_PLATFORM[entity["platform"]]
        assert {"name", "unique_id", "state_topic", "default_entity_id"} <= set(entity)
        assert re.fullmatch(rf"{entity['platform']}\.[a-z0-9_]+", entity["default_entity_id"])
    for available in config["availability"]:
        assert set(available) <= AVAILABILITY


@given(st.lists(st.tuples(NAME, NAME), unique=True), st.lists(st.text(), unique=True))
def test_announcements_share_no_topic_and_no_identity(cameras: list[tuple[str, str]], classes: list[str]):
    topics = [config_topic("homeassistant", *camera) for camera in cameras]
    assert all(TOPIC.fullmatch(topic) for topic in topics)
    identities = [one["unique_id"] for camera in cameras for one in announced(*camera, *classes)["components"].values()]
    assert len({*topics, *identities}) == len(cameras) * (2 + 2 * len(classes))


def test_announcement_names_topics_that_are_told():
    topics = said()
    config = json.loads(topics["homeassistant/device/camfleet-town/gate/config"])
    named = {entity[key] for entity in config["components"].values() for key in entity if key.endswith("_topic")}
    assert named == {"camfleet/town/gate/state", "camfleet/town/gate/count/person"}
    assert named <= set(topics)
    assert {one["topic"] for one in config["availability"]} == {"camfleet/town/status", "camfleet/town/gate/state"}
    assert config["device"]["identifiers"] == ["camfleet/town/gate"]


@pytest.mark.parametrize(("payload", "shown"), [(b"0", "OFF"), (b"1", "ON"), (b"12", "ON")])
def test_presence_is_on_while_there_is_one(payload: bytes, shown: str):
    presence = announced("town", "gate", "person")["components"]["presence_person"]
    assert rendered(presence["value_template"], payload) == shown


def test_event_is_one_of_home_assistant_and_triggers_where_it_begins():
    parts = announced("town", "gate", happenings={("drive", "dwell")})["components"]
    told = json.loads(rendered(parts["events_drive"]["value_template"], msgspec.json.encode(EVENT)))
    assert (told["event_type"], told["lasted_s"]) == ("dwell", 41.2)
    assert told["event_type"] in parts["events_drive"]["event_types"]
    trigger = parts["trigger_drive_dwell"]
    begins = msgspec.structs.replace(EVENT, phase="begin", revised=False)
    assert rendered(trigger["value_template"], msgspec.json.encode(begins)) == trigger["payload"]
    assert rendered(trigger["value_template"], msgspec.json.encode(EVENT)) == ""


@pytest.mark.parametrize("state", sorted({*get_args(State)} - {"removed"}))
def test_camera_is_available_while_it_is_seen(state: str):
    template = announced("town", "gate")["availability"][1]["value_template"]
    board = Board(MqttSettings(), "town")
    board.take([msgspec.structs.replace(STATE, state=state)], 0.0)
    (post,) = [post for post in board.due(0.0) if post.topic.endswith("/state")]
    assert rendered(template, post.payload) == ("online" if state in SEEING else "offline")


def test_state_of_the_camera_is_available_while_the_sink_is():
    config = announced("town", "gate")
    assert config["components"]["state"]["availability"] == [{"topic": "camfleet/town/status"}]


def entities(tree: Any) -> Iterator[str]:
    """Every entity that a dashboard names."""
    if isinstance(tree, dict | list):
        for one in tree.values() if isinstance(tree, dict) else tree:
            yield from entities(one)
    elif isinstance(tree, str) and re.match(r"(binary_)?sensor\.", tree):
        yield tree


def test_dashboard_shows_every_camera_and_class_of_the_demo_and_nothing_else():
    fleet = load_fleet(REPOSITORY / "configs/demo.yaml", {})
    model = yaml.safe_load((REPOSITORY / "samples/model/demo_openvino_model/metadata.yaml").read_text())
    known = {
        entity["default_entity_id"]
        for camera_id in fleet.cameras
        for entity in announced(fleet.name, camera_id, *model["names"].values())["components"].values()
    }
    shown = set(entities(yaml.safe_load(DASHBOARD.read_text("utf-8"))))
    assert shown <= known
    assert {one for one in known if one.startswith("sensor.")} <= shown
