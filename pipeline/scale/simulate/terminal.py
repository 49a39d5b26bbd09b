"""A simulation as tables and sentences for a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pipeline.scale.simulate.figures import Day, Played, Simulation, Size, Use

MOST_USES = 8
"""Of limits that are told of each size; the report has them all."""
FULL, HALF = 1.0, 0.5


def report(found: Simulation) -> RenderableType:
    """What breaks first at each size, the days, and what it stands on."""
    parts: list[RenderableType] = [
        Text(f"{found.name}: a node carries {found.carries:g} usual cameras", "bold"),
        _played(found.played),
    ]
    for size in found.sizes:
        parts += [Text(), Text(f"{size.cameras:,} cameras", "bold"), Text(size.verdict, _colour(size.uses))]
        parts += [_uses(size.uses[:MOST_USES]), *_answers(size.uses), _cells(size, found.cell)]
    parts += [Text(), _days(found), *map(Text, _damages(found))]
    parts += [Text(f"Messages as measured on {found.measured_on}.", "dim")]
    return Group(*parts)


def damage_words(day: Day) -> str:
    """What a loss did, in one sentence; empty where nothing was lost."""
    damage = day.damage
    if damage is None:
        return ""
    if damage.back_s is None:
        back = "not all of them were back while it was looked at"
    else:
        back = f"half were back after {damage.back_half_s:.1f} s and the last after {damage.back_s:.1f} s"
    calm = "nobody was short any more" if damage.calm_s is not None else "some shard was still short at the day’s end"
    after = "" if damage.calm_s is None else f" after {damage.calm_s / 60:.1f} min"
    return (
        f"A {damage.what} lost at {_clock(damage.hour)}: {damage.nodes} nodes, {damage.cameras:,} cameras dark; "
        f"{back}. The others got {100 * damage.detected:.0f} % of the detections that they want, p95 at most "
        f"{damage.p95_ms:.0f} ms; {calm}{after}."
    )


def _clock(hour: float) -> str:
    hours, minutes = divmod(round(60 * hour), 60)
    return f"{hours}:{minutes:02}"


def _played(rows: list[Played]) -> Table:
    table = _headed("one shard, frame by frame", "full", "wanted/s", "detected/s", "stride", "p95 ms")
    for row in rows:
        figures = (row.wanted_hz, row.detected_hz, row.stride, row.p95_ms)
        table.add_row(f"{row.cameras} cameras", f"{100 * row.demand:.0f} %", *(f"{value:.1f}" for value in figures))
    return table


def _uses(found: list[Use]) -> Table:
    table = _headed("limit", "used", "breaks at")
    for use in found:
        at = f"{use.breaks_at:,}" if use.breaks_at else "never"
        table.add_row(use.name, Text(f"{100 * use.share:,.0f} %", _colour([use])), at)
    return table


def _answers(found: list[Use]) -> Iterator[Text]:
    """What is to be done about what breaks."""
    for use in found:
        if use.share >= FULL:
            yield Text(f"{use.name}: {use.answer}", "dim")


def _cells(size: Size, cell: int) -> Text:
    first = size.in_cells[0]
    return Text(
        f"In cells of {min(cell, size.cameras):,}: the fullest is “{first.name}” at {100 * first.share:.0f} %.",
        _colour(size.in_cells),
    )


def _days(found: Simulation) -> Table:
    """A column for each size."""
    days = [size.day for size in found.sizes]
    table = _headed("a day of", *(f"{day.cameras:,}" for day in days))
    rows: tuple[tuple[str, Callable[[Day], str]], ...] = (
        ("cells", lambda day: f"{day.cells}"),
        ("nodes, mean", lambda day: f"{day.nodes_mean:,.0f}"),
        ("nodes, at most", lambda day: f"{day.nodes_most:,}"),
        ("proxies, copies included", lambda day: f"{day.proxies}"),
        (f"cost, {found.currency}", lambda day: f"{day.cost:,.0f}"),
        ("cost, as many nodes all day", lambda day: f"{day.cost_fixed:,.0f}"),
        ("moves, none with a gap", lambda day: f"{day.moves:,}"),
        ("camera hours on short shards", lambda day: f"{100 * day.short_share:.2f} %"),
        ("camera hours without the promise", lambda day: f"{100 * day.late_share:.2f} %"),
    )
    for name, of in rows:
        table.add_row(name, *(of(day) for day in days))
    return table


def _damages(found: Simulation) -> Iterator[str]:
    for size in found.sizes:
        if words := damage_words(size.day):
            yield f"{size.cameras:,}: {words}"


def _headed(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim underline")
    table.add_column(first, no_wrap=True)
    for heading in others:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _colour(found: list[Use]) -> str:
    most = max((use.share for use in found), default=0.0)
    return "red" if most >= FULL else "yellow" if most > HALF else "green"
