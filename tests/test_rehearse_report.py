"""What a rehearsal is told as: a sentence, a table, one page, and JSON."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

pytest.importorskip("matplotlib", reason="charts need matplotlib: pip install 'camfleet[report]'")

from msgspec.structs import replace

from pipeline.errors import RehearsalError
from pipeline.rehearse.page import cards, clock, lanes, page, verdict, write_page
from pipeline.rehearse.result import Around, RehearsalReport, Spread, write_report
from pipeline.rehearse.table import show
from pipeline.rehearse.words import crowded, sentence
from tests.pages import browser  # noqa: F401
from tests.rehearsals import event, figure, report, side

ALONE = {"by": "only_a", "seen_b": 0, "b_at_s": None}
CORES = figure("cores", 1.0, 0.6, decimals=2)


@pytest.mark.parametrize(
    ("events", "figures", "words"),
    [
        pytest.param(
            [event(1), event(2), event(3, **ALONE)],
            [CORES],
            "B told 2 of the 3 events that A told; B took 0.60 of A's processor time.",
            id="beside each other",
        ),
        pytest.param(
            [event(1), event(2, by="only_b")],
            [],
            "B told all of the 1 events that A told, and 1 that A did not.",
            id="more",
        ),
        pytest.param([event(2, by="only_b")], [], "A told no event, and B 1.", id="nothing by A"),
        pytest.param(
            [event(1), event(2, **ALONE)],
            [figure("events.caught", 2, 1), figure("cores", 1.0, 1.01)],
            "B caught 1 of the 2 events that happened, and A 2; B took as much processor time.",
            id="against the truth",
        ),
        pytest.param(
            [event(1, by="neither")],
            [figure("events.caught", 0, 0)],
            "B caught none of the 1 events that happened, and A as many.",
            id="both missed it",
        ),
        pytest.param(
            [], [figure("hota", 60, 55.5), CORES], "B's HOTA is 55.5 where A's is 60.0; B took 0.60", id="no rules"
        ),
        pytest.param(
            [], [figure("p95_ms", 60, 80)], "B's boxes are 80 ms old at most in 95 of 100", id="no truth either"
        ),
    ],
)
def test_verdict_is_a_sentence(events: list, figures: list, words: str):
    assert sentence(report(events, figures=figures)).startswith(words)


def test_page_is_one_file_that_fetches_nothing_and_escapes_what_it_is_given():
    shown = page(report(verdict="<script>alert(1)</script>"))
    assert "<script>" not in shown and "&lt;script&gt;" in shown
    assert re.findall(r"(?:src|href)=\"(?!#|data:)", shown) == []
    assert "url(http" not in shown and "@import" not in shown
    assert "FAILED" in shown and "events.missed" in shown and "1 too much" in shown
    assert 'href="data:image/jpeg;base64,/9j/4AAQ"' in shown
    assert "sinks (alarm): nothing is sent to them" in shown


def test_page_shows_what_differs_before_what_does_not():
    shown = page(report())
    assert shown.index("Told by A alone: 1") < shown.index("<h2>Counts") < shown.index("All figures")
    assert "Told by B alone" not in shown
    assert 'href="#event-2"' in shown and 'id="event-2"' in shown
    assert 'href="#event-1"' not in shown, "there is no picture of what both told"


def test_page_without_events_expectations_and_truth_is_whole():
    bare = report([], figures=[figure("p95_ms", None, 60)], counts=[], checks=[], passed=None, differences=[])
    shown = page(bare)
    assert "PASSED" not in shown and "FAILED" not in shown and "Every event" not in shown
    assert "not known" in shown and "They say the same" in shown


def test_large_figures_are_those_that_are_known_and_the_better_one_is_named():
    found = {card.words: (card.a.percent, card.b.percent, card.verdict) for card in cards(report())}
    assert found["events.caught"] == (100, 50, "worse")
    assert found["p95_ms"][2] == "", "within what two runs of one thing differ by"
    assert found["cores"][2] == "better"


def test_events_lie_on_the_line_of_their_camera_where_they_happened():
    (lane,) = lanes(report())
    assert [(dot.percent, dot.event.number) for dot in lane.dots] == [(10, 1), (20, 2)]
    assert [clock(one) for one in (0, 67.34, 3671)] == ["0:00.0", "1:07.3", "1:01:11.0"]


def test_busy_machine_is_named():
    assert crowded(Around(machine="m", cores=2, memory_gb=8, busy=0.1, versions={})) == ""
    busy = Around(machine="m", cores=2, memory_gb=8, busy=1.4, versions={"camfleet": "1"})
    assert "1.4 of 2 cores" in page(report(around=busy))


def printed(made: RehearsalReport) -> str:
    console = Console(width=100, force_terminal=False)
    with console.capture() as capture:
        show(made, console)
    return capture.get()


def test_table_tells_the_verdict_what_differs_and_what_failed():
    text = printed(report())
    assert text.startswith("B told 1 of the 2 events that A told.")
    assert "1 of 2 events are not told by both" in text and "only A" in text
    assert "events.missed: 1, expected ≤ 0; 1 too much" in text and "1 of 1 expectation" in text
    assert "Left out of B: sinks (alarm)" in text


def test_several_runs_tell_how_far_they_are_apart():
    row = figure("p95_ms", 60, 58, decimals=0, unit="ms")
    assert row.b is not None
    spread = replace(row, b=replace(row.b, least=51.0, most=70.0))
    text = printed(report([event(1, seen_a=2, seen_b=1, **{"by": "only_a"})], repeats=3, figures=[spread]))
    assert "58 ms (51 to 70)" in text and "A 2/3, B 1/3" in text


@pytest.mark.parametrize(
    ("a", "b", "wanted"),
    [((60, 50, 70), (90, 80, 95), "worse"), ((60, 50, 70), (90, 65, 95), ""), ((60, 60, 60), (61, 61, 61), "")],
    ids=["apart", "the runs of both overlap", "within what two runs differ by"],
)
def test_figure_is_worse_only_by_more_than_its_runs_differ(a: tuple, b: tuple, wanted: str):
    one, two = (Spread(median=m, least=low, most=high) for m, low, high in (a, b))
    assert verdict(replace(figure("p95_ms", 1, 1), a=one, b=two)) == wanted


def test_json_has_everything_but_pictures(tmp_path: Path):
    write_report(report(), tmp_path / "report.json")
    told = json.loads((tmp_path / "report.json").read_text())
    assert told["events"][1]["by"] == "only_a" and told["events"][1]["picture"] is None
    for write in (write_report, write_page):
        with pytest.raises(RehearsalError, match="cannot be written"):
            write(report(), tmp_path / "no" / "folder")


@pytest.mark.parametrize("width", [390, 1280])
def test_page_fits_the_screen(browser: Any, tmp_path: Path, width: int):  # noqa: F811
    file = tmp_path / "report.html"
    file.write_text(page(report(a=side("a", file="a-file-with-a-very-long-name" * 4))), encoding="utf-8")
    shown = browser.new_page(viewport={"width": width, "height": 800})
    try:
        shown.goto(file.as_uri())
        assert shown.evaluate("document.documentElement.scrollWidth") <= width
        assert shown.evaluate("document.querySelector('.shot').getBoundingClientRect().width") > 250
    finally:
        shown.close()
