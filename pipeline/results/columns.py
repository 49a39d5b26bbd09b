"""Files read by DuckDB: their rows become tables in a file of its own, which goes when it is closed."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import duckdb

from pipeline.errors import SinkError
from pipeline.redact import redact
from pipeline.results.databases import Reader
from pipeline.results.files import Files, Kind
from pipeline.results.tables import Tables

_KEY = {"fleet": "VARCHAR", "camera_id": "VARCHAR", "session_id": "VARCHAR", "frame_id": "BIGINT"}
_OF_FRAME = {"captured_at_ns": "BIGINT", "age_ms": "DOUBLE", "origin": "VARCHAR"}
_OF_BOX = {"track_id": "BIGINT", "class_name": "VARCHAR"}
_FLAT = {**_KEY, **_OF_FRAME, **_OF_BOX}
_WIRE = {"kind": "VARCHAR", **_KEY, **_OF_FRAME, "tracks": "STRUCT(track_id BIGINT, class_name VARCHAR)[]"}
_MEMORY = "1GB"

_KEYS = ", ".join(_KEY)
_SPREAD = """
CREATE TABLE lines AS SELECT * EXCLUDE (tracks), unnest(tracks, recursive := true)
FROM (SELECT * REPLACE (CASE WHEN len(tracks) > 0 THEN tracks ELSE [NULL] END AS tracks) FROM wire)"""
_NEEDED = (*_KEY, *_OF_FRAME)
_WRONG = f"""
SELECT count(*) FROM lines WHERE {" OR ".join(f"{name} IS NULL" for name in _NEEDED)}
OR (track_id IS NULL) <> (class_name IS NULL)"""
_FRAMES = f"""
CREATE TABLE frames AS SELECT {_KEYS}, {", ".join(f"any_value({name}) AS {name}" for name in _OF_FRAME)}
FROM lines GROUP BY {_KEYS}"""
_BOXES = f"""
CREATE TABLE boxes AS SELECT {_KEYS}, track_id, any_value(captured_at_ns) AS captured_at_ns,
any_value(class_name) AS class_name FROM lines WHERE track_id IS NOT NULL GROUP BY {_KEYS}, track_id"""


def read_by_duckdb(files: Files) -> Tables:
    """The tables `frames` and `boxes` of these files; a frame that is there twice is taken once.

    Raises:
        SinkError: A file is damaged, or none of camfleet's.
    """
    folder = tempfile.TemporaryDirectory(prefix="camfleet-results-")
    connection = duckdb.connect(str(Path(folder.name) / "read.duckdb"))
    reader = Reader(connection, "", duckdb.Error, lambda error: f"{files.path}: {_reason(error)}", folder.cleanup)
    try:
        reader.execute(f"SET memory_limit = '{_MEMORY}'")
        reader.execute("SET preserve_insertion_order = false")
        _fill(reader, files)
    except SinkError:
        reader.close()
        raise
    return reader


def _fill(reader: Reader, files: Files) -> None:
    if files.kind is Kind.JSONL:
        _fill_from_lines(reader, files)
    else:
        _fill_from_columns(reader, files)
    wrong = reader.execute(_WRONG)[0][0]
    if wrong:
        raise SinkError(f"{files.path}: {wrong} of its lines are none that camfleet writes")
    reader.execute(_FRAMES)
    reader.execute(_BOXES)
    reader.execute("DROP TABLE lines")


def _fill_from_lines(reader: Reader, files: Files) -> None:
    """A message a line; only those of frames are wanted."""
    columns = ", ".join(f"{name}: '{kind}'" for name, kind in _WIRE.items())
    sources = [
        f"SELECT * FROM read_json({_named(paths)}, format = 'newline_delimited', columns = {{{columns}}}, "
        f"ignore_errors = {still_written}) WHERE {keep}"
        # Of a line that is half there, DuckDB makes a row of nothing.
        for paths, still_written, keep in ((files.closed, "false", "true"), (files.open, "true", "fleet IS NOT NULL"))
        if paths
    ]
    reader.execute(f"CREATE TABLE wire AS {' UNION ALL '.join(sources)}")
    # A message of another kind says so; one without a kind is by `camfleet subscribe --json`.
    reader.execute("DELETE FROM wire WHERE kind <> 'detections' AND fleet IS NOT NULL")
    reader.execute("ALTER TABLE wire DROP kind")
    reader.execute(_SPREAD)
    reader.execute("DROP TABLE wire")


def _fill_from_columns(reader: Reader, files: Files) -> None:
    """A row for each object, and one without an object for a frame that has none."""
    sources = [_source(files.kind, paths, part) for paths, part in ((files.closed, False), (files.open, True)) if paths]
    for source in sources:
        _require_columns({row[0] for row in reader.execute(f"DESCRIBE SELECT * FROM {source}")}, files)
    wanted = ", ".join(f"CAST({name} AS {kind}) AS {name}" for name, kind in _FLAT.items())
    reader.execute(f"CREATE TABLE lines AS {' UNION ALL '.join(f'SELECT {wanted} FROM {one}' for one in sources)}")


def _source(kind: Kind, paths: list[Path], part: bool) -> str:
    if kind is Kind.PARQUET:
        return f"read_parquet({_named(paths)}, union_by_name = true)"
    return (
        f"read_csv({_named(paths)}, header = true, all_varchar = true, delim = ',', quote = '\"', escape = '\"', "
        f"union_by_name = true, ignore_errors = {str(part).lower()})"
    )


def _require_columns(found: Mapping[str, object] | set[str], files: Files) -> None:
    missing = [name for name in _FLAT if name not in found]
    if missing:
        raise SinkError(f"{files.path}: these are no results of camfleet: there is no column {', '.join(missing)}")


def _named(paths: list[Path]) -> str:
    """A list of texts in SQL."""
    quoted = ("'" + str(path).replace("'", "''") + "'" for path in paths)
    return f"[{', '.join(quoted)}]"


def _reason(error: Exception) -> str:
    """DuckDB's words, without the lines that advise on its functions."""
    first, *more = str(error).split("\n")
    why = next((line for line in more if line.startswith("Error when")), "")
    return redact(" ".join(f"{first} {why}".split()))
