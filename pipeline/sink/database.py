"""Results in a database: a file of SQLite or DuckDB, or a server of PostgreSQL; the tables are in `schema/`.

A batch is one transaction, and rows that are there already are left as they are, so that a batch which comes again, in
whole or in part, changes nothing. Whatever goes wrong ends the connection; the next call makes another. A value that
the database will never take ends nothing: its message is put aside, and all others are written.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from pipeline.clock import NS_PER_S, Clock, SystemClock
from pipeline.config.sinks.database import MODULES, DatabaseSettings, DatabaseUrl
from pipeline.errors import SinkError
from pipeline.redact import redact
from pipeline.sink.protocol import Place, Refused, Sink
from pipeline.sink.rows import Book, Rows
from pipeline.sink.state_rows import Standing
from pipeline.wire import Message

STEP = 20_000
"""Rows deleted at once: 60 ms in SQLite, and more than a second brings of 1,000 frames with 15 objects each."""
IDLE_S = 60.0
"""Between two looks for rows that are too old, where the last one found none."""
_NS_PER_DAY = 86_400 * NS_PER_S


class Connection(Protocol):
    """A database that is open, with the tables in it. Every call raises `SinkError` where it cannot be answered."""

    def insert(self, rows: Rows) -> None:
        """Add the rows that are not there yet, all or none. Returns once they are safe.

        Raises:
            Refused: None is added, and never will be together: the database does not take a value among them.
        """
        ...

    def last_standing(self, fleet: str, camera_id: str) -> Standing | None:
        """How the newest row of `camera_states` says that a camera is."""
        ...

    def expire(self, table: str, before_ns: int, most: int) -> int:
        """Delete rows from before that time, at most so many; how many there were."""
        ...

    def close(self) -> None:
        """End it; never raises."""
        ...


def open_sink(settings: DatabaseSettings, place: Place) -> Sink:
    """The database that the settings name, with its tables made or brought up to date.

    Raises:
        SinkError: It is away, refuses, or holds tables of another program or of a newer camfleet.
    """
    return DatabaseSink(lambda: connect(settings.url, place.directory), settings.keep_days)


def connect(url: DatabaseUrl, directory: Path) -> Connection:
    """Open a database; relative paths begin at `directory`.

    Raises:
        SinkError: As `open_sink`; or the library that reads it is not installed.
    """
    # Nothing else is imported, so that a file of SQLite needs no extra.
    try:
        if url.engine == "postgresql":
            from pipeline.sink.postgresql import PostgresqlConnection

            return PostgresqlConnection(url)
        if url.engine == "duckdb":
            from pipeline.sink.duckdb import DuckdbConnection

            return DuckdbConnection(url.file(directory))
    except ImportError as error:
        needed = " and ".join(MODULES[url.engine])
        raise SinkError(f"{url} needs {needed} ({redact(error)}): pip install 'camfleet[sinks]'") from None
    from pipeline.sink.sqlite import SqliteConnection

    return SqliteConnection(url.file(directory))


class DatabaseSink:
    """A sink over a connection that is made anew after every error."""

    def __init__(
        self, connect: Callable[[], Connection], keep_days: float | None = None, clock: Clock | None = None
    ) -> None:
        """Connect.

        Args:
            connect: Makes a connection.
            keep_days: How long rows are kept; for ever without it.
            clock: Tells their age; the system's by default.

        Raises:
            SinkError: No connection can be made.
        """
        self._connect = connect
        self._keep_ns = None if keep_days is None else round(keep_days * _NS_PER_DAY)
        self._clock = clock or SystemClock()
        self._expire_at_ns = 0
        self._connection: Connection | None = connect()
        self._book = Book(self._last_standing)

    def write(self, batch: Sequence[Message]) -> None:
        """Add what is not there yet, in one transaction; in several where some of it is refused for good."""
        with self._ending_on_error():
            refused = list(self._add(self._book.rows(batch)))
        if refused:
            raise Refused(str(refused[-1]), len(refused))

    def tick(self) -> None:
        """Delete some of what is too old."""
        if self._keep_ns is None or self._clock.monotonic_ns() < self._expire_at_ns:
            return
        with self._ending_on_error():
            if not self._expire(self._clock.wall_ns() - self._keep_ns):
                self._expire_at_ns = self._clock.monotonic_ns() + round(IDLE_S * NS_PER_S)

    def close(self) -> None:
        """End the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _add(self, rows: Rows) -> Iterator[Refused]:
        """Write these; what is refused for good, a message each, found by halves."""
        if not rows.messages:
            return
        try:
            self._open().insert(rows)
        except Refused as refused:
            if rows.messages == 1:
                yield refused
            else:
                for half in rows.halves():
                    yield from self._add(half)

    def _expire(self, before_ns: int) -> bool:
        """Whether there may be more; frames go after their boxes, so that no box is left without its frame."""
        for table in ("boxes", "frames", "camera_states", "events", "evidence"):
            if self._open().expire(table, before_ns, STEP) == STEP:
                return True
        return False

    def _open(self) -> Connection:
        if self._connection is None:
            self._connection = self._connect()
        return self._connection

    def _last_standing(self, fleet: str, camera_id: str) -> Standing | None:
        return self._open().last_standing(fleet, camera_id)

    @contextlib.contextmanager
    def _ending_on_error(self) -> Iterator[None]:
        """What was told of cameras is forgotten with the connection: it may not have been written."""
        try:
            yield
        except SinkError:
            self.close()
            self._book = Book(self._last_standing)
            raise
