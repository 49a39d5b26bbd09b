"""`camfleet rehearse`: two fleet files over the same recordings, side by side."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from pipeline.rehearse.rehearse import Moment
    from pipeline.rehearse.result import RehearsalReport


def rehearse(
    first: Annotated[Path, typer.Argument(metavar="FLEET_A.yaml", help="A: what is there.", show_default=False)],
    second: Annotated[Path, typer.Argument(metavar="FLEET_B.yaml", help="B: what may come.", show_default=False)],
    recordings: Annotated[
        list[str],
        typer.Argument(
            metavar="RECORDINGS…",
            help="Files called as cameras are (gate.mp4), folders of them, or gate=FILE.",
            show_default=False,
        ),
    ],
    *,
    expect: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE|TEXT",
            help="What must hold of B: 'events.missed <= 1', 'hota >= a - 0.5', 'cores <= 0.7 * a', or a YAML file "
            "with a list of such under expect. May be given several times.",
            show_default=False,
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            "--report",
            metavar="DIR",
            help="Write report.html and report.json here; needs pip install 'camfleet\\[report]'.",
            show_default=False,
        ),
    ] = None,
    ground_truth: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Has a folder for each camera or recording; without it, ground_truth/ beside the recording.",
            show_default=False,
        ),
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="What this heavier model sees on every frame is the truth of recordings that have none.",
            show_default=False,
        ),
    ] = None,
    duration: Annotated[
        float | None,
        typer.Option(min=1, metavar="SECONDS", help="Only the beginning of each recording.", show_default=False),
    ] = None,
    repeat: Annotated[
        int, typer.Option(min=1, max=50, metavar="N", help="Runs of each, in turns A B A B; medians are told.")
    ] = 1,
    within: Annotated[
        float, typer.Option(min=0.01, max=60, metavar="SECONDS", help="Events further apart are two.")
    ] = 1.0,
    pictures: Annotated[
        int, typer.Option(min=0, max=500, metavar="N", help="The page shows so many of the events that differ.")
    ] = 24,
    as_json: Annotated[bool, typer.Option("--json", help="Print all figures and events as JSON.")] = False,
) -> None:
    r"""Rehearse two fleet files over the same recordings, to know what the other one would have caught.

    The recordings are played as RTSP cameras with their original timing, once for each file on this machine, and both
    fleets run as they would: models, strides, goals, zones and lines are those of their files. Nothing else happens:
    sinks are off, so no webhook and no database hears of it, and nothing is left behind.

    Told are the events that both, or only one of them, told, with pictures of those that differ; counts, caught and
    missed against ground truth or a heavier model; HOTA, ages, frames detected, cores. Accuracy needs
    pip install 'camfleet\[evaluate]'. Exit code 0: all that was expected holds; 1: something does not, or is not known.

    Example: camfleet rehearse now.yaml smaller.yaml tuesday/ --expect 'events.missed <= 1' --report out
    """
    from rich.console import Console

    from pipeline.config import load_fleet
    from pipeline.detect.load import require_library
    from pipeline.extras import require
    from pipeline.rehearse.assemble import assemble
    from pipeline.rehearse.cast import cast
    from pipeline.rehearse.expect import expectations
    from pipeline.rehearse.rehearse import Wanted
    from pipeline.rehearse.rehearse import rehearse as play
    from pipeline.rehearse.sides import Side

    expected = expectations(expect or [])
    if report is not None:
        require("report", "rehearse --report")
        _make(report)
    sides = (Side("a", first, load_fleet(first)), Side("b", second, load_fleet(second)))
    cameras = cast(recordings, sides[0].fleet, sides[1].fleet)
    for side in sides:
        for model in (side.fleet.model, *(look.model for look in side.fleet.cascade.values())):
            require_library(model)
    _require_scores(expected=[one.key for one in expected], reference=reference)
    _quiet()
    console = Console(stderr=True)
    wanted = Wanted(duration, repeat, ground_truth, reference, within)
    with _folder() as folder:
        with _shown(console) as tell:
            found = play(sides, cameras, wanted, folder, tell)
        result = assemble(found, expected, pictures if report is not None else 0)
    _tell(result, report, as_json=as_json)
    if result.passed is False:
        raise typer.Exit(1)


def _quiet() -> None:
    from pipeline.logs import choose_log_level, configure_logs

    choose_log_level("warning")
    configure_logs("rehearse")


def _require_scores(expected: list[str], reference: str | None) -> None:
    """Say before any long work that what somebody asked for cannot be told."""
    from pipeline.extras import require

    scores = {"hota", "det_a", "ass_a", "idf1"} & set(expected)
    if scores or reference is not None:
        require("evaluate", "rehearse --reference" if reference else f"expecting {min(scores)}", "trackeval")
    if "sap50" in expected:
        require("evaluate", "expecting sap50", "faster_coco_eval")


def _make(report: Path) -> None:
    from pipeline.errors import RehearsalError

    try:
        report.mkdir(parents=True, exist_ok=True)
        (report / "report.json").open("a").close()
    except OSError as error:
        raise RehearsalError(f"--report {report}: nothing can be written there: {error.strerror}") from error


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    import tempfile

    with tempfile.TemporaryDirectory(prefix="camfleet-rehearse-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@contextlib.contextmanager
def _shown(console: Console) -> Iterator[Callable[[Moment], None]]:
    """A bar on a terminal, a line for each thing that begins elsewhere."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    told: list[str] = []

    def say(moment: Moment) -> None:
        if moment.doing not in told:
            told.append(moment.doing)
            console.print(moment.doing, highlight=False, markup=False)

    if not console.is_terminal:
        yield say
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TextColumn("{task.fields[late]}"))
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=1.0, late="")
        yield lambda now: progress.update(task, description=now.doing, completed=now.share, late=now.late)


def _tell(result: RehearsalReport, report: Path | None, *, as_json: bool) -> None:
    if report is not None:
        from pipeline.rehearse.page import write_page
        from pipeline.rehearse.result import write_report

        write_report(result, report / "report.json")
        write_page(result, report / "report.html")
    if as_json:
        _print_json(result)
    else:
        from rich.console import Console

        from pipeline.rehearse.table import show

        show(result, Console())
    if report is not None:
        typer.echo(f"report: {report / 'report.html'}", err=True)


def _print_json(result: RehearsalReport) -> None:
    import msgspec

    body = msgspec.to_builtins(result)
    for side in (body["a"], body["b"]):
        for heavy in ("runs", "fleet_yaml", "log"):
            del side[heavy]
    for event in body["events"]:
        del event["picture"]
    print(msgspec.json.format(msgspec.json.encode(body)).decode())
