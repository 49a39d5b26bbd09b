"""Reads a recording as an endless or finite row of access units, without decoding anything.

Timestamps leave here on RTP's 90 kHz clock, counted from the first access unit's dts, and go on across loops: the
second pass begins where the first one's last picture ends, so a client never sees time jump.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TypeAlias

import av
import structlog

from pipeline.errors import ReplayError
from pipeline.record.arrivals import Arrivals
from pipeline.rtsp.rtp import CLOCK_HZ

CODECS = ("h264", "hevc", "mpeg4", "mjpeg")

_TICK = Fraction(1, CLOCK_HZ)
_FALLBACK_RATE = Fraction(25)
# Matroska leaves the dts of the first pictures open until the reorder delay is known; H.264 and HEVC reorder up to 16.
_MAX_PACKETS_WITHOUT_DTS = 32
_BACKWARDS_TICKS = CLOCK_HZ // 2
"""What decoding time may step back by without being another time."""

_Packet: TypeAlias = "av.Packet[av.VideoStream]"

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RecordedUnit:
    """One coded picture as it lies in the file; times in 1/90000 s, `dts` strictly increasing.

    `due` is when it is to be sent where that is known to be another time than `dts`: when it arrived at the recorder.
    """

    packet: _Packet
    pts: int
    dts: int
    duration: int
    is_key: bool
    due: int | None = None


class Recording:
    """The video stream of one file, open for reading; one reader at a time.

    Example:
        >>> recording = Recording(Path("gate.mp4"))        # doctest: +SKIP
        >>> unit = next(recording.access_units())          # doctest: +SKIP
        >>> unit.is_key, unit.dts                          # doctest: +SKIP
        (True, 0)
    """

    def __init__(self, path: Path) -> None:
        """Open `path` and read its first picture.

        Raises:
            ReplayError: no such file, nothing FFmpeg can read, no video, another codec than `CODECS`, no timestamps.
        """
        self.path = path
        self._container = _open(path)
        try:
            self.stream = self._video_stream()
            self.codec = self.stream.codec_context.codec.canonical_name
            if self.codec not in CODECS:
                raise ReplayError(
                    f"{path}: video codec {self.codec} cannot be replayed, only {', '.join(CODECS)}; "
                    "convert it first, e.g. ffmpeg -i IN -c:v libx264 OUT.mp4"
                )
            self.rate = self.stream.average_rate or self.stream.guessed_rate or _FALLBACK_RATE
            self._frame_ticks = max(1, round(CLOCK_HZ / self.rate))
            self._arrivals = Arrivals.load(path)
            self._origin: int | None = None
            self._origin = self._first_dts()
        except BaseException:
            self._container.close()
            raise

    @property
    def duration_s(self) -> float:
        """The length that the container states, in seconds; 0 where it states none."""
        if self.stream.duration and self.stream.time_base:
            return float(self.stream.duration * self.stream.time_base)
        return (self._container.duration or 0) / av.time_base

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height of the pictures, in pixels."""
        return self.stream.codec_context.width, self.stream.codec_context.height

    @property
    def extradata(self) -> bytes:
        """The decoder's configuration as the container holds it; may be empty."""
        return bytes(self.stream.codec_context.extradata or b"")

    def key_frame_before(self, offset_s: float) -> float:
        """Seconds from the start of the recording to the last key frame not after `offset_s`."""
        for unit in self._one_pass(offset_s):
            return (unit.dts - (self._origin or 0)) / CLOCK_HZ
        return 0.0

    def access_units(self, start_s: float = 0.0, *, loop: bool = False, even: bool = False) -> Iterator[RecordedUnit]:
        """Access units in decoding order, from the key frame at or before `start_s`; the first one has dts 0.

        With `loop` the recording begins again, from its start, whenever it ends, and time goes on. With `even` its
        pictures have equal distances, whatever the file says.

        Raises:
            ReplayError: a pass through the file gave no picture at all.
        """
        units = self._passes(start_s, loop)
        return self._evenly(units) if even else units

    def _evenly(self, units: Iterator[RecordedUnit]) -> Iterator[RecordedUnit]:
        for number, unit in enumerate(units):
            dts = number * self._frame_ticks
            reordered_by = round((unit.pts - unit.dts) / self._frame_ticks)
            yield RecordedUnit(unit.packet, dts + reordered_by * self._frame_ticks, dts, self._frame_ticks, unit.is_key)

    def _passes(self, start_s: float, loop: bool) -> Iterator[RecordedUnit]:
        end, last_dts, last_due = 0, -1, 0
        while True:
            shift: int | None = None
            for unit in self._one_pass(start_s):
                if shift is None or unit.dts + shift < end - _BACKWARDS_TICKS:
                    # Files that were joined begin their time anew with each piece.
                    shift = end - unit.dts
                last_dts = max(unit.dts + shift, last_dts + 1)
                pts = max(unit.pts + shift, last_dts)
                last_due = max(self._due(unit, shift, last_dts), last_due)
                yield RecordedUnit(unit.packet, pts, last_dts, unit.duration, unit.is_key, last_due)
                end = last_dts + unit.duration
            if shift is None:
                raise ReplayError(f"{self.path}: no picture can be read from it any more; was the file changed?")
            if not loop:
                return
            start_s = 0.0

    def _due(self, unit: RecordedUnit, shift: int, dts: int) -> int:
        """When to send `unit`: as long after its presentation time as it arrived, where that is known."""
        if self._arrivals is None or unit.packet.pts is None:
            return dts
        delay_ms = self._arrivals.delay_ms(round(unit.packet.pts * self._time_base * 1000))
        return dts if delay_ms is None else unit.pts + shift + round(delay_ms * CLOCK_HZ / 1000)

    def close(self) -> None:
        """Close the file; harmless when repeated."""
        self._container.close()

    def _video_stream(self) -> av.VideoStream:
        best = self._container.streams.best("video")
        if not isinstance(best, av.VideoStream):
            raise ReplayError(f"{self.path}: has no video stream; give a recording with pictures")
        return best

    def _first_dts(self) -> int:
        for unit in self._one_pass(0.0):
            return unit.dts
        raise ReplayError(f"{self.path}: has a video stream but no key frame to start from")

    def _one_pass(self, start_s: float) -> Iterator[RecordedUnit]:
        """From the key frame at or before `start_s` to the end of the file, in the file's own time."""
        if self._origin is not None:
            self._seek(self._origin + round(start_s * CLOCK_HZ))
        waiting_for_key = True
        for unit in self._with_dts():
            waiting_for_key = waiting_for_key and not unit.is_key
            if not waiting_for_key:
                yield unit

    def _seek(self, dts: int) -> None:
        try:
            self._container.seek(round(dts * _TICK / self._time_base), stream=self.stream, backward=True)
        except av.FFmpegError as error:
            raise ReplayError(
                f"{self.path}: cannot go back in it ({error.strerror}); put it in an mp4 first"
            ) from error

    @property
    def _time_base(self) -> Fraction:
        return self.stream.time_base or _TICK

    def _with_dts(self) -> Iterator[RecordedUnit]:
        """Every packet with both timestamps; where a file starts without dts, they are counted back from the first."""
        held: list[_Packet] = []
        for packet in self._packets():
            if packet.dts is None:
                held.append(packet)
                if len(held) > _MAX_PACKETS_WITHOUT_DTS:
                    break
                continue
            dts = self._ticks(packet.dts)
            for age, earlier in enumerate(reversed(held), start=1):
                earlier.dts = packet.dts - round(age * self._frame_ticks * _TICK / self._time_base)
            for waiting in held:
                yield self._unit(waiting, self._ticks(waiting.dts or 0))
            held.clear()
            yield self._unit(packet, dts)
        if held:
            raise ReplayError(
                f"{self.path}: its pictures carry no timestamps; put it in a container that has them, "
                "e.g. ffmpeg -r 25 -i IN -c copy OUT.mp4"
            )

    def _packets(self) -> Iterator[_Packet]:
        """Video packets with data; a file that breaks off ends there, as a recording cut by a power failure does."""
        try:
            for packet in self._container.demux(self.stream):
                if packet.size:
                    yield packet
        except av.FFmpegError as error:
            _log.warning("recording breaks off", file=str(self.path), reason=error.strerror)

    def _unit(self, packet: _Packet, dts: int) -> RecordedUnit:
        if packet.pts is None and self.stream.codec_context.has_b_frames:
            raise ReplayError(
                f"{self.path}: has B-frames but no presentation times; put it in an mp4, e.g. ffmpeg -i IN OUT.mp4"
            )
        pts = dts if packet.pts is None else self._ticks(packet.pts)
        duration = self._ticks(packet.duration) if packet.duration else self._frame_ticks
        return RecordedUnit(packet, pts, dts, duration, packet.is_keyframe)

    def _ticks(self, timestamp: int) -> int:
        return round(timestamp * self._time_base / _TICK)


def _open(path: Path) -> av.container.InputContainer:
    if not path.is_file():
        raise ReplayError(f"{path}: no such file; give the path of a recording")
    try:
        return av.open(str(path))
    except (av.FFmpegError, OSError) as error:
        raise ReplayError(f"{path}: is no recording that FFmpeg can read ({error.strerror})") from error
