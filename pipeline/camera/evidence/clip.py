"""Kept packets into a file that any player opens, without encoding them anew."""

from __future__ import annotations

import io
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from pipeline.camera.evidence.ring import KeptPacket

_TIME_BASE = Fraction(1, 90_000)
_FORMATS = {".mp4": "mp4", ".mkv": "matroska"}
SUFFIXES = tuple(_FORMATS)


def head_of(stream: av.VideoStream, key: av.Packet[av.VideoStream]) -> bytes:
    """A file with the codec parameters of `stream`, which outlives it; NUT keeps them as they are.

    Args:
        stream: Open.
        key: Its first key frame: without a picture, the file could not be opened.
    """
    file = io.BytesIO()
    with av.open(file, "w", format="nut") as container:
        out = container.add_stream_from_template(stream, opaque=True)
        container.mux_one(_copy(bytes(key), 0, 0, key=True, stream=out))
    return file.getvalue()


def write_clip(path: Path, packets: Sequence[KeptPacket]) -> None:
    """Write packets of one session, beginning with a key frame.

    Raises:
        OSError: It cannot be written.
        av.FFmpegError: The container does not take the codec.
    """
    options = {"movflags": "faststart"} if path.suffix == ".mp4" else {}
    shown, decoded = times(packets)
    with (
        av.open(io.BytesIO(packets[0].session.head), "r") as head,
        av.open(str(path), "w", format=_FORMATS[path.suffix], options=options) as container,
    ):
        out = container.add_stream_from_template(head.streams.video[0], opaque=True)
        for packet, pts, dts in zip(packets, shown, decoded, strict=True):
            container.mux_one(_copy(packet.data, pts, dts, key=packet.key, stream=out))


def times(packets: Sequence[KeptPacket]) -> tuple[list[int], list[int]]:
    """Presentation and decoding times in 1/90000 s, the first 0; packets are decoded in the order in which they came.

    A camera's decoding times are left alone: many send none. A picture is decoded in the place that the order of
    showing gives it, and so much earlier that none is decoded after it is shown.
    """
    pts = _distinct([round((packet.pts_s - packets[0].pts_s) / _TIME_BASE) for packet in packets])
    in_order = sorted(pts)
    late = max(decoded - shown for decoded, shown in zip(in_order, pts, strict=True))
    dts = [ticks - late for ticks in in_order]
    return [ticks - dts[0] for ticks in pts], [ticks - dts[0] for ticks in dts]


def _distinct(ticks: list[int]) -> list[int]:
    """Pictures that share a time, a tick apart."""
    taken: set[int] = set()
    for number, at in enumerate(ticks):
        while ticks[number] in taken:
            ticks[number] += 1
        taken.add(ticks[number])
        assert ticks[number] >= at
    return ticks


def _copy(data: bytes, pts: int, dts: int, *, key: bool, stream: av.VideoStream) -> av.Packet[av.VideoStream]:
    packet: av.Packet[Any] = av.Packet(data)
    packet.pts, packet.dts, packet.time_base = pts, dts, _TIME_BASE
    packet.is_keyframe, packet.stream = key, stream
    return packet
