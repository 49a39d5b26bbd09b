"""report.html: one file that opens anywhere, without a network. How it looks is in `templates/`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment

from pipeline.burst.report import charts
from pipeline.burst.result import BurstReport, FaultMark, PhaseReport
from pipeline.document import environment, without_control_characters, write_document
from pipeline.errors import BurstError


@dataclass(frozen=True, slots=True)
class Card:
    """One figure of the whole run, and what it is."""

    figure: str
    what: str


@dataclass(frozen=True, slots=True)
class FaultRow:
    """What the faults of a phase did to their cameras and to the others.

    Attributes:
        what: Which faults, of which cameras.
        error: Why they could not be made; empty if they were.
        at_s: When the first began, seconds after the first phase began.
        recovery_s: How long it took until all were back; None if they never were.
        others_before_ms: The other cameras' 95th percentile of age before it; None where there was no frame.
        others_ms: The same while it lasted and after.
        change: From the one to the other, in words.
    """

    what: str
    error: str
    at_s: float
    recovery_s: float | None
    others_before_ms: float | None
    others_ms: float | None
    change: str


def write_page(report: BurstReport, path: Path) -> None:
    """Write the report as a page.

    Raises:
        BurstError: It cannot be written.
    """
    write_document(page(report), path, BurstError)


def page(report: BurstReport) -> str:
    """The report as one HTML document that fetches nothing."""
    return without_control_characters(
        _environment()
        .get_template("report.html")
        .render(
            report=report,
            started=report.started_at.replace("T", " ").replace("+00:00", " UTC"),
            cards=_cards(report),
            faults=_faults(report),
            known=_share_known(report),
            charts={draw.__name__: charts.svg(draw, report, height_in) for draw, height_in in _drawings(report)},
        )
    )


@cache
def _environment() -> Environment:
    made = environment("pipeline.burst.report")
    made.filters |= {"ms": _ms, "counts": _counts}
    return made


def _drawings(report: BurstReport) -> tuple[tuple[charts.Draw, float], ...]:
    """Every chart with its height in inches."""
    return (
        (charts.age_of_fleet, 3.3),
        (charts.age_by_camera, _camera_height_in(report)),
        (charts.frames, 2.8),
        (charts.stride, 2.2),
        (charts.clocks, 2.2),
        (charts.processors, 2.6),
        (charts.memory, 2.2),
    )


def _camera_height_in(report: BurstReport) -> float:
    count = len(report.series.cameras)
    if count > charts.MOST_PANELS:
        return 2.0 + 0.11 * count
    columns = charts.panel_columns(count)
    return (1.75 if columns <= 3 else 1.4) * math.ceil(count / columns)


def _cards(report: BurstReport) -> list[Card]:
    seconds = max(report.duration_s, 1e-3)
    checks = [check for phase in report.phases for check in phase.checks] + report.checks
    lost = sum(sum(phase.fleet.lost.values()) for phase in report.phases)
    most = max(len(phase.cameras) for phase in report.phases)
    least = min(len(phase.cameras) for phase in report.phases)
    truth, series = report.truth, report.series
    detected = sum(count for at_s, count in zip(series.at_s, series.detected, strict=True) if at_s > 0)
    return [
        Card(f"{sum(check.passed for check in checks)} of {len(checks)}", "checks passed"),
        Card(f"{_ms(truth.age.p95)} ms", f"p95 of age over all; goal {report.slo_p95_ms:g} ms"),
        Card(f"{truth.published / seconds:.0f} /s", "frames published"),
        Card(f"{detected / seconds:.0f} /s", "frames detected"),
        Card(str(lost), "frames lost"),
        Card(f"{least}" if least == most else f"{least} to {most}", "cameras"),
        Card(f"{_ms(truth.difference.p50, 1)} ms", "the fleet's own clock is off (median)"),
    ]


def _faults(report: BurstReport) -> list[FaultRow]:
    rows = []
    for phase in report.phases:
        marks = [mark for mark in report.faults if phase.start_s <= mark.start_s < phase.end_s]
        if marks:
            rows.append(_fault(phase, marks))
    return rows


def _fault(phase: PhaseReport, marks: list[FaultMark]) -> FaultRow:
    return FaultRow(
        what=phase.detail,
        error="; ".join(mark.error for mark in marks if mark.error),
        at_s=marks[0].start_s,
        recovery_s=phase.recovery_s,
        others_before_ms=phase.others_p95_before_ms,
        others_ms=phase.others_p95_ms,
        change=_change(phase.others_p95_before_ms, phase.others_p95_ms),
    )


def _change(before: float | None, now: float | None) -> str:
    return f"{(now / before - 1) * 100:+.0f} %" if before and now is not None else "–"


def _share_known(report: BurstReport) -> str:
    """Of how many frames it is known when they left."""
    truth = report.truth
    return f"{truth.matched / truth.published:.1%}" if truth.published else "none"


def _ms(value: float | None, decimals: int = 0) -> str:
    return "–" if value is None else f"{value:.{decimals}f}"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or "0"
