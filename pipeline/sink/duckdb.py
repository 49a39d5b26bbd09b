"""Results in a file of DuckDB, which holds columns and answers questions about many frames fast.

DuckDB lets one process open a file that is written, so nobody else adds rows between looking and adding. That is why no
key is watched: DuckDB keeps the index of a key in memory, which a day of frames would fill. What is there already is
looked up by its time instead, of which each part of a table knows the bounds. Rows come in as Arrow tables: one by one
they take many times as long.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from pipeline.clock import SystemClock
from pipeline.errors import SinkError
from pipeline.redact import redact
from pipeline.sink.columns import KINDS, TIME_COLUMN, Row, column_types
from pipeline.sink.rows import Rows
from pipeline.sink.state_rows import Standing
from pipeline.sink.tables import Dialect, check_columns, missing_steps

DIALECT = Dialect(time_of=r"TIMESTAMP GENERATED ALWAYS AS (make_timestamp(\1 // 1000)) VIRTUAL", on_time="", keys=False)


class DuckdbConnection:
    """One file, held by this process alone."""

    def __init__(self, path: Path) -> None:
        """Open or make it.

        Raises:
            SinkError: It cannot be opened or written, another process has it, or it holds other tables.
        """
        self._path = path
        with self._told():
            _finish_log(path)
            self._connection = duckdb.connect(str(path))
        try:
            with self._told():
                self._prepare()
        except SinkError:
            self.close()
            raise

    def insert(self, rows: Rows) -> None:
        """Add the rows that are not there yet; they are on the disk when it returns."""
        with self._told(), self._transaction():
            if rows.frames:
                self._connection.register("added", _arrow(rows.frames, _SCHEMAS["frames"]))
                self._connection.execute(_FRESH)
                self._connection.execute(_insert("frames", "SEMI JOIN fresh"))
            if rows.boxes:
                # A frame that was there was there with its boxes: both are of one transaction.
                self._connection.register("added", _arrow(rows.boxes, _SCHEMAS["boxes"]))
                self._connection.execute(_insert("boxes", "SEMI JOIN fresh"))
            for table, added in rows.tables():
                if table in ("camera_states", "events", "evidence"):
                    self._connection.register("added", _arrow(added, _SCHEMAS[table]))
                    self._connection.execute(_insert(table, f"ANTI JOIN ({_there(table)}) AS there"))
            self._connection.unregister("added")

    def last_standing(self, fleet: str, camera_id: str) -> Standing | None:
        """How the newest row of `camera_states` says that a camera is."""
        with self._told():
            found = self._connection.execute(_LAST, (fleet, camera_id)).fetchone()
        return None if found is None else Standing(*found)

    def expire(self, table: str, before_ns: int, most: int) -> int:
        """Delete rows from before that time."""
        old = f"SELECT rowid FROM {table} WHERE {TIME_COLUMN[table]} < ? LIMIT ?"
        with self._told():
            gone = self._connection.execute(f"DELETE FROM {table} WHERE rowid IN ({old})", (before_ns, most))
            return int((gone.fetchone() or (0,))[0])

    def close(self) -> None:
        """Close the file."""
        with contextlib.suppress(duckdb.Error):
            self._connection.close()

    def execute(self, sql: str) -> Sequence[tuple[Any, ...]]:
        """The rows of the answer."""
        return self._connection.execute(sql).fetchall()

    def has_table(self, name: str) -> bool:
        """Whether there is a table or view of that name."""
        asked = "SELECT 1 FROM information_schema.tables WHERE table_name = ?"
        return bool(self._connection.execute(asked, (name,)).fetchone())

    def _prepare(self) -> None:
        # One core is what a sink may take, and half a gigabyte is enough for its batches and the key.
        self.execute("SET threads = 1")
        self.execute("SET memory_limit = '512MB'")
        if missing := missing_steps(self, str(self._path), DIALECT, SystemClock().wall_ns()):
            with self._transaction():
                for statement in missing:
                    self.execute(statement)
            self.execute("CHECKPOINT")  # for readers: see `_finish_log`
        check_columns(self)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.begin()
        try:
            yield
        except BaseException:
            with contextlib.suppress(duckdb.Error):
                self._connection.rollback()
            raise
        self._connection.commit()

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Any error of DuckDB as one sentence."""
        try:
            yield
        except duckdb.Error as error:
            raise SinkError(f"{self._path}: {reason(error, self._path)}") from None


def _finish_log(path: Path) -> None:
    """Bring into the file what its last writer, which was killed, has left in the log beside it.

    DuckDB reads a log before it knows its own functions, and asks the network for them where one changes a table with a
    computed column. A file that is attached is read after that.
    """
    if Path(f"{path}.wal").exists():
        with duckdb.connect() as beside:
            beside.execute("SELECT make_timestamp(0)")
            beside.execute("ATTACH '" + str(path).replace("'", "''") + "' AS left_over")
            beside.execute("CHECKPOINT left_over")
            beside.execute("DETACH left_over")


_FRAME_KEY = "fleet, camera_id, session_id, frame_id"
_ARROW = {str: pa.string(), int: pa.int64(), float: pa.float64()}
_SCHEMAS = {
    table: pa.schema([(name, _ARROW[kind]) for name, kind in column_types(row).items()]) for table, row in KINDS.items()
}


def _arrow(rows: Sequence[Row], schema: pa.Schema) -> pa.Table:
    columns = zip(*rows, strict=True)
    arrays = [pa.array(column, kind) for column, kind in zip(columns, schema.types, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)


_KEYS = {
    "frames": _FRAME_KEY,
    "boxes": _FRAME_KEY,
    "camera_states": "fleet, camera_id, told_at_ns",
    "events": "fleet, camera_id, event_id, phase, session_id, frame_id",
    "evidence": "fleet, camera_id, event_id",
}


def _there(table: str) -> str:
    """The keys in the table of the time that the added rows are of."""
    time = TIME_COLUMN[table]
    bounds = f"(SELECT min({time}) FROM added) AND (SELECT max({time}) FROM added)"
    return f"SELECT {_KEYS[table]} FROM {table} WHERE {time} BETWEEN {bounds}"


def _insert(table: str, join: str) -> str:
    columns = ", ".join(KINDS[table]._fields)
    return f"INSERT INTO {table} ({columns}) SELECT {columns} FROM added {join} USING ({_KEYS[table]})"


_FRESH = f"""
CREATE OR REPLACE TEMPORARY TABLE fresh AS
SELECT {_FRAME_KEY} FROM added ANTI JOIN ({_there("frames")}) AS there USING ({_FRAME_KEY})"""
_LAST = (
    "SELECT session_id, state, detail FROM camera_states WHERE fleet = ? AND camera_id = ? "
    "ORDER BY told_at_ns DESC LIMIT 1"
)


def reason(error: Exception, path: Path) -> str:
    """What is wrong, in our words where it is known."""
    text = str(error).partition("\n")[0]
    if "Conflicting lock" in text:
        return "another process has the file open, and DuckDB lets one in at a time; SQLite can be read meanwhile"
    if "not a valid DuckDB database" in text or "Could not read" in text:
        return "that is no DuckDB file"
    if not path.parent.is_dir():
        return f"the file cannot be opened: there is no folder {path.parent}"
    return redact(text)
