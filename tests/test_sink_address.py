from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from pipeline.config.sinks.address import Address
from pipeline.config.sinks.broker import fill
from pipeline.config.sinks.mqtt import MqttSettings
from pipeline.redact import redact

PORTS = {"mqtt": 1883, "mqtts": 8883}
REDIS = {"redis": 6379}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("mqtt://broker", Address("mqtt", "broker", 1883), id="usual port"),
        pytest.param("MQTTS://broker", Address("mqtts", "broker", 8883), id="capitals"),
        pytest.param("mqtt://[::1]:99", Address("mqtt", "::1", 99), id="IPv6"),
        pytest.param("redis://b%40b@broker/2", Address("redis", "broker", 6379, "b@b", None, 2), id="user and number"),
    ],
)
def test_address_is_taken_apart(text: str, expected: Address):
    assert Address.parse(text, PORTS | REDIS) == expected
    again = str(expected).replace("//", f"//{expected.user.replace('@', '%40')}@")
    assert Address.parse(again, PORTS | REDIS) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", "broker", "broker:1883", "mqtt://", "mqtt://:1883", "http://broker", "mqtt://broker:99999"),
        *(
            "mqtt://broker:0",
            "mqtt://broker/a",
            "mqtt://broker/1",
            "mqtt://bro ker",
            "mqtt://broker?hunter2",
            "mqtt://broker#hunter2",
        ),
        *(
            "mqtt://bob:a/hunter2@broker",
            "mqtt://bob:hunter2@",
            "mqtt://[::1",
            f"mqtt://{'a' * 64}",
            "mqtt://a..b",
            None,
            7,
            True,
            ["mqtt://hunter2"],
        ),
    ],
)
def test_address_that_is_none_is_refused_and_not_repeated(text: object):
    with pytest.raises(PydanticCustomError, match="mqtt://host:1883 or mqtts://host:8883") as caught:
        Address.parse(text, PORTS)
    assert "hunter2" not in str(caught.value)
    # The file's mistakes are redacted as a whole, which must leave the words alone.
    assert redact(caught.value) == str(caught.value)


@given(st.text())
def test_address_of_any_text_is_one_or_a_mistake(text: str):
    for one in (text, f"mqtt://{text}"):
        try:
            assert Address.parse(one, PORTS).host
        except PydanticCustomError as error:
            assert "expected mqtt" in str(error)


def test_settings_show_no_password_and_pickle_it():
    settings = MqttSettings.model_validate({"url": "mqtt://bob:hunter2@broker", "password": "hunter3"})
    for shown in (repr(settings), str(settings), str(settings.model_dump()), settings.model_dump_json()):
        assert "hunter" not in shown
    back = pickle.loads(pickle.dumps(settings))
    assert back.url.password.reveal() + back.password.reveal() == "hunter2hunter3"


@pytest.mark.parametrize("prefix", ["", "/", "a/", "/a", "a//b", "a/+", "#", "a\0b", "$SYS/a", "x" * 1001])
def test_prefix_that_is_no_beginning_of_a_topic_is_refused(prefix: str):
    with pytest.raises(ValidationError, match="camfleet/town"):
        MqttSettings.model_validate({"prefix": prefix})


def test_template_is_filled_and_ends_before_a_camera_that_there_is_not():
    assert fill("{fleet}.{kind}.{camera}", "town", "detections", "gate") == "town.detections.gate"
    assert fill("{fleet}.{kind}.{camera}", "town", "fleet", "") == "town.fleet"
