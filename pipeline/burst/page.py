"""report.html: one file that opens anywhere, without a network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from pathlib import Path

from pipeline.burst import charts
from pipeline.burst.result import Ages, BurstReport, Check, PhaseReport
from pipeline.burst.style import CSS
from pipeline.errors import BurstError

_KEY = '<span class="key burst"></span>burst <span class="key fault"></span>fault; numbers are those of the phases.'


def write_page(report: BurstReport, path: Path) -> None:
    """Write the report as a page.

    Raises:
        BurstError: It cannot be written.
    """
    try:
        path.write_text(page(report), "utf-8")
    except OSError as error:
        raise BurstError(f"{path} cannot be written: {error.strerror}") from error


def page(report: BurstReport) -> str:
    """The report as one HTML document that fetches nothing."""
    parts = [
        _header(report),
        _cards(report),
        _failures(report),
        _chart("Age of the fleet's frames", f"From departure to publication. {_KEY}", charts.age_of_fleet, report, 3.3),
        _phases(report),
        _faults(report),
        _chart(*_CAMERAS, charts.age_by_camera, report, _camera_height_in(report)),
        _chart(*_FRAMES, charts.frames, report, 2.8),
        _chart(*_STRIDE, charts.stride, report, 2.2),
        _clocks(report),
        _chart(*_PROCESSORS, charts.processors, report, 2.6),
        _chart(*_MEMORY, charts.memory, report, 2.2),
        _processes(report),
        _cameras(report),
        _surroundings(report),
    ]
    body = "\n".join(parts)
    title = f"{escape(report.scenario)}: {'passed' if report.passed else 'failed'}"
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{CSS}</style></head>\n<body><main>\n{body}\n</main></body></html>\n"
    )


_CAMERAS = ("Age by camera", "A fault is marked where it happened. All panels have the same axes.")
_FRAMES = (
    "What became of every frame",
    "Detected + filled + lost = decoded. Filled frames have boxes from the tracker.",
)
_STRIDE = ("Stride", "Every how many frames the detector is offered one: it gives way first, and comes back.")
_PROCESSORS = ("Processor time", "By process, the cameras together; the line is all that runs on the machine.")
_MEMORY = ("Memory", "Resident, without what is shared with others by files or as shared memory.")


def _header(report: BurstReport) -> str:
    word = "passed" if report.passed else "failed"
    around = report.surroundings
    when = report.started_at.replace("T", " ").replace("+00:00", " UTC")
    return (
        f'<header><div class="verdict {word}">{word.upper()}</div><div><h1>{escape(report.scenario)}</h1>'
        f'<div class="sub">{when} · {report.duration_s:.0f} s · {around.cores} cores, {around.memory_gb:g} GB · '
        f"{escape(around.machine)} · camfleet {escape(around.versions.get('camfleet', ''))}</div></div></header>"
    )


def _cards(report: BurstReport) -> str:
    seconds = max(report.duration_s, 1e-3)
    checks = [check for phase in report.phases for check in phase.checks] + report.checks
    lost = sum(sum(phase.fleet.lost.values()) for phase in report.phases)
    most = max(len(phase.cameras) for phase in report.phases)
    least = min(len(phase.cameras) for phase in report.phases)
    truth, series = report.truth, report.series
    detected = sum(count for at_s, count in zip(series.at_s, series.detected, strict=True) if at_s > 0)
    cards = [
        (f"{sum(check.passed for check in checks)} of {len(checks)}", "checks passed"),
        (f"{_ms(truth.age.p95)} ms", f"p95 of age over all; goal {report.slo_p95_ms:g} ms"),
        (f"{truth.published / seconds:.0f} /s", "frames published"),
        (f"{detected / seconds:.0f} /s", "frames detected"),
        (str(lost), "frames lost"),
        (f"{least}" if least == most else f"{least} to {most}", "cameras"),
        (f"{_ms(truth.difference.p50, 1)} ms", "the fleet's own clock is off (median)"),
    ]  # fmt: skip
    return (
        '<div class="cards">'
        + "".join(f'<div class="card"><b>{b}</b><span>{t}</span></div>' for b, t in cards)
        + "</div>"
    )


def _failures(report: BurstReport) -> str:
    failures = report.failures()
    if not failures:
        return ""
    items = "".join(
        f"<li><b>{escape(name or 'whole run')}</b>: {escape(check.what)} was <b>{escape(check.found)}</b>, expected "
        f'{escape(check.expected)} — <span class="bad">{escape(check.miss)}</span></li>'
        for name, check in failures
    )
    return f'<section class="failures"><h2>What failed</h2><ul>{items}</ul></section>'


def _chart(title: str, note: str, draw: charts.Draw, report: BurstReport, height_in: float) -> str:
    drawn = charts.svg(draw, report, height_in, draw.__name__)
    return f'<section><h2>{title}</h2><p class="note">{note}</p>{drawn}</section>'


def _camera_height_in(report: BurstReport) -> float:
    count = len(report.series.cameras)
    if count > charts.MOST_PANELS:
        return 2.0 + 0.11 * count
    columns = charts.panel_columns(count)
    return (1.75 if columns <= 3 else 1.4) * math.ceil(count / columns)


def _phases(report: BurstReport) -> str:
    heads = ["#", "phase", "s", "cameras", "published /s", "detected /s", "p50", "p95", "p99", "lost", "checks"]
    rows = [_phase(number, phase) for number, phase in enumerate(report.phases, 1)]
    whole = "".join(_check(check) for check in report.checks)
    return (
        "<section><h2>Phases</h2>"
        "<p class='note'>Ages in ms, from departure to publication, over the seconds that are judged.</p>"
        f"{_table(heads, rows, left=(1, 10))}"
        f'<p class="note">Over the whole run:</p><div class="checks">{whole}</div></section>'
    )


def _phase(number: int, phase: PhaseReport) -> list[str]:
    seconds, fleet = phase.end_s - phase.judged_s, phase.fleet
    settle_s = phase.judged_s - phase.start_s
    settled = f'<div class="dim nowrap">{settle_s:.0f} not judged</div>' if settle_s > 0 else ""
    return [
        str(number),
        f'<b>{escape(phase.name)}</b><div class="dim">{escape(phase.detail or phase.kind)}</div>',
        f"{phase.end_s - phase.start_s:.0f}{settled}",
        str(len(phase.cameras)),
        f"{fleet.published / seconds:.1f}",
        f"{fleet.detected / seconds:.1f}",
        *_ages(fleet.age),
        str(sum(fleet.lost.values())),
        f'<div class="checks">{"".join(map(_check, phase.checks)) or "<span class=dim>not judged</span>"}</div>',
    ]


def _check(check: Check) -> str:
    kind = "good" if check.passed else "bad"
    wanted = f'<span class="dim">({escape(check.expected)})</span>'
    return f'<div class="{kind}">{escape(check.what)}: {escape(check.found)} {wanted}</div>'


def _faults(report: BurstReport) -> str:
    phases = [phase for phase in report.phases if phase.kind == "fault"]
    if not phases:
        return ""
    heads = ["fault", "at s", "back after", "others' p95 before", "others' p95", "change"]
    rows = []
    for phase, mark in zip(phases, report.faults, strict=True):
        back = "never" if phase.recovery_s is None else f"{phase.recovery_s:.1f} s"
        before, now = phase.others_p95_before_ms, phase.others_p95_ms
        change = f"{(now / before - 1) * 100:+.0f} %" if before and now is not None else "–"
        kind = "bad" if phase.recovery_s is None else "good"
        what = f"<b>{escape(phase.detail)}</b>" + (f'<div class="bad">{escape(mark.error)}</div>' if mark.error else "")
        rows.append(
            [what, f"{mark.start_s:.1f}", f'<span class="{kind}">{back}</span>', _ms(before, 1), _ms(now, 1), change]
        )
    note = "Back: at its usual rate, and within the goal for p95, for a second."
    return f'<section><h2>Faults</h2><p class="note">{note}</p>{_table(heads, rows, left=(0,))}</section>'


def _clocks(report: BurstReport) -> str:
    truth = report.truth
    share = f"{truth.matched / truth.published:.1%}" if truth.published else "none"
    note = (
        "The fleet tells a frame's age by the camera's own clock; the replay server notes when the picture really "
        f"left. The departure of {share} of the frames is known."
    )
    rows = [
        ["departure to publication", *_ages(truth.age, 1)],
        ["as the fleet says", *_ages(truth.fleet_age, 1)],
        ["difference, frame by frame", *_ages(truth.difference, 1)],
    ]
    drawn = charts.svg(charts.clocks, report, 2.2, "clocks")
    table = _table(["ms", "p50", "p95", "p99"], rows, left=(0,))
    return f'<section><h2>Truth about latency</h2><p class="note">{note}</p>{table}{drawn}</section>'


def _processes(report: BurstReport) -> str:
    rows = []
    for process in report.processes:
        cores, memory = process.cores, process.memory_mb
        if cores:
            name = escape(process.name)
            rows.append(
                [name, f"{sum(cores) / len(cores):.2f}", f"{max(cores):.2f}", f"{memory[-1]:.0f}", f"{max(memory):.0f}"]
            )
    table = _table(["process", "cores, mean", "cores, most", "MB, at the end", "MB, most"], rows, left=(0,))
    return f"<section><details><summary>Every process</summary>{table}</details></section>"


def _cameras(report: BurstReport) -> str:
    heads = ["phase", "camera", "offered", "published", "detected", "filled", "lost", "p50", "p95", "p99", "stride"]
    rows = [
        [
            escape(phase.name),
            escape(camera.camera_id),
            f"{camera.offered:.0f}",
            str(camera.published),
            str(camera.detected),
            _counts(camera.filled),
            _counts(camera.lost),
            *_ages(camera.age),
            "–" if camera.stride is None else f"{camera.stride:.1f}",
        ]
        for phase in report.phases
        for camera in phase.cameras
    ]
    table = _table(heads, rows, left=(0, 1, 5, 6))
    return f"<section><details><summary>Every camera in every phase</summary>{table}</details></section>"


def _surroundings(report: BurstReport) -> str:
    around = report.surroundings
    versions = _table(
        ["", ""], [[escape(name), escape(number)] for name, number in around.versions.items()], left=(0, 1)
    )
    events = _table(
        ["s", "who", "what"],
        [[f"{event.at_s:.1f}", escape(event.subject), escape(event.text)] for event in report.events],
        left=(1, 2),
    )
    return (
        "<section><h2>What was tested, and with what</h2>"
        f"<details><summary>Events</summary>{events}</details>"
        f"<details><summary>Scenario</summary><pre>{escape(around.scenario_yaml)}</pre></details>"
        f"<details><summary>Fleet, complete with defaults</summary><pre>{escape(around.fleet_yaml)}</pre></details>"
        f"<details><summary>Versions</summary>{versions}</details>"
        f"<details><summary>The fleet's log</summary><pre>{escape(chr(10).join(around.log))}</pre></details></section>"
    )


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], left: tuple[int, ...]) -> str:
    """A table of ready HTML cells; the columns `left` are set to the left, the others to the right."""

    def line(cells: Sequence[str], tag: str) -> str:
        marks = ((' class="l"' if index in left else "", cell) for index, cell in enumerate(cells))
        return "<tr>" + "".join(f"<{tag}{mark}>{cell}</{tag}>" for mark, cell in marks) + "</tr>"

    return f"<table>{line(heads, 'th')}{''.join(line(row, 'td') for row in rows)}</table>"


def _ages(ages: Ages, decimals: int = 0) -> list[str]:
    return [_ms(ages.p50, decimals), _ms(ages.p95, decimals), _ms(ages.p99, decimals)]


def _ms(value: float | None, decimals: int = 0) -> str:
    return "–" if value is None else f"{value:.{decimals}f}"


def _counts(counts: dict[str, int]) -> str:
    return escape(", ".join(f"{name} {count}" for name, count in counts.items())) or "0"
