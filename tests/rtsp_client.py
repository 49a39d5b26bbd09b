"""An RTSP client of raw bytes, which sees what players hide."""

from __future__ import annotations

import select
import socket
import struct
from dataclasses import dataclass
from urllib.parse import urlsplit

DEADLINE_S = 20.0
TCP = {"Transport": "RTP/AVP/TCP;unicast;interleaved=0-1"}

_IDR, _SPS, _STAP_A, _FU_A = 5, 7, 24, 28


@dataclass(frozen=True)
class Unit:
    """All RTP packets of one H.264 access unit."""

    packets: tuple[bytes, ...]

    @property
    def timestamp(self) -> int:
        return int(struct.unpack_from(">I", self.packets[0], 4)[0])

    @property
    def sequences(self) -> tuple[int, ...]:
        return tuple(struct.unpack_from(">H", packet, 2)[0] for packet in self.packets)

    @property
    def payloads(self) -> tuple[bytes, ...]:
        return tuple(packet[12:] for packet in self.packets)

    @property
    def is_key(self) -> bool:
        kinds = {payload[0] & 0x1F for payload in self.payloads}
        kinds |= {payload[1] & 0x1F for payload in self.payloads if payload[0] & 0x1F == _FU_A}
        return bool(kinds & {_IDR, _SPS, _STAP_A})


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: str


class RawClient:
    """One connection to a camera's URL; keeps the RTP packets and the RTCP kinds that come between answers."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._cseq = 0
        self._socket = socket.create_connection((urlsplit(url).hostname, urlsplit(url).port), DEADLINE_S)
        self._stream = self._socket.makefile("rb")
        self.frames: list[tuple[int, bytes]] = []

    def __enter__(self) -> RawClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._stream.close()
        self._socket.close()

    def send(self, request: bytes) -> None:
        self._socket.sendall(request)

    def ask(self, method: str, target: str = "", **headers: str) -> Answer:
        self._cseq += 1
        lines = [f"{method} {target or self.url} RTSP/1.0", f"CSeq: {self._cseq}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self.send(("\r\n".join(lines) + "\r\n\r\n").encode())
        answer = self.answer()
        assert answer.headers["cseq"] == str(self._cseq)
        return answer

    def answer(self) -> Answer:
        while (first := self._stream.read(1)) == b"$":
            self._take_frame()
        status = int((first + self._stream.readline()).split()[1])
        headers = {}
        while line := self._stream.readline().decode().strip():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        return Answer(status, headers, self._stream.read(int(headers.get("content-length", 0))).decode())

    def play(self) -> Answer:
        """Begin to watch over this connection; the answer to PLAY."""
        setup = self.ask("SETUP", f"{self.url}/trackID=0", **TCP)
        assert setup.status == 200, setup
        return self.ask("PLAY", Session=setup.headers["session"].split(";")[0])

    def read_packets(self, count: int) -> list[bytes]:
        """The first `count` RTP packets."""
        while sum(channel == 0 for channel, _ in self.frames) < count:
            assert self._stream.read(1) == b"$"
            self._take_frame()
        return [frame for channel, frame in self.frames if channel == 0][:count]

    def read_past(self, packet: bytes) -> None:
        """Reads until an RTP packet as late as `packet` has come."""
        number = int.from_bytes(packet[2:4], "big")
        count = 1
        while (number - int.from_bytes(self.read_packets(count)[-1][2:4], "big")) % 65536 not in {
            0,
            *range(32768, 65536),
        }:
            count += 1

    def read_units(self, count: int) -> list[Unit]:
        """The next `count` access units that are complete."""
        units: list[list[bytes]] = []
        while True:
            channel, frame = self.read_frame()
            if channel:
                continue
            if not units or units[-1][0][4:8] != frame[4:8]:
                if len(units) == count:
                    return [Unit(tuple(packets)) for packets in units]
                units.append([])
            units[-1].append(frame)

    def read_frame(self) -> tuple[int, bytes]:
        """The next frame on its channel."""
        assert self._stream.read(1) == b"$"
        self._take_frame()
        return self.frames[-1]

    def is_silent_for(self, seconds: float) -> bool:
        """Whether nothing comes for so long."""
        readable, _, _ = select.select([self._socket], [], [], seconds)
        if readable:
            self._socket.recv(1 << 16)
        return not readable

    def ended(self) -> bool:
        """Reads to the end of the connection."""
        while first := self._stream.read(1):
            assert first == b"$"
            self._take_frame()
        return True

    def _take_frame(self) -> None:
        channel, length = struct.unpack(">BH", self._stream.read(3))
        self.frames.append((channel, self._stream.read(length)))
