"""Scenario files: what they say, and what is said about wrong ones."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from pipeline.burst.load import load_scenario
from pipeline.burst.scenario import OUR_FAULTS, Scenario
from pipeline.burst.schema import scenario_schema
from pipeline.errors import ConfigError
from pipeline.replay.faults import FAULT_NAMES

SHIPPED = Path(__file__).parent.parent / "configs" / "scenarios"

HEAD = """recordings: [square.mp4]
cameras: 3
model: {backend: stub}
phases:
"""
STEADY = "  - {name: calm, seconds: 5}\n"


@pytest.fixture
def folder(tmp_path: Path, recording: Path) -> Path:
    (tmp_path / "square.mp4").symlink_to(recording)
    return tmp_path


def told_of(content: str, folder: Path) -> str:
    file = folder / "day.yaml"
    file.write_text(content)
    with pytest.raises(ConfigError) as caught:
        load_scenario(file, {})
    return str(caught.value).replace(f"{folder}/", "")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param("", "the file is empty; a scenario file has at least “recordings”", id="an empty file"),
        pytest.param("- 1", "a scenario is a mapping with “recordings”", id="a list"),
        pytest.param(HEAD + "  - {name: calm}\n", "5:5: phases.0.seconds: is missing", id="no duration"),
        pytest.param(
            HEAD + "  - {name: calm, seconds: soon}\n",
            "5:27: phases.0.seconds: found “soon”, expected a number above 0 to 86400",
            id="a duration in words",
        ),
        pytest.param(
            HEAD + "  - {name: calm, second: 5}\n",
            "phases.0.second: is no key; did you mean “seconds”?",
            id="an unknown key",
        ),
        pytest.param(
            HEAD + "  - {name: bad, seconds: 5, fault: {name: silense}}\n",
            "phases.0.fault.name: found “silense”, expected one of silence",
            id="an unknown fault",
        ),
        pytest.param(
            HEAD + "  - {name: bad, seconds: 5, fault: {name: silence, delay_ms: 3}}\n",
            "“delay_ms” is nothing that “silence” has; it has answers",
            id="a parameter of another fault",
        ),
        pytest.param(
            HEAD + "  - {name: bad, seconds: 5, fault: {name: kill_worker, camera: square}}\n",
            "“camera” is nothing that “kill_worker” has",
            id="a camera for a fault of the fleet",
        ),
        pytest.param(
            HEAD + "  - {name: bad, seconds: 5, fault: {name: silence, camera: squares}}\n",
            "phases.0.fault.camera: there is no camera “squares”; did you mean “square”?",
            id="a camera that is not there",
        ),
        pytest.param(
            HEAD + "  - {name: bad, seconds: 5, fault: {name: silence, seconds: 5}}\n",
            "its fault ends at 6 s and the phase at 5 s; make the phase longer",
            id="a fault longer than its phase",
        ),
        pytest.param(
            HEAD + "  - {name: bad, seconds: 5, burst: {speed: 2}, fault: {name: silence}}\n",
            "has a burst and a fault",
            id="a burst with a fault",
        ),
        pytest.param(
            HEAD + "  - {name: bad, seconds: 5, fault: {name: silence}, faults: [{name: freeze}]}\n",
            "has “fault” and “faults”; give one of them",
            id="a fault and faults",
        ),
        pytest.param(
            HEAD + "  - {name: bad, seconds: 5, faults: [{name: freeze}, {name: freeze, camera: squares}]}\n",
            "phases.0.faults.1.camera: there is no camera “squares”; did you mean “square”?",
            id="one of several faults at a camera that is not there",
        ),
        pytest.param(
            HEAD + "  - {name: bad, seconds: 5, faults: [{name: freeze}, {name: silence, seconds: 5}]}\n",
            "its fault ends at 6 s and the phase at 5 s",
            id="one of several faults longer than its phase",
        ),
        pytest.param(
            HEAD + "  - {name: bad, seconds: 5, expect: {states: {squares: blind}}}\n",
            "phases.0.expect.states.squares: there is no camera “squares”; did you mean “square”?",
            id="a state of a camera that is not there",
        ),
        pytest.param(
            HEAD + "  - {name: bad, seconds: 5, expect: {states: {square: green}}}\n",
            "phases.0.expect.states.square: found “green”, expected one of connecting",
            id="a state that there is not",
        ),
        pytest.param(
            "settings: {squares: {priority: low}}\n" + HEAD + STEADY,
            "settings.squares: there is no camera “squares”; did you mean “square”?",
            id="settings of a camera that is not there",
        ),
        pytest.param(
            HEAD + "  - {name: more, seconds: 5, burst: {cameras: 3}}\n",
            "phases.0.burst.cameras: found “3”, but there are 3 cameras in every phase",
            id="a burst of no more cameras",
        ),
        pytest.param(
            HEAD + "  - {name: more, seconds: 5, burst: {}}\n", "is empty; say “cameras”", id="an empty burst"
        ),
        pytest.param(
            HEAD + "  - {name: calm, seconds: 5, expect: {max_recovery_s: 3}}\n",
            "expects “max_recovery_s” without a fault",
            id="recovery from nothing",
        ),
        pytest.param(
            HEAD + "  - {name: bad, seconds: 5, fault: {name: silence}, expect: {others_unaffected: true}}\n",
            "phases.0.expect.others_unaffected: needs a phase without burst and fault before",
            id="nothing to compare with",
        ),
        pytest.param(
            HEAD + "  - {name: calm, seconds: 5, settle_s: 5}\n", "leaves nothing of its 5 seconds", id="nothing judged"
        ),
        pytest.param(HEAD.replace("square", "gone") + STEADY, "there is no recording “gone.mp4”", id="no recording"),
        pytest.param(
            HEAD.replace("[square.mp4]", "['none*.mp4']") + STEADY,
            "there is no recording “none*.mp4”",
            id="a star that finds nothing",
        ),
        pytest.param(
            HEAD.replace("model: {backend: stub}", "worker: {nice: 3}") + STEADY,
            "has neither “fleet” (a fleet file to test) nor “model”",
            id="no fleet and no model",
        ),
        pytest.param(
            HEAD.replace("model: {backend: stub}", "fleet: absent.yaml") + STEADY,
            "fleet: there is no fleet file “absent.yaml”",
            id="no fleet file",
        ),
        pytest.param("recordings: [square.mp4]\nmodel: {backend: stub}\nphases: []\n", "is empty; give", id="no phase"),
    ],
)
def test_scenario_with_a_mistake_says_where_and_what(content: str, expected: str, folder: Path):
    assert expected in told_of(content, folder)


def test_scenario_file_tells_all_mistakes_at_once(folder: Path):
    told = told_of(HEAD + "  - {name: one, seconds: 0}\n  - {name: two, seconds: 5, worst: 1}\n", folder)
    assert told.startswith("day.yaml: 2 mistakes")


def test_scenario_takes_names_and_settings_from_the_fleet_file_it_tests(folder: Path):
    (folder / "fleet.yaml").write_text(
        "model: {backend: stub}\nslo: {p95_ms: 90}\nworker: {nice: 7, max_batch: 2}\n"
        "defaults: {read_timeout_s: 4}\n"
        "cameras: {north: {url: rtsp://u:secret@far/1, transport: udp}, south: {url: rtsp://far/2}}\n"
    )
    (folder / "day.yaml").write_text(
        "recordings: [square.mp4]\nfleet: fleet.yaml\nworker: {nice: 1}\ndefaults: {reconnect: {max_s: 2}}\n"
        "phases:\n  - {name: calm, seconds: 5}\n  - {name: more, seconds: 5, burst: {cameras: 3}}\n"
    )
    plan = load_scenario(folder / "day.yaml", {})
    urls = {camera_id: f"rtsp://127.0.0.1:1/{camera_id}" for camera_id in plan.camera_ids}
    fleet = plan.fleet(urls)
    assert plan.camera_ids == ("north", "south", "square")
    assert plan.usual == 2
    assert plan.present(plan.scenario.phases[0]) == ("north", "south")
    assert plan.present(plan.scenario.phases[1]) == plan.camera_ids
    assert (fleet.worker.nice, fleet.worker.max_batch, fleet.slo.p95_ms) == (1, 2, 90)
    assert [camera.transport for camera in fleet.cameras.values()] == ["udp", "tcp", "tcp"]
    assert {camera.read_timeout_s for camera in fleet.cameras.values()} == {4}
    assert {(camera.reconnect.initial_s, camera.reconnect.max_s) for camera in fleet.cameras.values()} == {(0.5, 2)}
    assert [camera.url.reveal() for camera in fleet.cameras.values()] == list(urls.values())


def test_scenario_settings_of_one_camera_go_before_those_of_all(folder: Path):
    (folder / "day.yaml").write_text(
        "settings: {square-2: {priority: low, reconnect: {max_s: 3}}}\n"
        "defaults: {priority: high, reconnect: {max_s: 2, initial_s: 1}}\n" + HEAD + STEADY
    )
    plan = load_scenario(folder / "day.yaml", {})
    fleet = plan.fleet({camera_id: f"rtsp://127.0.0.1:1/{camera_id}" for camera_id in plan.camera_ids})
    assert [camera.priority for camera in fleet.cameras.values()] == ["high", "low", "high"]
    assert [camera.reconnect.max_s for camera in fleet.cameras.values()] == [2, 3, 2]
    assert {camera.reconnect.initial_s for camera in fleet.cameras.values()} == {1}


def test_scenario_fleet_has_the_cameras_that_are_served(folder: Path):
    (folder / "day.yaml").write_text(HEAD + STEADY)
    plan = load_scenario(folder / "day.yaml", {})
    assert list(plan.fleet({"square-3": "rtsp://127.0.0.1:1/3"}).cameras) == ["square-3"]


def test_scenario_faults_are_in_the_order_of_their_beginning(folder: Path):
    (folder / "day.yaml").write_text(
        HEAD
        + "  - {name: bad, seconds: 9, faults: [{name: freeze, at_s: 3}, {name: silence}, {name: reset, at_s: 2}]}\n"
    )
    (phase,) = load_scenario(folder / "day.yaml", {}).scenario.phases
    assert [fault.name for fault in phase.every_fault] == ["silence", "reset", "freeze"]
    assert phase.kind == "fault"


def test_scenario_with_stars_finds_recordings_in_order(folder: Path, recording: Path):
    (folder / "another.mp4").symlink_to(recording)
    (folder / "day.yaml").write_text("recordings: ['*.mp4']\nmodel: {backend: stub}\nphases:\n" + STEADY)
    assert load_scenario(folder / "day.yaml", {}).usual == 2


@pytest.mark.parametrize("file", sorted(SHIPPED.glob("*.yaml")), ids=lambda file: file.stem)
def test_shipped_scenario_is_right(file: Path, monkeypatch: pytest.MonkeyPatch):
    plan = load_scenario(file)
    assert plan.scenario.name == file.stem
    assert all(phase.expect.model_fields_set for phase in plan.scenario.phases), "a phase that nothing is expected of"


def test_bad_day_has_every_fault_once():
    phases = load_scenario(SHIPPED / "bad-day.yaml").scenario.phases
    faults = [phase.fault.name for phase in phases if phase.fault is not None]
    assert sorted(faults) == sorted([*FAULT_NAMES, *OUR_FAULTS])


def test_scenario_keys_are_all_described():
    schema = Scenario.model_json_schema()
    parts = [schema, *(schema["$defs"][name] for name in ("Phase", "Burst", "FaultPlan", "Expect"))]
    undescribed = [
        f"{part['title']}.{name}"
        for part in parts
        for name, key in part.get("properties", {}).items()
        if "description" not in key
    ]
    assert undescribed == []


def test_scenario_schema_committed_copy_is_current():
    committed = json.loads((SHIPPED.parent / "scenario.schema.json").read_text("utf-8"))
    assert committed == scenario_schema(), "run: camfleet schema scenario --output configs/scenario.schema.json"


def test_scenario_schema_spells_bounds_as_editors_know_them_and_needs_no_name():
    schema = scenario_schema()
    assert schema["properties"]["cameras"]["anyOf"][0] == {"maximum": 1000, "minimum": 1, "type": "integer"}
    assert schema["required"] == ["recordings", "phases"]
    assert not re.search(r'"(gt|ge|lt|le)":', json.dumps(schema))


@pytest.mark.parametrize("file", sorted(SHIPPED.glob("*.yaml")), ids=lambda file: file.stem)
def test_shipped_scenario_is_right_by_the_schema_that_it_names(file: Path):
    validator = pytest.importorskip("jsonschema").Draft202012Validator(scenario_schema())
    text = file.read_text("utf-8")
    assert text.startswith("# yaml-language-server: $schema=../scenario.schema.json\n")
    assert [error.message for error in validator.iter_errors(yaml.safe_load(text))] == []
