"""The line between a camera and its clients, with whatever is wrong with it at this moment.

Pictures go in when the camera has them and come out when the line has carried them, in order: a slow line queues, a
long one delays, a bad one loses and damages. With nothing wrong they come out at once, and nothing is copied.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from pipeline.replay.faults import ActiveFaults
from pipeline.rtsp.rtp import RTP_HEADER_BYTES, RtpUnit

# What a slow line holds at most; a camera drops what it cannot get rid of, and so does a router.
MAX_QUEUE_S = 2.0
# Where every picture is a key frame, as in Motion JPEG, a line that stalled at each would never again be free: 4 s of
# such pauses held a camera of 25 pictures a second up for 45 s.
_FLOWS_S = 0.5

_BITS = 8


class Link:
    """One camera's line. Belongs to the running asyncio loop."""

    def __init__(self, faults: ActiveFaults, now_s: Callable[[], float], deliver: Callable[[RtpUnit], None]) -> None:
        """`deliver` is given each picture that comes through, when it does."""
        self._faults = faults
        self._now_s = now_s
        self._deliver = deliver
        self._random = random.Random()
        self._line_free_s = self._may_stall_s = 0.0
        self._last_out_s = 0.0
        self._skipping_to_key = False
        self._under_way: deque[RtpUnit] = deque()
        self._timers: deque[asyncio.TimerHandle] = deque()

    def carry(self, unit: RtpUnit) -> None:
        """Take one picture of the camera; it is delivered at once, later, in part, or never."""
        now_s = self._now_s()
        out_s = self._arrival_s(unit, now_s)
        if out_s is None:
            return
        unit = self._damaged(unit)
        if out_s <= now_s and not self._under_way:
            self._deliver(unit)
            return
        self._last_out_s = out_s
        self._under_way.append(unit)
        self._timers.append(asyncio.get_running_loop().call_later(out_s - now_s, self._arrive))

    def clear(self) -> None:
        """Forget what is under way."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self._under_way.clear()

    def _arrive(self) -> None:
        """Deliver the oldest: timers of nearly the same instant may come in any order, pictures may not."""
        self._timers.popleft()
        self._deliver(self._under_way.popleft())

    def _arrival_s(self, unit: RtpUnit, now_s: float) -> float | None:
        """When `unit` comes out of the line; None if it is lost. Never before the one in front of it."""
        begin_s = max(now_s, self._line_free_s)
        if (pause := self._faults.get("key_frame_pause")) and unit.is_key and begin_s >= self._may_stall_s:
            begin_s += pause.pause_ms / 1e3
            self._may_stall_s = begin_s + _FLOWS_S
        if cap := self._faults.get("bandwidth"):
            if not self._has_room(unit, begin_s - now_s):
                return None
            begin_s += sum(map(len, unit.packets)) * _BITS / (cap.kbit_s * 1e3)
        self._line_free_s = begin_s
        if delay := self._faults.get("delay"):
            begin_s += (delay.delay_ms + delay.jitter_ms * self._random.random()) / 1e3
        return max(begin_s, self._last_out_s) if self._under_way else begin_s

    def _has_room(self, unit: RtpUnit, queued_s: float) -> bool:
        """Whether the queue takes `unit`; after a loss only from a key frame on, so that the rest can be decoded."""
        self._skipping_to_key = queued_s > MAX_QUEUE_S or (self._skipping_to_key and not unit.is_key)
        return not self._skipping_to_key

    def _damaged(self, unit: RtpUnit) -> RtpUnit:
        loss, corrupt = self._faults.get("loss"), self._faults.get("corrupt")
        if loss is None and corrupt is None:
            return unit
        packets = list(unit.packets)
        if loss is not None:
            packets = [packet for packet in packets if self._random.random() >= loss.loss_share]
            self._reorder(packets, loss.reorder_share)
        if corrupt is not None:
            packets = [self._flip(packet, corrupt.corrupt_share) for packet in packets]
        return replace(unit, packets=tuple(packets), _framed={})

    def _reorder(self, packets: list[bytes], share: float) -> None:
        for index in range(len(packets) - 1):
            if self._random.random() < share:
                packets[index], packets[index + 1] = packets[index + 1], packets[index]

    def _flip(self, packet: bytes, share: float) -> bytes:
        if self._random.random() >= share or len(packet) <= RTP_HEADER_BYTES:
            return packet
        changed = bytearray(packet)
        changed[self._random.randrange(RTP_HEADER_BYTES, len(packet))] ^= self._random.randint(1, 255)
        return bytes(changed)
