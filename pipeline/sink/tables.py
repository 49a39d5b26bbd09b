"""The tables in a database of any kind: which version they have, and the steps to this one.

Each step is a file of `schema/`, numbered by the version it leads to. What was applied stands in `schema_version`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Protocol

from pipeline.errors import SinkError
from pipeline.sink.columns import KINDS, SINCE, columns_of

VERSION = 3
"""The newest that this camfleet knows."""
VERSION_TABLE = "CREATE TABLE schema_version (camfleet_schema BIGINT PRIMARY KEY, applied_at_ns BIGINT NOT NULL)"

_TIME_OF = re.compile(r"TIME_OF\((\w+)\)")
_ON_TIME = re.compile(r"ON_TIME\((\w+)\)")
_KEY = re.compile(r",\s*PRIMARY KEY \([^)]*\)")
_COMMENT = re.compile(r"--[^\n]*")


@dataclass(frozen=True, slots=True)
class Dialect:
    r"""What the databases call differently.

    Attributes:
        time_of: A column derived from nanoseconds; `\1` is the column they stand in.
        on_time: What an index of times is made on, of a column `\1`; empty where there is no need for one.
        keys: Whether the database is to watch that a key is there once.
    """

    time_of: str
    on_time: str
    keys: bool = True


class Asked(Protocol):
    """A connection, of which SQL without parameters is enough here."""

    def execute(self, sql: str) -> Sequence[tuple[Any, ...]]:
        """The rows of the answer."""
        ...

    def has_table(self, name: str) -> bool:
        """Whether a table of that name would be used."""
        ...


def found_version(database: Asked, where: str) -> int:
    """The version of the tables there; 0 where there are none yet.

    Raises:
        SinkError: They are newer than this camfleet, or not camfleet's.
    """
    names = [name for name in (*KINDS, "schema_version") if database.has_table(name)]
    if "schema_version" not in names:
        if names:
            raise SinkError(f"{where}: {_foreign(names[0])}")
        return 0
    if not database.has_table("frames"):
        raise SinkError(f"{where}: {_foreign('schema_version')}")
    version = int(database.execute("SELECT coalesce(max(camfleet_schema), 0) FROM schema_version")[0][0])
    if version > VERSION:
        raise SinkError(
            f"{where}: its tables have version {version}, made by a newer camfleet; this one knows {VERSION}: "
            "install the newer one, or name another database"
        )
    for name in names:
        if SINCE.get(name, 0) > version:
            raise SinkError(f"{where}: {_foreign(name)}")
    return version


def check_columns(database: Asked, version: int = VERSION) -> None:
    """Ask for every column of this version; the database's own error names one that is not there."""
    for table in KINDS:
        if SINCE[table] > version:
            continue
        database.execute(f"SELECT {', '.join(columns_of(table, version))} FROM {table} LIMIT 0")


def missing_steps(database: Asked, where: str, dialect: Dialect, now_ns: int) -> list[str]:
    """The statements that lead from what is there to `VERSION`; none where that is there.

    Raises:
        SinkError: As `found_version`.
    """
    return steps(found_version(database, where), dialect, now_ns)


def steps(version: int, dialect: Dialect, now_ns: int) -> list[str]:
    """The statements that lead from `version` to `VERSION`."""
    statements = [VERSION_TABLE] if version == 0 else []
    for step in range(version + 1, VERSION + 1):
        statements += _statements(_script(step), dialect)
        statements.append(f"INSERT INTO schema_version VALUES ({step}, {now_ns})")
    return statements


def _script(step: int) -> str:
    return (files("pipeline.sink") / "schema" / f"{step}.sql").read_text(encoding="utf-8")


def _statements(text: str, dialect: Dialect) -> list[str]:
    text = _TIME_OF.sub(dialect.time_of, _COMMENT.sub("", text))
    if not dialect.keys:
        text = _KEY.sub("", text)
    if dialect.on_time:
        text = _ON_TIME.sub(dialect.on_time, text)
    single = [statement.strip() for statement in text.split(";")]
    return [statement for statement in single if statement and "ON_TIME" not in statement]


def _foreign(table: str) -> str:
    return f"there is a table “{table}” that camfleet has not made; name another database, or another schema of it"
