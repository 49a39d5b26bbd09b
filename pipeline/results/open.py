"""Results by a path or an address, whatever they are kept in."""

from __future__ import annotations

from pathlib import Path

from pydantic_core import PydanticCustomError

from pipeline.config.sinks.database import SUFFIXES, DatabaseUrl
from pipeline.config.url import scheme_of
from pipeline.errors import SinkError
from pipeline.extras import is_there, require
from pipeline.redact import redact
from pipeline.results.databases import duckdb_file, postgresql, sqlite_file
from pipeline.results.files import Kind, files_at
from pipeline.results.tables import Opened


def open_results(source: str) -> Opened:
    """Results that can be asked.

    Args:
        source: A file or folder that a file sink has written, a file of SQLite or DuckDB, or the address of a
            PostgreSQL server.

    Raises:
        SinkError: There is nothing, it is none of camfleet's, it is damaged, or its library is not installed.
    """
    return open_database(source) if is_database(source) else _files(Path(source).expanduser())


def is_database(source: str) -> bool:
    """Whether a database holds these results, by the address or the end of the name; else files do."""
    path = Path(source).expanduser()
    return bool(scheme_of(source)) or (path.suffix.lower() in SUFFIXES and not path.is_dir())


def open_database(source: str) -> Opened:
    """The tables of a database, which are asked where they are.

    Args:
        source: As `is_database` takes it for one.

    Raises:
        SinkError: As `open_results`.
    """
    if scheme_of(source):
        return Opened(redact(source), postgresql(_address(source)))
    path = Path(source).expanduser()
    if not path.exists():
        raise SinkError(f"{path}: there is no such file")
    if SUFFIXES[path.suffix.lower()] == "duckdb":
        require("sinks", f"{path}: reading a DuckDB file", "duckdb", error=SinkError)
        return Opened(str(path), duckdb_file(path))
    return Opened(str(path), sqlite_file(path))


def _address(source: str) -> DatabaseUrl:
    try:
        url = DatabaseUrl.parse(source)
    except PydanticCustomError as error:
        raise SinkError(f"{redact(source)}: {error}") from None
    require("sinks", f"{url}: reading from PostgreSQL", "psycopg", error=SinkError)
    return url


def _files(path: Path) -> Opened:
    found = files_at(path)
    if found.kind is Kind.PARQUET:
        require("sinks", f"{path}: reading Parquet", "duckdb", error=SinkError)
    if found.kind is not Kind.MOT and is_there("duckdb"):
        from pipeline.results.columns import read_by_duckdb

        return Opened(str(path), read_by_duckdb(found), found.notes)
    from pipeline.results.lines import read_by_python

    return Opened(str(path), read_by_python(found), found.notes)
