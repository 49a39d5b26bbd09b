"""Something that can be asked in SQL for the tables `frames` and `boxes`, as a database sink makes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import msgspec

from pipeline.errors import SinkError
from pipeline.sink.tables import Asked, check_columns, found_version


class Tables(Asked, Protocol):
    """A database for reading, or files as one.

    The SQL is what SQLite, DuckDB and PostgreSQL have in common; every call raises `SinkError` where it cannot be
    answered.
    """

    def renew(self) -> None:
        """Let go of the one view that all answers came from, so that a database need not keep it; never raises."""
        ...

    def close(self) -> None:
        """End it; never raises."""
        ...


@dataclass(frozen=True, slots=True)
class Opened:
    """Results that can be asked.

    Attributes:
        source: What they are called, credentials masked.
        tables: What is asked.
        notes: What was left out, in a sentence each.
    """

    source: str
    tables: Tables
    notes: list[str] = field(default_factory=list)


def require_results(tables: Asked, where: str) -> None:
    """Make sure that camfleet's tables are there.

    Raises:
        SinkError: They are not, or another version made them.
    """
    version = found_version(tables, where)
    if not version:
        raise SinkError(f"{where}: no sink of camfleet has written anything there")
    check_columns(tables, version)


Rows = Sequence[tuple[Any, ...]]
T = TypeVar("T")


def asked(tables: Tables, sql: str, row: type[T]) -> list[T]:
    """The rows of an answer, each value of the type that it should have.

    Args:
        tables: What is asked.
        sql: The question.
        row: A tuple of the types.

    Raises:
        msgspec.ValidationError: One is not: SQLite keeps anything anywhere, and files are by anybody.
    """
    return msgspec.convert(tables.execute(sql), list[row])  # type: ignore[valid-type]
