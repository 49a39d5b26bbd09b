"""Databases that a sink has written, for reading: nothing in them is changed."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.config.sinks.database import DatabaseUrl
from pipeline.errors import SinkError
from pipeline.redact import redact
from pipeline.results.tables import Rows, Tables, require_results

_HAS = {
    "sqlite": "SELECT 1 FROM sqlite_master WHERE name = '{name}'",
    "duckdb": "SELECT 1 FROM information_schema.tables WHERE table_name = '{name}'",
    "psycopg": "SELECT 1 FROM pg_class WHERE relname = '{name}' AND pg_table_is_visible(oid)",
}


class Reader:
    """A connection of Python's database interface (PEP 249), from its `execute` to one sentence for its errors."""

    def __init__(
        self,
        connection: Any,
        has_table: str,
        failure: type[Exception],
        told: Callable[[Exception], str],
        after: Callable[[], None] = lambda: None,
    ) -> None:
        """Read from a connection, which is closed with this.

        Args:
            connection: It has `execute` and `close`.
            has_table: Asks whether there is a table `{name}`.
            failure: The library's errors.
            told: What is told of one.
            after: Called once it is closed.
        """
        self._connection, self._has_table, self._failure, self._told = connection, has_table, failure, told
        self._after = after

    def execute(self, sql: str) -> Rows:
        """The rows of the answer."""
        try:
            rows: Rows = self._connection.execute(sql).fetchall()
        except (self._failure, UnicodeDecodeError) as error:
            raise SinkError(self._told(error)) from None
        return rows

    def has_table(self, name: str) -> bool:
        """Whether there is a table or view of that name."""
        return bool(self.execute(self._has_table.format(name=name)))

    def renew(self) -> None:
        """Let the next answers be of another view; where that cannot be, they say why."""
        with contextlib.suppress(self._failure):
            self._connection.rollback()

    def close(self) -> None:
        """End the connection."""
        with contextlib.suppress(self._failure):
            self._connection.close()
        self._after()


def sqlite_file(path: Path) -> Tables:
    """A file of SQLite; a sink may go on writing it.

    Raises:
        SinkError: It is none, is damaged, or has other tables.
    """

    def told(error: Exception) -> str:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        words = {sqlite3.SQLITE_NOTADB: "that is no SQLite file", sqlite3.SQLITE_CORRUPT: "the file is damaged"}
        return f"{path}: {words.get(code, str(error))}"

    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=10, isolation_level=None)
        # One view of everything, while sinks go on writing.
        connection.execute("BEGIN")
    except sqlite3.Error as error:
        raise SinkError(told(error)) from None
    return _checked(sqlite_reader(connection, told), str(path))


def sqlite_reader(
    connection: sqlite3.Connection, told: Callable[[Exception], str], after: Callable[[], None] = lambda: None
) -> Reader:
    """A connection of SQLite."""
    return Reader(connection, _HAS["sqlite"], sqlite3.Error, told, after)


def duckdb_file(path: Path) -> Tables:
    """A file of DuckDB that no sink is writing.

    Raises:
        SinkError: It is none, is damaged, another process has it, or has other tables.
    """
    import duckdb

    from pipeline.sink.duckdb import reason

    try:
        connection = duckdb.connect(str(path), read_only=True)
    except duckdb.Error as error:
        raise SinkError(f"{path}: {reason(error, path)}") from None
    reader = Reader(connection, _HAS["duckdb"], duckdb.Error, lambda error: f"{path}: {reason(error, path)}")
    return _checked(reader, str(path))


def postgresql(url: DatabaseUrl) -> Tables:
    """A server's database, by a user who may read the tables.

    Raises:
        SinkError: It is away, refuses, or has other tables.
    """
    import psycopg

    from pipeline.sink.postgresql import connection_options
    from pipeline.sink.refusal import refusal

    options, secrets = connection_options(url)

    def told(error: Exception) -> str:
        return f"{url}: {refusal(error, secrets)}"

    try:
        connection = psycopg.connect(**options)
        # One view of everything, however long the questions take, while sinks go on writing.
        connection.read_only, connection.isolation_level = True, psycopg.IsolationLevel.REPEATABLE_READ
    except psycopg.Error as error:
        raise SinkError(told(error)) from None
    return _checked(Reader(connection, _HAS["psycopg"], psycopg.Error, told), redact(url))


def _checked(reader: Reader, where: str) -> Reader:
    try:
        require_results(reader, where)
    except SinkError:
        reader.close()
        raise
    return reader
