"""`camfleet burst`: what happens on a bad day, with a verdict."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from pipeline.burst.lab import Lab, Record
    from pipeline.burst.plan import Plan
    from pipeline.burst.result import BurstReport

REFRESH_HZ = 2


class _ScenarioFirst(TyperGroup):
    """A group whose first word may be a scenario: `burst ci.yaml` is `burst run ci.yaml`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The arguments left over, with the command that is meant put before them."""
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["run", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(cls=_ScenarioFirst, no_args_is_help=True)


@app.callback()
def burst() -> None:
    """Test a fleet with recordings as cameras, bursts and faults, and judge it.

    [bold]camfleet burst SCENARIO.yaml[/] runs a scenario; `run` may be left out.
    """


@app.command()
def run(
    scenario: Annotated[Path, typer.Argument(metavar="SCENARIO.yaml", help="What is to happen, and what must hold.")],
    report: Annotated[
        Path | None,
        typer.Option(
            "--report",
            metavar="DIR",
            help="Write report.html, report.json and the log here; needs pip install 'camfleet\\[report]'.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdict and all figures as JSON.")] = False,
) -> None:
    """Serve recordings as cameras, run the fleet, make the faults, and judge.

    Ends everything it started. Exit code 0: all that was expected holds; 1: something does not, which is printed.

    Example: camfleet burst configs/scenarios/ci.yaml --report out
    """
    from rich.console import Console

    from pipeline.burst.load import load_scenario
    from pipeline.detect.load import require_library
    from pipeline.extras import require

    if report is not None:
        require("report", "burst --report")
    plan = load_scenario(scenario)
    require_library(plan.model)
    console = Console(stderr=True)
    with _folder(report) as folder:
        result = _run(plan, folder, console)
        if report is not None:
            _write(result, folder)
    if as_json:
        _print_json(result)
    else:
        from pipeline.burst.verdict import print_verdict

        print_verdict(result, Console())
    if report is not None:
        typer.echo(f"report: {folder / 'report.html'}", err=True)
    if not result.passed:
        raise typer.Exit(1)


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(metavar="A", help="A report.json, or its folder.")],
    second: Annotated[Path, typer.Argument(metavar="B", help="Another.")],
    worse_by: Annotated[
        float | None,
        typer.Option(
            "--worse-by",
            metavar="PERCENT",
            min=0,
            help="Exit with 1 if a figure of B is worse by more than this, a check fails that did not, or a phase is "
            "missing. Runs of the same thing differ by 5 and more.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all figures as JSON.")] = False,
) -> None:
    """Show two reports side by side, phase by phase.

    Example: camfleet burst compare out/before out/after
             camfleet burst compare main.json mine.json --worse-by 20
    """
    import json

    from rich.console import Console

    from pipeline.burst.report.compare import as_dict, comparison, complaints
    from pipeline.burst.result import read_report

    one, two = read_report(first), read_report(second)
    worse = [] if worse_by is None else complaints(one, two, worse_by)
    if as_json:
        print(json.dumps({**as_dict(one, two), "worse": worse}, indent=2, ensure_ascii=False))
    else:
        Console().print(comparison(one, two))
    for complaint in worse:
        typer.echo(f"camfleet: {complaint}", err=True)
    if worse:
        raise typer.Exit(1)


@contextlib.contextmanager
def _folder(report: Path | None) -> Iterator[Path]:
    """Where a run keeps its files: the report's folder, or one that is gone afterwards."""
    import tempfile

    from pipeline.errors import BurstError

    if report is None:
        with tempfile.TemporaryDirectory(prefix="camfleet-burst-") as folder:
            yield Path(folder)
        return
    try:
        report.mkdir(parents=True, exist_ok=True)
        (report / "fleet.log").write_text("")
    except OSError as error:
        raise BurstError(f"--report {report}: nothing can be written there: {error.strerror}") from error
    yield report
    for departures in report.glob("departures-*.bin"):
        departures.unlink()


def _run(plan: Plan, folder: Path, console: Console) -> BurstReport:
    from pipeline.burst.assemble import assemble
    from pipeline.burst.lab import Lab
    from pipeline.burst.surroundings import surroundings

    lab = Lab(plan, folder, (lambda text: None) if console.is_terminal else _teller(console))
    record = _shown(lab, plan, console)
    return assemble(plan, record, surroundings(plan, record.fleet, lab.log))


def _shown(lab: Lab, plan: Plan, console: Console) -> Record:
    """Run with a live table where there is a terminal to draw it on."""
    if not console.is_terminal:
        return lab.run()
    from rich.live import Live

    from pipeline.burst.verdict import progress

    def table() -> RenderableType:
        return progress(plan, lab.snapshot())

    with Live(get_renderable=table, console=console, refresh_per_second=REFRESH_HZ, transient=True):
        return lab.run()


def _teller(console: Console) -> Callable[[str], None]:
    import time

    began_s = time.monotonic()

    def tell(text: str) -> None:
        console.print(f"{time.monotonic() - began_s:6.1f} s  {text}", highlight=False, markup=False)

    return tell


def _write(result: BurstReport, folder: Path) -> None:
    from pipeline.burst.report.page import write_page
    from pipeline.burst.result import write_report

    write_report(result, folder / "report.json")
    write_page(result, folder / "report.html")


def _print_json(result: BurstReport) -> None:
    import msgspec

    body = msgspec.to_builtins(result)
    for heavy in ("series", "processes", "surroundings"):
        del body[heavy]
    print(msgspec.json.format(msgspec.json.encode(body)).decode())
