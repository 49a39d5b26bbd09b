"""Results in a file of SQLite, by Python's own module: it can be read while it is written."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pipeline.clock import SystemClock
from pipeline.errors import SinkError
from pipeline.sink.columns import KINDS, TIME_COLUMN, Row
from pipeline.sink.rows import Rows
from pipeline.sink.state_rows import Standing
from pipeline.sink.tables import Dialect, check_columns, missing_steps

DIALECT = Dialect(
    time_of=r"TEXT GENERATED ALWAYS AS (strftime('%Y-%m-%d %H:%M:%f', \1 / 1e9, 'unixepoch')) VIRTUAL",
    on_time=r"\1_ns",
)
BUSY_S = 10.0
"""How long another program may hold the file before that is told; readers never do."""
_AGAIN_S = 0.01
"""Between two attempts at what SQLite does not wait for itself."""


class SqliteConnection:
    """One file, written by one connection; any number of sinks and readers may have it open."""

    def __init__(self, path: Path) -> None:
        """Open or make it.

        Raises:
            SinkError: It cannot be opened or written, is no SQLite file, or holds other tables.
        """
        self._path = path
        with self._told():
            # Transactions are begun here, not by the module.
            self._connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
        try:
            with self._told():
                self._prepare()
        except SinkError:
            self.close()
            raise

    def insert(self, rows: Rows) -> None:
        """Add the rows that are not there yet; they are on the disk when it returns."""
        with self._told(), self._transaction():
            for table, added in rows.tables():
                self._connection.executemany(_INSERT[table], added)

    def last_standing(self, fleet: str, camera_id: str) -> Standing | None:
        """How the newest row of `camera_states` says that a camera is."""
        with self._told():
            found = self._connection.execute(_LAST, (fleet, camera_id)).fetchone()
        return None if found is None else Standing(*found)

    def expire(self, table: str, before_ns: int, most: int) -> int:
        """Delete rows from before that time."""
        old = f"SELECT rowid FROM {table} WHERE {TIME_COLUMN[table]} < ? LIMIT ?"
        with self._told(), self._transaction():
            return self._connection.execute(f"DELETE FROM {table} WHERE rowid IN ({old})", (before_ns, most)).rowcount

    def close(self) -> None:
        """Close the file."""
        with contextlib.suppress(sqlite3.Error):
            self._connection.close()

    def execute(self, sql: str) -> Sequence[tuple[Any, ...]]:
        """The rows of the answer."""
        return self._connection.execute(sql).fetchall()

    def has_table(self, name: str) -> bool:
        """Whether there is a table or view of that name."""
        return bool(self._connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (name,)).fetchone())

    def _prepare(self) -> None:
        self._write_ahead()
        # Each commit is on the disk before it returns.
        self.execute("PRAGMA synchronous = FULL")
        if self._missing():
            with self._transaction():
                # Another sink may have been here in between; now nobody else can.
                for statement in self._missing():
                    self.execute(statement)
        check_columns(self)

    def _write_ahead(self) -> None:
        """Let readers and a writer not wait for each other.

        Of this SQLite says “busy” at once, without waiting, where another begins or ends with the same file.
        """
        ends_s = time.monotonic() + BUSY_S
        while True:
            try:
                self.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if _code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > ends_s:
                    raise
            time.sleep(_AGAIN_S)

    def _missing(self) -> list[str]:
        return missing_steps(self, str(self._path), DIALECT, SystemClock().wall_ns())

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            # A full disk has ended it already.
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Any error of SQLite as one sentence."""
        try:
            yield
        except sqlite3.Error as error:
            raise SinkError(f"{self._path}: {_reason(error, self._path)}") from None


def _insert(table: str, row: type[Row]) -> str:
    marks = ", ".join("?" for _ in row._fields)
    return f"INSERT INTO {table} ({', '.join(row._fields)}) VALUES ({marks}) ON CONFLICT DO NOTHING"


_INSERT = {table: _insert(table, row) for table, row in KINDS.items()}
_LAST = (
    "SELECT session_id, state, detail FROM camera_states WHERE fleet = ? AND camera_id = ? "
    "ORDER BY told_at_ns DESC LIMIT 1"
)


def _code(error: sqlite3.Error) -> int:
    """SQLite's primary result code; 0 where it tells none."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _reason(error: sqlite3.Error, path: Path) -> str:
    """SQLite's own words, and what to do where that is known."""
    code = _code(error)
    if code == sqlite3.SQLITE_CANTOPEN:
        missing = "" if path.parent.is_dir() else f": there is no folder {path.parent}"
        return f"the file cannot be opened{missing}"
    return _REASONS.get(code, str(error))


_REASONS = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_READONLY: "the file, or its folder, may only be read by this user",
    sqlite3.SQLITE_NOTADB: "that is no SQLite file",
    sqlite3.SQLITE_CORRUPT: "the file is damaged",
    sqlite3.SQLITE_BUSY: "another program holds the file and does not let go of it",
}
