"""`camfleet run`: launch a fleet and watch it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pipeline.config.values import Fleet
    from pipeline.observe.tally import FleetTally
    from pipeline.observe.watch import FleetWatch
    from pipeline.supervise.supervisor import Supervisor

REFRESH_HZ = 2


def run(
    fleet_file: Annotated[Path, typer.Argument(metavar="FLEET.yaml", help="The fleet to launch.")],
    duration: Annotated[
        float, typer.Option("--duration", "-d", min=0, help="Seconds to run; 0 runs until Ctrl-C.")
    ] = 0.0,
    summary: Annotated[
        Path | None, typer.Option("--summary", help="Write the figures of the whole run to this JSON file.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No table, only the log and the summary.")] = False,
) -> None:
    """Launch a fleet: cameras in, boxes for every frame out on ZeroMQ.

    Shows a live table on a terminal and ends with a summary. Runs until Ctrl-C, SIGTERM, --duration, or until every
    recording has ended. Exit code 1 says that a camera never delivered a frame.

    Example: camfleet run configs/example.yaml --duration 60 --summary run.json
    """
    from pipeline.config import load_fleet
    from pipeline.logs import configure_logs
    from pipeline.observe.watch import FleetWatch
    from pipeline.supervise.supervisor import Supervisor

    fleet = load_fleet(fleet_file)
    _check_writable(summary)
    configure_logs("fleet")
    with Supervisor(fleet) as supervisor:
        _stop_on_signals(supervisor)
        typer.echo(f"loading {fleet.model.path or fleet.model.backend} …", err=True)
        ready = supervisor.open()
        typer.echo(
            f"{len(fleet.cameras)} cameras → {ready.input_wh[0]}×{ready.input_wh[1]}, {ready.lanes} lanes of "
            f"{ready.max_batch} → {ready.endpoint}",
            err=True,
        )
        with FleetWatch(ready.endpoint, list(fleet.cameras)) as watch:
            _show(supervisor, watch, fleet, duration or None, quiet)
            # While the watch still listens: the last frames count too.
            supervisor.close()
    whole = watch.whole()
    if summary is not None:
        _write_summary(summary, fleet, whole)
    _report(fleet, whole)


def _show(supervisor: Supervisor, watch: FleetWatch, fleet: Fleet, duration_s: float | None, quiet: bool) -> None:
    """Run the fleet, with a live table if there is a terminal to draw it on."""
    from rich.console import Console
    from rich.live import Live

    from pipeline.observe.table import live_table

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        supervisor.run(duration_s)
        return
    with Live(
        get_renderable=lambda: live_table(watch.live(), fleet.name, fleet.slo.p95_ms),
        console=console,
        refresh_per_second=REFRESH_HZ,
    ):
        supervisor.run(duration_s)


def _stop_on_signals(supervisor: Supervisor) -> None:
    import signal

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: supervisor.stop())


def _check_writable(summary: Path | None) -> None:
    """Say now, not after an hour, that the summary cannot be written."""
    from pipeline.errors import ConfigError

    if summary is not None and not summary.absolute().parent.is_dir():
        raise ConfigError(f"--summary {summary}: there is no folder {summary.absolute().parent}; make it first")


def _write_summary(path: Path, fleet: Fleet, whole: FleetTally) -> None:
    import msgspec

    from pipeline.errors import ConfigError

    body = {"fleet": fleet.name, "slo_p95_ms": fleet.slo.p95_ms, **msgspec.to_builtins(whole)}
    try:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(body)) + b"\n")
    except OSError as error:
        raise ConfigError(f"--summary {path} cannot be written: {error.strerror}") from error


def _report(fleet: Fleet, whole: FleetTally) -> None:
    """Print the summary; exit with 1 if a camera never delivered a frame."""
    from rich.console import Console

    from pipeline.observe.table import live_table, summary_lines
    from pipeline.redact import redact

    console = Console()
    console.print(live_table(whole, f"{fleet.name}, the whole run", fleet.slo.p95_ms))
    for line in summary_lines(whole, fleet.slo.p95_ms):
        console.print(line, highlight=False)
    silent = [camera for camera in whole.cameras if camera.decoded == 0]
    for camera in silent:
        why = camera.detail or "it did not answer"
        typer.echo(f"camfleet: camera {camera.camera_id} never delivered a frame: {redact(why)}", err=True)
    if silent:
        raise typer.Exit(1)
