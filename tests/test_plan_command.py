"""`camfleet plan`: its options, its mistakes, and a fleet that is measured, planned and run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import typer

from pipeline.capacity.examples import EXAMPLES
from pipeline.capacity.figures import Check, Plan
from pipeline.cli import app
from pipeline.cli.plan import plan
from pipeline.errors import ConfigError, PipelineError
from pipeline.logs import LOG_LEVEL

ROOT = Path(__file__).parent.parent
DEADLINE_S = 60
SIX = ("--cameras", "6", "--fps", "25", "--service", "b1=9ms,b2=12ms,b8=27ms", "--pre", "2ms")
FleetFile = Callable[..., Path]


def asked(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str]:
    """Exit code and output of the command, in this process."""
    try:
        app(["plan", *map(str, arguments)], standalone_mode=True)
    except SystemExit as end:
        return int(end.code or 0), capsys.readouterr().out
    return 0, capsys.readouterr().out


def camfleet(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    environment = {**os.environ, "TERM": "dumb", "COLUMNS": "110", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "pipeline", "plan", *map(str, arguments)]
    return subprocess.run(command, env=environment, timeout=DEADLINE_S, text=True, check=False, capture_output=True)


def test_plan_shows_the_sum_what_to_set_and_what_the_core_makes_of_it(capsys: pytest.CaptureFixture[str]):
    code, shown = asked(capsys, *SIX, "--more", "2")
    assert code == 0
    for words in ("6 cameras × 25 frames/s ÷ stride 1 = 150/s", "by Little's law", "to set", "2 cameras more", "Kept:"):
        assert words in shown


def test_plan_json_is_the_whole_plan_with_prices(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    prices = tmp_path / "prices.yaml"
    prices.write_text("currency: EUR\nmachines: {one: {hour: 0.5}, two: {hour: 0.9, instances: 2}}\n")
    _, shown = asked(capsys, *SIX, "--prices", prices, "--archive", "24", "--json")
    told = msgspec.json.decode(shown, type=Plan)
    assert told.sizing.fits and told.currency == "EUR"
    assert [cost.machine for cost in told.costs] == ["one", "two"]
    assert all(cost.archive > 0 for cost in told.costs)


def test_plan_promise_that_would_not_be_kept_is_exit_code_1(capsys: pytest.CaptureFixture[str]):
    load = ("--cameras", "4", "--fps", "25", "--stride", "1", "--service", "b1=40", "--instances", "1")
    code, shown = asked(capsys, *load)
    assert code == 1
    assert "Not kept: the instances would be busy" in shown


@pytest.mark.parametrize("number", range(1, 6))
def test_plan_example_names_the_lessons_answer_and_the_command_that_asks_the_same(
    number: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("pipeline.capacity.rehearse.SETTLE_S", 0.5)
    example = EXAMPLES[number - 1]
    _, shown = asked(capsys, "--example", str(number), "--json")
    _, own = asked(capsys, *example.command.split(), "--json")
    by_example, by_command = (msgspec.json.decode(text, type=Plan) for text in (shown, own))
    assert example.answer in by_example.title and example.command in by_example.title
    assert by_example.steps == by_command.steps
    assert by_example.rehearsal == by_command.rehearsal


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param((), "--service is missing", id="nothing"),
        pytest.param(("--service", "b1=5"), "nothing says what comes", id="no load"),
        pytest.param(("--service", "b1=5", "--cameras", "4"), "--fps is missing", id="no fps"),
        pytest.param(("--service", "b1=5", "--rate", "4", "--fps", "4"), "--rate: requests come instead", id="both"),
        pytest.param((*SIX, "--stride", "8-1"), "--stride: 1 is smaller than 8", id="stride"),
        pytest.param((*SIX, "--stride", "often"), "--stride: found “often”", id="no stride"),
        pytest.param((*SIX, "--p95", "0"), "--p95: found “0”, expected from 1ms", id="no promise"),
        pytest.param((*SIX, "--pre", "soon"), "--pre: found “soon”", id="no time"),
        pytest.param((*SIX, "--batch", "16"), "--batch: 16 is more than the largest", id="batch"),
        pytest.param((*SIX, "--min-detect-hz", "9", "--max-detect-hz", "5"), "5 is below --min-detect-hz", id="rates"),
        pytest.param(("--service", "measured"), "--service measured needs a FLEET.yaml", id="measured what"),
        pytest.param(("--check",), "--check needs a FLEET.yaml", id="check what"),
        pytest.param(("fleet.yaml", "--cameras", "4"), "--cameras: FLEET.yaml says that itself", id="said twice"),
        pytest.param(("fleet.yaml", "--stride", "2"), "--stride: FLEET.yaml says that itself", id="stride said twice"),
        pytest.param(("fleet.yaml", "--pre", "2ms"), "--pre: FLEET.yaml says that itself, or it is", id="measured too"),
        pytest.param((*SIX[:4], "--service", "measured"), "measured needs a FLEET.yaml", id="measured what of six"),
        pytest.param(("--check", "fleet.yaml", "--more", "2"), "--more: --check goes by FLEET.yaml", id="check more"),
        pytest.param(("--check", "fleet.yaml", *SIX[4:6]), "--service: with FLEET.yaml it is", id="check of times"),
        pytest.param(("--example", "1", "fleet.yaml"), "FLEET.yaml: the example brings its own", id="example of what"),
        pytest.param(("--example", "1", *SIX), "--cameras: the example brings its own", id="example of six"),
        pytest.param(("none.yaml",), "none.yaml: there is no such file", id="no file"),
        pytest.param((*SIX, "--prices", "none.yaml"), "none.yaml: there is no such file", id="no prices"),
        pytest.param(("--service", "b1=5", "--rate", "9", "--more", "2"), "--more: it adds cameras", id="more"),
    ],
)
def test_plan_mistake_is_told_before_any_work(arguments: tuple[str, ...], words: str):
    with pytest.raises(ConfigError, match=re.escape(words)):
        app(["plan", *arguments], standalone_mode=False)


def test_plan_mistake_is_one_line_and_exit_code_2():
    ended = camfleet(*SIX, "--stride", "often")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "camfleet: --stride: found “often”, expected a number from 1 to 100, or two such as 1-8\n"


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here is about how much is played, either; and what is chosen for a command's processes ends with it."""
    monkeypatch.setenv(LOG_LEVEL, "debug")
    monkeypatch.setattr("pipeline.capacity.rehearse.MANY", 400)


def at_length(monkeypatch: pytest.MonkeyPatch, measured: Callable[[], None]) -> None:
    """Nothing here is about how much is measured; but a busy machine delivers nothing in so short a time, or late."""
    monkeypatch.setattr("pipeline.capacity.check.DRAWS", 1)
    for longer in (1, 3, 8):
        for name in ("SERVICE_S", "DECODE_S", "CONSTANTS_S", "IN_PLACE_S"):
            monkeypatch.setattr(f"pipeline.capacity.fleet.{name}", 0.3 * longer)
        monkeypatch.setattr("pipeline.capacity.constants.SETTLE_S", 0.5 * longer)
        monkeypatch.setattr("pipeline.capacity.check.SETTLE_S", 1.5 * longer)
        try:
            return measured()
        except (AssertionError, PipelineError, typer.Exit):
            if longer == 8:
                raise
    return None


@pytest.mark.timeout(400)
def test_plan_check_measures_plans_runs_and_compares(
    fleet_file: FleetFile, recording: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    camera = {"url": str(recording), "loop": True, "stride": 2}
    file = fleet_file({"gate": camera, "yard": camera}, model={"backend": "stub", "options": {"a_ms": 10}})

    def measured() -> None:
        capfd.readouterr()
        plan(file, check=True, seconds=1.0, as_json=True)
        printed = capfd.readouterr()
        told = msgspec.json.decode(printed.out, type=Check)
        assert "measuring the whole fleet" in printed.err
        assert "[info" not in printed.err, "lines of the fleet's processes would be written into the bars"
        assert told.cores > 0 and told.machine
        assert told.service.batches[0].alone_ms >= 10 and told.in_place >= 1
        figures = {one.name: one for one in told.figures}
        assert figures["stride, mean"].predicted == figures["stride, mean"].measured == 2
        assert figures["detected a second"].predicted == pytest.approx(25, abs=2)
        assert all(one.measured > 0 for one in told.figures)
        assert told.plan.steps[1].name == "cores"

    at_length(monkeypatch, measured)


@pytest.mark.timeout(400)
def test_plan_of_a_measured_fleet_finds_its_settings(
    fleet_file: FleetFile, recording: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    file = fleet_file({"gate": {"url": str(recording), "loop": True}})

    def measured() -> None:
        capsys.readouterr()
        plan(file, service="measured", more=1, as_json=True)
        told = msgspec.json.decode(capsys.readouterr().out, type=Plan)
        assert told.measured is not None and told.machine
        assert told.sizing.fits and told.more is not None

    at_length(monkeypatch, measured)


def test_plan_of_an_archive_is_refused_in_words(fleet_file: FleetFile, recording: Path):
    file = fleet_file({"gate": {"url": str(recording), "pace": "fastest"}})
    with pytest.raises(ConfigError, match="camera gate is played as fast as it goes"):
        plan(file, check=True)


def test_plan_of_several_devices_is_refused_in_words(fleet_file: FleetFile, recording: Path):
    file = fleet_file({"gate": str(recording)}, model={"backend": "stub", "devices": ["a", "b"]})
    with pytest.raises(PipelineError, match="a plan is made for one of them"):
        plan(file)


def test_plan_help_has_an_example(capsys: pytest.CaptureFixture[str]):
    code, shown = asked(capsys, "--help")
    assert code == 0
    assert "camfleet plan --check" in shown
