"""`camfleet simulate`: scenarios that are read or refused, the shard that is played, and what is written."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import numpy as np
import pytest
import yaml

from pipeline.cli.schema import schema
from pipeline.cli.simulate import simulate
from pipeline.config.locate import read_document
from pipeline.errors import BurstError, ConfigError
from pipeline.scale.simulate import table
from pipeline.scale.simulate.figures import Simulation
from pipeline.scale.simulate.scenario import Scenario, load_scenario
from tests.simulated import FULL, scenario
from tests.simulated import table as round_table

CONFIGS = Path(__file__).parent.parent / "configs"
SMALL = {"lanes": 2, "cores": 2, "service_ms": 20.0}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The shard need not be played again."""
    monkeypatch.setattr("pipeline.scale.simulate.run.play", lambda what, turn: round_table())


def told(capsys: pytest.CaptureFixture[str]) -> Simulation:
    return msgspec.json.decode(capsys.readouterr().out, type=Simulation)


def test_play_shard_is_fuller_with_each_camera_and_gives_way_in_the_end() -> None:
    what = scenario(node=SMALL, camera={"fps": 20.0})
    found = table.play(what)
    demands, stretch = found.demands.tolist(), found.rows.stretch.tolist()
    assert demands == sorted(demands) and demands[0] < 0.5 and demands[-1] > 2
    assert stretch[0] == 1.0 and stretch[-1] > 2
    assert found.carries(0.5) == pytest.approx(0.5 * table.carried(what), rel=0.25)
    # The promise is kept by strides, also where four times as much comes as it carries.
    assert max(found.rows.p95_ms.tolist()) <= what.p95_ms


def test_table_between_its_rows_and_beyond_them() -> None:
    rows = round_table().at(np.array([0.0, 1.0, 15.0, 160.0]))
    assert rows.detected_hz.tolist() == pytest.approx([0.0, 12.5, 187.5, 250.0])
    assert rows.wanted_hz.tolist() == pytest.approx([0.0, 12.5, 187.5, 2000.0])
    assert rows.busy.tolist() == pytest.approx([0.0, 0.05, 0.75, 1.0])
    assert [load.demand for load in rows.loads()] == pytest.approx([0.0, 0.05, 0.75, 8.0])
    assert round_table().carries(0.7) == pytest.approx(0.7 * FULL)


def test_schema_of_days_is_one_that_editors_know(capsys: pytest.CaptureFixture[str]) -> None:
    schema("simulate")
    printed = capsys.readouterr().out
    assert not re.search(r'"(gt|ge|lt|le)":', printed)
    made = json.loads(printed)
    assert made["$schema"].endswith("2020-12/schema") and made["title"] == "camfleet simulated day"
    validator = pytest.importorskip("jsonschema").Draft202012Validator(made)
    day = read_document(CONFIGS / "simulate" / "day.yaml").data
    assert [error.message for error in validator.iter_errors(day)] == []
    assert [error.message for error in validator.iter_errors({"cameras": [0]})]


def test_scenario_file_that_comes_with_camfleet_says_every_default() -> None:
    file = CONFIGS / "simulate" / "day.yaml"
    assert load_scenario(file).model_copy(update={"name": "scenario"}) == Scenario()
    assert set(yaml.safe_load(file.read_text())) | {"cell"} == set(Scenario.model_fields)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        pytest.param("cameras: [0]", "cameras", id="no camera"),
        pytest.param("cameras: []", "is empty; give at least one", id="no size"),
        pytest.param("cameras: [200000]", "from 1 to 100000", id="more than it goes to"),
        pytest.param("node: {corse: 8}", "did you mean “cores”?", id="a wrong key"),
        pytest.param("loss: {what: moon}", "one of nothing, node, rack, zone", id="a part that is none"),
        pytest.param("day: [[12, 0.5], [6, 1.0]]", "hours must rise", id="hours that fall"),
        pytest.param("day: [[0, 0]]", "no camera would ever send a frame", id="a day without a frame"),
        pytest.param("camera: {stride: {min: 4, max: 2}}", "which is below min (4)", id="strides the wrong way"),
        pytest.param("scaling: {target: 0.5, idle: 0.6}", "which is not below target (0.5)", id="idle above target"),
        pytest.param("- 1", "a scenario is a mapping", id="a list"),
    ],
)
def test_scenario_that_is_wrong_is_told_with_its_line(tmp_path: Path, body: str, words: str) -> None:
    file = tmp_path / "scenario.yaml"
    file.write_text(body)
    with pytest.raises(ConfigError) as caught:
        load_scenario(file)
    assert words in str(caught.value)
    assert f"{file}:1" in str(caught.value)


@pytest.mark.usefixtures("quick")
def test_simulate_prints_json(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "small.yaml"
    file.write_text("{name: small, loss: {what: zone}, domains: {zones: 2}}")
    simulate(file, cameras=[60, 30], cell=None, out=None, as_json=True)
    found = told(capsys)
    assert (found.name, [size.cameras for size in found.sizes]) == ("small", [30, 60])
    assert all(size.day.damage is not None and size.day.damage.what == "zone" for size in found.sizes)
    assert len(found.played) == len(round_table().cameras)
    assert not list(tmp_path.glob("*.html"))


@pytest.mark.usefixtures("quick")
def test_simulate_in_cells(capsys: pytest.CaptureFixture[str]) -> None:
    simulate(None, cameras=[70], cell=30, out=None, as_json=True)
    (size,) = told(capsys).sizes
    assert (size.day.cameras, size.day.cells) == (70, 3)


@pytest.mark.usefixtures("quick")
def test_simulate_writes_a_page_that_fetches_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file, page = tmp_path / "odd.yaml", tmp_path / "out.html"
    file.write_text("{name: odd, currency: <EUR>}")
    simulate(file, cameras=[50], cell=None, out=page, as_json=False)
    out, text = capsys.readouterr().out, page.read_text("utf-8")
    assert "50 cameras" in out and "one shard, frame by frame" in out
    assert "What breaks first" in text and "&lt;EUR&gt;" in text and "<EUR>" not in text
    assert "http" not in text and "src=" not in text
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in text


@pytest.mark.usefixtures("quick")
def test_simulate_refuses_a_page_that_cannot_be_written_before_it_works(tmp_path: Path) -> None:
    with pytest.raises(BurstError, match="make it first"):
        simulate(None, cameras=[50], cell=None, out=tmp_path / "none" / "out.html", as_json=False)
