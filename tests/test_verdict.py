from __future__ import annotations

import pytest

from pipeline.observe.promise import Promise
from pipeline.observe.summary import TOLD, summary_lines
from pipeline.observe.tally import FleetTally, Tally
from pipeline.observe.verdict import complaints, judge
from pipeline.wire import State
from tests.fleet_tallies import result, state, tally

PROMISE = Promise(150)


def never_detected() -> Tally:
    """One camera as it should be, one that claims to be live and was not detected once."""
    books = Tally(["gate", "yard"], 150)
    for number in range(247):
        books.add(result("gate", number), number / 25)
        books.add(result("yard", number, detected=False, ever=False, age_ms=7), number / 25)
    for name in ("gate", "yard"):
        books.hear(state(name, "live"), 10.0)
    return books


def ended_as(name: State) -> FleetTally:
    """Two cameras that delivered, one of which is then in this state."""
    books = tally({"gate": state("gate", "live"), "yard": state("yard", "live")})
    books.hear(state("yard", name, detail="because"), 4.0)
    return books.whole()


@pytest.mark.parametrize(
    ("fleet", "verdict", "wrong"),
    [
        pytest.param(tally({"a": state("a", "live")}).whole(), "kept by 1 camera", {}, id="all well"),
        pytest.param(
            tally({name: state(name, "retrying", detail="401") for name in "ab"}).whole(),
            "unknown: no camera was live",
            dict.fromkeys("ab", "never delivered a frame: 401"),
            id="nobody answers",
        ),
        pytest.param(
            never_detected().whole(),
            "not kept: yard was never detected",
            {"yard": "was never detected"},
            id="fast frames without a detection",
        ),
        pytest.param(ended_as("blind"), "not kept: yard is blind", {"yard": "is blind: because"}, id="blind"),
        pytest.param(ended_as("failed"), "not kept: yard is failed", {"yard": "is failed: because"}, id="failed"),
        pytest.param(ended_as("retrying"), "not kept: yard is retrying", {}, id="lost at the end"),
        pytest.param(ended_as("degraded"), "not kept: yard is degraded", {}, id="degraded"),
        pytest.param(ended_as("ended"), "kept by 2 cameras", {}, id="a recording that has ended"),
        pytest.param(ended_as("paused"), "kept by 1 camera", {}, id="paused"),
        pytest.param(ended_as("removed"), "kept by 1 camera", {}, id="removed"),
    ],
)
def test_verdict(fleet: FleetTally, verdict: str, wrong: dict[str, str]):
    assert str(judge(fleet, PROMISE)) == verdict
    assert complaints(fleet) == wrong


def test_verdict_names_cameras_that_are_late():
    books = tally({"gate": state("gate", "live")})
    assert str(judge(books.whole(), Promise(20))) == "not kept: gate has a p95 of 50ms"


def test_verdict_is_not_kept_where_detections_came_seldom():
    books = Tally(["gate"], 150)
    for number in range(1000):
        books.add(result("gate", number, detected=number % 250 == 0), number / 25)
    books.hear(state("gate", "live"), 40.0)
    assert "without a detection too long (p95 9." in str(judge(books.whole(), PROMISE))
    assert str(judge(books.whole(), Promise(150, {"gate": 10_000}))) == "kept by 1 camera"


def test_summary_names_the_camera_that_was_never_detected():
    lines = "\n".join(summary_lines(never_detected().whole(), PROMISE))
    assert "494 frames decoded" in lines
    assert "longest without one 10.0 s (yard, never detected)" in lines
    assert "least yard 0 %" in lines


def test_summary_of_a_fleet_that_nobody_answered_has_no_figures_to_praise():
    fleet = tally({"gate": state("gate", "retrying", detail="rtsp://bob:hunter2@cam/ answered 401")}).whole()
    account, verdict, trouble = summary_lines(fleet, PROMISE)
    assert account.startswith("0 frames decoded = 0 detected")
    assert verdict == "the goal of p95 ≤ 150 ms: unknown: no camera was live"
    assert trouble.startswith("camera gate is retrying since 20")
    assert trouble.endswith("(2m): rtsp://***@cam/ answered 401")


def test_summary_counts_trouble_beyond_what_anybody_reads():
    names = [f"camera-{number}" for number in range(TOLD + 5)]
    lines = summary_lines(tally({name: state(name, "retrying") for name in names}).whole(), PROMISE)
    assert lines[-1] == "… and 5 more: 5 retrying"
