"""Exit codes: one table, named by every help, and what commands really end with is in it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from pipeline import cli
from pipeline.cli import app
from pipeline.cli.exits import CODES, DONE, FAULT, INTERRUPTED, MISTAKE, NO, TERMINATED

ROOT = Path(__file__).parent.parent
DEADLINE_S = 60


def commands(group: Any, name: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words of every command, and of every group."""
    for own, command in group.commands.items():
        yield (*name, own)
        if getattr(command, "commands", None):
            yield from commands(command, (*name, own))


def camfleet(
    *arguments: str, script: str = "from pipeline.cli import main; main()"
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


def test_help_of_camfleet_names_every_code_and_what_it_means() -> None:
    shown = " ".join(CliRunner().invoke(app, ["--help"], env={"COLUMNS": "300"}).stdout.split())
    for code, meaning in CODES.items():
        assert f"{code} {meaning}" in shown


@pytest.mark.parametrize("words", list(commands(get_command(app))), ids=" ".join)
def test_help_of_every_command_names_the_codes(words: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "200"}).stdout
    line = next(line for line in shown.splitlines() if "Exit codes:" in line)
    assert {int(number) for number in re.findall(r"\b\d+\b", line)} == set(CODES) - {TERMINATED}


def test_commands_exit_with_codes_of_the_table_only() -> None:
    """What stands in their sources: numbers that are no code of the table, and calls that are no `typer.Exit`."""
    for file in sorted(Path(cli.__file__).parent.glob("*.py")):
        text = file.read_text("utf-8")
        for said in re.findall(r"typer\.Exit\((\d+)\)|SystemExit\((\d+)\)|sys\.exit\((\d+)\)", text):
            assert int("".join(said)) in CODES, file.name


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        pytest.param(("--version",), DONE, id="done"),
        pytest.param(("status",), MISTAKE, id="no fleet runs"),
        pytest.param(("check", "nowhere.yaml"), MISTAKE, id="no file"),
        pytest.param(("chek",), MISTAKE, id="no command"),
        pytest.param(("run",), MISTAKE, id="no argument"),
    ],
)
def test_commands_end_with_their_code(arguments: tuple[str, ...], code: int) -> None:
    ended = camfleet(*arguments)
    assert ended.returncode == code
    assert "Traceback" not in ended.stderr


def test_fault_of_ours_is_no_answer_and_shows_no_password() -> None:
    broken = (
        "from pipeline import cli\n"
        "def fails(*args, **more): raise RuntimeError('rtsp://bob:hunter2@10.0.0.1/live')\n"
        "cli.app = fails\n"
        "cli.main()"
    )
    ended = camfleet(script=broken)
    assert ended.returncode == FAULT
    assert "RuntimeError: rtsp://***@10.0.0.1/live" in ended.stderr
    assert "please report it" in ended.stderr
    assert "hunter2" not in ended.stderr


def test_codes_are_those_of_shells_and_sysexits() -> None:
    assert (DONE, NO, MISTAKE, FAULT, INTERRUPTED, TERMINATED) == (0, 1, 2, os.EX_SOFTWARE, 128 + 2, 128 + 15)
