"""soak.html: the report of a soak run, in the clothes of the burst report; one file that fetches nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PackageLoader, StrictUndefined
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from endurance.gauges import Look
from pipeline.burst.report import charts

KINDS = ("worker", "publisher", "cameras", "supervisor", "fork server", "resource tracker")
HEIGHT_IN = 2.4


def page(report: dict[str, Any], looks: Sequence[Look], settled_s: float) -> str:
    """The report as one HTML document.

    Args:
        report: Figures by name; `does not hold` names those that are not as they should be.
        looks: What was seen, in order.
        settled_s: From when on slopes are counted.
    """
    folders = ChoiceLoader([FileSystemLoader("scripts/endurance"), PackageLoader("pipeline.burst.report")])
    environment = Environment(loader=folders, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    drawn = {draw.__name__: charts.svg(draw, (looks, settled_s), HEIGHT_IN) for draw in (memory, movement, things, age)}
    return environment.get_template("soak.html").render(report=report, charts=drawn)


Seen = tuple[Sequence[Look], float]


def memory(figure: Figure, seen: Seen) -> None:
    """Memory by kind of process, on top of each other."""
    looks, settled_s = seen
    groups = {kind: [_of(look, kind) for look in looks] for kind in KINDS}
    axes = figure.subplots()
    colours = (charts.P95, charts.P50, *charts.FILLED[1:])
    axes.stackplot(_minutes(looks), *groups.values(), labels=list(groups), colors=colours, linewidth=0, alpha=0.9)
    _finish(axes, "MB", settled_s)


def movement(figure: Figure, seen: Seen) -> None:
    """How far the memory of all together moves from where it was once it had settled."""
    looks, settled_s = seen
    axes = figure.subplots()
    since = [look.memory_mb for look in looks if look.at_s >= settled_s]
    base = since[0] if since else looks[0].memory_mb
    axes.plot(_minutes(looks), [look.memory_mb - base for look in looks], color=charts.P95, linewidth=1.4, label="all")
    for kind, colour in (("worker", charts.OWN), ("cameras", charts.P50), ("publisher", charts.FILLED[3])):
        heights = np.array([_of(look, kind) for look in looks])
        axes.plot(_minutes(looks), heights - heights[len(looks) - len(since)], color=colour, linewidth=1, label=kind)
    swing = max((abs(value - base) for value in since), default=1.0)
    axes.set_ylim(-1.5 * swing - 1, 1.5 * swing + 1)
    _finish(axes, "MB more", settled_s)


def things(figure: Figure, seen: Seen) -> None:
    """Descriptors and threads."""
    looks, settled_s = seen
    axes = figure.subplots()
    axes.plot(_minutes(looks), [look.descriptors for look in looks], color=charts.P95, label="descriptors")
    axes.plot(_minutes(looks), [look.threads for look in looks], color=charts.OWN, label="threads")
    axes.plot(_minutes(looks), [look.shared_mb for look in looks], color=charts.FILLED[3], label="shared memory, MB")
    axes.set_ylim(bottom=0)
    _finish(axes, "count, MB", settled_s)


def age(figure: Figure, seen: Seen) -> None:
    """p95 of the age of the frames, look by look, and how often cameras were connected anew."""
    looks, settled_s = seen
    axes = figure.subplots()
    p95_ms = [np.nan if look.p95_ms is None else look.p95_ms for look in looks]
    axes.plot(_minutes(looks), p95_ms, color=charts.P95, linewidth=1.2, label="p95, ms")
    axes.plot(_minutes(looks), [look.connections for look in looks], color=charts.P99, label="sessions")
    axes.set_ylim(bottom=0)
    _finish(axes, "ms, count", settled_s)


def _of(look: Look, kind: str) -> float:
    return sum(value for name, value in look.own_mb.items() if name == kind or (kind == "cameras" and "camera" in name))


def _minutes(looks: Sequence[Look]) -> list[float]:
    return [look.at_s / 60 for look in looks]


def _finish(axes: Axes, label: str, settled_s: float) -> None:
    axes.axvline(settled_s / 60, color=charts.INK, linewidth=0.6, alpha=0.5)
    axes.margins(x=0)
    axes.set_xlabel("minutes")
    axes.set_ylabel(label)
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), handlelength=1.4)
