"""levers.html: a leaderboard as one file that opens anywhere, in the clothes of the burst report."""

from __future__ import annotations

from pathlib import Path

from pipeline.document import environment, without_control_characters, write_document
from pipeline.errors import EvaluationError
from pipeline.levers import chart
from pipeline.levers.figures import Leaderboard


def write_page(board: Leaderboard, path: Path) -> None:
    """Write a leaderboard as a page.

    Raises:
        EvaluationError: It cannot be written.
    """
    write_document(page(board), path, EvaluationError)


def page(board: Leaderboard) -> str:
    """The leaderboard as one HTML document that fetches nothing."""
    templates = environment("pipeline.levers", "pipeline.burst.report")
    templates.filters["figure"] = _figure
    drawn = chart.svg(board)
    return without_control_characters(templates.get_template("levers.html").render(board=board, chart=drawn))


def _figure(value: float | None, decimals: int) -> str:
    return "–" if value is None else f"{value:.{decimals}f}"
