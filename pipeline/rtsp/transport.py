"""How a client wants its packets, as the Transport header of SETUP tells it (RFC 2326 §12.39)."""

from __future__ import annotations

import re
from dataclasses import dataclass

_CHANNELS = re.compile(r"interleaved=(\d{1,3})(?:-(\d{1,3}))?")
_CLIENT_PORTS = re.compile(r"client_port=(\d{1,5})(?:-(\d{1,5}))?")


@dataclass(frozen=True, slots=True)
class InterleavedChannels:
    """The two channel numbers on which RTP and RTCP are interleaved."""

    rtp: int = 0
    rtcp: int = 1

    @classmethod
    def from_transport(cls, transport: str) -> InterleavedChannels | None:
        """The channels of one transport of a SETUP's Transport header, if it is RTP over this connection.

        Example:
            >>> InterleavedChannels.from_transport("RTP/AVP/TCP;unicast;interleaved=2-3")
            InterleavedChannels(rtp=2, rtcp=3)
        """
        protocol, _, parameters = transport.strip().partition(";")
        if protocol.upper() != "RTP/AVP/TCP":
            return None
        match = _CHANNELS.search(parameters)
        if match is None:
            return cls()
        rtp = int(match[1])
        rtcp = int(match[2]) if match[2] else rtp + 1
        return cls(rtp, rtcp) if max(rtp, rtcp) <= 255 and rtp != rtcp else None


@dataclass(frozen=True, slots=True)
class ClientPorts:
    """Where a client wants its RTP and its RTCP."""

    rtp: int
    rtcp: int

    @classmethod
    def from_transport(cls, transport: str) -> ClientPorts | None:
        """The ports of one transport of a SETUP's Transport header, if it is RTP over unicast UDP.

        Example:
            >>> ClientPorts.from_transport("RTP/AVP;unicast;client_port=4000-4001")
            ClientPorts(rtp=4000, rtcp=4001)
        """
        protocol, _, parameters = transport.strip().partition(";")
        match = _CLIENT_PORTS.search(parameters)
        if protocol.upper() not in {"RTP/AVP", "RTP/AVP/UDP"} or "multicast" in parameters.lower() or match is None:
            return None
        rtp = int(match[1])
        rtcp = int(match[2]) if match[2] else rtp + 1
        return cls(rtp, rtcp) if 0 < rtp <= 65535 and 0 < rtcp <= 65535 else None


def wanted_transport(header: str) -> InterleavedChannels | ClientPorts | None:
    """The first transport of a SETUP's Transport header that this server has; None if it has none of them.

    Example:
        >>> wanted_transport("RTP/AVP;multicast, RTP/AVP/TCP;unicast;interleaved=2-3")
        InterleavedChannels(rtp=2, rtcp=3)
    """
    for transport in header.split(","):
        wanted = InterleavedChannels.from_transport(transport) or ClientPorts.from_transport(transport)
        if wanted is not None:
            return wanted
    return None
