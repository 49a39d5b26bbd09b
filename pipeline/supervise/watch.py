"""Reloads that nobody waits for: on SIGHUP, and when the fleet file changes. What comes of them is told in the log."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue

import structlog
from watchfiles import watch

from pipeline.errors import PipelineError
from pipeline.supervise.requests import Requests

log = structlog.get_logger()

Stamp = tuple[int, int, int]
LOOK_MS = 500
"""How often the file is looked at if nothing was told."""


class Reloads:
    """Makes one reload after the other in a thread of its own."""

    def __init__(self, requests: Requests) -> None:
        self._requests = requests
        self._asked: SimpleQueue[bool] = SimpleQueue()
        # Not waited for at the end: one that is under way waits for a fleet that has ended.
        self._thread = threading.Thread(target=self._run, name="reloads", daemon=True)
        self._thread.start()

    def ask(self) -> None:
        """Reload soon; safe in a signal handler."""
        self._asked.put(True)

    def close(self) -> None:
        """Reload no more."""
        self._asked.put(False)

    def _run(self) -> None:
        while self._asked.get():
            try:
                self._requests.reload()
            except PipelineError as error:
                log.error(f"the changed fleet file is not applied, and the fleet stays as it is: {error}")


class FileWatch:
    """Calls `changed` whenever a file is written, replaced or renamed into its place.

    The system tells at once. What it does not tell (a change before it began to watch, a file system of another
    machine) is seen within half a second, by the file's time.
    """

    def __init__(self, file: Path, changed: Callable[[], None], known: Stamp | None) -> None:
        """Watch from now on.

        Args:
            file: What to watch.
            changed: Called in a thread of the watch's own.
            known: The stamp of the file as it was read; one that was changed since then has changed.
        """
        self._file, self._changed, self._known = file.absolute(), changed, known
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch-file", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Watch no more."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        # The folder, not the file: editors write a new file and rename it over the old one.
        told = watch(
            self._file.parent, stop_event=self._stop, recursive=False, rust_timeout=LOOK_MS, yield_on_timeout=True
        )
        for _ in told:
            stamp = stamp_of(self._file)
            if stamp is not None and stamp != self._known:
                self._known = stamp
                self._changed()


def stamp_of(file: Path) -> Stamp | None:
    """What differs when a file is another one; None while there is none."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
