"""An account as a picture: objects, frames and ages in time, and beside each the same by class or camera."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.layout_engine import ConstrainedLayoutEngine
from numpy.typing import NDArray

from pipeline.clock import NS_PER_S
from pipeline.errors import SinkError
from pipeline.observe.words import short
from pipeline.redact import printable
from pipeline.results.account import Account, Course
from pipeline.results.text import COLOURS, length, when

INK, PAPER, FAINT = "#1f2933", "#ffffff", "#e4e8ee"
P50, P95, P99 = "#5aa9e6", "#1d63b8", "#93a1b5"
DETECTED, FILLED, MISSING = "#1d63b8", "#9cc7ee", "#d97706"
MOST_CLASSES = len(COLOURS) - 1
"""More than those are drawn as one."""
MOST_CAMERAS = 40
"""More than those are not named one by one."""
OTHER = "#93a1b5"
_NAME = 18
_LEAST_ROWS = 3
_FRAMES = LinearSegmentedColormap.from_list("frames", ["#d6e6f7", "#5aa9e6", "#123f78"])
_STYLE: dict[Any, Any] = {
    # What cameras and classes are called is no formula.
    "text.parse_math": False,
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.linewidth": 0.6,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.axisbelow": True,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "ytick.left": False,
    "grid.color": FAINT,
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
}


def write_png(account: Account, path: Path) -> None:
    """Draw an account into a new file; one that is there is replaced.

    Raises:
        SinkError: There is nothing to draw, or the file cannot be written.
    """
    if not account.cameras:
        raise SinkError(f"{account.source}: there is no frame to be drawn")
    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        # Letters that the font lacks are drawn as boxes.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure = draw(account)
        try:
            figure.savefig(path, format="png", dpi=150, facecolor=PAPER)
        except OSError as error:
            raise SinkError(f"{path}: cannot be written: {error.strerror}") from None


def draw(account: Account) -> Figure:
    """The figure; its height grows with the cameras."""
    cameras = min(len(account.cameras), MOST_CAMERAS)
    heights = [2.2, max(1.2, 0.24 * cameras + 0.5)]
    if account.ages is not None:
        heights.append(max(2.0, 0.24 * cameras + 0.5))
    timed = account.ages is not None and account.course is not None and len(account.course.at_ns) > 1
    figure = Figure(
        figsize=(13 if timed else 6, sum(heights) + 1.6), layout=ConstrainedLayoutEngine(h_pad=0.12, w_pad=0.1)
    )
    grid = GridSpec(
        len(heights), 2 if timed else 1, figure, height_ratios=heights, width_ratios=[2.6, 1] if timed else [1]
    )
    figure.suptitle(_title(account), x=0.01, ha="left", fontsize=11)
    if timed and account.course is not None:
        last = figure.add_subplot(grid[2, 0])
        _ages_in_time(last, account.course)
        for row, drawn in enumerate((_boxes_in_time, _frames_in_time)):
            axes = figure.add_subplot(grid[row, 0], sharex=last)
            drawn(axes, account.course, _covered_s(account, account.course))
            # The scale of time stands below the last.
            axes.tick_params(labelbottom=False)
            axes.xaxis.offsetText.set_visible(False)
        _dated(last)
    _classes(figure.add_subplot(grid[0, -1]), account)
    _frames(figure.add_subplot(grid[1, -1]), account)
    if account.ages is not None:
        _ages(figure.add_subplot(grid[2, -1]), account)
    return figure


def _title(account: Account) -> str:
    told = f"{printable(account.source)}\n{account.frames:,} frames, {account.boxes:,} boxes"
    if account.first_ns is None or account.last_ns is None:
        return told
    return f"{told}, {when(account.first_ns)} to {when(account.last_ns)} ({length(account.first_ns, account.last_ns)})"


def _covered_s(account: Account, course: Course) -> NDArray[np.float64]:
    """How much of each step there can be frames of: the first and the last are rarely whole."""
    longest = max(account.cameras, key=lambda one: one.frames)
    # The last frame lasts as long as others do.
    last_ns = (account.last_ns or 0) + round(NS_PER_S / longest.frame_hz if longest.frame_hz else 0)
    starts = np.maximum(course.at_ns, account.first_ns or 0)
    ends = np.minimum(np.array(course.at_ns) + course.step_ns, last_ns)
    covered: NDArray[np.float64] = np.maximum(ends - starts, course.step_ns / 10) / NS_PER_S
    return covered


def _boxes_in_time(axes: Axes, course: Course, covered_s: NDArray[np.float64]) -> None:
    axes.set_title("boxes a second, by class")
    shown = dict(itertools.islice(course.boxes.items(), MOST_CLASSES))
    rest = [counts for name, counts in course.boxes.items() if name not in shown]
    layers = [np.array(counts) / covered_s for counts in (*shown.values(), *([np.sum(rest, axis=0)] if rest else []))]
    names = [*(printable(name) for name in shown), *(["other"] if rest else [])]
    colours = [*COLOURS[: len(shown)], *([OTHER] if rest else [])]
    if layers:
        axes.stackplot(_times(course), *layers, labels=names, colors=colours, linewidth=0, alpha=0.92)
    axes.set_ylim(bottom=0)
    _over_time(axes)


def _frames_in_time(axes: Axes, course: Course, covered_s: NDArray[np.float64]) -> None:
    """A row for each camera; white where there was no frame."""
    axes.set_title("frames a second, by camera")
    counts = np.array(list(course.frames.values()), np.float64) / covered_s
    counts[counts == 0] = np.nan
    at = _times(course)
    edges = np.append(at, at[-1] + np.timedelta64(course.step_ns, "ns"))
    top = float(np.nanmax(counts)) if np.isfinite(counts).any() else 1.0
    rows = np.arange(len(counts) + 1) - 0.5
    mesh = axes.pcolormesh(edges, rows, counts, cmap=_FRAMES, vmin=0, vmax=top, edgecolors=PAPER, linewidth=0.15)
    for row in rows[1:]:
        axes.axhline(row, color=PAPER, linewidth=2)
    bar = axes.figure.colorbar(mesh, ax=axes, pad=0.01, aspect=12, fraction=0.03)
    bar.outline.set_visible(False)
    _name_rows(axes, list(course.frames))
    axes.set_ylim(max(len(counts), _LEAST_ROWS) - 0.5, -0.5)


def _ages_in_time(axes: Axes, course: Course) -> None:
    axes.set_title("age when published, ms")
    known = [(None, None, None) if one is None else (one.p50, one.p95, one.p99) for one in course.ages]
    p50, p95, p99 = np.array(known, np.float64).T
    at = _times(course)
    axes.fill_between(at, p50, p95, color=P50, alpha=0.18, linewidth=0)
    for values, colour, name, width in ((p99, P99, "p99", 1.0), (p95, P95, "p95", 1.8), (p50, P50, "p50", 1.4)):
        axes.plot(at, values, color=colour, label=name, linewidth=width)
    axes.set_ylim(0, _ceiling(p99))
    _over_time(axes)


def _classes(axes: Axes, account: Account) -> None:
    axes.set_title("boxes, by class")
    shown = account.classes[: MOST_CLASSES + 1]
    axes.barh(range(len(shown)), [one.boxes for one in shown], color=COLOURS[: len(shown)], height=0.68)
    for row, one in enumerate(shown):
        axes.annotate(f" {one.boxes:,}", (one.boxes, row), va="center", fontsize=8.5)
    _name_rows(axes, [one.class_name for one in shown])
    axes.set_ylim(max(len(shown), _LEAST_ROWS) - 0.5, -0.5)
    axes.margins(x=0.22)
    _bare(axes)


def _frames(axes: Axes, account: Account) -> None:
    """How many frames there are of each camera, and how many are missing."""
    axes.set_title("frames")
    detected = np.array([one.origins.get("detected", 0) for one in account.cameras])
    others = np.array([one.frames for one in account.cameras]) - detected
    missing = np.array([one.missing for one in account.cameras])
    left = np.zeros(len(detected))
    rest = "not detected" if detected.any() else "frames"
    for counts, colour, name in (
        (detected, DETECTED, "detected"), (others, FILLED, rest), (missing, MISSING, "missing"),
    ):  # fmt: skip
        if counts.any():
            axes.barh(range(len(counts)), counts, left=left, color=colour, height=0.68, label=name)
        left = left + counts
    _name_rows(axes, [account.name_of(one) for one in account.cameras])
    axes.set_ylim(max(len(detected), _LEAST_ROWS) - 0.5, -0.5)
    _legend(axes)
    _bare(axes)


def _ages(axes: Axes, account: Account) -> None:
    """A line from half to nearly all frames of each camera, and a point where 95 of 100 are."""
    axes.set_title("age, ms: p50 – p95 – p99")
    for row, camera in enumerate(account.cameras):
        if camera.ages is None:
            continue
        ages = camera.ages
        axes.plot([ages.p50, ages.p99], [row, row], color=P99, linewidth=1.4, solid_capstyle="round", zorder=1)
        axes.plot([ages.p50, ages.p95], [row, row], color=P50, linewidth=5, solid_capstyle="round", zorder=2)
        axes.plot(ages.p95, row, "o", color=P95, markersize=7, zorder=3)
        axes.annotate(f"{ages.p95:.0f}", (ages.p95, row), (0, 6), textcoords="offset points", ha="center", fontsize=7.5)
    _name_rows(axes, [account.name_of(one) for one in account.cameras])
    axes.set_ylim(max(len(account.cameras), _LEAST_ROWS) - 0.4, -0.8)
    axes.set_xlim(0, _ceiling([one.ages.p99 for one in account.cameras if one.ages is not None]))
    axes.grid(visible=True, axis="x")


def _over_time(axes: Axes) -> None:
    axes.grid(visible=True, axis="y")
    _legend(axes)
    axes.margins(x=0)


def _legend(axes: Axes) -> None:
    """What the colours mean, above the drawing, on a line with its title."""
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        axes.legend(
            handles, labels, loc="lower right", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.1,
            ncols=len(handles), handlelength=1, columnspacing=1.2,
        )  # fmt: skip


def _dated(axes: Axes) -> None:
    """Times of this machine, as few words as say which."""
    zone = datetime.now().astimezone().tzinfo
    locator = AutoDateLocator(tz=zone)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=zone))  # type: ignore[no-untyped-call]
    axes.margins(x=0)


def _name_rows(axes: Axes, names: Sequence[str]) -> None:
    every = max(1, -(-len(names) // MOST_CAMERAS))
    axes.set_yticks(range(0, len(names), every), [short(printable(name), _NAME) for name in names[::every]])


def _bare(axes: Axes) -> None:
    """Without a scale: the numbers stand at the bars, or do not matter."""
    axes.spines["bottom"].set_visible(False)
    axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(4, integer=True))
    axes.xaxis.set_major_formatter(mpl.ticker.EngFormatter(sep=""))
    axes.grid(visible=True, axis="x")
    axes.tick_params(axis="x", length=0)


def _times(course: Course) -> NDArray[np.datetime64]:
    return np.array(course.at_ns, "datetime64[ns]")


def _ceiling(values: Sequence[float] | NDArray[np.float64]) -> float:
    """The top of a scale: one moment's outlier must not flatten the rest."""
    known = np.array(values, np.float64)
    known = known[np.isfinite(known)]
    if not len(known):
        return 1.0
    return max(1.1 * min(float(known.max()), 4 * float(np.median(known))), 1.0)
