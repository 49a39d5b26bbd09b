"""levers.html: a leaderboard as one file that opens anywhere, in the clothes of the burst report."""

from __future__ import annotations

from pathlib import Path

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from pipeline.burst.report.page import without_control_characters
from pipeline.errors import EvaluationError
from pipeline.levers import chart
from pipeline.levers.figures import Leaderboard


def write_page(board: Leaderboard, path: Path) -> None:
    """Write a leaderboard as a page.

    Raises:
        EvaluationError: It cannot be written.
    """
    try:
        path.write_text(page(board), "utf-8")
    except OSError as error:
        raise EvaluationError(f"{path} cannot be written: {error.strerror}") from error


def page(board: Leaderboard) -> str:
    """The leaderboard as one HTML document that fetches nothing."""
    environment = Environment(
        loader=ChoiceLoader([PackageLoader("pipeline.levers"), PackageLoader("pipeline.burst.report")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["figure"] = _figure
    drawn = chart.svg(board)
    return without_control_characters(environment.get_template("levers.html").render(board=board, chart=drawn))


def _figure(value: float | None, decimals: int) -> str:
    return "–" if value is None else f"{value:.{decimals}f}"
