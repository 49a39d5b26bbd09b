"""What the settings of all brokers have in common."""

from __future__ import annotations

import pickle
from importlib import import_module
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline.config.sinks.base import KINDS
from pipeline.sink.body import identity_of
from pipeline.wire import CameraState, Event, Evidence, FrameResult
from tests.wire_messages import ALL, EVENT

BROKERS = ("mqtt", "redis", "nats", "kafka")
LEAF = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text())
VALUE = st.recursive(LEAF, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=4)
OWN = {kind: sorted(set(KINDS[kind].model_fields) - {"cameras", "classes"}) for kind in BROKERS}


def wrong_values(kind: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.one_of(st.sampled_from(OWN[kind]), st.text()), VALUE, min_size=1, max_size=3)


@pytest.mark.parametrize("kind", BROKERS)
@given(draw=st.data())
def test_settings_of_any_values_are_checked_or_a_mistake(kind: str, draw: st.DataObject):
    values = draw.draw(wrong_values(kind))
    try:
        settings = KINDS[kind].model_validate(values)
    except ValidationError as error:
        assert error.error_count()
    else:
        assert set(values) <= set(KINDS[kind].model_fields)
        assert pickle.loads(pickle.dumps(settings)) == settings


@pytest.mark.parametrize("kind", BROKERS)
def test_settings_have_a_default_and_a_description_for_every_key(kind: str):
    schema = KINDS[kind].model_json_schema()["properties"]
    assert {key for key, value in schema.items() if not value.get("description")} == set()
    assert KINDS[kind]() == KINDS[kind].model_validate({"url": schema["url"]["default"]})


@pytest.mark.parametrize("kind", BROKERS)
def test_adapter_of_each_kind_is_the_module_of_its_name(kind: str):
    assert callable(import_module(f"pipeline.sink.{kind}").open_sink)
    assert KINDS[kind].extra == "sinks"


def test_identity_of_each_message_is_its_own_and_stays():
    numbered = [msgspec.structs.replace(one, publisher="p", number=4) for one in ALL]
    unnamed = [one for one in ALL if not isinstance(one, FrameResult | Event | Evidence)]
    named = [index for index, one in enumerate(ALL) if one not in unnamed]
    later = [msgspec.structs.replace(one, at_ns=one.at_ns + 1) for one in unnamed]
    every = {identity_of(message) for message in (*ALL, *numbered, *later)}
    assert len(every) == len(named) + 2 * len(unnamed) + len(later)
    assert all(identity_of(ALL[index]) == identity_of(numbered[index]) for index in named)
    assert identity_of(ALL[0]) == "gate/0000000001f0/7"
    corrected = msgspec.structs.replace(EVENT, frame_id=EVENT.frame_id + 1)
    assert identity_of(corrected) != identity_of(EVENT)


def test_identity_of_a_message_that_says_nothing_of_itself_is_none():
    state = CameraState(fleet="town", camera_id="gate", session_id="", state="live")
    assert identity_of(state) == ""
