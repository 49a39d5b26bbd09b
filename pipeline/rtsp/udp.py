"""A subscriber that gets RTP and RTCP as datagrams, and the pair of ports that all of them share.

One pair serves every client: what comes back is told apart by where it comes from. Datagrams go only to the address
from which the client's RTSP connection comes, whatever it asks for, so that nobody can aim a camera at somebody else.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable
from typing import TypeAlias

from pipeline.errors import ReplayError
from pipeline.rtsp.rtp import RtpUnit
from pipeline.rtsp.subscriber import RtpSubscriber
from pipeline.rtsp.transport import ClientPorts

# A key frame of 200 kB at once fills Linux' default receive buffer of 208 kB, each datagram counting 2.3 kB there. So
# many packets go at once, then the others a moment later: 230 Mbit/s at most, and 2 ms more for 58 kB more.
BURST_PACKETS = 40
BURST_INTERVAL_S = 0.002
MAX_PENDING_PACKETS = 4000

_ATTEMPTS = 50
_DATAGRAM_BYTES = 1 << 16

Address: TypeAlias = tuple[str, int]


class UdpPorts:
    """The server's two UDP ports, an even one and the next (RFC 3550 §11), made when the first client wants them."""

    def __init__(self, bind: str) -> None:
        self._bind = bind
        self._rtp: socket.socket | None = None
        self._rtcp: socket.socket | None = None
        self._alive: dict[Address, Callable[[], None]] = {}
        self.lost = 0

    def open(self) -> tuple[int, int]:
        """The port numbers for RTP and RTCP.

        Raises:
            ReplayError: no two neighbouring ports are free.
        """
        if self._rtp is None or self._rtcp is None:
            self._rtp, self._rtcp = _neighbours(self._bind)
            for port in (self._rtp, self._rtcp):
                asyncio.get_running_loop().add_reader(port, self._take_reports, port)
        return self._rtp.getsockname()[1], self._rtcp.getsockname()[1]

    def on_report(self, client: Address, alive: Callable[[], None]) -> None:
        """Call `alive` whenever a datagram comes from there, as receiver reports keep a session alive."""
        self._alive[client] = alive

    def forget(self, client: Address) -> None:
        """Call nobody any more; harmless when repeated."""
        self._alive.pop(client, None)

    def send_rtp(self, packet: bytes, client: Address) -> None:
        """Send one datagram, or lose it."""
        self._send(self._rtp, packet, client)

    def send_rtcp(self, packet: bytes, client: Address) -> None:
        """Send one datagram, or lose it."""
        self._send(self._rtcp, packet, client)

    def close(self) -> None:
        """Free the ports; harmless when repeated."""
        for port in (self._rtp, self._rtcp):
            if port is not None:
                asyncio.get_running_loop().remove_reader(port)
                port.close()
        self._rtp = self._rtcp = None

    def _send(self, port: socket.socket | None, packet: bytes, client: Address) -> None:
        try:
            if port is not None:
                port.sendto(packet, client)
        except OSError:
            # A full buffer, or a client whose port is closed: either way it is a lost packet, as on any network.
            self.lost += 1

    def _take_reports(self, port: socket.socket) -> None:
        try:
            _, sender = port.recvfrom(_DATAGRAM_BYTES)
        except OSError:
            # A client that has gone makes the kernel report its closed port here; it is the connection that ends it.
            return
        alive = self._alive.get(sender[:2])
        if alive is not None:
            alive()


class UdpSubscriber(RtpSubscriber):
    """Sends access units as datagrams, large ones in several bursts, from a key frame on."""

    def __init__(
        self,
        ports: UdpPorts,
        host: str,
        client: ClientPorts,
        sender_report: Callable[[RtpUnit], bytes],
        on_end: Callable[[], None],
    ) -> None:
        """`sender_report` makes the report that precedes the first picture; `on_end` is called after the goodbye."""
        super().__init__(sender_report, on_end)
        self._ports = ports
        self._rtp: Address = (host, client.rtp)
        self._rtcp: Address = (host, client.rtcp)
        self._pending: deque[bytes] = deque()
        self._next_burst: asyncio.TimerHandle | None = None

    def close(self) -> None:
        """Send nothing more; harmless when repeated."""
        self._pending.clear()
        if self._next_burst is not None:
            self._next_burst.cancel()
            self._next_burst = None

    def _send_unit(self, unit: RtpUnit) -> None:
        self._pending.extend(unit.packets)
        if self._next_burst is None:
            self._burst()

    def _send_rtcp(self, rtcp: bytes) -> None:
        self._ports.send_rtcp(rtcp, self._rtcp)

    def _is_behind(self) -> bool:
        return len(self._pending) > MAX_PENDING_PACKETS

    def _burst(self) -> None:
        for _ in range(min(BURST_PACKETS, len(self._pending))):
            self._ports.send_rtp(self._pending.popleft(), self._rtp)
        self._next_burst = (
            asyncio.get_running_loop().call_later(BURST_INTERVAL_S, self._burst) if self._pending else None
        )


def _neighbours(bind: str) -> tuple[socket.socket, socket.socket]:
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    for _ in range(_ATTEMPTS):
        first = _bound(family, bind, 0)
        port = first.getsockname()[1]
        if port % 2:
            first.close()
            continue
        try:
            return first, _bound(family, bind, port + 1)
        except OSError:
            first.close()
    raise ReplayError(f"no two neighbouring UDP ports are free on {bind}; let clients use TCP")


def _bound(family: socket.AddressFamily, bind: str, port: int) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_DGRAM)
    try:
        bound.setblocking(False)
        bound.bind((bind, port))
    except BaseException:
        bound.close()
        raise
    return bound
