"""What programs of other people were made for is still read, and still sent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from pipeline.wire import KINDS, decode
from pipeline.wire.schema import message_schema
from tests.golden_messages import GOLDEN, SCHEMA

VERSIONS = sorted(folder for folder in GOLDEN.iterdir())
FILES = [path for folder in VERSIONS for path in sorted(folder.iterdir()) if path.name != SCHEMA]
SCHEMAS = [folder / SCHEMA for folder in VERSIONS]
SINCE = {"events": "1.1", "evidence": "1.2"}
"""Kinds that were not there from the beginning."""
each_message = pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
each_version = pytest.mark.parametrize("path", SCHEMAS, ids=lambda path: path.parent.name)


def topic_of(path: Path) -> bytes:
    return b"fleet/" if path.stem == "fleet" else f"{path.stem}/gate/".encode()


def stored(path: Path) -> dict[str, Any]:
    """What a message says, in the words of its own version."""
    return json.loads(path.with_suffix(".json").read_bytes())


def encoded(path: Path, body: dict[str, Any]) -> bytes:
    return msgspec.json.encode(body) if path.suffix == ".json" else msgspec.msgpack.encode(body)


def say_the_same(old: Any, new: Any) -> bool:
    """Whether all that `old` says is said by `new`, which may say more."""
    if isinstance(old, dict):
        return all(key in new and say_the_same(value, new[key]) for key, value in old.items())
    if isinstance(old, list):
        return len(old) == len(new) and all(map(say_the_same, old, new))
    return old == new


def with_more(body: Any) -> Any:
    """With a key that nobody knows in every map that is no dictionary by name."""
    if isinstance(body, list):
        return [with_more(part) for part in body]
    if not isinstance(body, dict):
        return body
    named = {"broken_by", "loss_broken_by", "filled", "lost", "latency_ms", "class_names", "attributes"}
    parts = {
        key: {name: with_more(part) for name, part in value.items()}
        if key in ("cameras", "looks")
        else value
        if key in named
        else with_more(value)
        for key, value in body.items()
    }
    return {"weather": {"rain": [1, None]}, **parts, "zzz": 1.5}


def test_golden_every_kind_is_kept_of_every_version_that_had_it():
    for folder in VERSIONS:
        since = {kind for kind, version in SINCE.items() if version > folder.name}
        assert {path.stem for path in folder.iterdir()} == {*KINDS, "schema"} - since


@each_message
def test_golden_message_is_read_and_says_what_it_said(path: Path):
    message = decode(topic_of(path), path.read_bytes())
    assert say_the_same(stored(path), msgspec.to_builtins(message))
    assert (message.publisher, message.number) == ("5f2a90c1d7e4", 41)


@each_message
def test_golden_message_with_unknown_keys_is_read_as_without(path: Path):
    message = decode(topic_of(path), encoded(path, with_more(stored(path))))
    assert message == decode(topic_of(path), path.read_bytes())


@each_message
def test_golden_message_with_nothing_but_what_was_required_is_read(path: Path):
    definition = definitions(path.parent / SCHEMA)[KINDS[path.stem].__name__]
    body = {key: value for key, value in stored(path).items() if key in definition["required"]}
    assert say_the_same(body, msgspec.to_builtins(decode(topic_of(path), encoded(path, body))))


@each_message
def test_golden_message_is_valid_by_todays_schema(path: Path):
    jsonschema.Draft202012Validator(message_schema()).validate(stored(path))


def definitions(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))["$defs"]


@each_version
def test_no_field_of_a_released_version_has_gone_or_changed_its_type(path: Path):
    today = message_schema()["$defs"]
    for name, old in definitions(path).items():
        for key, value in old["properties"].items():
            assert type_of(today[name]["properties"][key]) == type_of(value), f"{name}.{key}"


@each_version
def test_no_field_has_become_required_since_a_released_version(path: Path):
    """One that was added has a default, so that messages of before are read; one that had one still has it."""
    today = message_schema()["$defs"]
    for name, old in definitions(path).items():
        assert set(today[name]["required"]) == set(old["required"]), name


def type_of(value: dict[str, Any]) -> dict[str, Any]:
    return {key: part for key, part in value.items() if key not in ("description", "title", "default")}


def test_message_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(message_schema())


def test_message_schema_describes_every_key_in_a_sentence():
    poor = [
        f"{name}.{key}"
        for name, definition in message_schema()["$defs"].items()
        for key, value in definition["properties"].items()
        if len(value["description"]) < 3 or not value["description"].endswith(".") or "None" in value["description"]
    ]
    assert poor == []


@pytest.mark.parametrize(
    "change", [{"frame_id": -1}, {"origin": "guessed"}, {"schema": 3}, {"camera_id": "a/b"}, {"tracks": None}], ids=str
)
def test_message_schema_refuses_what_the_decoder_refuses(change: dict[str, Any]):
    body = stored(GOLDEN / "1.0" / "detections.json") | change
    assert not jsonschema.Draft202012Validator(message_schema()).is_valid(body)
