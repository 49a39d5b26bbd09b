"""Forms of a model and leaderboards as tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from pipeline.levers.figures import Accuracy, Exported, Form, Leaderboard, Row, Where

MOST_CLASSES = 12
"""Those with most objects are shown."""
UNKNOWN = "–"
WIDE = 150
"""Columns of a terminal into which a whole leaderboard fits; files and pipes are taken to be as wide."""
FEW = 4
"""Numbers of a lever that are shown in a narrower one."""


def show_exported(exported: Exported, console: Console) -> None:
    """The forms beside what they were made of, the classes, and the sentences."""
    forms = [exported.before, *exported.after]
    table = _table(_place("forms of a model", exported.where), "form", "input")
    for name in ("mAP50", "mAP50-95", "points", "images/s", "speed-up", "MB", "memory MB"):
        table.add_column(name, justify="right", no_wrap=True)
    for form in forms:
        table.add_row(*_form(form, exported.before))
    console.print(table)
    _show_classes(forms, console)
    for form in exported.after:
        console.print(f"{form.name}: {form.path}", soft_wrap=True)
    for note in exported.notes:
        console.print(note)


def show_leaderboard(board: Leaderboard, console: Console) -> None:
    """Every lever in order of leverage, the front, what could not be pulled, and the sentences."""
    if not console.is_terminal:
        console.width = max(WIDE, console.width)
    console.print(_leaderboard(board, whole=console.width >= WIDE))
    console.print(_front(board))
    for row in board.rows:
        if row.form.why_not:
            console.print(f"not here: {row.name}: {row.form.why_not}", style="dim", soft_wrap=True)
    for note in board.notes:
        console.print(note)


def _leaderboard(board: Leaderboard, *, whole: bool) -> Table:
    """With all columns, or as many as nothing is cut off of in a terminal of 80."""
    table = _table(_place(f"levers of {board.model}", board.where), "", "lever", "input")
    table.columns[1].no_wrap = False
    numbers = ("speed-up", "images/s", "mAP50-95", "cost", "leverage", "memory MB", "disk MB")
    for name in numbers if whole else numbers[:FEW]:
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("the lesson", "here") if whole else ():
        table.add_column(name)
    for row in board.rows:
        if not row.form.why_not:
            table.add_row(*_row(row)[: len(table.columns)], style="bold" if row.on_front else None)
    table.caption = "cost: points of mAP50-95; leverage: doublings of speed a point; ●: nothing is better in both"
    if not whole:
        table.caption += "; a wider terminal shows leverage, memory, disk and what the lesson says"
    table.caption_justify = "left"
    return table


def _row(row: Row) -> list[str]:
    hota = f", HOTA {-row.skipping.hota_cost:+.1f}" if row.skipping else ""
    accuracy, speed = row.form.accuracy, row.form.speed
    skips = row.kind == "skipping"
    return [
        "●" if row.on_front else "",
        row.name,
        _size(row.form.input_wh),
        UNKNOWN if row.speed_up is None else f"{row.speed_up:.2f}×",
        UNKNOWN if speed is None or skips else f"{speed.images_hz:.1f}",
        UNKNOWN if accuracy is None else f"{accuracy.map50_95:.1f}",
        UNKNOWN if row.cost is None else f"{row.cost:+.1f}",
        UNKNOWN if row.leverage is None or row.kind == "base" else f"{row.leverage:.2f}",
        UNKNOWN if speed is None else f"{speed.memory_mb:.0f}",
        f"{row.form.size_mb:.1f}",
        row.expected or UNKNOWN,
        (row.holds or UNKNOWN) + hota,
    ]


def _front(board: Leaderboard) -> Table:
    """What nothing else beats, slowest first: choose along it."""
    table = _table("the front ●", "lever")
    for name in ("speed-up", "cost"):
        table.add_column(name, justify="right", no_wrap=True)
    front = [row for row in board.rows if row.on_front]
    for row in sorted(front, key=lambda one: one.speed_up or 0.0):
        table.add_row(row.name, f"{row.speed_up or 0.0:.2f}×", f"{row.cost or 0.0:+.1f}")
    return table


def _form(form: Form, before: Form) -> list[str]:
    accuracy, speed = form.accuracy, form.speed
    lost = before.accuracy.map50_95 - accuracy.map50_95 if before.accuracy and accuracy else None
    faster = speed.times_as_fast(before.speed) if before.speed and speed else None
    return [
        form.name,
        _size(form.input_wh),
        UNKNOWN if accuracy is None else f"{accuracy.map50:.1f}",
        UNKNOWN if accuracy is None else f"{accuracy.map50_95:.1f}",
        UNKNOWN if lost is None or form is before else f"{-lost:+.1f}",
        UNKNOWN if speed is None else f"{speed.images_hz:.1f}",
        UNKNOWN if faster is None or form is before else f"{faster:.2f}×",
        f"{form.size_mb:.1f}",
        UNKNOWN if speed is None else f"{speed.memory_mb:.0f}",
    ]


def _show_classes(forms: Sequence[Form], console: Console) -> None:
    """mAP50-95 by class, a column for each form."""
    known = [(form, form.accuracy) for form in forms if form.accuracy is not None]
    if not known:
        return
    table = _table("mAP50-95 by class", "class")
    table.add_column("objects", justify="right")
    for form, _ in known:
        table.add_column(form.name, justify="right")
    first = known[0][1].classes
    names = sorted(first, key=lambda name: -first[name].objects)
    for name in names[:MOST_CLASSES]:
        table.add_row(name, str(first[name].objects), *(_of_class(accuracy, name) for _, accuracy in known))
    if len(names) > MOST_CLASSES:
        table.caption = f"and {len(names) - MOST_CLASSES} classes with fewer objects, in --json"
        table.caption_justify = "left"
    console.print(table)


def _of_class(accuracy: Accuracy, name: str) -> str:
    return f"{accuracy.classes[name].ap50_95:.1f}" if name in accuracy.classes else UNKNOWN


def _place(what: str, where: Where) -> str:
    return f"{what}, on {where.cores:g} cores ({where.machine}); {where.pictures}"


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for name in columns:
        table.add_column(name, no_wrap=True)
    return table


def _size(wh: tuple[int, int]) -> str:
    return f"{wh[0]}×{wh[1]}"
