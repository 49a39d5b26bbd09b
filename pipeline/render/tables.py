"""Results in a database, a piece at a time, so that what is held does not grow with them."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from pipeline.errors import SinkError
from pipeline.redact import printable
from pipeline.render.choose import Stream, in_order, session_of, start_of
from pipeline.render.rows import ATTRIBUTES, BOX, FRAME, Row, frame_of
from pipeline.results.tables import Opened, asked
from pipeline.sink.columns import columns_of
from pipeline.sink.tables import found_version
from pipeline.wire import Count, FrameResult, Number

PIECE = 500
"""Frames that are asked for at once: 20 s of a camera, some 5 MB with 50 objects on each."""
_SESSIONS = """
SELECT fleet, camera_id, session_id, count(*), min(pts_s), max(pts_s) FROM frames
GROUP BY fleet, camera_id, session_id ORDER BY min(captured_at_ns), fleet, camera_id, session_id"""

_KEY = ("fleet", "camera_id", "session_id")


class _Session(NamedTuple):
    fleet: str
    camera_id: str
    session_id: str
    frames: Count
    first_s: Number
    last_s: Number


class KeptInTables:
    """What a sink has written into a database; other sinks may go on writing."""

    def __init__(self, opened: Opened) -> None:
        """Read these tables, which stay the caller's to close."""
        self._tables, self._source = opened.tables, opened.source
        there = columns_of("boxes", found_version(opened.tables, opened.source))
        self._of_box = ("frame_id", *BOX, *(name for name in there if name == ATTRIBUTES))

    def streams(self, camera: str | None) -> list[Stream]:
        """The streams of one camera, or of all, in the order in which they begin.

        Raises:
            SinkError: The database cannot answer, or there is something in it that camfleet does not write.
        """
        found: dict[tuple[str, str], Stream] = {}
        for one in self._sessions():
            if camera in (None, one.camera_id):
                key = (one.camera_id, session_of(one.session_id))
                stream = found.setdefault(key, Stream(*key, 0, one.first_s, one.last_s))
                stream.frames += one.frames
                stream.first_s, stream.last_s = min(stream.first_s, one.first_s), max(stream.last_s, one.last_s)
        return list(found.values())

    def frames(self, stream: Stream) -> Iterator[FrameResult]:
        """The frames of one of them in their order, their objects by number.

        A frame that has lost some of its objects, because they are too old to be kept, is left out.

        Raises:
            SinkError: As `streams`.
        """
        sessions = [one for one in self._sessions() if stream.includes(one.camera_id, one.session_id)]
        sessions.sort(key=lambda one: start_of(one.session_id))
        return in_order(itertools.chain.from_iterable(map(self._frames, sessions)), stream)

    def _sessions(self) -> list[_Session]:
        try:
            return asked(self._tables, _SESSIONS, _Session)
        except msgspec.ValidationError as error:
            raise self._foreign(error) from None
        finally:
            self._tables.renew()

    def _frames(self, session: _Session) -> Iterator[FrameResult]:
        """Piece by piece, by the numbers of the frames, which the tables are sorted by."""
        after = -1
        while piece := self._piece(session, after):
            for frame, objects in piece:
                after = frame.frame_id
                if len(frame.tracks) == objects:
                    yield frame

    def _piece(self, session: _Session, after: int) -> list[tuple[FrameResult, int]]:
        """The next frames, and how many objects each should have."""
        wanted = " AND ".join(f"{name} = {self._quoted(value)}" for name, value in zip(_KEY, session[:3], strict=True))
        try:
            frames = self._rows("frames", f"{wanted} AND frame_id > {after} ORDER BY frame_id LIMIT {PIECE}", FRAME)
            numbers = msgspec.convert([row["frame_id"] for row in frames], list[Count])
            boxes = self._boxes(f"{wanted} AND frame_id BETWEEN {numbers[0]} AND {numbers[-1]}") if numbers else {}
            return [
                (frame_of(row, boxes.get(number, [])), msgspec.convert(row["objects"], int))
                for number, row in zip(numbers, frames, strict=True)
            ]
        except msgspec.ValidationError as error:
            raise self._foreign(error) from None
        finally:
            # A recording may take hours, and no server should keep a view of its tables for so long.
            self._tables.renew()

    def _boxes(self, wanted: str) -> dict[int, list[Row]]:
        boxes: dict[int, list[Row]] = defaultdict(list)
        for row in self._rows("boxes", f"{wanted} ORDER BY frame_id, track_id", self._of_box):
            boxes[row["frame_id"]].append(row)
        return boxes

    def _rows(self, table: str, wanted: str, columns: tuple[str, ...]) -> list[Row]:
        answer = self._tables.execute(f"SELECT {', '.join(columns)} FROM {table} WHERE {wanted}")
        return [dict(zip(columns, values, strict=True)) for values in answer]

    def _quoted(self, text: str) -> str:
        r"""A text in SQL; a backslash may mean something in it, by a server's settings, and camfleet writes none."""
        if "\\" in text or "\0" in text:
            raise self._foreign(f"“{text}”")
        return "'" + text.replace("'", "''") + "'"

    def _foreign(self, what: object) -> SinkError:
        return SinkError(f"{self._source}: there are values that camfleet does not write: {printable(str(what))}")
