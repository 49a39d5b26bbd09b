"""Targets that read back what sinks have kept; each writes what it is given into the current directory first."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from pipeline.results.ask import account_of
from pipeline.results.databases import duckdb_file, sqlite_file
from pipeline.results.files import Files, Kind
from pipeline.results.lines import read_by_python
from pipeline.results.tables import Opened, Tables
from pipeline.results.text import show

_KINDS = {b"{": Kind.JSONL, b"f": Kind.CSV}


def lines(data: bytes) -> None:
    """JSONL, CSV or MOTChallenge's text, by how it begins."""
    kind = _KINDS.get(data[:1], Kind.MOT)
    file = Path(f"kept.{kind.value}")
    file.write_bytes(data)
    _read(read_by_python(Files(file, kind, [file])))


def database(data: bytes) -> None:
    """A file of SQLite."""
    file = Path("kept.sqlite")
    file.write_bytes(data)
    _read(sqlite_file(file))


def duckdb_database(data: bytes) -> None:
    """A file of DuckDB."""
    file = Path("kept.duckdb")
    file.write_bytes(data)
    _read(duckdb_file(file))


def parquet(data: bytes) -> None:
    """A file of Parquet."""
    from pipeline.results.columns import read_by_duckdb

    file = Path("kept.parquet")
    file.write_bytes(data)
    _read(read_by_duckdb(Files(file, Kind.PARQUET, [file])))


def _read(tables: Tables) -> None:
    try:
        told = account_of(Opened("kept", tables))
    finally:
        tables.close()
    show(told, Console(width=100, file=io.StringIO()))
