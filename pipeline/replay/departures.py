"""When each access unit really left: the truth against which a fleet's own idea of latency is tested.

The file is a row of records of 28 bytes without header, little-endian, in order of departure:

    camera             u32   index of the camera, in order of the server's `urls`
    presented_wall_ns  i64   wall time of the picture by the camera's sender reports, ns since 1970-01-01 UTC; what an
                             RTSP client makes of RTP timestamp and RTCP (FrameResult.captured_at_ns with "rtcp")
    left_ns            i64   CLOCK_MONOTONIC when the last byte was given to the first client's socket
    left_wall_ns       i64   the same instant on the wall clock

A client's value differs from `presented_wall_ns` by up to 12 µs: one tick of RTP's 90 kHz and FFmpeg's microseconds.
"""

from __future__ import annotations

import struct
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.errors import ReplayError

DEPARTURE = np.dtype(
    [("camera", "<u4"), ("presented_wall_ns", "<i8"), ("left_ns", "<i8"), ("left_wall_ns", "<i8")], align=False
)

_RECORD = struct.Struct("<Iqqq")
# Some seconds of twelve cameras; a server that is killed loses no more than what lies in between.
_BUFFER_BYTES = 64 * _RECORD.size

assert _RECORD.size == DEPARTURE.itemsize


class DepartureFile:
    """Takes departures and writes them to a file, a few at a time."""

    def __init__(self, path: Path) -> None:
        """Begin `path` anew.

        Raises:
            ReplayError: it cannot be written.
        """
        try:
            self._file = path.open("wb", buffering=_BUFFER_BYTES)
        except OSError as error:
            raise ReplayError(f"{path}: departures cannot be written there: {error.strerror}") from error

    def __enter__(self) -> DepartureFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def note(self, camera: int, presented_wall_ns: int, left_ns: int, left_wall_ns: int) -> None:
        """Append one record."""
        self._file.write(_RECORD.pack(camera, presented_wall_ns, left_ns, left_wall_ns))

    def flush(self) -> None:
        """Make what was noted visible to readers."""
        self._file.flush()

    def close(self) -> None:
        """Write the rest; harmless when repeated."""
        self._file.close()


def read_departures(path: Path) -> npt.NDArray[Any]:
    """The records of `path` as a structured array of dtype `DEPARTURE`; the file may still be growing.

    Raises:
        ReplayError: it cannot be read.

    Example:
        >>> left = read_departures(Path("departures.bin"))                 # doctest: +SKIP
        >>> gate = left[left["camera"] == 0]                               # doctest: +SKIP
        >>> age_ns = received_ns - gate["left_ns"]                         # doctest: +SKIP
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ReplayError(f"{path}: no departures can be read: {error.strerror}") from error
    return np.frombuffer(content, DEPARTURE, count=len(content) // DEPARTURE.itemsize)
