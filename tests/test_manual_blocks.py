"""What the manual and the README show can be typed: commands and options exist, files are right, programs run."""

from __future__ import annotations

import itertools
import os
import re
import signal
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline import Fleet, keys
from pipeline.burst.load import load_scenario
from pipeline.capacity.prices import load_prices
from pipeline.config import json_schema, load_fleet
from pipeline.rehearse.expect import expectations
from tests.manual_blocks import ROOT, Block, blocks, commands_in, descend, mentions, parse

DEADLINE_S = 60
ENDS_WITHIN_S = 2.0
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
OTHERS = frozenset(
    {
        "docker",
        "done",
        "export",
        "for",
        "install",
        "journalctl",
        "jq",
        "ls",
        "kubectl",
        "man",
        "openssl",
        "ray",
        "sudo",
        "tritonserver",
        "yolo",
    }
    # What stands in a loop of the shell.
    | {"do"}
)
"""Programs of others; what they take is not ours to know."""
VARIABLES = re.compile(r"\$\{(\w+)\}")


@pytest.mark.parametrize("block", blocks("console"), ids=str)
def test_command_of_the_manual_exists_and_takes_what_is_shown(block: Block):
    commands = list(commands_in(block))
    assert commands, "a console block begins its commands with “$ ”"
    for words in commands:
        check_command(words)


@pytest.mark.parametrize(("page", "words"), sorted(set(mentions())))
def test_command_in_a_sentence_exists_with_its_options(page: str, words: str):
    # `add|remove` stands for either.
    for either in itertools.product(*(word.split("|") for word in words.split())):
        _, rest, command = descend(list(either))
        known = {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
        assert {word.partition("=")[0] for word in rest if word.startswith("-")} <= known | {"--help"}


def check_command(words: list[str]) -> None:
    program, *rest = words
    if program == "camfleet":
        parse(rest)
    elif program == "make":
        targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
        assert {word for word in rest if "=" not in word} <= targets
    elif program.endswith("pip"):
        check_requirements(rest)
    elif program.rpartition("/")[2].startswith("python"):
        check_script(rest)
    else:
        assert program in OTHERS, f"{program} is no program that the manual may name"


def check_requirements(words: list[str]) -> None:
    """`pip install 'camfleet[page]'`: the extras are there."""
    assert words[0] == "install"
    for requirement in words[1:]:
        name, _, extras = requirement.rstrip("]").partition("[")
        if name == "camfleet" and extras:
            assert set(extras.split(",")) <= set(PROJECT["optional-dependencies"]), requirement


def check_script(words: list[str]) -> None:
    """`python scripts/bad_days.py --option`: the script is there, and knows the option."""
    script = ROOT / words[0]
    assert script.is_file(), f"{words[0]} is not there"
    known = "\n".join(file.read_text("utf-8") for file in (script, *(ROOT / "scripts").rglob("*.py")))
    for word in words[1:]:
        assert not word.startswith("--") or f'"{word.partition("=")[0]}"' in known, f"{words[0]} knows no {word}"


@pytest.fixture
def beside(tmp_path: Path) -> Path:
    """A folder with all that the manual's files name: samples, keys, plug-ins of the manual's own pages."""
    (tmp_path / "samples").symlink_to(ROOT / "samples")
    for name in ("yard.mp4", "clips"):
        (tmp_path / name).symlink_to(ROOT / "samples" / "yard.mp4")
    (tmp_path / "yolo26n.pt").touch()
    for name in ("page.pem", "page.key"):
        (tmp_path / name).touch(mode=0o600)
    return tmp_path


def make_keys(folder: Path) -> Path:
    """The keys that the page about them makes: of a fleet, and of a reader that may hear it."""
    keys.make_pair("server", folder)
    keys.allow(keys.make_pair("gate-reader", folder).public, folder / "clients")
    (folder / "gatehouse").mkdir()
    return folder


@pytest.mark.parametrize("block", blocks("yaml"), ids=str)
def test_file_of_the_manual_is_right(block: Block, beside: Path, monkeypatch: pytest.MonkeyPatch):
    written = yaml.safe_load(block.code)
    if "machines" in written:
        file = beside / "prices.yaml"
        file.write_text(block.code)
        assert load_prices(file).machines
        return
    monkeypatch.chdir(beside)
    monkeypatch.syspath_prepend(str(beside))
    for module in ("my_detector", "my_pictures", "my_sink"):
        (beside / f"{module}.py").write_text(source_of(module))
    environ = {
        name: "https://alarm.example/" if name.endswith("URL") else "x" * 16 for name in VARIABLES.findall(block.code)
    }
    if "phases" in written:
        file = beside / "scenario.yaml"
        file.write_text(block.code)
        assert load_scenario(file, environ).scenario.phases
        return
    if "expect" in written:
        file = beside / "expect.yaml"
        file.write_text(block.code)
        assert len(expectations([str(file)])) == len(written["expect"])
        return
    assert set(written) <= set(json_schema()["properties"]), "neither part of a fleet file nor of a scenario"
    load_fleet(completed(written, beside), environ)


def completed(written: dict[str, Any], folder: Path) -> Path:
    """A fleet file of a part of one; the paths of keys lead to real ones."""
    body = {"model": {"backend": "stub"}, "cameras": {"gate": {"url": "rtsp://gate.example/1"}}, **written}
    if body.get("power") == "save":
        body.setdefault("slo", {"max_loss": 2})
    text = yaml.safe_dump(body)
    if "keys" in body.get("publish", {}):
        text = text.replace("/keys/", "keys/")
        make_keys(folder / "keys")
    file = folder / "fleet.yaml"
    file.write_text(text)
    return file


def source_of(module: str) -> str:
    """The program that a page shows as this module: the block after the words that name it."""
    for page in {block.page for block in blocks("python")}:
        text = (ROOT / "docs" / f"{page}.md").read_text("utf-8") if page != "README" else ""
        if (found := re.search(rf"`{module}\.py`.*?```python\n(.*?)```", text, re.DOTALL)) is not None:
            return found[1]
    raise AssertionError(f"no page shows {module}.py")


def test_plug_ins_of_the_manual_work_together(tmp_path: Path):
    """Its pictures, seen by its detector, kept by its sink."""
    for module in ("my_detector", "my_pictures", "my_sink"):
        (tmp_path / f"{module}.py").write_text(source_of(module))
    body = {
        "model": {"backend": "my_detector:make", "path": "none"},
        "publish": {"bind": "tcp://127.0.0.1:0"},
        "defaults": {"track": {"birth_score": 0.1}},
        "cameras": {"test": {"url": "python:my_pictures:ramp", "fps": 25}},
        "sinks": {"seen": {"kind": "my_sink:make", "options": {"path": "seen.txt"}}},
    }
    (tmp_path / "fleet.yaml").write_text(yaml.safe_dump(body))
    command = [sys.executable, "-m", "pipeline", "run", "fleet.yaml", "--quiet"]
    places = {"PYTHONPATH": os.pathsep.join((str(ROOT), str(tmp_path))), "XDG_STATE_HOME": str(tmp_path)}
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, **places},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert re.match(r"test \d+ 1\n", (tmp_path / "seen.txt").read_text()), done.stderr


@contextmanager
def small_fleet(folder: Path, recording: Path, **publish: Any) -> Iterator[Fleet]:
    """Cameras gate and yard, and what the stub finds in them, for the programs to hear."""
    body = {
        "name": "small",
        "model": {"backend": "stub", "options": {"a_ms": 1}},
        "publish": {"bind": "tcp://127.0.0.1:0", **publish},
        "cameras": {name: {"url": str(recording), "loop": True} for name in ("gate", "yard")},
    }
    file = folder / "small.yaml"
    file.write_text(yaml.safe_dump(body))
    with Fleet(file, control=False) as fleet:
        yield fleet


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, recording: Path) -> Iterator[str]:
    """Where a small fleet publishes, without keys."""
    with small_fleet(tmp_path_factory.mktemp("served"), recording) as fleet:
        yield fleet.endpoint


def is_signature(block: Block) -> bool:
    """Whether the reference has made it of a name: an import alone, or how something is called."""
    lines = block.code.strip().split("\n")
    is_import = len(lines) == 1 and lines[0].startswith("from pipeline")
    is_call = block.page == "reference/python" and not re.search(r"^(from|import) ", block.code, re.MULTILINE)
    return is_import or is_call


@pytest.mark.parametrize("block", [one for one in blocks("python") if is_signature(one)], ids=str)
def test_name_of_the_reference_is_there(block: Block):
    if block.code.startswith("from pipeline"):
        exec(block.code, {})


@pytest.mark.parametrize("block", [one for one in blocks("python") if not is_signature(one)], ids=str)
def test_program_of_the_manual_runs(block: Block, beside: Path, served: str, recording: Path):
    for module in re.findall(r"^(?:import|from) (\w+)", block.code, re.MULTILINE):
        if find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
    camera = {"gate": {"url": str(recording), "loop": True}}
    own = {"name": f"of-{block.number}", "model": {"backend": "stub"}, "publish": {"bind": "tcp://127.0.0.1:0"}}
    (beside / "fleet.yaml").write_text(yaml.safe_dump({**own, "cameras": camera}))
    with ExitStack() as stack:
        endpoint = served
        if "Key(" in block.code:
            folder = make_keys(beside / "keys")
            named = {"server": str(folder / "server.key_secret"), "clients": str(folder / "clients")}
            endpoint = stack.enter_context(small_fleet(beside, recording, keys=named)).endpoint
        run_for_a_while(re.sub(r"tcp://127\.0\.0\.1:555\d", endpoint, block.code), beside)


def run_for_a_while(code: str, folder: Path, lines: int = 20) -> None:
    """Run a program until it has ended well, or has printed so many lines."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    errors = folder / "stderr"
    with (
        errors.open("w") as stderr,
        subprocess.Popen(
            [sys.executable, "-u", "-c", code],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        deadline = threading.Timer(DEADLINE_S, process.kill)
        deadline.start()
        try:
            heard = sum(1 for _ in itertools.islice(process.stdout, lines))
            if heard == lines:
                process.send_signal(signal.SIGINT)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(ENDS_WITHIN_S)
                process.kill()  # One whose threads wait for messages has heard enough.
            ended = process.wait()
        finally:
            deadline.cancel()
    assert heard == lines or ended == 0, errors.read_text("utf-8")
