"""RTCP packets of a sender, RFC 3550 §6.4 to §6.6: a sender report always leads, and the CNAME comes along."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from pipeline.clock import NS_PER_S

_VERSION = 2 << 6
_SENDER_REPORT, _SOURCE_DESCRIPTION, _BYE = 200, 202, 203
_CNAME = 1
_SECONDS_1900_TO_1970 = 2_208_988_800
_U32 = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class SenderState:
    """What a camera has sent so far, and the instant that `rtp_timestamp` and `wall_ns` name together."""

    ssrc: int
    cname: str
    wall_ns: int
    rtp_timestamp: int
    packets: int
    octets: int


def sender_report(state: SenderState) -> bytes:
    """A compound packet: sender report and CNAME."""
    ntp = ntp_timestamp(state.wall_ns)
    report = struct.pack(
        ">BBHIQIII",
        _VERSION,
        _SENDER_REPORT,
        6,
        state.ssrc,
        ntp,
        state.rtp_timestamp & _U32,
        state.packets & _U32,
        state.octets & _U32,
    )
    return report + _source_description(state.ssrc, state.cname)


def goodbye(state: SenderState) -> bytes:
    """A compound packet that ends the stream: sender report, CNAME, BYE."""
    return sender_report(state) + struct.pack(">BBHI", _VERSION | 1, _BYE, 1, state.ssrc)


def ntp_timestamp(wall_ns: int) -> int:
    """Unix time in ns as NTP's 64 bits: seconds since 1900, then their binary fraction.

    Example:
        >>> hex(ntp_timestamp(500_000_000))
        '0x83aa7e8080000000'
    """
    seconds, fraction = divmod(wall_ns, NS_PER_S)
    return ((seconds + _SECONDS_1900_TO_1970) & _U32) << 32 | (fraction << 32) // NS_PER_S


def _source_description(ssrc: int, cname: str) -> bytes:
    name = cname.encode()[:255]
    chunk = struct.pack(">IBB", ssrc, _CNAME, len(name)) + name + b"\x00"
    chunk += b"\x00" * (-len(chunk) % 4)
    return struct.pack(">BBH", _VERSION | 1, _SOURCE_DESCRIPTION, len(chunk) // 4) + chunk
