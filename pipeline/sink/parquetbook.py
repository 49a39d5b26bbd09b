"""Parquet files, of which a killed writer loses nothing.

A Parquet file cannot be read before its last byte is there, and has to have row groups of some size. So what was added
is in a journal, the `.part` file, until the file is whole; the file itself is made beside it, group by group, and made
again from the journal where its writer was killed.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import WireError
from pipeline.sink.book import Known, PartFile, final_of, unwritable
from pipeline.sink.flat import COLUMNS, FRAME_COLUMNS, Value, box_values, frame_values
from pipeline.wire import FrameResult, Message, decode, encode

GROUP_ROWS = 50_000
"""Rows of a group: some 2 MB, of which columns are read one by one."""
_LENGTH_BYTES = 4
_TOPIC = b"detections/"

_INTEGERS = {
    "session", "frame_id", "captured_at_ns", "published_at_ns", "frame_width", "frame_height", "stride", "objects",
    "track_id", "class_id",
}  # fmt: skip
_TEXTS = {
    "fleet", "camera_id", "session_id", "capture_clock", "origin", "filled_because", "lost", "class_name", "box_origin",
    "attributes",
}  # fmt: skip


def _type(name: str) -> pa.DataType:
    if name in _TEXTS:
        return pa.string()
    return pa.int64() if name in _INTEGERS else pa.float64()


SCHEMA = pa.schema([(name, _type(name)) for name in COLUMNS])


class Groups:
    """A Parquet file that is written group by group; whole once it is closed."""

    def __init__(self, path: Path) -> None:
        """Begin it anew."""
        self._writer = pq.ParquetWriter(path, SCHEMA, compression="zstd")
        self._columns: list[list[Value]] = [[] for _ in COLUMNS]

    def add(self, frame: FrameResult) -> None:
        """Note its rows; they are written with their group."""
        rows = box_values(frame)
        for column, value in zip(self._columns, frame_values(frame), strict=False):
            column.extend([value] * len(rows))
        for column, values in zip(self._columns[len(FRAME_COLUMNS) :], zip(*rows, strict=True), strict=True):
            column.extend(values)
        if len(self._columns[0]) >= GROUP_ROWS:
            self._write()

    def close(self) -> None:
        """Write the last group and the file's end."""
        if self._columns[0]:
            self._write()
        self._writer.close()

    def abandon(self) -> None:
        """Let go of it; it is not whole."""
        self._columns = [[] for _ in COLUMNS]
        self._writer.close()

    def _write(self) -> None:
        columns, self._columns = self._columns, [[] for _ in COLUMNS]
        arrays = [pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)]
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=SCHEMA))


class ParquetBook:
    """The journal and the file that is made of it."""

    def __init__(self, part: Path) -> None:
        """Begin, or go on with a journal that was left.

        Raises:
            BlockingIOError: Another process writes it.
            SinkError: It cannot be written.
        """
        self._journal, self._known = PartFile(part), Known()
        self._made = part.with_name(f".{final_of(part).name}.tmp")
        frames, right = read_journal(self._journal.read())
        self._journal.cut(right)
        try:
            self._groups = Groups(self._made)
            self._include(frames)
        except OSError as error:
            self._journal.let_go()
            raise unwritable(self._made, error) from error

    @property
    def size(self) -> int:
        """Bytes of the journal; the file is a tenth of it."""
        return self._journal.size

    def add(self, messages: Sequence[Message]) -> None:
        """Write the journal, then as much of the file as makes a group."""
        new = [message for message in self._known.new_of(messages) if isinstance(message, FrameResult)]
        if not new:
            return
        self._journal.append(b"".join(map(_entry, new)))
        try:
            self._include(new)
        except OSError as error:
            raise unwritable(self._made, error) from error

    def close(self) -> None:
        """Make the file whole, and give it its name; then the journal has no use any more."""
        if not self.size:
            self._groups.abandon()
            self._made.unlink(missing_ok=True)
            self._journal.close(None)
            return
        try:
            self._groups.close()
            _flush(self._made)
            self._made.rename(final_of(self._journal.path))
        except OSError as error:
            self._journal.let_go()
            raise unwritable(self._made, error) from error
        self._journal.close(None)

    def _include(self, frames: list[FrameResult]) -> None:
        self._known.note_all(frames)
        for frame in frames:
            self._groups.add(frame)


def read_journal(content: bytes) -> tuple[list[FrameResult], int]:
    """The frames of a journal, and how many of its bytes hold them: up to what is half there, or no frame."""
    frames: list[FrameResult] = []
    at = 0
    while at + _LENGTH_BYTES <= len(content):
        end = at + _LENGTH_BYTES + int.from_bytes(content[at : at + _LENGTH_BYTES], "big")
        if end > len(content):
            break
        try:
            frame = decode(_TOPIC, content[at + _LENGTH_BYTES : end])
        except WireError:
            break
        if not isinstance(frame, FrameResult):
            break
        frames.append(frame)
        at = end
    return frames, at


def _entry(frame: FrameResult) -> bytes:
    body = encode(frame)
    return len(body).to_bytes(_LENGTH_BYTES, "big") + body


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
