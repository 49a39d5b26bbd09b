"""The protocol as it is written down, against the messages as they are."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

import pipeline
from pipeline.wire import KINDS, FrameHeader, FrameResult
from pipeline.wire.schema import message_schema
from tests.publishing import Publisher
from tests.test_wire import frame

DOCUMENT = (Path(pipeline.__file__).parent / "wire.md").read_text(encoding="utf-8")
DEADLINE_S = 60
EVERY = "Every message"
SECTIONS = {
    "FrameResult": (EVERY, "A frame"),
    "TrackedBox": ("An object",),
    "Attribute": ("An attribute",),
    "Counts": ("Counts",),
    "Event": (EVERY, "An event"),
    "Evidence": (EVERY, "What is kept of an event"),
    "CompactFrame": (EVERY, "A frame", "A compact frame"),
    "Columns": ("Columns",),
    "CameraState": (EVERY, "A camera"),
    "EvidenceState": ("Evidence",),
    "FleetState": (EVERY, "The fleet"),
    "CameraFigures": ("Figures of a camera",),
    "ProcessFigures": ("Processes",),
    "SinkState": ("Sinks",),
    "LookFigures": ("Second looks",),
}
"""Where the keys of each struct are written down."""
NOT_THERE = {"CompactFrame": {"tracks"}, "FleetState": {"camera_id"}}
ROW = re.compile(r"^\| `(?P<key>\w+)` \| (?P<type>.+?) \| (?P<absent>.*?) ?\| (?P<meaning>.+) \|$", re.MULTILINE)


def section(title: str) -> str:
    found = re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^#|\Z)", DOCUMENT, re.MULTILINE | re.DOTALL)
    assert found, title
    return found[1]


def keys_of(title: str) -> dict[str, tuple[str, str]]:
    """Type and value if absent of each key in the table of a section."""
    return {row["key"]: (row["type"], row["absent"]) for row in ROW.finditer(section(title))}


def words_for(value: dict[str, Any]) -> str:
    """The type of a key, from its JSON Schema."""
    if "anyOf" in value:
        return " or ".join(map(words_for, value["anyOf"]))
    if "$ref" in value:
        return f"`{value['$ref'].rpartition('/')[2]}`"
    if "enum" in value:
        return "one of " + ", ".join(f"`{word}`" if word else '""' for word in value["enum"])
    if "prefixItems" in value:
        return f"array of {len(value['prefixItems'])} {words_for(value['prefixItems'][0])}s"
    inner = value.get("items") or value.get("additionalProperties")
    return f"{value['type']} of {words_for(inner)}" if inner else str(value["type"])


def test_document_every_struct_has_its_section():
    assert set(message_schema()["$defs"]) == set(SECTIONS)


@pytest.mark.parametrize("name", SECTIONS)
def test_document_has_every_key_with_its_type_and_value_if_absent(name: str):
    definition = message_schema()["$defs"][name]
    written = {key: row for title in SECTIONS[name] for key, row in keys_of(title).items()}
    written = {key: row for key, row in written.items() if key not in NOT_THERE.get(name, ())}
    expected = {
        key: (words_for(value), f"`{json.dumps(value['default'])}`" if "default" in value else "")
        for key, value in definition["properties"].items()
        if key != "schema"
    }
    assert {key: row for key, row in written.items() if key != "schema"} == expected
    if "schema" in definition["properties"]:
        assert "schema" in written


def test_document_has_every_topic():
    assert set(re.findall(r"^\| `(\w+)/", section("Transport"), re.MULTILINE)) == set(KINDS)


def test_document_says_which_words_a_camera_may_be_in():
    table = re.findall(r"^\| `(\w+)` \| [^|]+ \|$", section("A camera"), re.MULTILINE)
    assert sorted(table) == message_schema()["$defs"]["CameraState"]["properties"]["state"]["enum"]


def test_document_links_lead_to_sections():
    anchors = {
        re.sub(r"[^\w -]", "", title).lower().replace(" ", "-")
        for title in re.findall(r"^#+ (.+)$", DOCUMENT, re.MULTILINE)
    }
    assert set(re.findall(r"\]\(#([\w-]+)\)", DOCUMENT)) - anchors == set()


def test_compact_frame_has_all_keys_of_a_frame_but_its_objects():
    assert set(FrameResult.__struct_fields__) - set(FrameHeader.__struct_fields__) == {"tracks", "schema"}


@pytest.fixture
def endpoint() -> Iterator[str]:
    """Where frames come with repeats and gaps: 1, 2, 2, 5, 6, 6, 9 and so on."""
    publisher, stop = Publisher("tcp://127.0.0.1:0", queue=100), threading.Event()

    def run() -> None:
        number = 1
        while not stop.wait(0.01):
            for one in (number, number + 1, number + 1):
                publisher.publish(replace(frame(frame_id=one), publisher="a1", number=one))
            number += 4
        publisher.close()

    thread = threading.Thread(target=run)
    thread.start()
    yield publisher.endpoint
    stop.set()
    thread.join(DEADLINE_S)


def test_document_reader_at_the_top_runs_skips_repeats_and_counts_gaps(endpoint: str):
    pytest.importorskip("msgpack")
    code = re.search(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
    assert code
    reader = code[1].replace("tcp://127.0.0.1:5555", endpoint)
    with subprocess.Popen([sys.executable, "-u", "-c", reader], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            lines = [process.stdout.readline().split(maxsplit=1) for _ in range(30)]
        finally:
            process.kill()
    heard = [int(rest.split()[0]) for first, rest in lines if first == "gate"]
    assert len(set(heard)) == len(heard) > 5
    assert ["2", "messages missed on b'detections/gate/'\n"] in lines
