"""Zones and lines as the page draws them: what is written and said of them is what `camfleet check` reads and says."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

pytest.importorskip("shapely", reason="zones and lines need Shapely: pip install 'camfleet[rules]'")

from pipeline.config import load_fleet
from pipeline.config.rules import Rules
from pipeline.config.rulesdraft import Drawn, Section, check_drawn
from pipeline.errors import ConfigError
from pipeline.rules.geometry import Barrier, Places, anchor
from pipeline.supervise.rulebook import RuleBook

STATIC = Path(__file__).parents[1] / "pipeline/web/static"
SQUARE = [[0.1, 0.1], [0.5, 0.1], [0.5, 0.5], [0.1, 0.5]]
BOW = [[0, 0], [1, 1], [1, 0], [0, 1]]


def zone(name: str = "drive", **keys: Any) -> Drawn:
    return Drawn("zones", name, {"polygon": SQUARE, "when": ["enter"], **keys})


def line(name: str = "door", **keys: Any) -> Drawn:
    return Drawn("lines", name, {"points": [[0.2, 0.6], [0.8, 0.6]], "when": ["cross"], **keys})


def pasted(text: str, folder: Path, recording: Path) -> Path:
    """A fleet file with this under its camera."""
    file = folder / "fleet.yaml"
    file.write_text(f"model: {{backend: stub}}\ncameras:\n  gate:\n    url: {recording}\n{text}")
    return file


def test_drawn_zones_and_lines_are_what_the_pasted_file_says(tmp_path: Path, recording: Path):
    keys = {"when": ["enter", "dwell > 30s"], "classes": ["car", "no"], "on": "center", "between": "22:00-06:00"}
    odd = [[0.10004, 0.1], [0.99996, 0.1], [0.5, 0.98765]]
    checked = check_drawn([zone(polygon=odd, min_score=0.4, **keys), line(), zone("010", classes=[])])
    assert checked.mistakes == ()
    rules = load_fleet(pasted(checked.yaml, tmp_path, recording)).cameras["gate"].rules
    rounded = [[0.1, 0.1], [1, 0.1], [0.5, 0.988]]
    drawn = {"drive": {"polygon": rounded, "min_score": 0.4, **keys}, "010": {"polygon": SQUARE, "when": ["enter"]}}
    assert rules == Rules.model_validate({"zones": drawn, "lines": {"door": line().keys}})
    assert "polygon: [[0.1, 0.1], [1, 0.1], [0.5, 0.988]]\n" in checked.yaml, "in one line, as people write it"


def test_attributes_of_a_rule_stay_when_it_is_drawn_anew(tmp_path: Path, recording: Path):
    checked = check_drawn([zone(attributes={"colour": ["red", "dark blue"], "helmet": "no"}), line()])
    assert checked.mistakes == ()
    assert "attributes: {colour: [red, dark blue], helmet: no}\n" in checked.yaml
    file = pasted(checked.yaml, tmp_path, recording)
    look = "{model: {backend: stub}}"
    file.write_text(f"{file.read_text()}cascade: {{colour: {look}, helmet: {look}}}\n")
    drive = load_fleet(file).cameras["gate"].rules.zones["drive"]
    assert drive.attributes == {"colour": ("red", "dark blue"), "helmet": ("no",)}


@pytest.mark.parametrize(
    ("drawn", "section", "name", "key"),
    [
        pytest.param(zone(polygon=BOW), "zones", "drive", "polygon", id="crosses itself"),
        pytest.param(zone(polygon=[[0, 0], [1.2, 0], [1, 1]]), "zones", "drive", "polygon", id="outside"),
        pytest.param(zone(polygon=SQUARE[:2]), "zones", "drive", "polygon", id="two corners"),
        pytest.param(zone(polygon=[[0, 0], [0.5, 0.5], [1, 1]]), "zones", "drive", "polygon", id="no area"),
        pytest.param(zone(when=["enter", "dwel > 3s"]), "zones", "drive", "when.1", id="no condition"),
        pytest.param(zone(when=["cross"]), "zones", "drive", "when", id="of lines"),
        pytest.param(zone(when=[]), "zones", "drive", "when", id="nothing is an event"),
        pytest.param(zone(min_score="much"), "zones", "drive", "min_score", id="no number"),
        pytest.param(zone(between="25:00-06:00"), "zones", "drive", "between", id="hours"),
        pytest.param(zone("my drive"), "zones", "my drive", "", id="no name"),
        pytest.param(zone(""), "zones", "", "", id="nameless"),
        pytest.param(line(points=[[0.5, 0.5], [0.5, 0.5]]), "lines", "door", "points", id="no line"),
    ],
)
def test_mistakes_are_said_in_the_words_of_check_and_left_out(
    tmp_path: Path, recording: Path, drawn: Drawn, section: Section, name: str, key: str
):
    right = zone("right")
    checked = check_drawn([right, drawn])
    (mistake,) = checked.mistakes
    assert (mistake.section, mistake.name, mistake.key) == (section, name, key)
    assert yaml.safe_load(checked.yaml) == {"zones": {"right": right.keys}}
    named = json.dumps({drawn.name: drawn.keys})
    with pytest.raises(ConfigError) as refused:
        load_fleet(pasted(f"    {drawn.section}: {named}\n", tmp_path, recording))
    assert mistake.text in str(refused.value)


@pytest.mark.parametrize(
    ("drawn", "words", "left"),
    [
        pytest.param([zone(), zone(), line()], "is there twice", {"door"}, id="two zones"),
        pytest.param([zone("a"), line("a")], "a zone and a line are both called “a”", {"a"}, id="zone and line"),
    ],
)
def test_a_name_that_is_there_twice_is_a_mistake(drawn: list[Drawn], words: str, left: set[str]):
    checked = check_drawn(drawn)
    assert [mistake.text.startswith(words) for mistake in checked.mistakes] == [True]
    assert {name for named in (yaml.safe_load(checked.yaml) or {}).values() for name in named} == left


def test_nothing_drawn_is_nothing_to_paste():
    assert check_drawn([]).yaml == ""


def test_rules_of_a_fleet_are_answered_anew_only_when_they_change(tmp_path: Path, recording: Path):
    book = RuleBook()
    fleet = load_fleet(pasted(check_drawn([zone()]).yaml, tmp_path, recording))
    first = book.answer(fleet, None)
    assert first["cameras"]["gate"]["zones"]["drive"]["polygon"] == SQUARE
    assert book.answer(fleet, first["version"]) == {"version": first["version"], "cameras": None}
    alike = load_fleet(pasted(check_drawn([zone()]).yaml + "    stride: 3\n", tmp_path, recording))
    assert book.answer(alike, first["version"])["cameras"] is None
    changed = load_fleet(pasted(check_drawn([zone(), line()]).yaml, tmp_path, recording))
    assert set(book.answer(changed, first["version"])["cameras"]["gate"]["lines"]) == {"door"}


def node(script: str, given: Any, folder: Path) -> Any:
    """What a script gives that uses the page's own modules; `given` is there as a value, and so is `print`."""
    command = shutil.which("node")
    if command is None:
        pytest.skip("needs node: apt install nodejs")
    for file in STATIC.glob("*.js"):
        shutil.copy(file, folder)
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "run.js").write_text(f"const given = {json.dumps(given)};\n{script}")
    done = subprocess.run([command, "run.js"], cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_page_counts_objects_in_zones_as_the_rules_do(tmp_path: Path):
    dice = random.Random(20)
    boxes = []
    for number in range(300):
        x, y, w, h = dice.uniform(0, 900), dice.uniform(0, 400), dice.uniform(5, 90), dice.uniform(5, 90)
        name = dice.choice(["car", "person"])
        boxes.append([number, name, "d", *(round(v) for v in (x, y, x + w, y + h)), dice.choice([30, 90])])
    zones = {
        on: {"polygon": [[0.1, 0.2], [0.9, 0.1], [0.4, 0.4], [0.8, 0.95], [0.2, 0.9]], "on": on}
        for on in ("bottom", "center", "top", "left", "right")
    }
    zones["pixels"] = {"polygon": [[100, 50], [700, 60], [300, 400]], "classes": ["car"], "min_score": 0.5}
    rules = Rules.model_validate({"zones": zones})
    script = """
      import { countIn, shapesOf } from './zones.js';
      const result = { o: 'detected', wh: [1000, 500], b: given.boxes };
      const count = (shape) => [shape.name, countIn(shape, result)];
      console.log(JSON.stringify(Object.fromEntries(shapesOf(given.rules, result.wh).map(count))));
    """
    counted = node(script, {"boxes": boxes, "rules": rules.model_dump(mode="json")}, tmp_path)
    inside = Places.of(rules, (1000, 500)).inside(lambda on: np.array([anchor(tuple(box[3:7]), on) for box in boxes]))
    assert counted["pixels"] == sum(
        is_in and box[1] == "car" and box[7] >= 50 for is_in, box in zip(inside["pixels"], boxes, strict=True)
    )
    assert {on: counted[on] for on in zones if on != "pixels"} == {
        on: sum(inside[on]) for on in zones if on != "pixels"
    }
    assert 0 < counted["pixels"] < counted["bottom"] < 300


def test_page_knows_no_count_where_nothing_is_known(tmp_path: Path):
    script = """
      import { countIn, shapesOf } from './zones.js';
      const [share] = shapesOf({ zones: { a: given } }, null);
      const [pixel] = shapesOf({ zones: { a: { ...given, polygon: [[0, 0], [9, 0], [9, 9]] } } }, null);
      const result = { o: 'predicted', wh: [100, 100], b: [] };
      const counts = [countIn(share, null), countIn(share, { ...result, o: 'skipped' }), countIn(pixel, result)];
      console.log(JSON.stringify([...counts, countIn(share, result)]));
    """
    rule = {"polygon": SQUARE, "on": "bottom", "classes": [], "min_score": 0, "when": ["enter"]}
    assert node(script, rule, tmp_path) == [None, None, None, 0]


def test_page_draws_a_lines_arrow_to_the_side_that_rules_call_in(tmp_path: Path):
    dice = random.Random(4)
    lines = [[[dice.randrange(100), dice.randrange(100)] for _ in range(2)] for _ in range(50)]
    script = """
      import { arrowOf } from './zones.js';
      console.log(JSON.stringify(given.map((ends) => arrowOf(ends, 5)[1])));
    """
    tips = node(script, [ends for ends in lines if ends[0] != ends[1]], tmp_path)
    for (first, second), tip in zip([ends for ends in lines if ends[0] != ends[1]], tips, strict=True):
        side_px = Barrier(tuple(first), tuple(second)).side_px(tuple(tip))
        assert side_px == pytest.approx(5), "on its right, which is where who goes in comes to"


def rounded(points: list[list[float]]) -> list[list[float]]:
    return [[round(value, 6) for value in point] for point in points]


def test_draft_is_drawn_changed_and_undone(tmp_path: Path):
    script = """
      import { Draft } from './draft.js';
      const draft = Draft.of(given, [200, 100]);
      const told = [];
      const tell = () => told.push(structuredClone(draft.shapes.map(({ name, points }) => [name, points])));
      tell();
      draft.begin('zones');
      [[0.1, 0.1], [0.2, 0.1], [0.9, 1.4]].forEach((point) => draft.place(point));
      draft.undo();
      draft.finish();
      draft.place([0.2, 0.2]);
      draft.finish();
      tell();
      draft.insert(0);
      draft.move(1, [0.15, -0.3]);
      draft.move(1, [0.15, 0.05]);
      draft.rest();
      draft.shift(-0.5, 0);
      tell();
      draft.removeCorner(0);
      draft.removeCorner(0);
      tell();
      for (let times = 0; times < 4; times++) draft.undo();
      tell();
      draft.begin('lines');
      draft.place([0, 0]);
      draft.place([1, 1]);
      draft.flip();
      draft.rename('gate');
      draft.set('when', ['in']);
      draft.set('on', 'bottom');
      draft.set('classes', []);
      draft.set('between', null);
      console.log(JSON.stringify({ told, asked: draft.asked() }));
    """
    yard = Rules.model_validate({"zones": {"yard": {"polygon": [[0, 0], [100, 0], [100, 100]]}}})
    found = node(script, yard.model_dump(mode="json"), tmp_path)
    old = ["yard", [[0, 0], [0.5, 0], [0.5, 1]]]
    begun, changed, removed, undone = found["told"][1:]
    assert found["told"][0] == [old], "pixels of a picture of 200 x 100"
    assert begun == [old, ["zone-1", [[0.1, 0.1], [0.2, 0.1], [0.2, 0.2]]]]
    assert rounded(changed[1][1]) == [[0, 0.1], [0.05, 0.05], [0.1, 0.1], [0.1, 0.2]]
    assert removed == [old], "without a corner too many it is no zone"
    assert rounded(undone[1][1]) == [[0.1, 0.1], [0.15, 0.1], [0.2, 0.1], [0.2, 0.2]], "a movement is undone as one"
    assert found["asked"][-1] == {
        "section": "lines",
        "name": "gate",
        "keys": {"points": [[1, 1], [0, 0]], "when": ["in"]},
    }


def test_page_tells_what_lasts_what_is_over_and_what_nobody_knows(tmp_path: Path):
    base = {"camera_id": "gate", "rule": "drive", "class_name": "car", "condition": "enter", "happening": "enter"}
    base |= {"at_ns": 10**18, "lasted_s": 0.0, "direction": None, "count": 0, "revised": False, "withdrawn": False}
    script = """
      import { activityOf, Happened, lastedOf, stageOf, wordsOf } from './happened.js';
      const happened = new Happened();
      happened.begin([], {});
      const rows = [];
      for (const [change, later] of given.told) {
        const event = { ...given.base, ...change };
        happened.take(event);
        const now = event.at_ns / 1e6 + later;
        const asked = [stageOf, wordsOf, lastedOf, (event, now) => activityOf([event], now)];
        rows.push([happened.newest().length, ...asked.map((ask) => ask(event, now))]);
      }
      console.log(JSON.stringify({ rows, counts: happened.counts }));
    """
    told = [
        ({"event_id": "a", "phase": "begin"}, 4000),
        ({"event_id": "a", "phase": "update", "lasted_s": 10.0}, 12_000),
        ({"event_id": "a", "phase": "update", "lasted_s": 10.0}, 60_000),
        ({"event_id": "a", "phase": "end", "lasted_s": 61.5}, 62_000),
        ({"event_id": "b", "phase": "once", "happening": "cross", "direction": "in", "count": 3}, 500),
        ({"event_id": "c", "phase": "once", "happening": "cross", "direction": "out", "count": 1}, 5000),
        (
            {"event_id": "c", "phase": "once", "happening": "cross", "direction": "out", "count": 0, "withdrawn": True},
            9,
        ),
        ({"event_id": "d", "phase": "begin", "happening": "count", "condition": "count > 5", "count": 6}, 1000),
        ({"event_id": "e", "phase": "begin", "attributes": {"colour": {"label": "red", "score": 0.9}}}, 1000),
    ]
    found = node(script, {"base": base, "told": told}, tmp_path)
    assert found["rows"] == [
        [1, "on", "car is inside", 4, "lasts"],
        [1, "on", "car is inside", 12, "lasts"],
        [1, "unknown", "car is inside", 10, ""],
        [1, "over", "car was inside", 61.5, ""],
        [2, "over", "car crossed inwards", None, "just"],
        [3, "over", "car crossed outwards", None, ""],
        [3, "over", "car crossed outwards", None, ""],
        [4, "on", "6 objects (count > 5)", 1, "lasts"],
        [5, "on", "red car is inside", 1, "lasts"],
    ]
    assert found["counts"] == {"gate": {"drive": {"in": 3, "out": 0}}}
