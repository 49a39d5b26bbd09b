"""`camfleet run` on a terminal."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from pipeline.logs import LOG_FORMAT

CAMFLEET = Path(sys.executable).parent / "camfleet"
DEADLINE_S = 60
LONGER_S = (3, 12, 30)
"""How long to run: on a machine under load a camera may need more than the first to say a word."""


def test_run_on_a_terminal_shows_the_table_and_ends(fleet_file: Callable[..., Path], recording: Path):
    path = fleet_file({"gate": {"url": str(recording), "loop": True}})
    # Log lines of the camera's process come out above the table.
    assert any("session ended" in _shown(path, seconds) for seconds in LONGER_S)


def _shown(path: Path, seconds: int) -> str:
    """On the terminal, in so long."""
    terminal, child = pty.openpty()
    with subprocess.Popen(
        [CAMFLEET, "run", path, "--duration", str(seconds)],
        stdout=subprocess.PIPE,
        stderr=child,
        text=True,
        env=os.environ | {"COLUMNS": "100", "TERM": "xterm"},
    ) as process:
        os.close(child)
        output, _ = process.communicate(timeout=DEADLINE_S)
    shown = _read_all(terminal)
    assert process.returncode == 0
    assert "frames decoded" in output
    assert "fleet test" in shown
    return shown


def run(path: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [CAMFLEET, "run", path, *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=DEADLINE_S)


def test_run_log_format_json_reaches_every_process(fleet_file: Callable[..., Path], recording: Path):
    done = run(fleet_file({"gate": str(recording)}), "--log-format", "json")
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert {"fleet", "camera gate"} <= {line["process"] for line in lines}


def test_run_whose_log_is_no_terminal_writes_json_with_date_and_zone(
    fleet_file: Callable[..., Path], recording: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv(LOG_FORMAT, raising=False)
    path = fleet_file({"gate": str(recording)})
    lines = [json.loads(line) for line in run(path, "--quiet").stderr.splitlines()]
    assert {"fleet", "camera gate"} <= {line["process"] for line in lines}
    assert all(datetime.fromisoformat(line["timestamp"]).utcoffset() is not None for line in lines)
    text = run(path, "--quiet", "--log-format", "text").stderr
    assert re.search(r"(?m)^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \[info", text)


def test_run_log_level_reaches_every_process(fleet_file: Callable[..., Path], recording: Path):
    path = fleet_file({"gate": str(recording), "away": "rtsp://127.0.0.1:9/"})

    def who_warns(seconds: int) -> set[str]:
        done = run(path, "--quiet", "--duration", str(seconds), "--log-format", "json", "--log-level", "warning")
        lines = [json.loads(line) for line in done.stderr.splitlines()]
        assert {line["level"] for line in lines} <= {"warning", "error"}
        return {line["process"] for line in lines}

    assert any("camera away" in who_warns(seconds) for seconds in LONGER_S)


def test_run_without_a_camera_that_answers_does_not_praise_itself(fleet_file: Callable[..., Path], tmp_path: Path):
    path = fleet_file({"a": "rtsp://127.0.0.1:9/a"})
    for seconds in LONGER_S:
        done = run(path, "--duration", str(seconds), "--summary", tmp_path / "run.json")
        if "camera a is retrying" in done.stdout:
            break
    told = json.loads((tmp_path / "run.json").read_text())
    assert done.returncode == 1
    assert "p95 ≤ 150 ms: unknown: no camera was live" in done.stdout
    assert "camera a is retrying" in done.stdout
    assert "camera a never delivered a frame" in done.stderr
    assert (told["verdict"]["answer"], told["age_p95_ms"], told["jain_index"]) == ("unknown", None, None)
    assert (told["cameras"][0]["state"], told["cameras"][0]["attainment_percent"]) == ("retrying", None)


def _read_all(terminal: int) -> str:
    """What was written to the terminal before its last writer closed it."""
    shown = b""
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:
            part = b""
        if not part:
            os.close(terminal)
            return shown.decode(errors="replace")
        shown += part
