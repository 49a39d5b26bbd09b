"""`camfleet run`: launch a fleet and watch it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import IO, TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from pipeline.config.values import Fleet
    from pipeline.observe.tally import FleetTally
    from pipeline.observe.watch import FleetWatch
    from pipeline.supervise.supervisor import Supervisor
    from pipeline.supervise.workers import FleetReady

REFRESH_HZ = 2
PRINTING_END_S = 1.0
"""How long the last log lines may take to come out."""
LAST_LINE = "\x04 end of the log\n"


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
    with _terminal(quiet) as terminal, Supervisor(fleet) as supervisor:
        _stop_on_signals(supervisor)
        typer.echo(f"loading {fleet.model.path or fleet.model.backend} …", err=True)
        ready = supervisor.open()
        typer.echo(f"{len(fleet.cameras)} cameras → {_workers(ready)} → {ready.endpoint}", err=True)
        with FleetWatch(ready.endpoint, list(fleet.cameras)) as watch:
            with _table(terminal, watch, fleet):
                supervisor.run(duration or None)
            # While the watch still listens: the last frames count too.
            supervisor.close()
    whole = watch.whole()
    if summary is not None:
        _write_summary(summary, fleet, whole)
    _report(fleet, whole)


def _workers(ready: FleetReady) -> str:
    """What detects: the model's input and its lanes, for each worker if there are several."""
    words = {
        name: f"{worker.input_wh[0]}×{worker.input_wh[1]}, {worker.lanes} lanes of {worker.max_batch}"
        for name, worker in ready.workers.items()
    }
    if len(words) == 1:
        return next(iter(words.values()))
    return "; ".join(f"{name}: {what}" for name, what in words.items())


@contextmanager
def _terminal(quiet: bool) -> Iterator[Console | None]:
    """The terminal to draw a live table on, or None where there is none.

    Meanwhile everything that is written to stderr, by this process and those it starts, comes out above the table
    instead of across it.
    """
    from rich.console import Console

    if quiet or not sys.stderr.isatty():
        yield None
        return
    own = os.dup(2)
    reading, writing = os.pipe()
    console = Console(file=os.fdopen(own, "w"), force_terminal=True)
    printing = Thread(target=_print_lines, args=(os.fdopen(reading, errors="replace"), console), daemon=True)
    os.dup2(writing, 2)
    printing.start()
    try:
        yield console
    finally:
        os.dup2(own, 2)
        # The fork server keeps the pipe open as long as this process lives, so its end would never be read.
        os.write(writing, LAST_LINE.encode())
        printing.join(PRINTING_END_S)


def _print_lines(lines: IO[str], console: Console) -> None:
    for line in iter(lines.readline, LAST_LINE):
        console.out(line.rstrip("\n"), highlight=False)


@contextmanager
def _table(terminal: Console | None, watch: FleetWatch, fleet: Fleet) -> Iterator[None]:
    """A live table on the terminal, if there is one."""
    from rich.live import Live

    from pipeline.observe.table import live_table

    if terminal is None:
        yield
        return
    with Live(
        get_renderable=lambda: live_table(watch.live(), fleet.name, fleet.slo.p95_ms),
        console=terminal,
        refresh_per_second=REFRESH_HZ,
        redirect_stdout=False,
        redirect_stderr=False,
    ):
        yield


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
