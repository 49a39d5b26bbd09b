"""A decoded picture, and what a source of pictures and its user tell each other."""

from __future__ import annotations

from typing import Any, Protocol

import av
import msgspec

from pipeline.camera.capture import Arrival, Capture
from pipeline.clock import Clock


class Coded(msgspec.Struct, frozen=True):
    """A coded picture, as it went into the decoder.

    Attributes:
        number: Counts those of one connection, from 1, in the order of decoding.
        key: Decoding can begin here.
        packet: The picture.
    """

    number: int
    key: bool
    packet: av.Packet[Any]


class Picture(msgspec.Struct, frozen=True):
    """A decoded frame, or the gap where one should be.

    Attributes:
        frame: None where the decoder made nothing of its packet, or was not asked to.
        pts_s: The stream's own time, seconds; goes on when a recording is played again.
        received_ns: Monotonic time its packet came, before decoding; of a recording in real time, when it was due.
        capture: When it was captured.
        corrupt: Not to be shown to a detector.
        max_gap_s: How far `pts_s` may run ahead of the time that passes before it counts as a jump.
        behind: Not decoded, because decoding has fallen behind.
        unit: Which coded picture it is; 0 where there is none.
        coded: What went into the decoder since the picture before.
    """

    frame: av.VideoFrame | None
    pts_s: float
    received_ns: int
    capture: Capture
    corrupt: bool
    max_gap_s: float
    behind: bool = False
    unit: int = 0
    coded: tuple[Coded, ...] = ()


class Pulse(Protocol):
    """How a source shows that it lives, and learns that it shall end."""

    def go_on(self) -> bool:
        """Called for every packet; False ends `pictures`."""

    def wait_until(self, due_ns: int) -> bool:
        """Block until the monotonic time `due_ns`; False, at once, when it shall end."""


def arrival_now(clock: Clock) -> Arrival:
    """That of a packet that has just been read."""
    return Arrival(clock.monotonic_ns(), clock.wall_ns())
