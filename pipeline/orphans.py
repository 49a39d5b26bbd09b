"""Processes of a run, written down, so that those a killed owner leaves behind can be ended.

A process ends by itself when its owner is gone, but one that is stopped cannot, and keeps what the next run needs, such
as its port.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

_FILE = "processes"
_ENDING_S = 2.0


def note_process(directory: Path, pid: int) -> None:
    """Write down a process of the run in this directory; where that cannot be done, it is left to end by itself."""
    with suppress(OSError, psutil.Error), (directory / _FILE).open("a") as file:
        file.write(f"{pid} {psutil.Process(pid).create_time()}\n")


def end_orphans(directory: Path) -> None:
    """Kill what is left of the run in this directory, whose owner is gone."""
    left = list(_left(directory))
    for process in left:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(left, _ENDING_S)


def _left(directory: Path) -> Iterator[psutil.Process]:
    """Known by their start, too: an id may have been given to another since, or mean another in this container."""
    try:
        lines = (directory / _FILE).read_text().splitlines()
    except (OSError, ValueError):
        return
    for line in lines:
        pid, _, began = line.partition(" ")
        with suppress(psutil.Error, ValueError, OverflowError):
            process = psutil.Process(int(pid))
            if str(process.create_time()) == began and process.uids().real == os.getuid():
                yield process
