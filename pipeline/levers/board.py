"""The arithmetic of a leaderboard: what a lever brings for what it costs, and which ones nothing beats."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from pipeline.levers.figures import Form, Kind, Row, Skipping
from pipeline.levers.lesson import expected, holds

LEAST_COST = 0.5
"""Points: what is lost below this, a few hundred pictures cannot tell from nothing; so nothing costs as much."""


def leverage(speed_up: float, cost: float) -> float:
    """Doublings of speed for a point of mAP50-95 that is lost; negative of what makes it slower.

    Example:
        >>> leverage(4.0, 2.0), leverage(2.0, 0.1), leverage(0.5, 0.0)
        (1.0, 2.0, -2.0)
    """
    return math.log2(speed_up) / max(cost, LEAST_COST)


def row_of(kind: Kind, form: Form, base: Form) -> Row:
    """A form beside the base."""
    speed_up = cost = None
    if form.speed is not None and base.speed is not None:
        speed_up = form.speed.times_as_fast(base.speed)
    if form.accuracy is not None and base.accuracy is not None:
        cost = base.accuracy.map50_95 - form.accuracy.map50_95
    return judged(kind, form, base, speed_up, cost)


def judged(
    kind: Kind, form: Form, base: Form, speed_up: float | None, cost: float | None, *, skipping: Skipping | None = None
) -> Row:
    """A row with its leverage, and with what the lesson says of it."""
    says = expected(kind, base.input_wh, form.input_wh)
    return Row(
        kind=kind,
        name=form.name,
        form=form,
        speed_up=None if speed_up is None else round(speed_up, 3),
        cost=None if cost is None else round(cost, 2),
        leverage=None if speed_up is None or cost is None else round(leverage(speed_up, cost), 3),
        expected=says.words if says else "",
        holds=holds(says, speed_up, cost) if says else "",
        skipping=skipping,
    )


def ranked(rows: Sequence[Row]) -> list[Row]:
    """The base first, then by leverage, then what could not be measured; the front is marked."""
    marked = [msgspec.structs.replace(row, on_front=_is_on_front(row, rows)) for row in rows]
    return sorted(marked, key=_place)


def _place(row: Row) -> tuple[bool, bool, float]:
    known = row.leverage is not None
    return row.kind != "base", not known, -(row.leverage or 0.0) if known else -(row.speed_up or 0.0)


def _is_on_front(row: Row, rows: Sequence[Row]) -> bool:
    """Whether no other is as fast and as accurate, and better in one of the two."""
    if row.speed_up is None or row.cost is None:
        return False
    speed_up, cost = row.speed_up, row.cost
    return not any(
        other.speed_up >= speed_up and other.cost <= cost and (other.speed_up, other.cost) != (speed_up, cost)
        for other in rows
        if other.speed_up is not None and other.cost is not None
    )
