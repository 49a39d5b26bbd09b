"""The leaderboard's arithmetic, its words, and its drawings."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from rich.console import Console

from pipeline.errors import EvaluationError
from pipeline.levers.board import leverage, ranked, row_of
from pipeline.levers.candidates import Contestant, combinations, singles, smaller_inputs
from pipeline.levers.chart import write_png
from pipeline.levers.figures import Accuracy, ClassAccuracy, Exported, Form, Leaderboard, Row, Speed, Where
from pipeline.levers.lesson import LESSON, expected, holds
from pipeline.levers.page import page, write_page
from pipeline.levers.text import show_exported, show_leaderboard
from pipeline.levers.trial import takes, usual_input

WIDE = (640, 384)


def form(name: str, hz: float | None, precise: float | None, wh: tuple[int, int] = WIDE, **changes: Any) -> Form:
    speed = None
    if hz is not None:
        speed = Speed(images_hz=hz, cpu_ms_per_image=1, memory_mb=200, lanes=2, batch=1, other_cores=0)
    judged = None
    if precise is not None:
        classes = {"person": ClassAccuracy(ap50=2 * precise, ap50_95=precise, objects=3)}
        judged = Accuracy(map50=2 * precise, map50_95=precise, classes=classes, pictures=9, objects=3)
    return Form(
        **{"name": name, "path": f"/m/{name}", "input_wh": wh, "precision": "f32", "speed": speed, "accuracy": judged}
        | changes
    )


BASE = form("as it is", 100, 40)
HALF = form("480×288", 180, 38.5, (480, 288))
EIGHT = form("int8", 250, 39)
SLOW = form("floats computed in 32 bits", 50, 40)
BOTH = form("demo 480×288 int8", 400, 37)
NONE = form("batches of 4", None, None, why_not="it takes 1 at once")


def board() -> Leaderboard:
    pairs = [("base", BASE), ("input", HALF), ("int8", EIGHT), ("f32", SLOW), ("combination", BOTH), ("batch", NONE)]
    rows = ranked([row_of(kind, one, BASE) for kind, one in pairs])  # type: ignore[arg-type]
    where = Where(machine="<a processor>", cores=2, pictures="9 pictures of data.yaml")
    return Leaderboard(model="demo", where=where, rows=rows, notes=["A note."])


@pytest.mark.parametrize(
    ("speed_up", "cost", "expected_leverage"),
    [
        pytest.param(4.0, 2.0, 1.0, id="two doublings for two points"),
        pytest.param(2.0, 0.0, 2.0, id="nothing lost counts as half a point"),
        pytest.param(2.0, -3.0, 2.0, id="gained"),
        pytest.param(0.5, 1.0, -1.0, id="slower"),
    ],
)
def test_leverage_is_doublings_for_a_point(speed_up: float, cost: float, expected_leverage: float) -> None:
    assert leverage(speed_up, cost) == expected_leverage


def test_ranked_puts_the_base_first_and_what_is_not_there_last() -> None:
    names = [row.name for row in board().rows]
    assert names == ["as it is", "int8", "demo 480×288 int8", "480×288", "floats computed in 32 bits", "batches of 4"]


def test_ranked_marks_what_nothing_beats() -> None:
    front = {row.name for row in board().rows if row.on_front}
    assert front == {"as it is", "int8", "demo 480×288 int8"}, "int8 is faster than 480×288 and more accurate"


def test_ranked_equals_are_both_on_the_front() -> None:
    twins = ranked([row_of("base", BASE, BASE), row_of("f16", form("f16", 100, 40), BASE)])
    assert all(row.on_front for row in twins)


def test_row_without_accuracy_has_a_speed_up_alone() -> None:
    row = row_of("int8", form("int8", 300, None), BASE)
    assert (row.speed_up, row.cost, row.leverage, row.on_front) == (3, None, None, False)


def test_row_measured_beside_other_programs_goes_by_cpu_time() -> None:
    assert BASE.speed is not None
    slowed = msgspec.structs.replace(BASE.speed, images_hz=20, cpu_ms_per_image=0.5, other_cores=1.5, by_cpu_time=True)
    row = row_of("int8", msgspec.structs.replace(EIGHT, speed=slowed), BASE)
    assert row.speed_up == 2, "half the CPU time, however few images there were"


@pytest.mark.parametrize(
    ("kind", "speed_up", "cost", "words"),
    [
        pytest.param("int8", 3.0, 1.0, "holds", id="as said"),
        pytest.param("int8", 1.4, 1.0, "brings less", id="slower"),
        pytest.param("int8", 5.0, 4.0, "brings more, costs more", id="more of both"),
        pytest.param("model", 3.0, 1.0, "costs less", id="cheaper"),
        pytest.param("batch", 1.0, 0.0, "brings less", id="a processor's batches"),
        pytest.param("f16", 1.7, None, "holds", id="only speed is known"),
        pytest.param("f16", None, None, "", id="nothing is known"),
    ],
)
def test_lesson_beside_what_was_measured(kind: Any, speed_up: float | None, cost: float | None, words: str) -> None:
    assert holds(LESSON[kind], speed_up, cost) == words


def test_lesson_says_of_inputs_only_what_it_speaks_of() -> None:
    assert expected("input", (640, 640), (480, 480)) is LESSON["input"]
    assert expected("input", (640, 384), (480, 288)) is LESSON["input"]
    assert expected("input", (640, 384), (320, 192)) is None
    assert expected("base", WIDE, WIDE) is None


def test_smaller_inputs_are_whole_strides() -> None:
    assert smaller_inputs((640, 640), 32) == [(480, 480), (416, 416), (320, 320)]
    assert smaller_inputs((64, 64), 32) == [(32, 32)]


def source(precision: str = "f32", own: tuple[int, int] | None = None) -> Any:
    metadata = SimpleNamespace(stride=32, input_wh=(640, 640))
    return SimpleNamespace(precision=precision, input_wh=own, metadata=metadata, picture_wh=own or (640, 640))


def contestant(name: str, precision: str = "f32") -> Contestant:
    return Contestant(Path(f"{name}.pt"), source(precision), WIDE)


def test_usual_input_is_what_a_fleet_takes_or_the_shape_of_the_pictures() -> None:
    fleet = SimpleNamespace(input_wh=None)
    assert usual_input(source(), fleet, []) == (640, 384)  # type: ignore[arg-type]
    assert usual_input(source(), SimpleNamespace(input_wh=(320, 320)), []) == (320, 320)  # type: ignore[arg-type]
    assert usual_input(source(), None, [(640, 480), (480, 640)]) == (640, 640)
    assert usual_input(source(own=(512, 288)), None, [(100, 100)]) == (512, 288)


def test_takes_is_smaller_or_open() -> None:
    assert takes(source(), (1280, 736)) and not takes(source(), (100, 100))
    assert takes(source(own=(640, 640)), (640, 384)) and not takes(source(own=(640, 384)), (640, 640))


def test_singles_pull_each_lever_once() -> None:
    kinds = [one.kind for one in singles(contestant("n"), [contestant("p")], [(480, 288), (320, 192)])]
    assert kinds == ["model", "input", "input", "f16", "int8", "f32", "batch", "batch"]


def test_combinations_join_what_is_worth_it() -> None:
    pruned = contestant("pruned")
    rows = [row_of("input", HALF, BASE), row_of("int8", EIGHT, BASE), row_of("model", form("pruned", 150, 39), BASE)]
    joined = [one.name for one in combinations(contestant("n"), [pruned], rows)]
    assert joined == ["n 480×288 int8", "pruned 480×288", "pruned 640×384 int8", "pruned 480×288 int8"]
    useless = [row_of("input", form("x", 101, 40), BASE), row_of("int8", form("int8", 99, 40), BASE)]
    assert combinations(contestant("n"), [pruned], useless) == []


def test_combinations_leave_an_int8_model_its_precision() -> None:
    rows = [row_of("model", form("small", 150, 39), BASE), row_of("int8", EIGHT, BASE)]
    assert combinations(contestant("n"), [contestant("small", "int8")], rows) == []


def shown(show: Any, value: Any) -> str:
    out = io.StringIO()
    show(value, Console(file=out, width=200, highlight=False))
    return out.getvalue()


def test_leaderboard_in_words_tells_every_row_and_note() -> None:
    text = shown(show_leaderboard, board())
    assert "levers of demo, on 2 cores (<a processor>); 9 pictures of data.yaml" in text
    assert "2.50×" in text and "2–4×, 0.5–2 points" in text and "A note." in text
    assert "not here: batches of 4: it takes 1 at once" in text


@pytest.mark.parametrize("terminal", [True, False], ids=["terminal of 80 columns", "pipe"])
def test_leaderboard_in_words_cuts_no_figure_off(terminal: bool) -> None:
    told = io.StringIO()
    show_leaderboard(board(), Console(file=told, width=80, force_terminal=terminal, color_system=None))
    table = told.getvalue().split("cost: points")[0]
    assert "…" not in table and "640×384" in table
    assert ("the lesson" in table) is not terminal


def test_exported_in_words_tells_before_and_after() -> None:
    where = Where(machine="x", cores=2, pictures="9 pictures")
    text = shown(show_exported, Exported(where=where, before=BASE, after=[EIGHT], notes=["A note."]))
    assert "int8" in text and "2.50×" in text and "-1.0" in text
    assert "person" in text and "/m/int8" in text and "A note." in text


def test_page_is_one_file_that_fetches_nothing(tmp_path: Path) -> None:
    write_page(board(), tmp_path / "levers.html")
    text = (tmp_path / "levers.html").read_text()
    assert "<svg" in text and "http" not in text.replace("http-equiv", "")
    assert "&lt;a processor&gt;" in text and "<a processor>" not in text
    assert "it takes 1 at once" in text


def test_png_is_written(tmp_path: Path) -> None:
    write_png(board(), tmp_path / "levers.png")
    assert (tmp_path / "levers.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("write", [write_page, write_png])
def test_drawing_that_cannot_be_written_is_told(write: Any, tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="cannot be written"):
        write(board(), tmp_path / "none" / "out")


def test_page_without_accuracy_is_drawn() -> None:
    rows: list[Row] = ranked([row_of("base", form("as it is", 100, None), form("as it is", 100, None))])
    assert "as it is" in page(msgspec.structs.replace(board(), rows=rows))
