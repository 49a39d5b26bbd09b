"""report.html: a rehearsal as one file that opens anywhere, without a network. How it looks is in `templates/`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment

from pipeline.burst.report.charts import svg
from pipeline.document import environment, without_control_characters, write_document
from pipeline.errors import RehearsalError
from pipeline.rehearse import charts
from pipeline.rehearse.result import By, EventRow, FigureRow, RehearsalReport, Spread
from pipeline.rehearse.table import better, median, spread_of
from pipeline.rehearse.words import crowded

CARDS = ("events.caught", "events", "hota", "p95_ms", "detected_hz", "cores")
"""Figures that are shown large, where they are known; `events` only where nobody knows what happened."""
_GROUPS: tuple[tuple[By, str], ...] = (
    ("only_a", "Told by A alone"),
    ("only_b", "Told by B alone"),
    ("neither", "Told by neither of them"),
)


@dataclass(frozen=True, slots=True)
class Bar:
    """A side's figure as a bar: as text, and its length, 0..100."""

    text: str
    percent: float


@dataclass(frozen=True, slots=True)
class Card:
    """One figure of both sides; `verdict` is `better` or `worse` of B, or empty."""

    words: str
    a: Bar
    b: Bar
    verdict: str


@dataclass(frozen=True, slots=True)
class Dot:
    """An event on the line of its camera: where, 0..100, and what it is."""

    percent: float
    event: EventRow


@dataclass(frozen=True, slots=True)
class Lane:
    """A camera's events in time."""

    camera_id: str
    dots: list[Dot]


def write_page(report: RehearsalReport, path: Path) -> None:
    """Write the report as a page.

    Raises:
        RehearsalError: It cannot be written.
    """
    write_document(page(report), path, RehearsalError)


def page(report: RehearsalReport) -> str:
    """The report as one HTML document that fetches nothing."""
    return without_control_characters(
        _environment()
        .get_template("rehearse.html")
        .render(
            report=report,
            started=report.started_at.replace("T", " ").replace("+00:00", " UTC"),
            crowded=crowded(report.around),
            cards=cards(report),
            groups=[
                (title, several)
                for name, title in _GROUPS
                if (several := [one for one in report.different if one.by == name])
            ],
            lanes=lanes(report),
            charts={
                "age": svg(charts.age, report, 2.8),
                "detected": svg(charts.detected, report, 2.4),
                "cores": svg(charts.cores, report, 1.9),
            },
        )
    )


@cache
def _environment() -> Environment:
    made = environment("pipeline.rehearse", "pipeline.burst.report")
    made.filters |= {"median": median, "spread": spread_of, "clock": clock, "verdict": verdict}
    return made


def cards(report: RehearsalReport) -> list[Card]:
    """The figures that are shown large."""
    rows = {row.key: row for row in report.figures}
    chosen = [key for key in CARDS if key in rows and not (key == "events" and "events.caught" in rows)]
    return [_card(rows[key]) for key in chosen]


def _card(row: FigureRow) -> Card:
    most = max((spread.median for spread in (row.a, row.b) if spread is not None), default=0.0)
    return Card(row.words.strip(), _bar(row.a, row, most), _bar(row.b, row, most), verdict(row))


def _bar(spread: Spread | None, row: FigureRow, most: float) -> Bar:
    if spread is None:
        return Bar("not known", 0.0)
    return Bar(median(spread, row), 100 * spread.median / most if most > 0 else 0.0)


def verdict(row: FigureRow) -> str:
    """Whether B's figure is `better` or `worse`, in a word; empty where neither."""
    return {True: "better", False: "worse", None: ""}[better(row)]


def lanes(report: RehearsalReport) -> list[Lane]:
    """All events by camera, in time; cameras without one are left out."""
    length_s = max([camera.seconds for camera in report.cameras], default=1.0)
    found = [Lane(camera.camera_id, _dots(report.events, camera.camera_id, length_s)) for camera in report.cameras]
    return [lane for lane in found if lane.dots]


def _dots(events: Sequence[EventRow], camera_id: str, length_s: float) -> list[Dot]:
    own = [one for one in events if one.camera_id == camera_id]
    return [Dot(round(100 * min(max(one.at_s / length_s, 0.0), 1.0), 2), one) for one in own]


def clock(seconds: float) -> str:
    """Minutes and seconds into a recording: `1:07.3`."""
    minutes, rest = divmod(max(0.0, seconds), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02}:{rest:04.1f}" if hours else f"{minutes}:{rest:04.1f}"
