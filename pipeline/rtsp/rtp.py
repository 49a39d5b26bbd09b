"""RTP packets of one picture (RFC 3550), ready to be sent to many clients; times count RTP's 90 kHz."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field, replace

CLOCK_HZ = 90_000
"""What video's RTP timestamps count a second, whatever its codec (RFC 3551 §5)."""
RTP_HEADER_BYTES = 12

_DYNAMIC_PAYLOAD_TYPE = 96
_STATIC_PAYLOAD_TYPES = {"mjpeg": 26}
_TIMESTAMPS = 1 << 32
_SEQUENCES = 1 << 16
_NUMBERS = struct.Struct(">HI")


@dataclass(frozen=True, slots=True)
class RtpUnit:
    """All RTP packets of one access unit.

    Attributes:
        packets: With their headers.
        pts: When it is presented, 1/90000 s.
        dts: When it is sent, 1/90000 s, unless `due` says otherwise.
        duration: Until the next one, 1/90000 s.
        is_key: Whether a client can begin with it.
        due: When it is sent, 1/90000 s, where the recording knows when it arrived; None: at `dts`.
    """

    packets: tuple[bytes, ...]
    pts: int
    dts: int
    duration: int
    is_key: bool
    due: int | None = None
    _framed: dict[int, bytes] = field(default_factory=dict, repr=False, compare=False)

    @property
    def sequence(self) -> int:
        """RTP sequence number of the first packet."""
        return int(struct.unpack_from(">H", self.packets[0], 2)[0])

    @property
    def timestamp(self) -> int:
        """RTP timestamp, the same in all packets."""
        return int(struct.unpack_from(">I", self.packets[0], 4)[0])

    @property
    def payload_octets(self) -> int:
        """Bytes without the RTP headers, as sender reports count them."""
        return sum(map(len, self.packets)) - RTP_HEADER_BYTES * len(self.packets)

    def stamped(self, sequence: int, timestamp: int) -> RtpUnit:
        """The same unit with other RTP sequence numbers, counted from `sequence`, and another timestamp."""
        packets = tuple(
            packet[:2] + _NUMBERS.pack((sequence + index) % _SEQUENCES, timestamp % _TIMESTAMPS) + packet[8:]
            for index, packet in enumerate(self.packets)
        )
        return replace(self, packets=packets, _framed={})

    def interleaved(self, channel: int) -> bytes:
        """The packets framed for RTSP's TCP connection (RFC 2326 §10.12), one buffer for one write; made once."""
        if channel not in self._framed:
            self._framed[channel] = b"".join(interleave(channel, packet) for packet in self.packets)
        return self._framed[channel]


def interleave(channel: int, packet: bytes) -> bytes:
    """`packet` behind the four bytes that mark it on an RTSP connection."""
    return struct.pack(">cBH", b"$", channel, len(packet)) + packet


def payload_type(codec: str) -> int:
    """The RTP payload type: static where RFC 3551 gives the codec one."""
    return _STATIC_PAYLOAD_TYPES.get(codec, _DYNAMIC_PAYLOAD_TYPE)
