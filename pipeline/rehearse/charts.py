"""The page's charts, in the clothes of the burst report."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pipeline.burst.report.charts import FAULT, FILLED
from pipeline.rehearse.result import RehearsalReport, RunSeries, SideReport

A, B = "#2f7fd6", "#e08a1e"
"""The two sides, here and in `rehearse.css`: told apart in light and in dark, and by those who see no red or green."""


def age(figure: Figure, report: RehearsalReport) -> None:
    """95th percentile of ages, second by second; a line for each run."""
    axes = figure.subplots()
    _lines(axes, report, lambda run: _gaps(run.p95))
    for goal in sorted({report.a.p95_goal_ms, report.b.p95_goal_ms}):
        axes.axhline(goal, color=FAULT, linewidth=1, linestyle=(0, (4, 3)), label="goal")
    _finish(axes, "p95 of age, ms")


def detected(figure: Figure, report: RehearsalReport) -> None:
    """Frames that the detector saw, second by second; a line for each run."""
    axes = figure.subplots()
    _lines(axes, report, lambda run: np.array(run.detected, np.float64))
    _finish(axes, "frames detected a second")


def cores(figure: Figure, report: RehearsalReport) -> None:
    """Processor time by kind of process, a bar for each side."""
    axes = figure.subplots()
    kinds = list(dict.fromkeys([*report.a.cores, *report.b.cores]))
    left = np.zeros(2)
    for kind, colour in zip(kinds, _kind_colours(len(kinds)), strict=True):
        spent = np.array([report.a.cores.get(kind, 0.0), report.b.cores.get(kind, 0.0)])
        axes.barh([0, 1], spent, left=left, color=colour, height=0.6, label=kind, linewidth=0)
        left = left + spent
    for row, total in enumerate(left):
        axes.annotate(f"{total:.2f}", (total, row), (4, 0), textcoords="offset points", va="center", fontsize=9)
    axes.set_yticks([0, 1], ["A", "B"])
    axes.invert_yaxis()
    axes.grid(visible=False)
    axes.set_xlim(0, max(1.12 * float(left.max()), 0.1))
    axes.set_xlabel("cores")
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.05), handlelength=1.2)


def _kind_colours(count: int) -> Sequence[str]:
    colours = ("#1d63b8", "#5aa9e6", *FILLED[1:])
    return [colours[index % len(colours)] for index in range(count)]


def _lines(axes: Axes, report: RehearsalReport, of: Callable[[RunSeries], NDArray[np.float64]]) -> None:
    sides: tuple[tuple[str, SideReport, str], ...] = (("A", report.a, A), ("B", report.b, B))
    for letter, side, colour in sides:
        for number, run in enumerate(side.runs):
            thin = len(side.runs) > 1
            axes.plot(
                run.at_s,
                of(run),
                color=colour,
                linewidth=1.2 if thin else 2,
                alpha=0.75 if thin else 1,
                label=f"{letter}, each run" if thin and not number else letter if not number else None,
            )


def _finish(axes: Axes, label: str) -> None:
    axes.set_ylim(bottom=0)
    axes.margins(x=0)
    axes.set_ylabel(label)
    axes.set_xlabel("seconds of the recordings")
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), handlelength=1.4)


def _gaps(values: Sequence[float | None]) -> NDArray[np.float64]:
    return np.array([np.nan if value is None else value for value in values], np.float64)
