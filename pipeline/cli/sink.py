"""`camfleet sink`: keep the results of any fleet, beside it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.logs import LogFormatOption, LogLevelOption, begin_logs
from pipeline.cli.settings import KeyOption, ServerKeyOption, key_of, read_settings

if TYPE_CHECKING:
    import threading

    from pipeline.client import Key
    from pipeline.sink.feed import Feed

TELL_S = 1.0
"""How often the line on a terminal is renewed."""


def sink(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="As in a fleet file: file, webhook, …, or a plug-in.")],
    endpoint: Annotated[str, typer.Argument(help="Where the fleet publishes.")] = "tcp://127.0.0.1:5555",
    *,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A setting as in a fleet file, such as --set path=results."),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="The sink's; without it, its kind.", show_default=False)
    ] = None,
    spool: Annotated[
        Path | None,
        typer.Option(
            "--spool",
            metavar="DIR",
            help="Where results wait; without it, a folder of the fleet and this name in ~/.local/state/camfleet.",
            show_default=False,
        ),
    ] = None,
    duration: Annotated[
        float, typer.Option("--duration", "-d", min=0, help="Seconds to run; 0 runs until Ctrl-C.")
    ] = 0.0,
    key: KeyOption = None,
    server_key: ServerKeyOption = None,
    log_format: LogFormatOption = None,
    log_level: LogLevelOption = None,
) -> None:
    """Keep a fleet's results in files, a database or elsewhere, in a process that is no part of the fleet.

    Waits for the fleet if it does not run yet. What its place does not take waits on disk, and is written after the
    next start. ${NAME} in a value is replaced by that environment variable: passwords belong there, in single quotes.

    Exit code 0: nothing was lost. 1: results had to give way, or were refused. 2: a mistake. 130: ended by Ctrl-C.

    Example: camfleet sink file --set path=results --set format=parquet --set min_score=0.5
    """
    import os
    import signal
    import threading

    from pipeline.config.sinks.options import sink_by_options

    found = sink_by_options(kind, read_settings(settings or []), os.environ)
    name = _name(name or found.kind or "plug-in")
    begin_logs(f"sink {name}", log_format, log_level)
    stop, received = threading.Event(), list[int]()

    def end(number: int, frame: object) -> None:
        received.append(number)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    opens = key_of(key, server_key)
    fleet = _fleet_at(endpoint, opens, stop)
    if fleet is None:
        raise typer.Exit(128 + received[0])

    from pipeline.clock import SystemClock
    from pipeline.sink.feed import Feed, SinkSpec
    from pipeline.sink.protocol import Place
    from pipeline.statefolder import state_folder

    folder = spool or state_folder(fleet, "sinks", name)
    place = Place(name, fleet, Path.cwd())
    feed = Feed(SinkSpec(found, place, endpoint, folder, run=f"{os.getpid()}", key=opens), SystemClock())
    feed.run(stop, _Progress(feed, name, stop, duration))
    ended = feed.close()
    figures = feed.figures
    left = f"; {figures.waiting} wait in {folder}" if figures.waiting else ""
    typer.echo(f"{name}: {figures.written} messages written, {figures.lost} lost{left}")
    code = 128 + signal.SIGINT if signal.SIGINT in received else int(figures.lost > 0)
    if not ended:
        os._exit(code)  # Its thread would hold the interpreter.
    raise typer.Exit(code)


def _name(name: str) -> str:
    from pydantic import TypeAdapter, ValidationError

    from pipeline.config.base import NAME_RULE, Name
    from pipeline.errors import ConfigError

    try:
        return TypeAdapter[str](Name).validate_python(name)
    except ValidationError:
        raise ConfigError(f"--name: a name is {NAME_RULE}") from None


def _fleet_at(endpoint: str, key: Key | None, stop: threading.Event) -> str | None:
    """The name of the fleet that publishes there, as soon as it says something; None if that is not waited for."""
    from pipeline.client.inlet import Inlet

    inlet = Inlet(endpoint, None, {}, key=key)
    try:
        typer.echo(f"waiting for a fleet on {endpoint} …", err=True)
        while not stop.is_set():
            if heard := inlet.receive(250):
                return heard[0].message.fleet
        return None
    finally:
        inlet.close()


class _Progress:
    """A line on a terminal, once a second; and the end after a time."""

    def __init__(self, feed: Feed, name: str, stop: threading.Event, duration_s: float) -> None:
        import sys
        import time

        self._feed, self._name, self._stop = feed, name, stop
        self._now_s = time.monotonic
        self._end_s = self._now_s() + duration_s if duration_s else float("inf")
        self._told_s = 0.0
        self._terminal = sys.stderr if sys.stderr.isatty() else None

    def __call__(self) -> None:
        now_s = self._now_s()
        if now_s >= self._end_s:
            self._stop.set()
        if self._terminal is not None and (now_s - self._told_s >= TELL_S or self._stop.is_set()):
            self._told_s = now_s
            figures = self._feed.figures
            end = "\n" if self._stop.is_set() else ""
            self._terminal.write(f"\r\x1b[K{self._name}: {figures.written} written, {figures.words}{end}")
            self._terminal.flush()
