from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from pipeline.observe.promise import Promise
from pipeline.observe.table import FleetTable
from pipeline.observe.tally import FleetTally, Tally
from pipeline.observe.words import age, short, span
from pipeline.wire import CameraState
from tests.fleet_tallies import result, state, tally, town

PROMISE = Promise(150)
WHY = "it answered 401 Unauthorized; check user and password in the URL of the fleet file"


def shown(fleet: FleetTally, width: int = 80, height: int = 24, *, whole: bool = False) -> list[str]:
    console = Console(file=StringIO(), width=width, height=height)
    with console.capture() as captured:
        console.print(FleetTable(fleet, "fleet town", PROMISE, whole=whole))
    return captured.get().splitlines()


def colours(fleet: FleetTally) -> set[str]:
    """The colours of everything that is shown."""
    console = Console(width=120, height=40, force_terminal=True, color_system="standard")
    pieces = console.render(FleetTable(fleet, "fleet town", PROMISE))
    return {piece.style.color.name for piece in pieces if piece.style and piece.style.color}


@pytest.mark.parametrize("wh", [(80, 24), (120, 40), (60, 10), (40, 5), (200, 60)])
@pytest.mark.parametrize("cameras", [1, 20, 60])
def test_table_fits_the_terminal(cameras: int, wh: tuple[int, int]):
    names = [f"camera-{number:02d}" for number in range(cameras)]
    for fleet in (town(cameras), tally({name: state(name, "failed", detail=WHY) for name in names}).live(4.0)):
        lines = shown(fleet, *wh)
        assert len(lines) < wh[1]
        assert max(map(len, lines)) <= wh[0]
        assert lines[-1].startswith("all")


def test_table_shows_trouble_first_then_how_many_more_there_are():
    lines = shown(town(60))
    assert lines[0].startswith("fleet town  57 live, 1 blind, 1 retrying, 1 degraded")
    assert lines[0].endswith("2 of 60 down")
    assert [line.split()[:2] for line in lines if line.startswith("camera-")][:3] == [
        ["camera-11", "blind"],
        ["camera-07", "retrying"],
        ["camera-13", "degraded"],
    ]
    assert "… and 44 more, all live" in lines


def test_table_tells_since_when_why_and_when_it_is_tried_again():
    lines = shown(tally({"gate": state("gate", "retrying", detail=WHY, retry_s=30)}).live(4.0))
    told = " ".join(" ".join(lines).split())
    assert "gate retrying 2m next try in 26s: it answered 401" in told
    assert "of the fleet file" in told


def test_table_reason_that_has_no_room_ends_in_an_ellipsis():
    fleet = tally({f"camera-{number}": state(f"camera-{number}", "failed", detail=WHY) for number in range(20)})
    assert all(line.endswith("…") for line in shown(fleet.live(4.0)) if line.startswith("camera-"))


def test_table_never_cuts_a_state_whatever_the_names():
    names = ["entrance-of-the-northern-hall-01", "entrance-of-the-northern-hall-02", "a"]
    lines = shown(tally({name: state(name, "connecting") for name in names}).live(4.0))
    assert sum("connecting " in line for line in lines[2:]) == 3
    assert [line.split()[0] for line in lines[2:4]] == ["entranc…all-01", "entranc…all-02"]


def test_table_of_the_whole_run_has_every_camera():
    assert sum(line.startswith("camera-") for line in shown(town(60), whole=True)) == 60


def test_table_of_more_columns_has_more_figures():
    narrow, wide = shown(town(3))[1], shown(town(3), 120, 40)[1]
    assert all(heading in narrow for heading in ("state", "for", "det/s", "stride", "p95 ms", "det age", "kept %"))
    assert [heading in narrow for heading in ("missed", "lost", "again")] == [False] * 3
    assert [heading in wide for heading in ("missed", "lost", "again")] == [True] * 3


def frames(detected: bool, state_heard: CameraState | None, now_s: float) -> FleetTally:
    """A camera with a second of frames."""
    books = Tally(["gate"], 150)
    for number in range(25):
        books.add(result("gate", number, detected=detected, ever=detected), number / 25)
    if state_heard is not None:
        books.hear(state_heard, 1.0)
    return books.live(now_s)


@pytest.mark.parametrize(
    ("fleet", "green"),
    [
        pytest.param(frames(True, state("gate", "live"), 1.0), True, id="live and detected just now"),
        pytest.param(frames(True, state("gate", "live"), 3.0), False, id="its boxes have expired"),
        pytest.param(frames(False, state("gate", "live"), 1.0), False, id="claims to be live, never detected"),
        pytest.param(frames(True, None, 1.0), False, id="nothing was heard of it"),
        pytest.param(frames(True, state("gate", "degraded"), 1.0), False, id="degraded"),
        pytest.param(Tally(["gate"]).live(1.0), False, id="nothing is known"),
    ],
)
def test_table_is_green_only_where_all_is_known_to_be_well(fleet: FleetTally, green: bool):
    assert ("green" in colours(fleet)) is green


def test_table_tells_of_a_camera_that_has_fallen_silent():
    lines = shown(tally({"gate": state("gate", "live")}).live(60.0))
    assert any("nothing was heard of it for 56s" in line for line in lines)


@pytest.mark.parametrize(
    ("seconds", "words"), [(None, "–"), (0, "0s"), (59.9, "59s"), (60, "1m"), (7199, "1h"), (200_000, "2d")]
)
def test_span_in_the_largest_unit_that_fits(seconds: float | None, words: str):
    assert span(seconds) == words


@pytest.mark.parametrize(
    ("milliseconds", "words"), [(None, "–"), (85.4, "85ms"), (999.7, "1.0s"), (59_970, "59s"), (250_000, "4m")]
)
def test_age_is_short(milliseconds: float | None, words: str):
    assert age(milliseconds) == words


@pytest.mark.parametrize(
    ("name", "words"), [("gate", "gate"), ("0123456789", "0123456789"), ("0123456789a", "01234…789a")]
)
def test_short_name_loses_its_middle(name: str, words: str):
    assert short(name, 10) == words
