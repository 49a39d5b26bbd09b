"""One Matroska file that is being recorded, and the times in it.

A camera's own timestamps are kept within a connection. Between connections, and where the camera's clock jumps, they
are set anew by the time of arrival, so that the file's time goes on as the day does.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av

from pipeline.clock import NS_PER_MS, Clock
from pipeline.errors import ReplayError
from pipeline.record.arrivals import ArrivalFile

# A recorder that is killed loses what is not yet written: a cluster of up to a second.
CLUSTER_MS = 1000
# Farther from its arrival no timestamp is believed; cameras and networks hold pictures back for a second or two.
MAX_DRIFT_MS = 5000

_FORMAT = "matroska"
_TIME_BASE = Fraction(1, 1000)
_FALLBACK_RATE = Fraction(25)
_MAX_WITHOUT_TIME = 32


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A packet that is to be written; arrival and reading on the monotonic clock."""

    packet: av.Packet[av.VideoStream]
    arrival_ns: int | None
    read_ns: int


class FileTimes:
    """Places packets on a file's time line, in ms; decoding times never go back."""

    def __init__(self) -> None:
        self._began_ns: int | None = None
        self._last_dts = -1
        self._offset: int | None = None

    def begin_session(self) -> None:
        """What follows has another zero."""
        self._offset = None

    def place(self, pts: int, dts: int, read_ns: int) -> tuple[int, int]:
        """Presentation and decoding time in the file of a packet with these of the camera, read at `read_ns`."""
        if self._began_ns is None:
            self._began_ns = read_ns
        passed = (read_ns - self._began_ns) // NS_PER_MS
        if self._offset is None or abs(dts + self._offset - passed) > MAX_DRIFT_MS:
            self._offset = max(passed, self._last_dts + 1) - dts
        self._last_dts = max(dts + self._offset, self._last_dts + 1)
        return max(pts + self._offset, self._last_dts), self._last_dts


class RecordingFile:
    """A Matroska file and the arrivals beside it, both growing."""

    def __init__(self, path: Path, stream: av.VideoStream, clock: Clock) -> None:
        """Begin `path` with what a decoder of `stream` needs.

        Raises:
            ReplayError: it cannot be written, or Matroska does not take the codec.
        """
        self._path = path
        self._needs = _needs(stream)
        self._times = FileTimes()
        self._wall_minus_monotonic_ns = clock.wall_ns() - clock.monotonic_ns()
        self._untimed: list[_Waiting] = []
        self._frame_ms = 0
        self._flushed_ms = 0
        try:
            options = {"cluster_time_limit": str(CLUSTER_MS), "flush_packets": "1"}
            self._container = av.open(str(path), "w", format=_FORMAT, options=options)
            # Opaque: nothing is encoded, and some decoders (libdav1d) have no encoder of their name.
            self._stream = self._container.add_stream_from_template(stream, opaque=True)
            self._arrivals = ArrivalFile(path)
        except (av.FFmpegError, OSError, ValueError) as error:
            raise ReplayError(f"{path}: cannot be recorded: {getattr(error, 'strerror', None) or error}") from error
        self.begin_session(stream)

    def fits(self, stream: av.VideoStream) -> bool:
        """Whether the file's decoder can go on with `stream`."""
        return _needs(stream) == self._needs

    def begin_session(self, stream: av.VideoStream) -> None:
        """Go on with another connection."""
        self._append_untimed(len(self._untimed) * self._frame_ms)
        self._frame_ms = max(1, round(1000 / (stream.average_rate or stream.guessed_rate or _FALLBACK_RATE)))
        self._times.begin_session()

    def write(self, packet: av.Packet[av.VideoStream], arrival_ns: int | None, read_ns: int) -> None:
        """Append `packet`, which is used up; those that open a stream without a dts wait for one that has it."""
        waiting = _Waiting(packet, arrival_ns, read_ns)
        if packet.dts is None:
            self._untimed.append(waiting)
            if len(self._untimed) > _MAX_WITHOUT_TIME:
                self._append_untimed(len(self._untimed) * self._frame_ms)
            return
        dts = _ms(packet.dts, packet)
        self._append_untimed(dts, packet)
        self._append(waiting, dts if packet.pts is None else _ms(packet.pts, packet), dts)

    def close(self) -> None:
        """Write what waits and the file's index; harmless when repeated."""
        self._append_untimed(len(self._untimed) * self._frame_ms)
        self._container.close()
        self._arrivals.close()

    def _append_untimed(self, next_dts: int, following: av.Packet[av.VideoStream] | None = None) -> None:
        """Append those that waited, in front of `next_dts`, ms of the camera's time, a frame interval apart.

        FFmpeg tells a stream's presentation times before its decoding times, but none of the very first picture: that
        is shown before all others.
        """
        timed = [waiting.packet for waiting in self._untimed] + ([following] if following is not None else [])
        known = [_ms(packet.pts, packet) for packet in timed if packet.pts is not None]
        first_pts = min(known, default=next_dts - (len(self._untimed) - 1) * self._frame_ms) - self._frame_ms
        for age, waiting in zip(range(len(self._untimed), 0, -1), self._untimed, strict=True):
            pts = waiting.packet.pts
            dts = next_dts - age * self._frame_ms
            self._append(waiting, max(first_pts, dts) if pts is None else _ms(pts, waiting.packet), dts)
        self._untimed.clear()

    def _append(self, waiting: _Waiting, pts: int, dts: int) -> None:
        pts_ms, dts_ms = self._times.place(pts, dts, waiting.read_ns)
        packet = waiting.packet
        duration_ms = _ms(packet.duration, packet) if packet.duration else self._frame_ms
        packet.stream = self._stream
        packet.time_base, packet.pts, packet.dts = _TIME_BASE, pts_ms, dts_ms
        packet.duration = duration_ms
        self._container.mux_one(packet)
        if waiting.arrival_ns is not None:
            self._arrivals.note(pts_ms, waiting.arrival_ns + self._wall_minus_monotonic_ns)
        if dts_ms - self._flushed_ms >= CLUSTER_MS:
            self._flushed_ms = dts_ms
            self._arrivals.flush()


def _ms(ticks: int, packet: av.Packet[av.VideoStream]) -> int:
    return round(ticks * (packet.time_base or _TIME_BASE) / _TIME_BASE)


def _needs(stream: av.VideoStream) -> tuple[str, int, int, bytes]:
    """What a decoder must know before the first packet; where it differs, a file cannot go on."""
    context = stream.codec_context
    return context.codec.canonical_name, context.width, context.height, bytes(context.extradata or b"")
