"""What `camfleet run` draws on a terminal while a fleet runs: a live table, and log lines above it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from pipeline.observe.watch import FleetWatch
    from pipeline.supervise.running import Running

REFRESH_HZ = 2
PRINTING_END_S = 1.0
"""How long the last log lines may take to come out."""
LAST_LINE = "\x04 end of the log\n"


@contextmanager
def terminal_of(quiet: bool) -> Iterator[Console | None]:
    """The terminal to draw a live table on, or None where there is none.

    Meanwhile everything that is written to stderr, by this process and those it starts, comes out above the table
    instead of across it.
    """
    from rich.console import Console

    from pipeline.stderr import lossy

    if quiet or not sys.stderr.isatty():
        yield None
        return
    own = os.dup(2)
    reading, writing = os.pipe()
    console = Console(file=lossy(own), force_terminal=True)
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
        os.close(own)


def _print_lines(lines: IO[str], console: Console) -> None:
    for line in iter(lines.readline, LAST_LINE):
        console.out(line.rstrip("\n"), highlight=False)


@contextmanager
def live_table(terminal: Console | None, watch: FleetWatch, supervisor: Running) -> Iterator[None]:
    """A live table on the terminal, if there is one."""
    from rich.live import Live

    from pipeline.observe.promise import Promise
    from pipeline.observe.table import FleetTable

    if terminal is None:
        yield
        return

    def table() -> FleetTable:
        """By the fleet file of now, which may have changed."""
        fleet = supervisor.fleet
        return FleetTable(watch.live(), f"fleet {fleet.name}", Promise.of(fleet))

    with Live(
        get_renderable=table,
        console=terminal,
        refresh_per_second=REFRESH_HZ,
        redirect_stdout=False,
        redirect_stderr=False,
    ):
        yield
