"""The promise of accuracy: stated in the fleet file, judged in messages, table and summary, kept by giving way."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace
from rich.console import Console

from pipeline.config import Fleet, load_fleet
from pipeline.observe.promise import Promise
from pipeline.observe.summary import promise_lines, summary_lines
from pipeline.observe.table import FleetTable
from pipeline.observe.tally import FleetTally
from pipeline.observe.verdict import judge_loss
from pipeline.publish import Roster
from pipeline.relay.overview import Overview
from pipeline.supervise.changes import compare
from pipeline.wire import FleetState, State, encode
from pipeline.worker.process import settings_of
from tests.fleet_files import GATE, STUB, told_of
from tests.fleet_tallies import state, tally
from tests.wire_messages import FRAME, STATE


def fleet_of(folder: Path, text: str) -> Fleet:
    path = folder / "fleet.yaml"
    path.write_text(f"{STUB}\n{GATE}\n{text}\n", encoding="utf-8")
    return load_fleet(path)


def test_fleet_without_a_promise_of_accuracy_makes_none(tmp_path: Path):
    settings = settings_of(fleet_of(tmp_path, ""))
    assert (settings.max_loss, settings.saves) == (None, False)


def test_fleet_with_a_promise_of_accuracy_tells_its_workers(tmp_path: Path):
    settings = settings_of(fleet_of(tmp_path, "slo: {max_loss: 2}\npower: save"))
    assert (settings.max_loss, settings.saves) == (2.0, True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("slo: {max_loss: 0}", "slo.max_loss", id="nothing can be had for nothing"),
        pytest.param("slo: {max_loss: much}", "slo.max_loss", id="no number"),
        pytest.param("power: save", "found “save” without “slo.max_loss”", id="saving without a promise"),
        pytest.param("power: low", "power", id="unknown word"),
    ],
)
def test_fleet_with_a_wrong_promise_is_refused_in_one_line(tmp_path: Path, text: str, expected: str):
    assert any(expected in line for line in told_of(f"{STUB}\n{GATE}\n{text}\n", tmp_path)[1:])


def test_promise_of_accuracy_changes_while_the_fleet_runs(tmp_path: Path):
    before = fleet_of(tmp_path, "slo: {max_loss: 2}")
    after = fleet_of(tmp_path, "slo: {max_loss: 3}\npower: save")
    assert set(compare(before, after).settings) == {"slo.max_loss", "power"}


def overview(max_loss: float | None, *told: tuple[str, State, float | None]) -> FleetState:
    """What is told of cameras in these states that say they lose so much."""
    it = Overview("town", 100.0, 0.0, 0)
    it.know(Roster(p95_ms=100.0, max_loss=max_loss, cameras=tuple(name for name, _, _ in told)))
    for name, how, loss in told:
        it.hear_state(encode(replace(STATE, camera_id=name, state=how, loss=loss)))
        it.hear_frame(encode(replace(FRAME, camera_id=name, stride=6)), now_s=1.0)
    return it.tell(2.0, 2)


@pytest.mark.parametrize(
    ("max_loss", "told", "kept", "broken"),
    [
        pytest.param(None, [("gate", "live", 9.0)], None, {}, id="nothing promised"),
        pytest.param(2.0, [("gate", "live", 1.0)], True, {}, id="kept"),
        pytest.param(2.0, [("gate", "live", None)], None, {}, id="not known is not kept"),
        pytest.param(2.0, [("gate", "live", 1.0), ("yard", "live", None)], None, {}, id="not known of one"),
        pytest.param(
            2.0,
            [("gate", "live", 1.0), ("yard", "live", 3.4)],
            False,
            {"yard": "loses 3.4 points at 0.5 detections a second (stride 6)"},
            id="broken by one",
        ),
        pytest.param(
            2.0, [("gate", "blind", 1.0)], False, {"gate": "blind: what it loses is not known"}, id="blind is not kept"
        ),
        pytest.param(2.0, [("gate", "live", 1.0), ("yard", "paused", None)], True, {}, id="a paused one is not asked"),
    ],
)
def test_overview_judges_the_loss_of_each_camera(
    max_loss: float | None, told: list[tuple[str, State, float | None]], kept: bool | None, broken: dict[str, str]
):
    found = overview(max_loss, *told)
    assert (found.max_loss, found.loss_kept, found.loss_broken_by) == (max_loss, kept, broken)


def test_overview_tells_the_loss_of_cameras_that_see_alone():
    cameras = overview(2.0, ("gate", "live", 1.5), ("yard", "blind", 1.5)).cameras
    assert (cameras["gate"].loss, cameras["yard"].loss) == (1.5, None)


def losing(**losses: float | None) -> FleetTally:
    """A run of cameras that lost so much."""
    return tally({name: replace(state(name, "live"), loss=loss) for name, loss in losses.items()}).whole()


@pytest.mark.parametrize(
    ("fleet", "verdict"),
    [
        pytest.param(losing(a=1.0, b=1.9), "kept by 2 cameras", id="kept"),
        pytest.param(losing(a=1.0, b=2.5), "not kept: b loses 2.5 points at 12.6 detections a second", id="broken"),
        pytest.param(
            losing(a=1.0, b=None), "not kept: b loses nobody knows how much: it was not detected twice", id="not known"
        ),
        pytest.param(
            tally({"a": state("a", "retrying")}).whole(), "unknown: no camera was live", id="nothing was delivered"
        ),
    ],
)
def test_verdict_on_the_loss_of_a_run(fleet: FleetTally, verdict: str):
    assert str(judge_loss(fleet, 2.0)) == verdict


def test_loss_of_a_run_is_the_mean_of_what_was_known():
    books = tally({"a": replace(state("a", "live"), loss=1.0)})
    for loss in (3.0, None):
        books.hear(replace(state("a", "live"), loss=loss), 4.0)
    assert books.whole().cameras[0].loss == 2.0
    assert books.live(4.0).cameras[0].loss is None


def test_summary_says_both_verdicts_and_who_loses_most():
    lines = summary_lines(losing(a=1.0, b=2.5), Promise(150, {}, 2.0))
    assert "the goal of p95 ≤ 150 ms: kept by 2 cameras" in lines
    assert (
        "the goal of ≤ 2 points of HOTA lost: not kept: b loses 2.5 points at 12.6 detections a second; "
        "most, as estimated: b 2.5"
    ) in lines


def test_summary_without_a_promise_says_nothing_of_loss():
    assert len(promise_lines(losing(a=9.0), Promise(150))) == 1


@pytest.mark.parametrize(("max_loss", "shown"), [(None, False), (2.0, True)])
def test_table_shows_losses_where_they_are_promised(max_loss: float | None, shown: bool):
    console = Console(width=120)
    with console.capture() as capture:
        console.print(FleetTable(losing(a=1.2, b=None), "fleet town", Promise(150, {}, max_loss), whole=True))
    assert ("loss" in capture.get()) is shown
    assert (" 1.2 " in capture.get()) is shown
