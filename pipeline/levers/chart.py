"""The leaderboard as a drawing: speed against what it costs, the front as a line."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.burst.report import charts
from pipeline.errors import EvaluationError
from pipeline.levers.figures import Kind, Leaderboard, Row

COLOURS: dict[Kind, str] = {
    "base": "#7b8794",
    "model": "#7c3aed",
    "input": "#1d63b8",
    "f16": "#0f9d8a",
    "int8": "#d97706",
    "f32": "#b0b8c4",
    "batch": "#c8322b",
    "skipping": "#17803d",
    "combination": "#db2777",
}
WORDS: dict[Kind, str] = {"base": "as it is", "model": "another model", "input": "smaller input", "f32": "32 bits"}
HEIGHT_IN = 4.6
_PAPER: dict[Any, Any] = {
    "text.parse_math": False,
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#e4e8ee",
    "legend.frameon": False,
}


def svg(board: Leaderboard) -> str:
    """An `<svg>` element for a page."""
    return charts.svg(front, board, HEIGHT_IN)


def write_png(board: Leaderboard, path: Path) -> None:
    """Draw a leaderboard into a file.

    Raises:
        EvaluationError: It cannot be written.
    """
    with mpl.rc_context(_PAPER), warnings.catch_warnings():
        # Letters that the font lacks are drawn as boxes.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure = Figure(figsize=(11, HEIGHT_IN + 0.6), layout="constrained")
        front(figure, board)
        where = board.where
        figure.suptitle(f"{board.model}, {where.cores:g} cores ({where.machine}); {where.pictures}", fontsize=10)
        try:
            figure.savefig(path, format="png", dpi=150)
        except OSError as error:
            raise EvaluationError(f"{path} cannot be written: {error.strerror}") from error


def front(figure: Figure, board: Leaderboard) -> None:
    """Every row with both figures as a point; those on the front are joined and named in bold."""
    axes = figure.subplots()
    known = [row for row in board.rows if row.speed_up is not None and row.cost is not None]
    for kind, colour in COLOURS.items():
        rows = [row for row in known if row.kind == kind]
        if rows:
            axes.scatter(*_points(rows), color=colour, s=46, zorder=3, label=WORDS.get(kind, kind))
    best = sorted((row for row in known if row.on_front), key=lambda row: row.speed_up or 0.0)
    if best:
        axes.plot(*_points(best), color=charts.P95, linewidth=1.2, alpha=0.6, zorder=2)
    fastest = max((row.speed_up or 0.0 for row in known), default=1.0)
    for row in known:
        _name(axes, row, leftwards=(row.speed_up or 0.0) > 0.6 * fastest)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(mpl.ticker.FuncFormatter(lambda value, _: f"{value:g}×"))
    axes.set_xlabel("times as fast as the model as it is")
    axes.set_title("points of mAP50-95 against the model as it is", loc="left")
    axes.margins(x=0.12, y=0.12)
    axes.grid(visible=True, axis="both")
    if known:
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))


def _points(rows: list[Row]) -> tuple[list[float], list[float]]:
    return [row.speed_up or 0.0 for row in rows], [-(row.cost or 0.0) for row in rows]


def _name(axes: Axes, row: Row, *, leftwards: bool) -> None:
    """Beside its point; on the right edge to the left, where there is room."""
    axes.annotate(
        row.name,
        (row.speed_up or 0.0, -(row.cost or 0.0)),
        (-6, -11) if leftwards else (5, 5),
        ha="right" if leftwards else "left",
        textcoords="offset points",
        fontsize=7.5,
        fontweight="bold" if row.on_front else "normal",
    )
