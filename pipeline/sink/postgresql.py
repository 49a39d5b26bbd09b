"""Results in PostgreSQL, by psycopg 3: batches are copied into temporary tables and added from there."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from pipeline.clock import NS_PER_MS, SystemClock
from pipeline.config.sinks.database import DatabaseUrl
from pipeline.errors import SinkError
from pipeline.sink.columns import KINDS, TIME_COLUMN, Row, column_types
from pipeline.sink.protocol import Refused
from pipeline.sink.refusal import is_for_good, refusal
from pipeline.sink.rows import Rows
from pipeline.sink.state_rows import Standing
from pipeline.sink.tables import Dialect, check_columns, missing_steps

DIALECT = Dialect(
    time_of=r"TIMESTAMPTZ GENERATED ALWAYS AS (to_timestamp(\1 / 1e9::float8)) STORED",
    on_time=r"\1",
)
_LOCK = 0x63616D666C656574
"""Of the transaction that makes the tables: the letters of camfleet. Any number would do that nobody else takes."""
_OPTIONS: dict[str, Any] = {
    "application_name": "camfleet",
    "connect_timeout": 10,
    # A server whose machine is gone is noticed within half a minute.
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": 30_000,
    "client_encoding": "UTF8",
}
_SET = "SET statement_timeout = '120s'; SET lock_timeout = '30s'; SET client_min_messages = error"
"""A statement that takes longer is given up and tried again: the server is stuck, or somebody holds a table."""


class PostgresqlConnection:
    """One connection. Any number of sinks may write into the same tables, of one fleet or several."""

    def __init__(self, url: DatabaseUrl) -> None:
        """Connect, and make the tables where they are missing.

        Raises:
            SinkError: The server is away or refuses, or has other tables.
        """
        self._where = str(url)
        options, self._secrets = connection_options(url)
        with self._told():
            self._connection = psycopg.connect(**options, autocommit=True)
        try:
            with self._told():
                self._prepare()
        except SinkError:
            self.close()
            raise

    def insert(self, rows: Rows) -> None:
        """Add the rows that are not there yet; the server has committed them when it returns."""
        tables = rows.tables()
        with self._told(rows.messages), self._connection.transaction(), self._connection.cursor() as cursor:
            for table, added in tables:
                with cursor.copy(_COPY[table]) as copy:
                    copy.set_types(_TYPES[table])
                    for row in added:
                        copy.write_row(row)
            # All in one, since each question costs a way to the server and back.
            cursor.execute("; ".join(_INSERT[table] for table, _ in tables).encode())

    def last_standing(self, fleet: str, camera_id: str) -> Standing | None:
        """How the newest row of `camera_states` says that a camera is."""
        with self._told():
            found = self._connection.execute(_LAST, (fleet, camera_id)).fetchone()
        return None if found is None else Standing(*found)

    def expire(self, table: str, before_ns: int, most: int) -> int:
        """Delete rows from before that time."""
        column = TIME_COLUMN[table]
        old = (
            f"SELECT ctid FROM {table} WHERE {column.removesuffix('_ns')} < to_timestamp(%s::float8 / 1e9) "
            f"AND {column} < %s LIMIT %s"
        )
        asked = f"DELETE FROM {table} WHERE ctid = ANY(ARRAY({old}))"
        with self._told():
            return self._connection.execute(asked.encode(), (before_ns + NS_PER_MS, before_ns, most)).rowcount

    def close(self) -> None:
        """End the connection, without waiting for an answer."""
        with contextlib.suppress(psycopg.Error):
            self._connection.close()

    def execute(self, sql: str) -> Sequence[tuple[Any, ...]]:
        """The rows of the answer; none of a statement that has none."""
        cursor = self._connection.execute(sql.encode())
        return cursor.fetchall() if cursor.description else ()

    def has_table(self, name: str) -> bool:
        """Whether a table or view of that name would be used, by the connection's search path."""
        # Not to_regclass: after waiting for a lock it may still tell what was the case before.
        return bool(self._connection.execute(_HAS_TABLE, (name,)).fetchone())

    def _prepare(self) -> None:
        self.execute(_SET)
        if self._missing():
            with self._connection.transaction():
                # Until the transaction ends, other sinks that start wait here, and then find the tables.
                self.execute(f"SELECT pg_advisory_xact_lock({_LOCK})")
                for statement in self._missing():
                    self.execute(statement)
        check_columns(self)
        for table, row in KINDS.items():
            self.execute(_staging(table, row))

    def _missing(self) -> list[str]:
        return missing_steps(self, self._where, DIALECT, SystemClock().wall_ns())

    @contextlib.contextmanager
    def _told(self, messages: int = 0) -> Iterator[None]:
        """Any error of PostgreSQL, or on the way to it, as one sentence; of a value in so many messages as refused."""
        try:
            yield
        except psycopg.Error as error:
            words = f"{self._where}: {refusal(error, self._secrets)}"
            if messages and is_for_good(error):
                raise Refused(words, messages) from None
            raise SinkError(words) from None


def connection_options(url: DatabaseUrl) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What to connect with, the address before what is good for everybody; and what of it must not be repeated.

    Raises:
        SinkError: It is no address that PostgreSQL's library can read.
    """
    try:
        said = conninfo_to_dict(url.reveal())
    except psycopg.Error:
        # The library's words repeat what it could not read, which may be the password.
        raise SinkError(
            f"{url}: the address cannot be read; expected postgresql://host/database, user and password before the "
            "host, and behind it ?option=value with options of PostgreSQL's library"
        ) from None
    secrets = tuple(str(said[key]) for key in ("password", "sslpassword") if said.get(key))
    return {**_OPTIONS, **said}, secrets


_NAMES = {str: "text", int: "int8", float: "float8"}
_TYPES = {table: [_NAMES[kind] for kind in column_types(row).values()] for table, row in KINDS.items()}
_COPY = {
    table: f"COPY added_{table} ({', '.join(row._fields)}) FROM STDIN (FORMAT BINARY)".encode()
    for table, row in KINDS.items()
}
_JSON = frozenset({"lost", "latency_ms"})


def _staging(table: str, row: type[Row]) -> str:
    columns = ", ".join(f"{name} {_NAMES[kind]}" for name, kind in column_types(row).items())
    return f"CREATE TEMPORARY TABLE added_{table} ({columns}) ON COMMIT DELETE ROWS"


def _insert(table: str, row: type[Row]) -> str:
    values = ", ".join(f"{name}::json" if name in _JSON else name for name in row._fields)
    return f"INSERT INTO {table} ({', '.join(row._fields)}) SELECT {values} FROM added_{table} ON CONFLICT DO NOTHING"


_INSERT = {table: _insert(table, row) for table, row in KINDS.items()}
_HAS_TABLE = (
    "SELECT 1 FROM pg_class WHERE relname = %s AND relkind IN ('r','p','v','m','f') AND pg_table_is_visible(oid)"
)
_LAST = (
    "SELECT session_id, state, detail FROM camera_states WHERE fleet = %s AND camera_id = %s "
    "ORDER BY told_at_ns DESC LIMIT 1"
)
