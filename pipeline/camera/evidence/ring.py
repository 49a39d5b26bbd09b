"""The latest packets of a stream, bounded in seconds and bytes. Pure, but for a lock."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import takewhile

from pipeline.camera.evidence.steady import SteadyTime
from pipeline.clock import NS_PER_S
from pipeline.geometry import WidthHeight


@dataclass(frozen=True, slots=True)
class Session:
    """One unbroken connection, and what a decoder of it needs.

    Attributes:
        codec: FFmpeg's name.
        frame_wh: Picture size, px.
        head: A NUT file of its first key frame, for its codec parameters.
        time: When its pictures came, but for what held single ones up.
    """

    codec: str
    frame_wh: WidthHeight
    head: bytes
    time: SteadyTime = field(default_factory=SteadyTime)


@dataclass(frozen=True, slots=True)
class KeptPacket:
    """One coded picture.

    Attributes:
        data: As the camera sent it.
        key: Decoding can begin here.
        pts_s: The stream's own time, s.
        captured_at_ns: Wall time of its capture by the best clock there is for this stream, ns since 1970-01-01 UTC.
        session: To which it belongs.
    """

    data: bytes
    key: bool
    pts_s: float
    captured_at_ns: int
    session: Session


class Ring:
    """Keeps packets from a key frame on; the oldest group of pictures goes first. Thread-safe.

    At least `keep_s` seconds are kept, so at most a group more, unless they have more than `keep_bytes`: then fewer.
    """

    def __init__(self, keep_s: float, keep_bytes: int) -> None:
        self._keep_ns, self._keep_bytes = round(keep_s * NS_PER_S), keep_bytes
        self._groups: deque[list[KeptPacket]] = deque()
        self._bytes = 0
        self._lock = threading.Lock()

    @property
    def size(self) -> int:
        """Of what is kept, bytes."""
        return self._bytes

    @property
    def span_s(self) -> float:
        """From the first to the last packet, s."""
        with self._lock:
            if not self._groups:
                return 0.0
            return (self._groups[-1][-1].captured_at_ns - self._groups[0][0].captured_at_ns) / NS_PER_S

    def append(self, packet: KeptPacket) -> None:
        """Keep one more; what comes before the first key frame is not kept."""
        with self._lock:
            if packet.key:
                self._groups.append([])
            if not self._groups:
                return
            self._groups[-1].append(packet)
            self._bytes += len(packet.data)
            while self._groups and self._is_too_much():
                self._bytes -= sum(len(old.data) for old in self._groups.popleft())

    def between(self, from_ns: int, to_ns: int) -> list[KeptPacket]:
        """The packets from the last key frame at or before `from_ns` to `to_ns`, of one session: the one with most.

        Args:
            from_ns: Wall time by this stream's clock.
            to_ns: The same.
        """
        with self._lock:
            groups = list(self._groups)
        later = [number for number, group in enumerate(groups) if group[0].captured_at_ns <= from_ns]
        wanted = [packet for group in groups[later[-1] if later else 0 :] for packet in group]
        wanted = list(takewhile(lambda packet: packet.captured_at_ns <= to_ns, wanted))
        return max(_by_session(wanted), key=len, default=[])

    def _is_too_much(self) -> bool:
        if self._bytes > self._keep_bytes:
            return True
        newest_ns = self._groups[-1][-1].captured_at_ns
        return len(self._groups) > 1 and self._groups[1][0].captured_at_ns < newest_ns - self._keep_ns


def _by_session(packets: Iterable[KeptPacket]) -> list[list[KeptPacket]]:
    found: dict[int, list[KeptPacket]] = {}
    for packet in packets:
        found.setdefault(id(packet.session), []).append(packet)
    return list(found.values())
