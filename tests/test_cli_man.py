"""The manual page and completion: made from the command line, so that both know every command and option."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from pipeline.cli import app
from pipeline.cli.exits import CODES
from pipeline.cli.man import _commands, _escaped, _plain, page

ROOT = Path(__file__).parent.parent
DEADLINE_S = 100
COMMANDS = dict(_commands(get_command(app), "camfleet"))


def shown(text: str) -> str:
    """A page of roff as a reader sees it, near enough to look for words in it."""
    return text.replace("\\-", "-").replace("\\e", "\\").replace("\\&", "")


@pytest.mark.parametrize("name", COMMANDS)
def test_man_page_has_every_command_with_its_options(name: str) -> None:
    section = shown(page()).partition(f"\n.SS {name} ")[2].partition("\n.SS ")[0]
    assert section, f"no section for {name}"
    for param in COMMANDS[name].params:
        if param.param_type_name == "option" and not getattr(param, "hidden", False):
            assert set(param.opts) <= set(re.findall(r"-{1,2}[a-z][a-z0-9-]*", section)), param.name


def test_man_page_has_exit_codes_and_leaves_no_markup() -> None:
    text = shown(page())
    for code, meaning in CODES.items():
        assert f"\\fB{code}\\fR\n{meaning}" in text
    assert "[bold]" not in text and "[/]" not in text


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (".camfleet", "\\&.camfleet"),
        ("'quoted'", "\\&'quoted'"),
        ("a\\b", "a\\eb"),
        ("--set KEY", "\\-\\-set KEY"),
    ],
)
def test_line_is_no_request_of_roff(line: str, expected: str) -> None:
    assert _escaped(line) == expected


def test_plain_leaves_out_styles_and_keeps_brackets() -> None:
    assert _plain("[bold]camfleet[/] x \\[default: 5] [PORT] tcp://[::1]:5") == (
        "camfleet x [default: 5] [PORT] tcp://[::1]:5"
    )


def test_man_command_writes_what_it_prints(tmp_path: Path) -> None:
    def man(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "pipeline", "man", *arguments],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )

    printed = man()
    man("--output", str(tmp_path / "camfleet.1"))
    wrong = man("--output", "/no/where.1")
    assert printed.returncode == 0 and (tmp_path / "camfleet.1").read_text("utf-8") == printed.stdout
    assert (wrong.returncode, wrong.stderr) == (
        2,
        "camfleet: /no/where.1: cannot be written: No such file or directory\n",
    )


@pytest.mark.skipif(not shutil.which("groff"), reason="groff is not installed")
def test_groff_finds_nothing_wrong_with_the_page() -> None:
    done = subprocess.run(
        ["groff", "-man", "-Tutf8", "-K", "utf8", "-ww", "-z"],
        input=page(),
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not shutil.which("bash"), reason="bash is not installed")
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("camfleet che", ["check"]),
        ("camfleet camera pa", ["pause"]),
        ("camfleet check --pro", ["--probe", "--profile"]),
        ("camfleet schema mes", ["messages"]),
    ],
)
def test_bash_completes_commands_options_and_values(tmp_path: Path, line: str, expected: list[str]) -> None:
    """As bash does it: by the script that --show-completion prints, with the line so far and the place in it."""
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    program = bin_folder / "camfleet"
    program.write_text(f"#!{sys.executable}\nfrom pipeline.cli import main\nmain()\n")  # as pip makes it
    program.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{bin_folder}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1",
    }

    def bash(script: str) -> str:
        done = subprocess.run(
            ["bash", "--norc", "-c", script],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    script = bash("camfleet --show-completion bash")
    (tmp_path / "completion.sh").write_text(script)
    function = re.search(r"complete .*-F (\w+) camfleet", script)
    assert function is not None, script
    words = " ".join(f"'{word}'" for word in line.split())
    replies = bash(
        f"source completion.sh; COMP_WORDS=({words}); COMP_CWORD={len(line.split()) - 1}; {function[1]} camfleet; "
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    assert set(expected) <= set(replies.split())
    assert all(reply.startswith(line.rsplit(maxsplit=1)[-1]) for reply in replies.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_no_brackets_that_would_be_taken_for_a_style(name: str) -> None:
    """Rich leaves out `[person]` as a style that it does not know; `[bold]` and `[/]` are meant so."""
    texts = [COMMANDS[name].help, *(getattr(param, "help", None) for param in COMMANDS[name].params)]
    tags = [tag for text in texts for tag in re.findall(r"(?<!\\)\[([a-z#/@][^\[\]]*)\]", text or "")]
    assert set(tags) <= {"bold", "/"}
