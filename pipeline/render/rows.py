"""Rows as sinks keep them, back into frames: those of CSV and Parquet, and the columns that databases have, too.

A frame that comes back has all that is drawn. Its totals, its losses and where its time went are not read: they are 0.
"""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any

import msgspec

from pipeline.errors import RenderError, SinkError
from pipeline.extras import require
from pipeline.redact import printable, redact
from pipeline.results.files import PART
from pipeline.results.lines import whole_lines
from pipeline.sink.flat import BOX_COLUMNS, FRAME_COLUMNS
from pipeline.wire import Counts, FrameResult

FRAME = tuple(name for name in FRAME_COLUMNS if name != "lost")
"""What is read of a frame; the names are the same in files and in tables."""
BOX = BOX_COLUMNS
"""What is read of an object."""
ATTRIBUTES = "attributes"
"""Read of an object where there is such a column, which older results have not."""
Row = Mapping[str, Any]

_key = itemgetter("fleet", "camera_id", "session_id", "frame_id")
_CORNERS = ("x1", "y1", "x2", "y2")
_TEXTS = frozenset({"session_id", "class_name"})
"""In CSV, what may be an empty text; elsewhere nothing between two commas is nothing."""
_BATCH_ROWS = 4096
_NOT_READ = {
    "lost": {},
    "latency_ms": {},
    "counts": Counts(decoded=0, detected=0, filled={}, lost={}),
}


def frame_of(frame: Row, boxes: Iterable[Row]) -> FrameResult:
    """A frame of its columns and those of its objects; numbers may be texts.

    Raises:
        msgspec.ValidationError: A value is none that camfleet writes.
    """
    told = {
        **frame,
        **_NOT_READ,
        "frame_wh": (frame["frame_width"], frame["frame_height"]),
        "tracks": [_box(box) for box in boxes],
    }
    return msgspec.convert(told, FrameResult, strict=False)


def read_csv(path: Path, camera: str | None) -> Iterator[FrameResult]:
    """The frames of one camera, or of all, in a file of a CSV sink.

    Raises:
        RenderError: It is none.
        SinkError: It cannot be read, or is no text.
    """
    rows = csv.DictReader(whole_lines(path, path.suffix == PART), strict=True)
    try:
        _require_columns(rows.fieldnames or (), path)
        names = (*FRAME, *BOX, *([ATTRIBUTES] if ATTRIBUTES in (rows.fieldnames or ()) else []))
        known = ({name: _value(name, row[name]) for name in names} for row in rows)
        yield from _frames(known, path, camera, above=1)
    except csv.Error as error:
        raise RenderError(f"{path}, line {rows.line_num}: the line cannot be read: {error}") from None


def read_parquet(path: Path, camera: str | None) -> Iterator[FrameResult]:
    """The same of a Parquet file, of which a few thousand rows are held at a time.

    Raises:
        RenderError: It is none, or is damaged.
        SinkError: The library that reads it is not installed.
    """
    require("sinks", f"{path}: drawing results in Parquet", "pyarrow", error=SinkError)
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            _require_columns(file.schema_arrow.names, path)
            there = [ATTRIBUTES] if ATTRIBUTES in file.schema_arrow.names else []
            batches = file.iter_batches(_BATCH_ROWS, columns=[*FRAME, *BOX, *there])
            rows = itertools.chain.from_iterable(batch.to_pylist() for batch in batches)
            yield from _frames(rows, path, camera, above=0)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        first = (str(error).splitlines() or ["it is damaged"])[0]
        raise RenderError(f"{path}: it cannot be read as Parquet: {redact(first)}") from None


def _frames(rows: Iterator[Row], path: Path, camera: str | None, above: int) -> Iterator[FrameResult]:
    """The rows of a frame are together; of a file that is still written, the last ones may be missing.

    So many rows are above these.
    """
    number, torn = above, None
    for key, group in itertools.groupby(rows, _key):
        if torn is not None:
            raise torn
        of_frame = list(group)
        number += len(of_frame)
        if camera not in (None, key[1]):
            continue
        boxes = [row for row in of_frame if row["track_id"] is not None]
        try:
            frame, objects = frame_of(of_frame[0], boxes), msgspec.convert(of_frame[0]["objects"], int, strict=False)
        except msgspec.ValidationError as error:
            raise RenderError(f"{path}, row {number}: no frame of camfleet ({printable(str(error))})") from None
        if len(boxes) == objects:
            yield frame
        else:
            torn = RenderError(
                f"{path}, row {number}: {len(boxes)} of the {objects} objects of a frame are there; expected the rows "
                "of each frame together, as a sink writes them"
            )
    if torn is not None and path.suffix != PART:
        raise torn


def _box(row: Row) -> dict[str, Any]:
    told = {**row, "xyxy": [row[corner] for corner in _CORNERS], "origin": row["box_origin"]}
    # Databases and Parquet give JSON as text.
    if isinstance(kept := told.pop(ATTRIBUTES, None), str):
        try:
            kept = msgspec.json.decode(kept)
        except msgspec.DecodeError as error:
            raise msgspec.ValidationError(f"{ATTRIBUTES}: {error}") from None
    return told if kept is None else {**told, ATTRIBUTES: kept}


def _value(name: str, text: str | None) -> str | None:
    return None if text == "" and name not in _TEXTS else text


def _require_columns(found: Sequence[str], path: Path) -> None:
    missing = [name for name in (*FRAME, *BOX) if name not in found]
    if missing:
        raise RenderError(f"{path}: these are no results of camfleet: there is no column {', '.join(missing)}")
