"""Two reports side by side."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from pipeline.burst.result import BurstReport, PhaseReport

BETTER_BY, WORSE_BY = 0.95, 1.05
"""Ratios in between are within what runs of the same thing differ by."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of a phase, and whether more of it is better."""

    name: str
    of: Callable[[PhaseReport], float | None]
    more_is_better: bool
    decimals: int = 1


FIGURES = (
    Figure("p50 ms", lambda phase: phase.fleet.age.p50, False),
    Figure("p95 ms", lambda phase: phase.fleet.age.p95, False),
    Figure("p99 ms", lambda phase: phase.fleet.age.p99, False),
    Figure("published /s", lambda phase: phase.fleet.published / phase.judged_span_s, True),
    Figure("detected /s", lambda phase: phase.fleet.detected / phase.judged_span_s, True),
    Figure("lost", lambda phase: float(sum(phase.fleet.lost.values())), False, 0),
    Figure("back after s", lambda phase: phase.recovery_s, False, 2),
)


def comparison(first: BurstReport, second: BurstReport) -> Table:
    """A row for each figure of each phase that both have, with the ratio of the second to the first."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, title=_title(first, second), title_justify="left")
    table.add_column("phase", no_wrap=True)
    table.add_column("figure", no_wrap=True)
    for heading in ("A", "B", "B / A"):
        table.add_column(heading, justify="right")
    others = {phase.name: phase for phase in second.phases}
    for phase in first.phases:
        other = others.get(phase.name)
        if other is None:
            table.add_row(phase.name, Text("not in B", "dim"))
            continue
        _add_phase(table, phase, other)
    for name in [phase.name for phase in second.phases if phase.name not in {one.name for one in first.phases}]:
        table.add_row(name, Text("not in A", "dim"))
    return table


def ratio(first: float | None, second: float | None) -> float | None:
    """The second to the first; None where one of them is missing, or the first is nothing."""
    return None if not first or second is None else second / first


def worse_by(figure: Figure, first: float | None, second: float | None) -> float | None:
    """By how many percent of the first the second is worse, below 0 where it is better; None where it cannot be said.

    What was nothing before is worse without bounds, and then JSON has no number for it: `math.inf`.
    """
    if first is None or second is None:
        return None
    if not first:
        return math.inf if second and not figure.more_is_better else 0.0
    share = 100 * (second - first) / first
    return -share if figure.more_is_better else share


def as_dict(first: BurstReport, second: BurstReport) -> dict[str, Any]:
    """The same as JSON can say it: of each phase that both have its figures, and what only one has."""
    others = {phase.name: phase for phase in second.phases}
    own = [phase.name for phase in first.phases]
    return {
        **{
            side: {"scenario": one.scenario, "started_at": one.started_at, "passed": one.passed}
            for side, one in (("first", first), ("second", second))
        },
        "phases": {
            phase.name: {"figures": _figures(phase, others[phase.name]), "checks": _both_checks(phase, others)}
            for phase in first.phases
            if phase.name in others
        },
        "only_first": [name for name in own if name not in others],
        "only_second": [name for name in others if name not in own],
    }


def complaints(first: BurstReport, second: BurstReport, percent: float) -> list[str]:
    """In what the second report is worse by more than so many percent, or says nothing where the first did."""
    found = []
    others = {phase.name: phase for phase in second.phases}
    for phase in first.phases:
        if phase.name not in others:
            found.append(f"{phase.name}: not in the second report")
            continue
        other = others[phase.name]
        for figure in FIGURES:
            one, two = figure.of(phase), figure.of(other)
            worse = worse_by(figure, one, two)
            if worse is not None and worse > percent:
                by = "" if math.isinf(worse) else f", {worse:.0f} % worse"
                found.append(f"{phase.name}: {figure.name} {_text(one, figure)} → {_text(two, figure)}{by}")
        if (before := _passed(phase)) > (after := _passed(other)):
            found.append(f"{phase.name}: {before} checks passed, then {after}")
    return found


def _figures(first: PhaseReport, second: PhaseReport) -> dict[str, Any]:
    told = {}
    for figure in FIGURES:
        one, two = figure.of(first), figure.of(second)
        worse = worse_by(figure, one, two)
        told[figure.name] = {
            "first": one,
            "second": two,
            "ratio": ratio(one, two),
            "worse_percent": None if worse is None or math.isinf(worse) else round(worse, 1),
        }
    return told


def _both_checks(first: PhaseReport, others: dict[str, PhaseReport]) -> dict[str, Any]:
    sides = {"first": first, "second": others[first.name]}
    return {side: {"passed": _passed(one), "all": len(one.checks)} for side, one in sides.items()}


def _passed(phase: PhaseReport) -> int:
    return sum(check.passed for check in phase.checks)


def _add_phase(table: Table, first: PhaseReport, second: PhaseReport) -> None:
    name = first.name
    for figure in FIGURES:
        one, two = figure.of(first), figure.of(second)
        if one is None and two is None:
            continue
        table.add_row(name, figure.name, _text(one, figure), _text(two, figure), _ratio(ratio(one, two), figure))
        name = ""
    table.add_row("", "checks passed", _checks(first), _checks(second), end_section=True)


def _text(value: float | None, figure: Figure) -> str:
    return "–" if value is None else f"{value:.{figure.decimals}f}"


def _ratio(value: float | None, figure: Figure) -> Text:
    if value is None:
        return Text("–", "dim")
    worse = value < BETTER_BY if figure.more_is_better else value > WORSE_BY
    better = value > WORSE_BY if figure.more_is_better else value < BETTER_BY
    return Text(f"{value:.2f}", "red" if worse else "green" if better else "")


def _checks(phase: PhaseReport) -> str:
    return f"{_passed(phase)} of {len(phase.checks)}"


def _title(first: BurstReport, second: BurstReport) -> str:
    names = [f"{side}: {one.scenario}, {one.started_at}, {_word(one)}" for side, one in (("A", first), ("B", second))]
    return "\n".join(names)


def _word(report: BurstReport) -> str:
    return "passed" if report.passed else "failed"
