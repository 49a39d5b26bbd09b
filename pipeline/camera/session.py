"""Which frames belong together: one unbroken stream of one shape."""

from __future__ import annotations

import random

import msgspec

from pipeline.clock import NS_PER_S
from pipeline.geometry import WidthHeight

BACKWARDS_S = 0.5
"""Stream time may step back by less (jitter of RTP time, frames out of order) without a new session."""


class StreamPoint(msgspec.Struct, frozen=True):
    """Where a stream is.

    Attributes:
        pts_s: Its own time, seconds.
        received_ns: Monotonic time its packet came, or was due.
        frame_wh: Picture size, px.
        pixel_format: FFmpeg's name.
        max_gap_s: How far stream time may run ahead of the time that passed.
    """

    pts_s: float
    received_ns: int
    frame_wh: WidthHeight
    pixel_format: str
    max_gap_s: float


def continues(last: StreamPoint, now: StreamPoint) -> bool:
    """Whether `now` belongs to the same session as the frame before it.

    Not where picture size or pixel format differ, or the stream's time jumps: back, or further ahead than the time that
    really passed (a camera of one frame an hour does not jump).
    """
    if (now.frame_wh, now.pixel_format) != (last.frame_wh, last.pixel_format):
        return False
    stream_s = now.pts_s - last.pts_s
    passed_s = (now.received_ns - last.received_ns) / NS_PER_S
    return -BACKWARDS_S <= stream_s <= passed_s + now.max_gap_s


def new_session(wall_ns: int, rng: random.Random) -> int:
    """A number that no other session of this camera has, also after restarts: unix seconds << 16 | 16 random bits."""
    return wall_ns // NS_PER_S << 16 | rng.getrandbits(16)
