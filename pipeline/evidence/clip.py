"""A clip while it is written: never encoded anew, and playable up to where it was cut off, whatever happens meanwhile.

Matroska is written cluster by cluster. MP4 is written in fragments, each with its own index, and becomes an ordinary
file when it is closed (FFmpeg's `hybrid_fragmented`). Until then it has a name that begins with a dot.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from heapq import heappop, heappush
from itertools import pairwise
from pathlib import Path
from statistics import median_low
from typing import Any

import av

from pipeline.errors import SinkError
from pipeline.evidence.coded import Coded, Moment, Stream

TICKS_HZ = 90_000
_TIME_BASE = Fraction(1, TICKS_HZ)
_FORMATS = {".mp4": "mp4", ".mkv": "matroska"}
SUFFIXES = tuple(_FORMATS)
_OPTIONS = {
    "mp4": {"movflags": "hybrid_fragmented+frag_keyframe", "flush_packets": "1"},
    "matroska": {"flush_packets": "1", "cluster_time_limit": "1000"},
}
_FPS = 25


@dataclass(frozen=True, slots=True)
class Written:
    """A picture in a clip.

    Attributes:
        ticks: When it is shown there, 1/90000 s from its beginning.
        moment: And when that was.
        key: Decoding can begin with it.
    """

    ticks: int
    moment: Moment
    key: bool = False


class Clip:
    """Pictures of one stream into a file. Not thread-safe.

    Attributes:
        stream: Of which.
        written: The pictures in it, in the order of decoding.
    """

    def __init__(self, out: Path | io.BytesIO, pictures: Sequence[Coded], suffix: str = ".mkv") -> None:
        """Begin with pictures that there are already, a key frame first.

        Args:
            out: A new file, or memory.
            pictures: With their moments.
            suffix: `.mp4` or `.mkv`.

        Raises:
            SinkError: It cannot be written.
        """
        first = moment_of(pictures[0])
        self.stream: Stream = first.stream
        self.written: list[Written] = []
        kind = _FORMATS[suffix]
        self._last, self._dts, self._zero_s = 0, -(1 << 62), first.pts_s
        own = [_ticks(one, self._zero_s) for one in pictures if moment_of(one).stream == self.stream]
        self._waiting: list[int] = []
        self._early = _early(own)
        try:
            target = str(out) if isinstance(out, Path) else out
            self._container = av.open(target, "w", format=kind, options=_OPTIONS[kind])
            width, height = self.stream.frame_wh
            self._out = self._container.add_mux_stream(self.stream.codec, rate=_FPS, width=width, height=height)
            self._out.time_base = _TIME_BASE
        except (av.FFmpegError, OSError, ValueError) as error:
            raise SinkError(f"{out} cannot be written: {getattr(error, 'strerror', None) or error}") from None
        self.add(pictures)

    @property
    def last(self) -> int:
        """The number of the newest picture that was looked at."""
        return self._last

    def add(self, pictures: Sequence[Coded]) -> None:
        """Write more, in the order of decoding; those of another stream are left out.

        Raises:
            SinkError: They cannot be written.
        """
        for picture in pictures:
            self._last = max(self._last, picture.number)
            if moment_of(picture).stream == self.stream:
                self._mux(picture)

    def close(self) -> None:
        """Finish the file.

        Raises:
            SinkError: It cannot be written.
        """
        try:
            self._container.close()
        except (av.FFmpegError, OSError) as error:
            raise SinkError(f"a clip cannot be finished: {error.strerror}") from None

    def _mux(self, picture: Coded) -> None:
        pts = max(_ticks(picture, self._zero_s), self._dts + 1)
        dts = min(self._decoded_at(pts), pts)
        packet: av.Packet[Any] = av.Packet(picture.data)
        packet.pts, packet.dts, packet.time_base = pts, dts, _TIME_BASE
        packet.is_keyframe, packet.stream = picture.key, self._out
        try:
            self._container.mux_one(packet)
        except (av.FFmpegError, OSError, ValueError) as error:
            raise SinkError(f"a clip cannot be written: {getattr(error, 'strerror', None) or error}") from None
        self.written.append(Written(pts, moment_of(picture), picture.key))

    def _decoded_at(self, pts: int) -> int:
        """In the order of showing, so many pictures earlier as pictures are out of order."""
        if not self._waiting and self._early and not self.written:
            step = self._step_ticks
            self._waiting = [pts - number * step for number in range(len(self._early), 0, -1)]
        heappush(self._waiting, pts)
        self._dts = max(self._dts + 1, heappop(self._waiting))
        return self._dts

    @property
    def _step_ticks(self) -> int:
        return self._early[0]


def moment_of(picture: Coded) -> Moment:
    """Of a picture whose moment is known."""
    assert picture.moment is not None
    return picture.moment


def _ticks(picture: Coded, zero_s: float) -> int:
    return round((moment_of(picture).pts_s - zero_s) * TICKS_HZ)


def _early(ticks: Sequence[int]) -> list[int]:
    """A picture's length in ticks, as often as pictures come before ones that are shown earlier; mostly never."""
    most = 0
    for number, at in enumerate(ticks):
        most = max(most, sum(before > at for before in ticks[max(0, number - 16) : number]))
    in_order = sorted(set(ticks))
    steps = [later - sooner for sooner, later in pairwise(in_order)]
    return [max(1, median_low(steps))] * most if steps else []
