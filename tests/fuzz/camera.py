"""Targets of what a camera sends: pieces of pictures, and its own time."""

from __future__ import annotations

import math
import struct

import av

from pipeline.camera.access_unit import Assembler
from pipeline.camera.backlog import Backlog
from pipeline.camera.capture import Arrival, CaptureTimes
from pipeline.camera.pace import LoopTimestamps, Pacer
from pipeline.camera.streamtime import StreamTime
from pipeline.clock import NS_PER_S

_NEW_PICTURE, _CORRUPT, _BEGINS, _UNTIMED = 1, 2, 4, 8
_TIMES = struct.Struct("<qqqB")
_US = 1000
_WALL_US = 1 << 62
"""As far as a sender report's time can be from 1970 by FFmpeg's microseconds; NTP's own end comes long before."""


def access_units(data: bytes) -> None:
    """Pieces of pictures as FFmpeg hands them on: flags, length and bytes of each. Nothing is made up or doubled."""
    assembler = Assembler("hevc" if data[:1] > b"\x7f" else "h264")
    at, pts, taken, given = 1, 0, 0, 0
    while at + 2 <= len(data):
        flags, size = data[at], data[at + 1]
        piece = (b"\x00\x00\x00\x01" if flags & _BEGINS else b"") + data[at + 2 : at + 2 + size] * (1 + (flags >> 6))
        at += 2 + size
        pts += 3600 if flags & _NEW_PICTURE else 0
        packet = av.Packet(piece)
        packet.pts = None if flags & _UNTIMED else pts
        packet.is_corrupt = bool(flags & _CORRUPT)
        taken += len(piece)
        for unit in assembler.assemble(packet, Arrival(at, at)):
            given += unit.packet.size
            assert unit.stamp.arrival.ns <= at
    assert given <= taken


def times(data: bytes) -> None:
    """What a camera says of its time: sender reports and time stamps, of which a capture is never in the future."""
    capture, backlog, pacer, loop = CaptureTimes(), Backlog(), Pacer(25.0), LoopTimestamps(3600)
    stream, now_ns, last = StreamTime(5.0), 0, None
    for reported_us, ticks, duration, flags in _TIMES.iter_unpack(data[: len(data) // _TIMES.size * _TIMES.size]):
        now_ns += flags * 10_000_000
        reported_ns = None if flags & 1 else max(-_WALL_US, min(_WALL_US, reported_us)) * _US
        captured = capture.capture(Arrival(now_ns, now_ns), reported_ns)
        assert captured.ns <= now_ns
        assert abs(captured.at_ns - now_ns) <= 3600 * NS_PER_S or captured.clock == "rtcp"
        pts_s = ticks / 90_000
        assert math.isfinite(stream.place(pts_s, now_ns).pts_s)
        backlog.skips(pts_s, now_ns, key=bool(flags & 2))
        assert pacer.due_ns(pts_s, now_ns) >= now_ns - 3 * NS_PER_S
        if flags & 4:
            loop.repeat()
        placed = loop.place(None if flags & 8 else ticks, max(0, duration))
        assert last is None or not flags & 4 or placed >= last
        last = placed
