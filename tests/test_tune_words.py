"""What is said to a search, what it keeps on disk, and what it knows a machine by."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from pipeline.errors import ConfigError
from pipeline.tune import fingerprint as fingerprints
from pipeline.tune.fingerprint import differences, read_fingerprint
from pipeline.tune.goal import Budget, Goal, parse_budget, parse_goal, parse_time, time_words
from pipeline.tune.journal import OUT_OF_TIME, SETTLED, Journal
from pipeline.tune.setting import Setting
from tests.tune_runs import HERE, at


@pytest.mark.parametrize(
    ("text", "goal"),
    [
        ("", Goal(200)),
        ("p95<=150ms", Goal(150)),
        ("p95 <= 0.2 s", Goal(200)),
        ("p95<=150ms, detect_hz>=60", Goal(150, 60)),
        ("detect_hz>=60/s", Goal(200, 60)),
    ],
)
def test_parse_goal_words_are_understood(text: str, goal: Goal):
    assert parse_goal(text, p95_ms=200) == goal


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("p95>=150ms", "p95 needs <="),
        ("p99<=150ms", "there is no “p99”; expected p95 or detect_hz"),
        ("fast", "found “fast”, expected words such as p95<=150ms"),
        ("p95<=150h", "“h” is no unit"),
        ("detect_hz<=60", "detect_hz needs >="),
        ("detect_hz>=60ms", "“ms” is no unit of detect_hz; expected none, such as detect_hz>=60"),
        ("p95<=0ms", "above 0"),
    ],
)
def test_parse_goal_mistakes_are_one_clear_line(text: str, said: str):
    with pytest.raises(ConfigError, match=said) as caught:
        parse_goal(text, 150)
    assert "\n" not in str(caught.value) and str(caught.value).startswith("--goal: ")


def test_parse_budget_hota_may_lose_as_much_unless_it_is_named():
    assert parse_budget("map_loss<=1.5") == Budget(1.5, 1.5)
    assert parse_budget("map_loss<=1, hota_loss<=0.5") == Budget(1, 0.5)
    assert parse_budget("") == Budget(0, 0)
    with pytest.raises(ConfigError, match="--budget: map_loss is points"):
        parse_budget("map_loss<=1%".replace("%", "pt"))


@pytest.mark.parametrize(("text", "seconds"), [("15m", 900), ("90s", 90), ("90", 90), ("1h30m", 5400), ("1.5m", 90)])
def test_parse_time_words_are_understood(text: str, seconds: float):
    assert parse_time(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "0", "15 minutes", "-3m"])
def test_parse_time_mistakes_say_what_is_expected(text: str):
    with pytest.raises(ConfigError, match="expected a time such as 15m"):
        parse_time(text)


def test_time_words_are_a_clocks():
    assert [time_words(seconds) for seconds in (0, 65, 3725, -3)] == ["0:00", "1:05", "1:02:05", "0:00"]


def test_setting_survives_json_and_tells_itself():
    setting = at(lanes=3, wait=2.0, hint="none").but({"model.input_wh": (512, 288)}, model="/m/small_openvino_model")
    assert Setting.from_dict(json.loads(json.dumps(setting.as_dict()))) == setting
    assert setting.words == "model small_openvino_model, input_wh 512×288, lanes 3, openvino.hint none, max_wait_ms 2"
    assert setting.but({"model.lanes": None}).get("model.lanes") is None
    assert setting.overlay.values[("model", "input_wh")] == [512, 288]
    assert Setting().words == "as the file says"


def test_journal_answers_in_order_what_was_asked_before(tmp_path: Path):
    first = Journal(tmp_path / "j", {"fleet": "a"}, 60)
    for value in (1, 2):
        first.note("x", {"value": value}, 1.5)
    again = Journal(tmp_path / "j", {"fleet": "a"}, 60)
    assert (again.resumed, again.spent_s) == (2, 3.0)
    assert [again.take("x"), again.take("x"), again.take("x")] == [
        {"asked": "x", "took_s": 1.5, "value": 1},
        {"asked": "x", "took_s": 1.5, "value": 2},
        None,
    ]


@pytest.mark.parametrize(
    ("question", "resume", "resumed"),
    [({"fleet": "a"}, True, 1), ({"fleet": "b"}, True, 0), ({"fleet": "a"}, False, 0)],
)
def test_journal_of_another_question_is_begun_anew(
    tmp_path: Path, question: dict[str, str], resume: bool, resumed: int
):
    Journal(tmp_path / "j", {"fleet": "a"}, 60).note("x", {"value": 1}, 1)
    assert Journal(tmp_path / "j", question, 60, resume).resumed == resumed


def test_journal_killed_while_writing_loses_that_line_only(tmp_path: Path):
    Journal(tmp_path / "j", {}, 60).note("x", {"value": 1}, 1)
    with (tmp_path / "j").open("a") as file:
        file.write('{"asked": "x", "val')
    assert Journal(tmp_path / "j", {}, 60).resumed == 1
    assert all(json.loads(line) for line in (tmp_path / "j").read_text().splitlines()), "the torn line is gone"


@pytest.mark.parametrize(("how", "time_s", "resumed"), [(SETTLED, 600, 0), (OUT_OF_TIME, 600, 1), (OUT_OF_TIME, 60, 0)])
def test_journal_that_came_to_its_end_goes_on_only_with_more_time(
    tmp_path: Path, how: str, time_s: float, resumed: int
):
    first = Journal(tmp_path / "j", {}, 60)
    first.note("x", {"value": 1}, 1)
    first.end(how, 60)
    assert Journal(tmp_path / "j", {}, time_s).resumed == resumed


def test_journal_that_cannot_be_written_is_said_at_once(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="the journal of the search cannot be written"):
        Journal(tmp_path / "file" / "j", {}, 60)


def test_fingerprint_of_this_machine_is_the_same_twice():
    assert read_fingerprint() == read_fingerprint()
    assert differences(read_fingerprint(), read_fingerprint()) == []
    assert read_fingerprint().libraries["openvino"]


def test_fingerprint_differences_are_told_one_by_one():
    other = msgspec.structs.replace(HERE, cores=4, gpus=("H200",), libraries={"openvino": "2", "av": "1"})
    assert differences(HERE, other) == [
        "the number of cores was 2, is 4",
        "the GPU was none, is H200",
        "openvino was 1, is 2",
    ]


def test_fingerprint_hardware_is_a_file_name_and_libraries_are_not_in_it():
    other = msgspec.structs.replace(HERE, libraries={})
    assert HERE.hardware == other.hardware and HERE.hardware.startswith("test-cpu-2-cores-")
    assert msgspec.structs.replace(HERE, memory_gb=16).hardware != HERE.hardware


def test_fingerprint_gpus_and_driver_come_from_the_kernel(tmp_path: Path):
    for number, name in enumerate(("NVIDIA T4", "NVIDIA L4")):
        folder = tmp_path / "gpus" / f"0000:0{number}:00.0"
        folder.mkdir(parents=True)
        (folder / "information").write_text(f"Model: \t\t {name}\nIRQ:   \t\t 38\n")
    (tmp_path / "version").write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5\nGCC 12\n")
    assert fingerprints._gpus(tmp_path) == ("NVIDIA T4", "NVIDIA L4")
    assert fingerprints._driver(tmp_path) == "550.54.15"
    assert (fingerprints._gpus(tmp_path / "none"), fingerprints._driver(tmp_path / "none")) == ((), "")
