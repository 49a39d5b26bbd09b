"""A rehearsal on a terminal: the verdict, the figures side by side, what differs, and what was expected."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.redact import printable
from pipeline.rehearse.result import CountRow, EventRow, FigureRow, RehearsalReport, Spread
from pipeline.rehearse.words import crowded

TOLD = 12
"""Differing events that are told one by one; the page has all of them."""
NOISE = 0.05
"""Shares by which runs of the same thing differ are not coloured."""
UNKNOWN = "–"
_BY = {"only_a": "only A", "only_b": "only B", "neither": "neither", "both": "both"}
_TRUTH = {"yes": "it happened", "no": "it did not happen", "unasked": "hardly visible", "unknown": ""}


def show(report: RehearsalReport, console: Console) -> None:
    """Print it."""
    console.print(Text(report.verdict, "bold"), soft_wrap=True, highlight=False)
    console.print()
    console.print(_figures(report))
    if report.counts:
        console.print()
        console.print(_counts(report))
    different = report.different
    if different:
        console.print()
        console.print(_events(report, different))
    for note in filter(None, (*report.notes, *_left_out(report), crowded(report.around))):
        console.print(Text(printable(note), "dim"), soft_wrap=True, highlight=False)
    _checks(report, console)


def _figures(report: RehearsalReport) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim underline")
    table.add_column("", no_wrap=True)
    for letter, side in (("A", report.a), ("B", report.b)):
        table.add_column(f"{letter}  {printable(side.file)}", justify="right", no_wrap=True)
    for row in report.figures:
        table.add_row(row.words, value(row.a, row), Text(value(row.b, row), _style(row)))
    return table


def value(spread: Spread | None, row: FigureRow) -> str:
    """A figure with its unit, and over how much it is spread where there were several runs."""
    over = spread_of(spread, row)
    return f"{median(spread, row)} ({over})" if over else median(spread, row)


def median(spread: Spread | None, row: FigureRow) -> str:
    """A figure with its unit."""
    if spread is None:
        return UNKNOWN
    return f"{spread.median:.{row.decimals}f}" + (f" {row.unit}" if row.unit else "")


def spread_of(spread: Spread | None, row: FigureRow) -> str:
    """Between what its runs lie, in words; empty where that is the same."""
    if spread is None:
        return ""
    least, most = f"{spread.least:.{row.decimals}f}", f"{spread.most:.{row.decimals}f}"
    return "" if least == most else f"{least} to {most}"


def better(row: FigureRow) -> bool | None:
    """Whether B's figure is better than A's; None where neither is, or it is not known, or not by more than runs do."""
    if row.a is None or row.b is None or not row.better:
        return None
    a, b = row.a.median, row.b.median
    if abs(a - b) <= NOISE * max(abs(a), abs(b)) or f"{a:.{row.decimals}f}" == f"{b:.{row.decimals}f}":
        return None
    if row.a.least <= row.b.most and row.b.least <= row.a.most:
        return None
    return b > a if row.better == "more" else b < a


def _style(row: FigureRow) -> str:
    return {True: "green", False: "red", None: ""}[better(row)]


def _counts(report: RehearsalReport) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim underline")
    known = any(row.truth is not None for row in report.counts)
    for heading in ("counted at", "", ""):
        table.add_column(heading)
    for heading in ("A", "B", *(("in truth",) if known else ())):
        table.add_column(heading, justify="right")
    for row in report.counts:
        truth = ("–" if row.truth is None else str(row.truth),) if known else ()
        table.add_row(row.camera_id, row.rule, printable(row.what), *_pair(row), *truth)
    return table


def _pair(row: CountRow) -> tuple[str, Text]:
    return f"{row.a:g}", Text(f"{row.b:g}", "bold" if row.a != row.b else "")


def _events(report: RehearsalReport, different: list[EventRow]) -> Table:
    title = f"{len(different)} of {len(report.events)} events are not told by both"
    more = f"… and {len(different) - TOLD} more" if len(different) > TOLD else None
    table = Table(title=title, title_justify="left", caption=more, caption_justify="left", box=None, pad_edge=False)
    table.add_column("at s", justify="right")
    for heading in ("camera", "rule", "what", "who", "told by", ""):
        table.add_column(heading)
    for one in different[:TOLD]:
        table.add_row(
            f"{one.at_s:.2f}",
            one.camera_id,
            one.rule,
            printable(one.what),
            printable(one.class_name),
            told_by(one, report.repeats),
            Text(_TRUTH[one.truth], "dim"),
        )
    return table


def told_by(one: EventRow, repeats: int) -> str:
    """Which side told it; with several runs, in how many."""
    return _BY[one.by] if repeats == 1 else f"A {one.seen_a}/{repeats}, B {one.seen_b}/{repeats}"


def _left_out(report: RehearsalReport) -> list[str]:
    sides = (("A", report.a.left_out), ("B", report.b.left_out))
    return [f"Left out of {letter}: {what}" for letter, several in sides for what in several]


def _checks(report: RehearsalReport, console: Console) -> None:
    for check in report.checks:
        if not check.passed:
            text = f"{check.what}: {check.found}, expected {check.expected}; {check.miss}"
            console.print("[bold red]failed[/]", Text(text), highlight=False, soft_wrap=True)
    if report.passed is not None:
        failed = sum(not check.passed for check in report.checks)
        every = f"{len(report.checks)} expectation{'s' if len(report.checks) > 1 else ''}"
        verdict = f"[bold green]passed[/], {every}" if report.passed else f"[bold red]failed[/], {failed} of {every}"
        console.print(verdict, highlight=False)
