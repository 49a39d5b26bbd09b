"""A plan as tables and sentences for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pipeline.bench.figures import Percentiles
from pipeline.bench.verdict import NOISE_SHARE
from pipeline.capacity.cost import words as cost_words
from pipeline.capacity.figures import Check, Cost, Plan, Rehearsal, Sizing

Row = tuple[str, str]


def report(plan: Plan) -> RenderableType:
    """Everything that was found: the sum, what to set, what the core makes of it, more cameras, prices."""
    parts: list[RenderableType] = [Text(plan.title, "bold"), _table("the sum", [(s.name, s.words) for s in plan.steps])]
    parts += [Text(), _table("to set", list(_settings(plan.sizing)))]
    parts += [Text(), _table("the worker's own core on a virtual clock", list(_rehearsal(plan.rehearsal, plan.sizing)))]
    if plan.measured is not None:
        parts += [Text(f"measured on {plan.machine}", "dim")]
    if plan.more is not None:
        parts += [Text(), Text(f"{plan.more.cameras} cameras more: {plan.more.words}.")]
    if plan.costs:
        parts += [Text(), _costs(plan.costs, plan.currency), *map(Text, _cost_words(plan))]
    return Group(*parts, Text(), _verdict(plan))


def report_check(check: Check) -> RenderableType:
    """The plan's figures beside those of the run."""
    table = Table(box=None, pad_edge=False, header_style="dim underline")
    table.add_column(f"fleet {check.fleet}, {check.seconds:.0f} s")
    for heading in ("predicted", "measured", "off by"):
        table.add_column(heading, justify="right", no_wrap=True)
    for one in check.figures:
        off = "" if one.error_percent is None else f"{one.error_percent:+.0f} %"
        table.add_row(one.name, f"{one.predicted:.1f}", f"{one.measured:.1f}", off)
    spread = check.plan.rehearsal
    note = Text(
        f"How frames of the cameras fall in step is drawn anew by each start; over {spread.draws} draws the p95 was "
        f"predicted from {spread.p95_least_ms:.0f} to {spread.p95_most_ms:.0f} ms. On {check.cores:g} cores, "
        f"{check.machine}.",
        "dim",
    )
    return Group(report(check.plan), Text(), table, note, *_noise(check))


def _noise(check: Check) -> Iterator[Text]:
    """That others were at work, which a plan knows nothing of."""
    others = check.other_cores
    if others is not None and others > NOISE_SHARE * check.cores:
        yield Text(
            f"Other programs took {others:.2f} of {check.cores:g} cores during the run, which no plan knows of; check "
            "again on a quiet machine.",
            "yellow",
        )


def _table(title: str, rows: list[Row]) -> Table:
    table = Table(title=title, title_justify="left", title_style="dim", box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold", no_wrap=True, min_width=14)
    table.add_column()
    for row in rows:
        table.add_row(*row)
    return table


def _settings(sizing: Sizing) -> Iterator[Row]:
    yield "batch", f"{sizing.batch} (worker: max_batch)"
    yield "waiting time", f"{sizing.wait_ms:g} ms (worker: max_wait_ms)"
    yield "instances", f"{sizing.instances} (model: lanes, cuda: instances, or devices)"
    giving_way = f", {sizing.most_stride} in spikes" if sizing.most_stride > sizing.stride else ""
    yield "stride", f"{sizing.stride}{giving_way}"
    yield (
        "queues",
        f"{sizing.slot} frame of each source, the newest; too late with more than {sizing.most_in_flight} on their way",
    )


def _rehearsal(found: Rehearsal, sizing: Sizing) -> Iterator[Row]:
    yield "age", f"p50 {_three(found.age)} ms of all frames"
    yield "", f"p50 {_three(found.detected_age)} ms of detected ones"
    yield (
        "",
        (
            f"p95 {found.p95_least_ms:.0f} to {found.p95_most_ms:.0f} ms by how frames fall in step ({found.draws} "
            f"draws, {found.seconds:g} s)"
        ),
    )
    share = f"{100 * found.detected_share:.0f} % of those offered"
    yield "detected", f"{found.detected_hz:.1f} of {found.published_hz:.1f} frames a second, {share}"
    yield "stride", f"{found.stride:g} on average, batches of {found.batch:g}"
    filling = ", because batches are not full" if found.utilisation > sizing.utilisation + 0.1 else ""
    yield "instances", f"{100 * found.utilisation:.0f} % busy{filling}; {found.in_flight:.1f} frames in flight"


def _costs(costs: list[Cost], currency: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim underline")
    for heading in ("machine", "region"):
        table.add_column(heading, no_wrap=True)
    columns = ("machines", "busy", f"{currency}/h", "of it work", "a million", "a month", "archive")
    for heading in columns:
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column()
    for cost in costs:
        table.add_row(*_cost(cost), style="bold" if cost.cheapest else None)
    return table


def _cost(cost: Cost) -> list[str]:
    if cost.problem:
        return [cost.machine, cost.region, *[""] * 7, cost.problem]
    archive = f"{cost.archive:.2f}{' spot' if cost.archive_is_spot else ''}" if cost.archive_hours else ""
    figures = [f"{cost.hour:.3f}", f"{cost.used:.3f}", f"{cost.million:.2f}", f"{cost.month:.0f}"]
    busy = f"{100 * cost.utilisation:.0f} %"
    note = "cheapest" if cost.cheapest else ""
    return [cost.machine, cost.region, str(cost.machines), busy, *figures, archive, note]


def _cost_words(plan: Plan) -> Iterator[str]:
    for cost in plan.costs:
        if cost.cheapest:
            yield f"{cost.machine} in {cost.region}: {cost_words(cost, plan.currency)}."


def _verdict(plan: Plan) -> Text:
    sizing, found = plan.sizing, plan.rehearsal
    if not sizing.fits:
        return Text(f"Not kept: {sizing.problem}.", "red")
    if found.p95_most_ms > plan.p95_ms:
        return Text(f"Not kept: p95 up to {found.p95_most_ms:.0f} ms, {plan.p95_ms:g} are promised.", "red")
    if not found.kept:
        return Text(
            f"Not kept: {found.detected_hz:.1f} frames a second are detected in time, {sizing.offered_hz:.4g} are "
            "planned for; the others leave with the tracker's boxes.",
            "red",
        )
    return Text(
        f"Kept: p95 {found.age.p95_ms:.0f} ms, at worst {found.p95_most_ms:.0f}, of {plan.p95_ms:g} promised, at "
        f"{100 * sizing.utilisation:.0f} % utilisation.",
        "green",
    )


def _three(times: Percentiles) -> str:
    return f"{times.p50_ms:.1f} / p95 {times.p95_ms:.1f} / p99 {times.p99_ms:.1f}"
