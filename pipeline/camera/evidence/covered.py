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
    begin = shown[0]
    with Film(path, fps, _TIME_BASE, QUICK) as film:
        for frame in _decoded(packets, shown):
            ticks = frame.pts or 0
            film.add(cover(_upright(frame, mounted), first_s + float((ticks - begin) * _TIME_BASE)), ticks)


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


def _upright(frame: av.VideoFrame, mounted: Orientation) -> Picture:
    """(H, W, 3) uint8 BGR, as the detector sees the other stream."""
    pixels = cast(Picture, frame.to_ndarray(format="bgr24"))
    orientation = told_orientation(frame).then(mounted)
    if orientation == UPRIGHT:
        return pixels
    width, height = orientation.upright_wh((frame.width, frame.height))
    upright = np.empty((height, width, 3), np.uint8)
    orientation.make_upright(pixels, upright)
    return upright
