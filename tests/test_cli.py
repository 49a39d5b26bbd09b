from __future__ import annotations

import itertools
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.cli.paragraphs import joined
from pipeline.config import json_schema
from pipeline.wire.schema import message_schema

ROOT = Path(__file__).parent.parent
DEADLINE_S = 60
HEAVY = {"torch", "ultralytics", "openvino", "cv2", "av", "numpy", "pydantic", "yaml"}
STUB = "model: {backend: stub}\npublish: {bind: 'tcp://127.0.0.1:0'}\n"
FLEET = f"{STUB}cameras: {{gate: {{url: 'rtsp://bob:${{PASSWORD}}@127.0.0.1:1/live', open_timeout_s: 3}}}}\n"

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def camfleet(tmp_path: Path) -> Run:
    """Run the command in an empty folder with a fleet file of one camera that is not there."""
    (tmp_path / "fleet.yaml").write_text(FLEET)

    def run(*arguments: str | Path, columns: str = "100", **options: Any) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PASSWORD": "hunter2", "TERM": "dumb", "COLUMNS": columns, "PYTHONPATH": str(ROOT)}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        command = [sys.executable, "-m", "pipeline", *map(str, arguments)]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, timeout=DEADLINE_S, text=True, check=False, **pipes
        )

    return run


def test_help_names_the_commands_and_imports_nothing_heavy() -> None:
    script = (
        "import sys\n"
        "from pipeline.cli import app\n"
        "try: app(['--help'])\n"
        "except SystemExit as end: assert not end.code\n"
        "print('IMPORTED', *{name.partition('.')[0] for name in sys.modules})"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=DEADLINE_S, check=True
    )
    shown, _, imported = ended.stdout.partition("IMPORTED")
    assert all(re.search(rf"\b{command}\b", shown) for command in ("run", "subscribe", "replay", "check", "schema"))
    assert HEAVY & set(imported.split()) <= {"pydantic"}, "typer itself may bring pydantic, nothing brings the rest"


@pytest.mark.parametrize("command", ["run", "subscribe", "replay", "check", "discover", "schema"])
def test_help_of_a_command_has_an_example(camfleet: Run, command: str) -> None:
    ended = camfleet(command, "--help")
    assert ended.returncode == 0
    assert f"camfleet {command}" in ended.stdout


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("One\nsentence.", "One sentence."),
        ("First.\n\nA\nsecond.\n\nA third.", "First.\n\nA second.\n\nA third."),
        ("A pipe:\n\n    one | two\n    three\n\nAnd\nso on.", "A pipe:\n\n    one | two\n    three\n\nAnd so on."),
        ("Examples: one\n          two\n          three", "Examples: one\n          two\n          three"),
        ("", ""),
    ],
    ids=["a sentence", "paragraphs", "indented lines", "examples below each other", "nothing"],
)
def test_help_is_joined_by_paragraphs_and_not_where_it_is_indented(text: str, shown: str) -> None:
    assert joined(text) == shown


@pytest.mark.parametrize("command", [["profile"], ["tune"], ["run"], ["evaluate", "run"], ["camera", "add"]])
def test_help_breaks_no_line_before_the_terminal_ends(camfleet: Run, command: list[str]) -> None:
    """On a very wide terminal, each paragraph is a line: after a line of words there is an empty one."""
    ended = camfleet(*command, "--help", columns="2000")
    words = [line.strip() for line in ended.stdout.partition("╭")[0].splitlines()]
    assert [(one, two) for one, two in itertools.pairwise(words) if one and two] == []


def test_camfleet_without_a_command_shows_its_help(camfleet: Run) -> None:
    ended = camfleet()
    assert "check" in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr


def test_version_is_one_line(camfleet: Run) -> None:
    ended = camfleet("--version")
    assert ended.returncode == 0
    assert re.fullmatch(r"camfleet.*\n", ended.stdout)


def test_check_right_file_prints_the_resolved_fleet_without_secrets(camfleet: Run) -> None:
    ended = camfleet("check", "fleet.yaml")
    assert (ended.returncode, ended.stderr.splitlines()[-1]) == (0, "OK")
    told = yaml.safe_load(ended.stdout)
    assert told["cameras"]["gate"]["url"] == "rtsp://***@127.0.0.1:1/live"
    assert told["cameras"]["gate"]["stride"] == {"min": 1, "max": 8, "policy": "equal"}
    assert told["slo"] == {"p95_ms": 150.0, "max_loss": None}


def test_check_json_is_the_same_as_yaml(camfleet: Run) -> None:
    as_yaml, as_json = camfleet("check", "fleet.yaml"), camfleet("check", "fleet.yaml", "--json")
    assert json.loads(as_json.stdout)["fleet"] == yaml.safe_load(as_yaml.stdout)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(None, "camfleet: nope.yaml: there is no such file", id="no file"),
        pytest.param(
            "cameras: {gate: {url: 'rtsp://bob:hunter2@cam:x/'}}", "camfleet: nope.yaml: 2 mistakes", id="two"
        ),
    ],
)
def test_check_wrong_file_is_one_message_and_exit_code_2(
    camfleet: Run, tmp_path: Path, content: str | None, expected: str
) -> None:
    if content is not None:
        (tmp_path / "nope.yaml").write_text(content)
    ended = camfleet("check", "nope.yaml")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith(expected)
    assert "Traceback" not in ended.stderr
    assert "hunter2" not in ended.stderr


@pytest.mark.parametrize("arguments", [["chek"], ["check"], ["check", "fleet.yaml", "--prob"]])
def test_camfleet_wrong_usage_is_explained_with_exit_code_2(camfleet: Run, arguments: list[str]) -> None:
    ended = camfleet(*arguments)
    assert ended.returncode == 2
    assert "Usage:" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_schema_is_printed_and_written(camfleet: Run, tmp_path: Path) -> None:
    assert json.loads(camfleet("schema").stdout) == json_schema()
    assert camfleet("schema", "--output", "fleet.schema.json").stdout == ""
    assert json.loads((tmp_path / "fleet.schema.json").read_text(encoding="utf-8")) == json_schema()


def test_schema_of_messages_is_printed(camfleet: Run) -> None:
    assert json.loads(camfleet("schema", "messages").stdout) == message_schema()


def test_schema_that_cannot_be_written_is_one_message(camfleet: Run) -> None:
    ended = camfleet("schema", "--output", "no/such/folder/schema.json")
    assert ended.returncode == 2
    assert ended.stderr == "camfleet: no/such/folder/schema.json: cannot be written: No such file or directory\n"


def test_camfleet_reader_that_has_left_ends_it_quietly(camfleet: Run) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ended = camfleet("schema", stdout=writing)
    finally:
        os.close(writing)
    assert (ended.returncode, ended.stderr) == (1, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_camfleet_full_disk_is_one_message(camfleet: Run) -> None:
    with Path("/dev/full").open("w") as full:
        ended = camfleet("check", "fleet.yaml", stdout=full)
    assert ended.returncode == 2
    assert re.fullmatch(r"camfleet: .*\n", ended.stderr)


def test_camfleet_ctrl_c_ends_with_130_and_no_traceback(tmp_path: Path) -> None:
    fifo = tmp_path / "fleet.yaml"
    os.mkfifo(fifo)
    command = [sys.executable, "-m", "pipeline", "check", str(fifo)]
    # Once the pipe has a reader, the command is at work and waits for words that do not come.
    with (
        subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process,
        fifo.open("w"),
    ):
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 130
    assert "Traceback" not in stderr


def test_check_probe_tells_what_a_recording_holds(camfleet: Run, tmp_path: Path, recording: Path) -> None:
    cameras = f"a: {{url: {recording}}}, b: {{url: {recording}}}"
    (tmp_path / "two.yaml").write_text(f"{STUB}cameras: {{{cameras}}}")
    ended = camfleet("check", "two.yaml", "--probe", "--json")
    told = json.loads(ended.stdout)["cameras"]
    assert (ended.returncode, list(told)) == (0, ["a", "b"])
    assert (told["a"]["codec"], told["a"]["frame_wh"], told["a"]["fps"]) == ("h264", [320, 180], 25)
    assert told["a"]["keyframe_interval_s"] == pytest.approx(1.0)
    table = camfleet("check", "two.yaml", "--probe").stdout
    assert re.search(r"a +h264 +320×180 +25 +1\.0 s", table)


def test_check_probe_camera_that_does_not_answer_fails_alone(camfleet: Run, tmp_path: Path, recording: Path) -> None:
    (tmp_path / "mixed.yaml").write_text(FLEET.replace("{gate:", f"{{good: {{url: {recording}}}, gate:"))
    ended = camfleet("check", "mixed.yaml", "--probe")
    assert ended.returncode == 1
    assert re.search(r"good +h264", ended.stdout)
    assert re.search(r"gate +failed", ended.stdout)
    assert ended.stderr.splitlines()[-1] == "1 mistake"
    told = json.loads(camfleet("check", "mixed.yaml", "--probe", "--json").stdout)["cameras"]
    assert told["gate"]["url"] == "rtsp://***@127.0.0.1:1/live"
    assert told["gate"]["error"]
    assert "hunter2" not in ended.stdout + ended.stderr + str(told)


def test_check_probe_file_that_is_no_video_is_told(camfleet: Run, tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("no video")
    (tmp_path / "text.yaml").write_text(f"{STUB}cameras: {{a: {{url: a.mp4}}}}")
    ended = camfleet("check", "text.yaml", "--probe", "--json")
    assert ended.returncode == 1
    assert json.loads(ended.stdout)["cameras"]["a"]["error"]
