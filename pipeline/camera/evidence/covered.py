"""Kept packets into a file in which what nobody shall see is covered: decoded, covered, and encoded anew."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np

from pipeline.camera.evidence.clip import times
from pipeline.camera.evidence.ring import KeptPacket
from pipeline.camera.orientation import UPRIGHT, Orientation, told_orientation
from pipeline.film import QUICK, Film
from pipeline.privacy.stencil import Picture

_TIME_BASE = Fraction(1, 90_000)
_FPS = 25.0
"""Of a clip with a single picture, for players that want to know."""


def write_covered(
    path: Path, packets: Sequence[KeptPacket], mounted: Orientation, cover: Callable[[Picture, float], Picture]
) -> None:
    """Write packets of one session, beginning with a key frame, upright, each picture as `cover` gives it.

    Args:
        path: `.mp4` or `.mkv`.
        packets: What to write.
        mounted: How the camera is mounted.
        cover: Covers a picture, (H, W, 3) uint8 BGR, of a time of the stream, s; in place.

    Raises:
        RenderError: It cannot be written.
        av.FFmpegError: The pictures cannot be decoded.
        PrivacyError: A mask does not fit.
    """
    first_s, last_s = packets[0].pts_s, max(packet.pts_s for packet in packets)
    fps = (len(packets) - 1) / (last_s - first_s) if last_s > first_s else _FPS
    shown, _ = times(packets)
    begin, upright = shown[0], _Upright(mounted)
    with Film(path, fps, _TIME_BASE, QUICK) as film:
        for frame in _decoded(packets, shown):
            ticks = frame.pts or 0
            film.add(cover(upright.of(frame), first_s + float((ticks - begin) * _TIME_BASE)), ticks)


def _decoded(packets: Sequence[KeptPacket], shown: Sequence[int]) -> Iterator[av.VideoFrame]:
    """The pictures in the order in which they are shown, `pts` in 1/90000 s."""
    with av.open(io.BytesIO(packets[0].session.head), "r") as head:
        context = head.streams.video[0].codec_context
        context.thread_count = 1
        for packet, pts in zip(packets, shown, strict=True):
            coded = av.Packet(packet.data)
            coded.pts, coded.time_base = pts, _TIME_BASE
            yield from context.decode(coded)
        yield from context.decode(None)


class _Upright:
    """Pictures of one session, as the detector sees the other stream."""

    def __init__(self, mounted: Orientation) -> None:
        self._mounted = mounted
        self._orientation: Orientation | None = None

    def of(self, frame: av.VideoFrame) -> Picture:
        """(H, W, 3) uint8 BGR."""
        if self._orientation is None:
            # Once: PyAV keeps each frame that was asked which side is up until garbage is collected.
            self._orientation = told_orientation(frame).then(self._mounted)
        # One thread: more have stacks, and this process little memory.
        pixels = cast(Picture, frame.to_ndarray(format="bgr24", threads=1))
        if self._orientation == UPRIGHT:
            return pixels
        width, height = self._orientation.upright_wh((frame.width, frame.height))
        upright = np.empty((height, width, 3), np.uint8)
        self._orientation.make_upright(pixels, upright)
        return upright
