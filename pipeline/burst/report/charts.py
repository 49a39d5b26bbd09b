"""The report's charts, drawn by matplotlib as SVG that stands in a page by itself and takes on the page's colours."""

from __future__ import annotations

import io
import math
import re
import warnings
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pipeline.burst.result import BurstReport, ProcessSeries
from pipeline.burst.sample import MACHINE

INK = "#010203"
"""Stands for the page's text colour."""
P50, P95, P99, OWN = "#5aa9e6", "#1d63b8", "#93a1b5", "#d97706"
DETECTED, LOST = "#1d63b8", "#c8322b"
FILLED = ("#9cc7ee", "#f0b354", "#d58fb4", "#8fbf9f", "#b8a5d9", "#c9b79c")
BURST, FAULT = "#f59e0b", "#dc2626"
WIDTH_IN = 11.0
MOST_PANELS = 20
"""More cameras than that are shown as a map."""
_NAMED_PHASES = 7
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    # What cameras and phases are called is no formula.
    "text.parse_math": False,
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlesize": 9,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": INK,
    "grid.alpha": 0.12,
    "grid.linewidth": 0.6,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "legend.frameon": False,
    "legend.fontsize": 8.5,
}
_NAMESPACES = re.compile(r"\s(?:xmlns|xmlns:xlink|version)=\"[^\"]*\"")
_FONTS = re.compile(r"'DejaVu Sans'[^;\"]*")

Draw = Callable[[Figure, BurstReport], None]
Report = TypeVar("Report")
"""What a chart draws; the burst report's own draw that."""


def svg(draw: Callable[[Figure, Report], None], report: Report, height_in: float) -> str:
    """A chart as an `<svg>` element for a page: no namespaces, no fonts of its own, nothing to be fetched."""
    salt = draw.__name__
    with mpl.rc_context({**_STYLE, "svg.hashsalt": salt}):
        figure = Figure(figsize=(WIDTH_IN, height_in))
        # The same for all, so that seconds stand below seconds; legends are to the right.
        figure.subplots_adjust(left=0.055, right=0.85, top=1 - 0.22 / height_in, bottom=0.45 / height_in)
        draw(figure, report)
        written = io.StringIO()
        with warnings.catch_warnings():
            # Letters that the font for measuring lacks are written by the reader's own.
            warnings.filterwarnings("ignore", "Glyph .* missing from font")
            figure.savefig(written, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = written.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = _NAMESPACES.sub("", text)
    text = _FONTS.sub("inherit", text).replace(INK, "currentColor")
    # Ids such as axes_1 are in every chart of a page.
    text = re.sub(r'(id="|href="#|url\(#)', rf"\g<1>{salt}-", text)
    return _without_size(text)


def age_of_fleet(figure: Figure, report: BurstReport) -> None:
    """Percentiles of the true age, second by second."""
    axes = figure.subplots()
    at_s = report.series.at_s
    axes.plot(at_s, _line(report.series.p99), color=P99, linewidth=1.2, label="p99")
    axes.plot(at_s, _line(report.series.p95), color=P95, linewidth=2.0, label="p95")
    axes.plot(at_s, _line(report.series.p50), color=P50, linewidth=1.6, label="p50")
    axes.axhline(report.slo_p95_ms, color=FAULT, linewidth=1, linestyle=(0, (4, 3)), label="goal for p95")
    axes.set_ylim(0, _ceiling([report.series.p99, report.series.p95], report.slo_p95_ms))
    _finish(axes, report, "age, ms", names=True)


def age_by_camera(figure: Figure, report: BurstReport) -> None:
    """The same for every camera: a panel each, or a map where there are many."""
    cameras = report.series.cameras
    figure.set_layout_engine("constrained")
    if len(cameras) > MOST_PANELS:
        _age_map(figure, report)
        return
    columns = panel_columns(len(cameras))
    rows = math.ceil(len(cameras) / columns)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    top = _ceiling([camera.p95 for camera in cameras.values()], report.slo_p95_ms)
    for axes, (camera_id, camera) in zip(grid.flat, cameras.items(), strict=False):
        axes.plot(report.series.at_s, _line(camera.p99), color=P99, linewidth=0.9, label="p99")
        axes.plot(report.series.at_s, _line(camera.p95), color=P95, linewidth=1.5, label="p95")
        axes.plot(report.series.at_s, _line(camera.p50), color=P50, linewidth=1.2, label="p50")
        axes.axhline(report.slo_p95_ms, color=FAULT, linewidth=0.8, linestyle=(0, (4, 3)))
        axes.set_title(camera_id, loc="left", fontweight="bold")
        axes.set_ylim(0, top)
        _shade(axes, report, camera_id)
        axes.set_xlim(*_span(report))
    for axes in list(grid.flat)[len(cameras) :]:
        axes.set_visible(False)
    for axes in grid[:, 0]:
        axes.set_ylabel("age, ms")
    grid.flat[0].legend(
        loc="lower right", bbox_to_anchor=(1.0, 0.97), ncols=3, handlelength=1.2, columnspacing=1, borderpad=0
    )


def panel_columns(cameras: int) -> int:
    """How many panels stand side by side."""
    return min(cameras, 3 if cameras <= 9 else 4)


def frames(figure: Figure, report: BurstReport) -> None:
    """What became of every frame: detected, filled by reason, lost by cause."""
    axes = figure.subplots()
    series = report.series
    at_s = series.at_s
    filled = sorted(series.filled.items(), key=lambda item: -sum(item[1]))
    layers = [
        ("detected", series.detected, DETECTED),
        *((f"filled: {reason}", counts, FILLED[index % len(FILLED)]) for index, (reason, counts) in enumerate(filled)),
        *((f"lost: {cause}", counts, LOST) for cause, counts in series.lost.items()),
    ]
    names, counts, colours = zip(*layers, strict=True)
    axes.stackplot(at_s, *counts, labels=names, colors=colours, linewidth=0, step="mid", alpha=0.9)
    axes.plot(at_s, series.published, color=INK, linewidth=1, drawstyle="steps-mid", label="published")
    axes.set_ylim(bottom=0)
    _finish(axes, report, "frames a second")


def stride(figure: Figure, report: BurstReport) -> None:
    """Every how many frames the detector is offered one: the fleet's mean, and its cameras."""
    axes = figure.subplots()
    for index, camera in enumerate(report.series.cameras.values()):
        label = "each camera" if index == 0 else None
        axes.plot(report.series.at_s, _line(camera.stride), color=P99, linewidth=0.8, alpha=0.7, label=label)
    axes.plot(report.series.at_s, _line(report.series.stride), color=P95, linewidth=2, label="mean of all frames")
    axes.set_ylim(bottom=0)
    _finish(axes, report, "stride")


def clocks(figure: Figure, report: BurstReport) -> None:
    """The fleet's own 95th percentile beside the true one."""
    axes = figure.subplots()
    axes.plot(report.series.at_s, _line(report.series.p95), color=P95, linewidth=2, label="true")
    own = _line(report.series.fleet_p95)
    axes.plot(report.series.at_s, own, color=OWN, linewidth=1.4, linestyle=(0, (3, 2)), label="the fleet's own")
    axes.set_ylim(0, _ceiling([report.series.p95, report.series.fleet_p95], 0))
    _finish(axes, report, "p95 of age, ms")


def processors(figure: Figure, report: BurstReport) -> None:
    """Processor time by process, cameras together, and the machine's limit."""
    axes = figure.subplots()
    total = _stack(axes, report, "cores")
    for machine in (process for process in report.processes if process.name == MACHINE):
        axes.plot(machine.at_s, machine.cores, color=INK, linewidth=1, label="whole machine")
        total = np.array([*total, *machine.cores])
    if total.max() > 0.7 * report.surroundings.cores:
        axes.axhline(report.surroundings.cores, color=FAULT, linewidth=1, linestyle=(0, (4, 3)), label="all cores")
    axes.set_ylim(bottom=0)
    _finish(axes, report, "cores")


def memory(figure: Figure, report: BurstReport) -> None:
    """Private memory by process, cameras together."""
    axes = figure.subplots()
    _stack(axes, report, "memory_mb")
    axes.set_ylim(bottom=0)
    _finish(axes, report, "memory, MB")


def grouped(
    processes: Sequence[ProcessSeries], end_s: float, figure: str
) -> tuple[NDArray[np.float64], dict[str, NDArray[np.float64]]]:
    """Whole seconds from 0, and in each the sum over worker, cameras, servers, supervisor and the lab itself."""
    at_s = np.arange(0, max(1, math.floor(end_s)) + 1, dtype=np.float64)
    groups: dict[str, NDArray[np.float64]] = {}
    for process in sorted(processes, key=lambda one: _ORDER.get(group_of(one.name), len(_ORDER))):
        if not process.at_s or process.name == MACHINE:
            continue
        # What was not looked at within a second and a half was not there.
        looked_s = np.array(process.at_s)
        nearest = np.abs(looked_s[:, None] - at_s).argmin(axis=0)
        there = np.abs(looked_s[nearest] - at_s) < 1.5
        values = np.where(there, np.array(getattr(process, figure))[nearest], 0.0)
        group = group_of(process.name)
        groups[group] = groups.get(group, np.zeros(len(at_s))) + values
    return at_s, groups


def _stack(axes: Axes, report: BurstReport, figure: str) -> NDArray[np.float64]:
    """Draw the groups of processes on top of each other; returns their sum, second by second."""
    at_s, groups = grouped(report.processes, report.duration_s, figure)
    below = np.zeros(len(at_s))
    for (name, values), colour in zip(groups.items(), _PROCESSES, strict=False):
        axes.fill_between(at_s, below, below + values, color=colour, alpha=0.9, linewidth=0, label=name)
        below = below + values
    return below


_PROCESSES = (P95, P50, *FILLED[1:])
_ORDER = {"worker": 0, "workers": 0, "publisher": 0, "cameras": 1, "replay servers": 2, "supervisor": 3, "burst lab": 4}


def group_of(name: str) -> str:
    """What a process is shown under."""
    if name.startswith("camera "):
        return "cameras"
    if name.startswith("worker "):
        return "workers"
    return "replay servers" if name.startswith("replay server") else name


def _age_map(figure: Figure, report: BurstReport) -> None:
    axes = figure.subplots()
    cameras = report.series.cameras
    ages = np.array([_line(camera.p95) for camera in cameras.values()])
    first, last = report.series.at_s[0] - 0.5, report.series.at_s[-1] + 0.5
    top = max(1.5 * report.slo_p95_ms, 1.0)
    image = axes.imshow(
        ages, aspect="auto", cmap="viridis", vmin=0, vmax=top, extent=(first, last, len(cameras) - 0.5, -0.5)
    )
    figure.colorbar(image, ax=axes, label="p95 of age, ms (blank: no frame)", pad=0.01)
    every = max(1, len(cameras) // 30)
    axes.set_yticks(range(0, len(cameras), every), list(cameras)[::every], fontsize=7)
    axes.set_xlabel("seconds")
    axes.set_xlim(*_span(report))
    axes.grid(visible=False)
    for phase in report.phases[1:]:
        axes.axvline(phase.start_s, color=INK, linewidth=0.6, alpha=0.6)


def _finish(axes: Axes, report: BurstReport, label: str, *, names: bool = False) -> None:
    _shade(axes, report, None)
    axes.set_xlim(*_span(report))
    axes.set_ylabel(label)
    axes.set_xlabel("seconds")
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(handles, labels, loc="upper left", bbox_to_anchor=(1.0, 1.0), handlelength=1.4)
    for number, phase in enumerate(report.phases, 1):
        text = f"{number} {phase.name}" if names and len(report.phases) <= _NAMED_PHASES else str(number)
        middle = (phase.start_s + phase.end_s) / 2
        axes.annotate(
            text, (middle, 1), (0, 3), xycoords=("data", "axes fraction"), textcoords="offset points",
            ha="center", va="bottom", fontsize=8, alpha=0.8,
        )  # fmt: skip


def _shade(axes: Axes, report: BurstReport, camera_id: str | None) -> None:
    """Bursts as bands, faults as darker ones, the edges of phases as thin lines; of one camera, or of all."""
    for phase in report.phases:
        axes.axvline(phase.start_s, color=INK, linewidth=0.5, alpha=0.25, zorder=0)
        if phase.kind == "burst":
            axes.axvspan(phase.start_s, phase.end_s, color=BURST, alpha=0.13, linewidth=0, zorder=0)
    for mark in report.faults:
        if camera_id is None or mark.camera in (None, camera_id):
            axes.axvspan(mark.start_s, max(mark.end_s, mark.start_s), color=FAULT, alpha=0.18, linewidth=0, zorder=0)
            axes.axvline(mark.start_s, color=FAULT, linewidth=1.2, alpha=0.8, zorder=0.5)


def _span(report: BurstReport) -> tuple[float, float]:
    return 0.0, max(report.duration_s, 1.0)


def _line(values: Sequence[float | None]) -> NDArray[np.float64]:
    """Gaps where there is nothing."""
    return np.array([np.nan if value is None else value for value in values], np.float64)


def _ceiling(lines: Sequence[Sequence[float | None]], goal: float) -> float:
    """The top of an axis: all of nearly everything; one fault's outlier must not flatten the rest."""
    values = np.array([value for line in lines for value in line if value is not None] or [1.0])
    usual = float(np.percentile(values, 95))
    return max(1.15 * min(float(values.max()), max(2 * usual, 2 * goal)), 1.25 * goal, 1.0)


def _without_size(text: str) -> str:
    """The width and height are the page's to say; the view box stays."""
    head, tail = text.split(">", 1)
    return re.sub(r'\s(?:width|height)="[^"]*"', "", head) + ">" + tail
