"""Profiles: written, read, laid under a fleet file, and when they are not used."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from pipeline.config import Overlay, load_fleet, own_keys
from pipeline.errors import ConfigError
from pipeline.tune.forms import INPUT
from pipeline.tune.knobs import KNOBS
from pipeline.tune.profile import TUNED, profile_file, read_profile, write_profile
from pipeline.tune.use import load_tuned
from tests.tune_runs import HERE

FleetFile = Callable[..., Path]
CAMERAS = {"gate": "rtsp://cam/1", "yard": "rtsp://cam/2"}


def section(**changes: Any) -> dict[str, Any]:
    return {
        "model": "",
        "goal": "p95<=150ms",
        "date": "2026-11-29",
        "settings": {"model": {"lanes": 3}, "worker": {"max_wait_ms": 2.0}},
        "measured": [{"detected_hz": 58.0, "p95_ms": 131.0}, {"detected_hz": 66.5, "p95_ms": 128.4}],
        **changes,
    }


def written(file: Path, **changes: Any) -> Path:
    path = profile_file(file, HERE)
    write_profile(path, HERE, "test", section(**changes))
    return path


def test_overlay_holds_where_the_file_says_nothing(fleet_file: FleetFile):
    overlay = Overlay({("model", "openvino", "streams"): 2, ("worker", "max_wait_ms"): 2.0, ("model", "lanes"): 3})
    file = fleet_file(CAMERAS, model={"backend": "stub", "lanes": 1}, worker=None)
    fleet = load_fleet(file, overlay=overlay)
    assert (fleet.model.lanes, fleet.model.openvino.streams, fleet.worker.max_wait_ms) == (1, 2, 2.0)
    assert load_fleet(file).worker.max_wait_ms == 5.0


def test_overlay_stride_is_taken_whole_or_not(fleet_file: FleetFile):
    overlay = Overlay({("defaults", "stride", "min"): 1, ("defaults", "stride", "max"): 2})
    own = fleet_file(CAMERAS, defaults={"stride": {"min": 3}})
    assert load_fleet(own, overlay=overlay).cameras["gate"].stride.model_dump(exclude={"policy"}) == {
        "min": 3,
        "max": 8,
    }
    cameras = {"gate": "rtsp://cam/1", "yard": {"url": "rtsp://cam/2", "stride": 5}}
    mixed = load_fleet(fleet_file(cameras), overlay=overlay).cameras
    assert (mixed["gate"].stride.max, mixed["yard"].stride.max) == (2, 5)


def test_overlay_model_takes_the_place_of_the_files(fleet_file: FleetFile, tmp_path: Path):
    file = fleet_file(CAMERAS, model={"backend": "stub", "path": "large"})
    assert load_fleet(file, overlay=Overlay({}, "small")).model.path == "small"


def test_overlay_does_not_hide_mistakes_of_the_file(fleet_file: FleetFile):
    with pytest.raises(ConfigError, match=r"fleet\.yaml:.*worker"):
        load_fleet(fleet_file(CAMERAS, worker="fast"), overlay=Overlay({("worker", "max_wait_ms"): 2.0}))


def test_own_keys_are_those_that_are_written(fleet_file: FleetFile):
    own = own_keys(fleet_file(CAMERAS, worker={"nice": 3}))
    assert ("worker", "nice") in own and ("worker", "max_batch") not in own


def test_profile_is_used_on_its_hardware_and_said(fleet_file: FleetFile):
    file = fleet_file(CAMERAS)
    path = written(file)
    tuned = load_tuned(file, HERE)
    assert (tuned.fleet.model.lanes, tuned.fleet.worker.max_wait_ms) == (3, 2.0)
    assert tuned.words == (
        f"{path}: lanes 3, max_wait_ms 2.0 (tuned 2026-11-29 for p95<=150ms: 58 → 66.5 detections a second, p95 128 ms)"
    )


def test_profile_that_found_the_defaults_best_says_so(fleet_file: FleetFile):
    file = fleet_file(CAMERAS)
    written(file, settings={})
    assert "nothing beat the file as it is" in load_tuned(file, HERE).words
    assert load_tuned(file, HERE).fleet == load_fleet(file)


def test_profile_keys_of_the_file_win_and_that_is_said(fleet_file: FleetFile):
    file = fleet_file(CAMERAS, model={"backend": "stub", "lanes": 1})
    written(file)
    tuned = load_tuned(file, HERE)
    assert tuned.fleet.model.lanes == 1 and tuned.fleet.worker.max_wait_ms == 2.0
    assert tuned.words.endswith("; the fleet file's own model.lanes stays")


def test_profile_without_any_says_nothing(fleet_file: FleetFile):
    assert load_tuned(fleet_file(CAMERAS), HERE).words == ""


@pytest.mark.parametrize(
    ("machine", "said"),
    [
        (msgspec.structs.replace(HERE, libraries={"openvino": "2", "av": "1"}), "is not used: openvino was 1, is 2"),
        (msgspec.structs.replace(HERE, driver="550"), "is not used: the driver was none, is 550"),
        (msgspec.structs.replace(HERE, cores=4), "no profile of this machine (Test CPU, 4 cores, 8 GB)"),
    ],
    ids=["another library", "another driver", "another machine"],
)
def test_profile_of_another_fingerprint_is_not_used_and_why(fleet_file: FleetFile, machine: Any, said: str):
    file = fleet_file(CAMERAS)
    written(file)
    tuned = load_tuned(file, machine)
    assert tuned.fleet == load_fleet(file) and tuned.profile is None
    assert said in tuned.words and "camfleet tune makes" in tuned.words


def test_profile_of_another_model_or_fleet_is_not_used(fleet_file: FleetFile):
    file = fleet_file(CAMERAS, model={"backend": "stub", "path": "new.pt"})
    written(file, model="old.pt")
    assert "it was found with the model old.pt, and the file names new.pt" in load_tuned(file, HERE).words
    write_profile(profile_file(file, HERE), HERE, "another", section())
    body = yaml.safe_load(profile_file(file, HERE).read_text())
    assert list(body["fleets"]) == ["test", "another"], "what another fleet found stays"
    del body["fleets"]["test"]
    profile_file(file, HERE).write_text(yaml.safe_dump(body))
    assert "says nothing of the fleet “test”" in load_tuned(file, HERE).words


def test_profile_written_on_other_libraries_drops_what_was_found_with_the_old(fleet_file: FleetFile):
    file = fleet_file(CAMERAS)
    path = written(file)
    newer = msgspec.structs.replace(HERE, libraries={"openvino": "2"})
    write_profile(path, newer, "another", section())
    assert list(yaml.safe_load(path.read_text())["fleets"]) == ["another"]


def test_profile_may_set_whatever_is_turned_in_a_search():
    assert {key for knob in KNOBS for key in knob.keys} | {INPUT} == TUNED


def test_profile_that_does_not_go_with_the_files_own_is_not_used_and_why(fleet_file: FleetFile):
    seldom = {"url": "rtsp://cam/3", "stride": {"max": 2}}
    file = fleet_file({**CAMERAS, "door": seldom})
    written(file, settings={"defaults": {"stride": {"min": 3, "max": 16}}})
    tuned = load_tuned(file, HERE)
    assert tuned.fleet == load_fleet(file) and tuned.profile is None
    assert "is not used" in tuned.words and "door.stride: max (2) is smaller than min (3)" in tuned.words


def test_profile_takes_a_model_beside_it(fleet_file: FleetFile):
    file = fleet_file(CAMERAS)
    path = profile_file(file, HERE)
    model = path.parent / "models" / "small_openvino_model"
    model.mkdir(parents=True)
    written(file, takes_model="models/small_openvino_model")
    tuned = load_tuned(file, HERE)
    assert tuned.fleet.model.path == str(model.resolve())
    assert "model small_openvino_model, lanes 3" in tuned.words


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"settings": {"model": {"lanes": "many"}}},
            r"\.model\.lanes: found “many”, expected a whole number",
        ),
        ({"settings": {"model": {"lane": 3}}}, r"\.model\.lane: is no key; did you mean “lanes”\?"),
        ({"settings": {"cameras": {}}}, r"\.cameras: is not taken from here; allowed: model, worker, defaults"),
        ({"settings": 3}, r"\.settings: must be a mapping"),
        ({"settings": {"model": {"backend": "mine:detect"}}}, r"\.model\.backend: is nothing that camfleet tune sets"),
        ({"settings": {"defaults": {"sandbox": False}}}, r"\.sandbox: is nothing that camfleet tune sets"),
        ({"takes_model": "models/gone"}, r"\.takes_model: there is no model “models/gone” beside the profile"),
        ({"date": None}, r"\.date: must be text"),
    ],
    ids=[
        "a wrong value",
        "no key",
        "not tunable",
        "no mapping",
        "code",
        "no sandbox",
        "a model that is gone",
        "no date",
    ],
)
def test_profile_mistakes_name_file_line_and_key(fleet_file: FleetFile, changes: dict[str, Any], line: str):
    file = fleet_file(CAMERAS)
    path = written(file, **changes)
    with pytest.raises(ConfigError, match=line) as caught:
        load_tuned(file, HERE)
    told = str(caught.value).splitlines()
    assert told[0] == f"{path}: 1 mistake" and len(told) == 2
    number = int(told[1].strip().removeprefix(f"{path}:").split(":")[0])
    assert 0 < number <= len(path.read_text().splitlines())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[", "is not YAML"),
        ("", "the file is empty; a profile has at least “fingerprint” and “fleets”"),
        ("- 1", "a profile is a mapping"),
        ("fleets: {}", "fingerprint: is missing"),
        ("fingerprint: {cpu: 3, cores: two}\nfleets: {}", ":1:"),
    ],
    ids=["no YAML", "empty", "a list", "no fingerprint", "a wrong fingerprint"],
)
def test_profile_that_is_broken_is_a_clear_error(fleet_file: FleetFile, text: str, said: str):
    file = fleet_file(CAMERAS)
    path = written(file)
    path.write_text(text)
    with pytest.raises(ConfigError, match=said) as caught:
        load_tuned(file, HERE)
    assert str(path) in str(caught.value)


def test_profile_survives_being_written_and_read(fleet_file: FleetFile):
    path = written(fleet_file(CAMERAS))
    profile = read_profile(path, "test")
    assert profile is not None
    assert profile.fingerprint == HERE
    assert dict(profile.overlay.values) == {("model", "lanes"): 3, ("worker", "max_wait_ms"): 2.0}
