"""A run on a terminal: how far it is, and what became of it."""

from __future__ import annotations

from rich.console import Console
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from pipeline.burst.lab import Snapshot
from pipeline.burst.plan import Plan
from pipeline.burst.result import BurstReport, Check, PhaseReport

_BAR_WIDTH = 24


def progress(plan: Plan, now: Snapshot) -> Table:
    """The phases, how far the present one is, and the fleet's figures of late."""
    title = f"{plan.scenario.name}: {now.doing}"
    caption = f"{now.published_hz:.0f} frames/s, p95 {now.age_p95_ms:.0f} ms as the fleet says"
    table = Table(title=title, title_justify="left", caption=caption if now.published_hz else None, box=None)
    table.add_column("phase")
    table.add_column("")
    table.add_column("s", justify="right")
    done = now.doing in ("ending", "done")
    for index, phase in enumerate(plan.scenario.phases):
        over = done or index < now.phase
        elapsed_s = phase.seconds if over else min(now.elapsed_s, phase.seconds) if index == now.phase else 0.0
        name = Text(phase.name, "bold" if index == now.phase else "dim" if not over else "")
        table.add_row(name, ProgressBar(phase.seconds, elapsed_s, _BAR_WIDTH), f"{elapsed_s:.0f}/{phase.seconds:g}")
    return table


def print_verdict(report: BurstReport, console: Console) -> None:
    """Print the phases with their figures, then what failed and by how much."""
    title = f"{report.scenario}, {report.duration_s:.0f} s; ages in ms from departure to publication"
    table = Table(title=title, title_justify="left", box=None, padding=(0, 1, 0, 0))
    table.add_column("phase")  # the only one that may be wrapped
    for heading in ("cams", "pub/s", "det/s", "p50", "p95", "p99", "lost", "back s"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for phase in report.phases:
        table.add_row(*_row(phase))
    console.print(table)
    for name, check in report.failures():
        where = f"{name}: " if name else ""
        text = f"{where}{check.what}: {check.found}, expected {check.expected}; {check.miss}"
        console.print("[bold red]failed[/]", Text(text), highlight=False, soft_wrap=True)
    count = sum(len(phase.checks) for phase in report.phases) + len(report.checks)
    if report.passed:
        console.print(f"[bold green]passed[/], {count} checks")
    else:
        console.print(f"[bold red]failed[/], {len(report.failures())} of {count} checks")


def _row(phase: PhaseReport) -> list[Text | str]:
    seconds = phase.judged_span_s
    fleet = phase.fleet
    return [
        phase.name,
        str(len(phase.cameras)),
        f"{fleet.published / seconds:.0f}",
        f"{fleet.detected / seconds:.0f}",
        *(_ms(value) for value in (fleet.age.p50, fleet.age.p95, fleet.age.p99)),
        str(sum(fleet.lost.values())),
        _back(phase),
        _verdict(phase.checks),
    ]


def _back(phase: PhaseReport) -> str:
    if phase.kind != "fault":
        return ""
    return "never" if phase.recovery_s is None else f"{phase.recovery_s:.1f}"


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f}"


def _verdict(checks: list[Check]) -> Text:
    if not checks:
        return Text("not judged", "dim")
    failed = sum(not check.passed for check in checks)
    return Text(f"{failed} failed", "red") if failed else Text(f"{len(checks)} passed", "green")
