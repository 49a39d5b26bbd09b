"""When each packet of a recording reached the recorder, in a file beside it: `OUT.mkv.arrivals`.

The file is the 16 bytes `camfleet-arrive1` and then records of 16 bytes, little-endian, in order of arrival:

    pts_ms      i64   presentation time of the packet as it is in the recording, ms
    arrival_ns  i64   wall time at which it was received, ns since 1970-01-01 UTC; counted on by the monotonic clock
                      from the first packet on, so that differences are true

A recorder that is killed may leave records of packets that are not in the recording, and half a record at the end; both
are passed over.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from pipeline.clock import NS_PER_MS
from pipeline.errors import ReplayError

MAGIC = b"camfleet-arrive1"
ARRIVAL = np.dtype([("pts_ms", "<i8"), ("arrival_ns", "<i8")])

_RECORD = struct.Struct("<qq")


def beside(recording: Path) -> Path:
    """Where the arrivals of `recording` are kept."""
    return recording.with_name(f"{recording.name}.arrivals")


class ArrivalFile:
    """Takes arrivals and writes them to the file beside a recording."""

    def __init__(self, recording: Path) -> None:
        """Begin the file anew."""
        self._file = beside(recording).open("wb")
        self._file.write(MAGIC)

    def note(self, pts_ms: int, arrival_ns: int) -> None:
        """Append one record."""
        self._file.write(_RECORD.pack(pts_ms, arrival_ns))

    def flush(self) -> None:
        """Hand what was noted to the operating system, so that it outlives this process."""
        self._file.flush()

    def close(self) -> None:
        """Write the rest; harmless when repeated."""
        self._file.close()


class Arrivals:
    """How long after its presentation time each packet arrived, less the shortest of those delays.

    That is what jitter, pauses and bursts added to a regular stream, and no clock is needed to agree with another.
    """

    def __init__(self, delays_ms: dict[int, float]) -> None:
        self._delays_ms = delays_ms

    @classmethod
    def load(cls, recording: Path) -> Arrivals | None:
        """The arrivals of `recording`; None where nobody kept them.

        Raises:
            ReplayError: the file beside it is no file of arrivals.
        """
        path = beside(recording)
        if not path.is_file():
            return None
        content = path.read_bytes()
        if not content.startswith(MAGIC):
            raise ReplayError(f"{path}: holds no arrivals of a recording; remove it, or play with --paced even")
        body = content[len(MAGIC) :]
        records = np.frombuffer(body, ARRIVAL, count=len(body) // ARRIVAL.itemsize)
        if not len(records):
            return None
        delays_ms = records["arrival_ns"] / NS_PER_MS - records["pts_ms"]
        delays_ms -= delays_ms.min()
        return cls(dict(zip(records["pts_ms"].tolist(), delays_ms.tolist(), strict=True)))

    def delay_ms(self, pts_ms: int) -> float | None:
        """How much later than its presentation time the packet is due; None for one whose arrival is unknown."""
        return self._delays_ms.get(pts_ms)
