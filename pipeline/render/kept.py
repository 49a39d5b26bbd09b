"""Results that somebody has kept, whatever they are kept in: the one seam for all that draws them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from pipeline.render.choose import Stream, in_order, streams_of
from pipeline.render.read import read_results
from pipeline.render.tables import KeptInTables
from pipeline.results.open import is_database, open_database
from pipeline.wire import FrameResult


class Kept(Protocol):
    """What is kept; memory does not grow with it. Every call raises as `open_kept`, while it is read."""

    def streams(self, camera: str | None) -> list[Stream]:
        """The streams of one camera, or of all, in the order in which they begin."""
        ...

    def frames(self, stream: Stream) -> Iterator[FrameResult]:
        """The frames of one of them in their order, each once; what was not kept of them is empty or 0."""
        ...


class _KeptInFiles:
    """Files, which are read from their beginning each time."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def streams(self, camera: str | None) -> list[Stream]:
        return streams_of(read_results(self._path, camera))

    def frames(self, stream: Stream) -> Iterator[FrameResult]:
        return in_order(read_results(self._path, stream.camera_id), stream)


@contextlib.contextmanager
def open_kept(source: str) -> Iterator[Kept]:
    """Results for reading, until the block ends.

    Args:
        source: What `read_results` reads, a file of SQLite or DuckDB, or the address of a PostgreSQL server.

    Raises:
        RenderError: Something in it is no frame of camfleet.
        SinkError: There is nothing, it is damaged, it refuses, or its library is not installed; secrets are masked.
    """
    if not is_database(source):
        yield _KeptInFiles(Path(source).expanduser())
        return
    opened = open_database(source)
    try:
        yield KeptInTables(opened)
    finally:
        opened.tables.close()
