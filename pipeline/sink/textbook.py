"""Files of lines: JSONL, CSV and MOTChallenge's text."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from pipeline.foreign import UNREADABLE
from pipeline.sink.book import Known, PartFile, SessionKey, final_of
from pipeline.sink.flat import COLUMNS, FRAME_COLUMNS, Value, box_values, frame_values
from pipeline.wire import Event, Evidence, FrameResult, Message


class Lines(Protocol):
    """How messages become lines, and how a line tells which frame it is of."""

    suffix: str
    header: bytes

    def lines(self, message: Message) -> bytes:
        """A message's, each with its end; none of one that has no place here."""
        ...

    def frame_of(self, line: bytes) -> tuple[SessionKey, int] | None:
        """The frame that a line is of; None if that cannot be told."""
        ...

    def whole(self, content: bytes) -> int:
        """How many bytes of a file hold whole frames; the writer may have been killed over the last."""
        ...


class TextBook:
    """A file of lines; of what a killed writer has left, the last frame goes that is not whole."""

    def __init__(self, part: Path, form: Lines) -> None:
        """Begin a file, or go on with one.

        Raises:
            BlockingIOError: Another process writes it.
            SinkError: It cannot be written.
        """
        self._form, self._known = form, Known()
        self._part = PartFile(part)
        content = self._part.read()
        self._part.cut(form.whole(content))
        for line in content[: self._part.size].splitlines():
            if (found := form.frame_of(line)) is not None:
                self._known.note(*found)

    @property
    def size(self) -> int:
        """Bytes, those of the header too."""
        return self._part.size

    def add(self, messages: Sequence[Message]) -> None:
        """Append the lines of these."""
        new = self._known.new_of(messages)
        lines = b"".join(map(self._form.lines, new))
        if lines:
            self._part.append(lines if self._part.size else self._form.header + lines)
        self._known.note_all(new)

    def close(self) -> None:
        """Give it its name."""
        self._part.close(final_of(self._part.path) if self._part.size or self._known.some else None)


def whole_lines(content: bytes) -> int:
    """How many bytes there are up to the end of the last line that has one."""
    return content.rfind(b"\n") + 1


def _json(message: Message) -> bytes:
    return b'{"kind":"%s",' % message.kind.encode() + msgspec.json.encode(message)[1:]


class _Frame(msgspec.Struct):
    kind: Literal["detections"]
    fleet: str
    camera_id: str
    session_id: str
    frame_id: int


class JsonLines:
    """A message a line, with its `kind`."""

    suffix, header = ".jsonl", b""

    def __init__(self, *, states: bool) -> None:
        """Keep frames, events and what is kept of these, and with `states` all else."""
        self._states = states

    def lines(self, message: Message) -> bytes:
        """One line."""
        return _json(message) + b"\n" if self._states or isinstance(message, FrameResult | Event | Evidence) else b""

    def frame_of(self, line: bytes) -> tuple[SessionKey, int] | None:
        """By its keys."""
        try:
            frame = msgspec.json.decode(line, type=_Frame)
        except UNREADABLE:
            return None
        return (frame.fleet, frame.camera_id, frame.session_id), frame.frame_id

    def whole(self, content: bytes) -> int:
        """A frame is a line."""
        return whole_lines(content)


_OBJECTS = FRAME_COLUMNS.index("objects")
_ENDS = str.maketrans("\r\n", "  ")
"""A row is a line, so that the end of a file can be read from behind."""


class CommaLines:
    """A row for each object, after a row with the names of the columns."""

    suffix, header = ".csv", (",".join(COLUMNS) + "\n").encode()

    def lines(self, message: Message) -> bytes:
        """At least one of a frame; what is not known is nothing between two commas."""
        if not isinstance(message, FrameResult):
            return b""
        text, first = io.StringIO(), frame_values(message)
        csv.writer(text, lineterminator="\n").writerows(
            map(_on_one_line, (first + rest for rest in box_values(message)))
        )
        return text.getvalue().encode(errors="replace")

    def frame_of(self, line: bytes) -> tuple[SessionKey, int] | None:
        """By the columns that come first."""
        row = _row(line)
        try:
            return (row[0], row[1], row[2]), int(row[4])
        except (ValueError, IndexError):
            return None

    def whole(self, content: bytes) -> int:
        """A row says how many its frame has."""
        end = at = whole_lines(content)
        last, rows = None, 0
        while at > 0:
            start = content.rfind(b"\n", 0, at - 1) + 1
            line = content[start : at - 1]
            frame = self.frame_of(line)
            if frame is None or last not in (None, frame):
                break
            last, rows, at = frame, rows + 1, start
            objects = _row(line)[_OBJECTS : _OBJECTS + 1]
            if rows >= max(1, int(objects[0]) if objects and objects[0].isdecimal() else 1):
                return end
        return at if last is not None else end


def _on_one_line(row: tuple[Value, ...]) -> list[Value]:
    return [value.translate(_ENDS) if isinstance(value, str) else value for value in row]


def _row(line: bytes) -> list[str]:
    try:
        return next(csv.reader([line.decode()]), [])
    except (ValueError, csv.Error):
        return []
