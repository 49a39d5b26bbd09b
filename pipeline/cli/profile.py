"""`camfleet profile`: where each millisecond and each core of a fleet goes, and which lever to pull first."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from pipeline.config import Fleet
    from pipeline.profile.figures import Profile

PAGE = Path("profile.html")


def profile(
    fleet_file: Annotated[Path, typer.Argument(metavar="FLEET.yaml", help="The fleet to profile.", show_default=False)],
    *,
    seconds: Annotated[float, typer.Option("--seconds", "-s", min=1, help="How long the fleet is measured.")] = 20,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE.html",
            help=f"Write the picture here; {PAGE} without it, nothing with --json.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a picture.")] = False,
    sample: Annotated[
        bool,
        typer.Option(
            "--sample",
            help="Also look into every process with py-spy, for as long (ten seconds at most): its hottest functions, "
            "and a file for speedscope.app each, beside the picture.",
        ),
    ] = False,
    without_sinks: Annotated[
        bool,
        typer.Option("--without-sinks", help="Keep no results where a fleet is started for this; one that runs does."),
    ] = False,
    tuned: Annotated[
        bool, typer.Option("--profile/--no-profile", help="With the settings that camfleet tune found, as run has it.")
    ] = True,
) -> None:
    """Show where each millisecond and each core goes, from the camera to the sinks, and which lever to pull first.

    A fleet of that name that runs on this machine is looked at as it is; else one is started as camfleet run does, and
    ended. It is measured from outside, by what the system counts for every thread and what its messages say of their
    way; then what threads share is split by doing single steps again. The cameras are opened a second time for that,
    a few of each kind, one after the other, for a second each.

    Example: camfleet profile configs/demo.yaml --seconds 30 --out demo.html
    """
    from pipeline.profile.priority import standing_back

    page = out or (None if as_json else PAGE)
    _require_writable(page)
    fleet = _load(fleet_file, tuned)
    with standing_back() as urgent:
        beside = (page or PAGE) if sample else None
        found = _measure(fleet, fleet_file, seconds, urgent, sinks=not without_sinks, beside=beside)
        _show(found, page, as_json)


def _load(fleet_file: Path, tuned: bool) -> Fleet:
    """The fleet as `run` would start it."""
    from pipeline.config import load_fleet
    from pipeline.tune.use import load_tuned

    if not tuned:
        return load_fleet(fleet_file)
    loaded = load_tuned(fleet_file)
    if loaded.words:
        typer.echo(f"profile {loaded.words}", err=True)
    return loaded.fleet


def _measure(
    fleet: Fleet, fleet_file: Path, seconds: float, urgent: Executor, *, sinks: bool, beside: Path | None
) -> Profile:
    """Measure, and sample where there is a page to write samples beside."""
    from pipeline.cli.steps import steps
    from pipeline.logs import configure_logs
    from pipeline.profile.measure import Wish, profile
    from pipeline.profile.sampler import require_sampler

    if beside is not None:
        require_sampler()
    configure_logs("profile", level="warning")
    wish = Wish(seconds, urgent, sinks, None if beside is None else beside.absolute().with_suffix(""))
    with steps("measuring") as step:
        return profile(fleet, fleet_file, wish, step)


def _require_writable(page: Path | None) -> None:
    """Say now, not after a minute, that the picture cannot be written."""
    import os

    from pipeline.errors import ProfileError

    if page is None:
        return
    folder = page.absolute().parent
    if not folder.is_dir():
        raise ProfileError(f"--out {page}: there is no folder {folder}; make it first")
    if page.is_dir() or not os.access(page if page.exists() else folder, os.W_OK):
        raise ProfileError(f"--out {page} cannot be written; name a file in a folder of yours")


def _show(found: Profile, page: Path | None, as_json: bool) -> None:
    import msgspec
    from rich.console import Console

    from pipeline.profile.page import write_page
    from pipeline.profile.terminal import report

    if page is not None:
        write_page(found, page)
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(found)).decode())
    else:
        Console(highlight=False).print(report(found))
    if page is not None:
        typer.echo(f"picture: {page}", err=True)
