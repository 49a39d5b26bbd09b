"""What is rehearsed: which recording stands for which camera, what of a fleet file may run, and what is expected."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import yaml

from pipeline.camera.orientation import UPRIGHT
from pipeline.config import Fleet, load_fleet
from pipeline.errors import ConfigError
from pipeline.privacy import Cover
from pipeline.record.arrivals import ArrivalFile
from pipeline.rehearse.cast import cast, cut
from pipeline.rehearse.expect import expectations, judge, parse
from pipeline.rehearse.moments import unseen
from pipeline.rehearse.pictures import jpegs
from pipeline.rehearse.sides import Side, differences, left_out, rehearsed
from pipeline.rehearse.take import Clip

URL = "rtsp://viewer:hunter2@cam.example/1"


def fleet(*names: str, **changes: object) -> Fleet:
    cameras = {name: {"camera_id": name, "url": URL} for name in names or ("gate", "yard")}
    return Fleet.model_validate({"name": "f", "model": {"backend": "stub"}, "cameras": cameras, **changes})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("gate.mp4", "yard.mkv", "notes.txt", "other.mp4"):
        (tmp_path / name).write_bytes(b"")
    return tmp_path


def test_recordings_of_a_folder_are_dealt_by_their_names(folder: Path):
    found = cast([str(folder)], fleet("yard", "gate", "roof"), fleet("gate", "yard"))
    assert {name: file.name for name, file in found.recordings.items()} == {"yard": "yard.mkv", "gate": "gate.mp4"}
    assert list(found.recordings) == ["yard", "gate"], "in the order of the first file"
    assert found.without == ("roof",)


def test_recording_may_be_named_for_a_camera(folder: Path):
    found = cast([f"gate={folder / 'other.mp4'}"], fleet(), fleet())
    assert found.recordings == {"gate": folder / "other.mp4"}
    assert found.without == ("yard",)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(
            ["other.mp4"],
            "there is no camera “other”; the files have gate, yard, roof; camera=FILE says which",
            id="stands for no camera",
        ),
        pytest.param(["gat=other.mp4"], "did you mean gate=other.mp4?", id="a slip of the pen"),
        pytest.param(["nothing.mp4"], "there is no such recording", id="not there"),
        pytest.param(["gate.mp4", "gate=other.mp4"], "camera gate has two recordings", id="two of one"),
        pytest.param(["yard.mkv"], "which the second fleet file does not have", id="only one fleet has it"),
        pytest.param(["."], "", id="a folder with one that only one has"),
    ],
)
def test_recordings_that_fit_no_camera_are_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
):
    monkeypatch.chdir(folder)
    with pytest.raises(ConfigError) as caught:
        cast(arguments, fleet("gate", "yard"), fleet("gate", "roof"))
    assert words in str(caught.value)


def test_folder_without_any_camera_says_what_it_has(folder: Path):
    with pytest.raises(ConfigError, match=r"no recording in it is called as .*other\.mp4"):
        cast([str(folder)], fleet("roof"), fleet("roof"))


def test_cut_recording_is_so_long_and_keeps_its_arrivals(recording: Path, tmp_path: Path):
    source = tmp_path / "square.mp4"
    source.write_bytes(recording.read_bytes())
    ArrivalFile(source).close()
    (tmp_path / "cut").mkdir()
    made = cut(source, 1.0, tmp_path / "cut")
    assert Clip.read(made).frames == 25
    assert made.with_name(f"{made.name}.arrivals").exists()
    with av.open(str(made)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 25


OUTWARD = {
    "sinks": {"alarm": {"kind": "webhook", "url": "https://alarm.example/hook", "events": "only"}},
    "page": {"port": 8080},
    "publish": {"bind": "tcp://127.0.0.1:5555"},
}


def test_nobody_hears_of_a_rehearsal(tmp_path: Path):
    file = tmp_path / "fleet.yaml"
    camera = {"url": URL, "evidence_url": URL, "stride": 3, "lines": {"door": {"points": [[0, 0.5], [1, 0.5]]}}}
    file.write_text(yaml.safe_dump({"model": {"backend": "stub"}, "cameras": {"gate": camera}, **OUTWARD}))
    side = Side("b", file, load_fleet(file))
    run = rehearsed(side, {"gate": "rtsp://127.0.0.1:1/gate"})
    assert (run.sinks, run.page, run.publish.bind) == ({}, None, "tcp://127.0.0.1:0")
    assert run.name == "rehearsal-b", "what the real fleet remembers is not touched"
    gate = run.cameras["gate"]
    assert gate.url.reveal() == "rtsp://127.0.0.1:1/gate" and gate.evidence_url is None
    assert (gate.stride.max, list(gate.lines)) == (3, ["door"])
    told = "\n".join(left_out(side))
    assert all(word in told for word in ("sinks (alarm)", "page", "publish", "evidence_url (gate)"))


def test_every_part_of_a_fleet_file_is_rehearsed_or_left_out_on_purpose():
    known = {
        "name",
        "model",
        "cascade",
        "worker",
        "slo",
        "power",
        "defaults",
        "cameras",
        "sinks",
        "page",
        "publish",
        "scale",
        "evidence",
    }
    assert set(Fleet.model_fields) <= known, "decide in pipeline/rehearse/sides.py whether it is rehearsed, and say so"


def test_differences_of_all_cameras_are_told_once(fleet_file: Callable[..., Path]):
    one = Side("a", Path("a"), fleet(model={"backend": "stub", "options": {"a_ms": 4}}))
    cameras = {name: {"camera_id": name, "url": URL, "stride": 2} for name in ("gate", "yard")}
    cameras["yard"]["priority"] = "high"
    two = Side("b", Path("b"), fleet(cameras=cameras))
    found = {found.key: (found.a, found.b) for found in differences(one, two, ["gate", "yard"])}
    assert found == {
        "model.options.a_ms": ("4", "–"),
        "model.options": ("–", "–"),
        "every camera.stride.min": ("1", "2"),
        "every camera.stride.max": ("8", "2"),
        "cameras.yard.priority": ("normal", "high"),
    }


@pytest.mark.parametrize(
    ("text", "a", "b", "found"),
    [
        ("p95_ms <= 150", {}, {"p95_ms": 150.0}, (True, "≤ 150", "")),
        ("p95_ms <= 150", {}, {"p95_ms": 163.0}, (False, "≤ 150", "13 too much")),
        ("hota >= a - 0.5", {"hota": 60.0}, {"hota": 59.5}, (True, "≥ a - 0.5 = 59.50", "")),
        ("hota >= a - 0.5", {"hota": 60.0}, {"hota": 59.0}, (False, "≥ a - 0.5 = 59.50", "0.50 too little")),
        ("cores<=0.7*a", {"cores": 1.0}, {"cores": 0.7}, (True, "≤ 0.7*a = 0.70", "")),
        ("cores <= a", {"cores": 1.0}, {"cores": 1.2}, (False, "≤ a = 1", "0.20 too much")),
        ("events.false < 1", {}, {"events.false": 1.0}, (False, "< 1", "just so much")),
        ("stride == 2", {}, {"stride": 2.0}, (True, "= 2", "")),
        ("hota >= 50", {}, {}, (False, "≥ 50", "B's is not known")),
        ("hota >= a", {}, {"hota": 60.0}, (False, "≥ a", "A's is not known")),
    ],
)
def test_expectation_holds_or_says_by_how_much_it_does_not(text: str, a: dict, b: dict, found: tuple):
    (check,) = judge([parse(text)], a, b, {})
    assert (check.passed, check.expected, check.miss) == found


def test_expectation_of_both_together_is_judged_by_what_differs():
    (check,) = judge([parse("events.only_a <= 1")], {}, {}, {"events.only_a": 2.0})
    assert (check.passed, check.found) == (False, "2")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("p95 <= 150", "there is no figure “p95”; did you mean “p95_ms”?"),
        ("p95_ms <= fast", "expected a figure, a sign and a number"),
        ("events.only_a <= a", "none of A to compare it with"),
    ],
)
def test_expectation_that_is_none_is_explained(text: str, words: str):
    with pytest.raises(ConfigError, match=r"--expect: ") as caught:
        expectations([text])
    assert words in str(caught.value)


def test_mistake_in_a_file_of_expectations_has_its_line(tmp_path: Path):
    file = tmp_path / "expect.yaml"
    file.write_text("expect:\n  - p95_ms <= 150\n  - cores <= 0.9 * b\n")
    with pytest.raises(ConfigError, match=r"expect\.yaml:3:"):
        expectations([str(file)])
    file.write_text("expect: [hota >= b]\n")
    with pytest.raises(ConfigError, match=r"expect\.yaml: 1 mistake\n .*: expect\.0: found “hota >= b”"):
        expectations([str(file)])
    file.write_text("expects: []\n")
    with pytest.raises(ConfigError, match="expect: is missing; expected a list"):
        expectations([str(file)])


def test_files_and_texts_of_expectations_are_joined(tmp_path: Path):
    file = tmp_path / "expect.yaml"
    file.write_text("expect: [p95_ms <= 150, cores <= a]\n")
    assert [one.key for one in expectations([str(file), "hota >= a - 1"])] == ["p95_ms", "cores", "hota"]


def test_pictures_have_the_masks_of_the_fleet_file_and_are_none_where_classes_are_blurred(recording: Path):
    camera: dict[str, object] = {
        "camera_id": "gate",
        "url": URL,
        "privacy": {"masks": [[0, 0], [1, 0], [1, 1], [0, 1]]},
    }
    one = fleet(cameras={"gate": camera})
    (covered,) = jpegs(Clip.read(recording), [10], UPRIGHT, [Cover(one.cameras["gate"].privacy)]).values()
    (plain,) = jpegs(Clip.read(recording), [10], UPRIGHT).values()
    pixels = [cv2.imdecode(np.frombuffer(base64.b64decode(text), np.uint8), 1) for text in (covered, plain)]
    assert np.ptp(pixels[0]) < 0.1 * np.ptp(pixels[1]), "the square is seen no more"
    two = fleet(cameras={"gate": {**camera, "privacy": {"blur": ["person"]}}})
    assert unseen([Side("a", Path("a"), one), Side("b", Path("b"), two)]) == ["gate"]
    assert unseen([Side("a", Path("a"), one)]) == []
