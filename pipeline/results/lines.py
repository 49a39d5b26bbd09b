"""Files read line by line, without any library: into a database of SQLite that goes when it is closed.

It takes some ten times as long as DuckDB does.
"""

from __future__ import annotations

import csv
import itertools
import re
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from pipeline.errors import SinkError
from pipeline.foreign import UNREADABLE
from pipeline.results.databases import sqlite_reader
from pipeline.results.files import Files, Kind
from pipeline.results.tables import Tables
from pipeline.wire import FrameResult


class Frame(NamedTuple):
    """A frame, as far as the account needs it."""

    fleet: str
    camera_id: str
    session_id: str
    frame_id: int
    captured_at_ns: int | None
    age_ms: float | None
    origin: str | None


class Box(NamedTuple):
    """An object on it."""

    fleet: str
    camera_id: str
    session_id: str
    frame_id: int
    track_id: int
    captured_at_ns: int | None
    class_name: str


class Line(NamedTuple):
    """What one line says."""

    frame: Frame
    boxes: list[Box]


class _Kind(msgspec.Struct):
    kind: str = FrameResult.kind


_BATCH = 1000
_BY_SINK = re.compile(r".*\+(?P<camera>[^+]+)\+(?P<session>[^+]+)-\d{8}T\d{6}Z(-\d+)?")
"""What a file sink calls a file of MOTChallenge's format: which camera and session it is of."""
_CSV_COLUMNS = (*Frame._fields, "track_id", "class_name")
_MOST = 1 << 63
"""Whole numbers are below it, in databases."""
_TABLES = f"""
CREATE TABLE frames ({", ".join(Frame._fields)}, PRIMARY KEY (fleet, camera_id, session_id, frame_id)) WITHOUT ROWID;
CREATE TABLE boxes ({", ".join(Box._fields)}, PRIMARY KEY (fleet, camera_id, session_id, frame_id, track_id))
WITHOUT ROWID;
PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF"""
_kind_decoder = msgspec.json.Decoder(_Kind)
_frame_decoder = msgspec.json.Decoder(FrameResult)


def read_by_python(files: Files) -> Tables:
    """The tables `frames` and `boxes` of these files; a frame that is there twice is taken once.

    Raises:
        SinkError: A file is damaged, or none of camfleet's.
    """
    folder = tempfile.TemporaryDirectory(prefix="camfleet-results-")
    connection = sqlite3.connect(Path(folder.name) / "read.sqlite", isolation_level=None)
    reader = sqlite_reader(connection, lambda error: f"{files.path}: {error}", folder.cleanup)
    try:
        connection.executescript(_TABLES)
        for path in (*files.closed, *files.open):
            _fill(connection, path, files.kind, still_written=path in files.open)
    except BaseException:
        reader.close()
        raise
    return reader


def _fill(connection: sqlite3.Connection, path: Path, kind: Kind, *, still_written: bool) -> None:
    lines = whole_lines(path, still_written)
    read = {Kind.JSONL: _of_json, Kind.CSV: _of_csv, Kind.MOT: _of_mot}[kind](lines, path)
    while batch := list(itertools.islice(read, _BATCH)):
        _insert(connection, "frames", Frame, [line.frame for line in batch])
        _insert(connection, "boxes", Box, [box for line in batch for box in line.boxes])


def _insert(connection: sqlite3.Connection, table: str, row: type[Frame | Box], rows: list[Frame] | list[Box]) -> None:
    marks = ", ".join("?" for _ in row._fields)
    connection.executemany(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", rows)


def whole_lines(path: Path, still_written: bool) -> Iterator[str]:
    """The lines, without the last one where that may be half there.

    Raises:
        SinkError: The file cannot be read, or is no text.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for line in file:
                if line.endswith("\n") or not still_written:
                    yield line
    except UnicodeDecodeError:
        raise SinkError(f"{path}: that is no text") from None
    except OSError as error:
        raise SinkError(f"{path}: the file cannot be read: {error.strerror}") from None


def _of_json(lines: Iterator[str], path: Path) -> Iterator[Line]:
    for number, line in enumerate(lines, 1):
        try:
            if _kind_decoder.decode(line).kind == FrameResult.kind:
                yield _of_message(_frame_decoder.decode(line))
        except UNREADABLE as error:
            raise SinkError(f"{path}:{number}: that is no message of camfleet: {error}") from None


def _of_message(frame: FrameResult) -> Line:
    key = (frame.fleet, frame.camera_id, frame.session_id, frame.frame_id)
    boxes = [Box(*key, box.track_id, frame.captured_at_ns, box.class_name) for box in frame.tracks]
    return Line(Frame(*key, frame.captured_at_ns, frame.age_ms, frame.origin), boxes)


def _of_csv(lines: Iterator[str], path: Path) -> Iterator[Line]:
    reader = csv.DictReader(lines, strict=True)
    try:
        missing = [name for name in _CSV_COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            raise SinkError(f"{path}: these are no results of camfleet: there is no column {', '.join(missing)}")
        for row in reader:
            yield _of_row(row)
    except (ValueError, TypeError, csv.Error) as error:
        raise SinkError(f"{path}:{reader.line_num}: the line cannot be read: {error}") from None


def _of_row(row: dict[str, str]) -> Line:
    key = (row["fleet"], row["camera_id"], row["session_id"], _whole(row["frame_id"]))
    at_ns = _whole(row["captured_at_ns"])
    boxes = [Box(*key, _whole(row["track_id"]), at_ns, row["class_name"])] if row["track_id"] else []
    return Line(Frame(*key, at_ns, float(row["age_ms"]), row["origin"]), boxes)


def _whole(text: str) -> int:
    """A whole number that a database can keep."""
    number = int(text)
    if not 0 <= number < _MOST:
        raise ValueError(f"{text[:20]} is out of range")
    return number


def _of_mot(lines: Iterator[str], path: Path) -> Iterator[Line]:
    """MOTChallenge's format: no times, and no line for a frame without objects."""
    named = _BY_SINK.fullmatch(path.stem)
    camera_id, session_id = (named["camera"], named["session"]) if named else (path.stem, "")
    for number, line in enumerate(lines, 1):
        try:
            frame_id, track_id, label = _mot_fields(line.split(","))
        except (ValueError, IndexError, OverflowError) as error:
            raise SinkError(f"{path}:{number}: that is no line of MOTChallenge's format: {error}") from None
        key = ("", camera_id, session_id, frame_id)
        yield Line(Frame(*key, None, None, None), [Box(*key, track_id, None, label)])


def _mot_fields(fields: list[str]) -> tuple[int, int, str]:
    """The frame, from 0; the object's number, and what it is."""
    frame_id, track_id = int(fields[0]) - 1, int(float(fields[1]))
    if len(fields) < 6 or not 0 <= frame_id < _MOST or not -1 <= track_id < _MOST:
        raise ValueError("expected frame, id, left, top, width, height, …, the first frame being 1")
    class_id = int(float(fields[7])) if len(fields) > 7 else 0
    return frame_id, track_id, f"class {class_id}" if class_id > 0 else "object"
