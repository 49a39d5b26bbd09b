"""RTP over UDP, and how long a session lives: a server on this process's loop, so that its times can be short."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from pipeline.replay import Playback, ReplayOptions, connection
from pipeline.replay.server import ReplayServer
from pipeline.rtsp.transport import ClientPorts
from pipeline.rtsp.udp import BURST_PACKETS, UdpPorts, UdpSubscriber
from tests.rtsp_client import DEADLINE_S
from tests.test_replay_packets import KINDS, record

RECEIVER_REPORT = struct.pack(">BBHI", 0x80, 201, 1, 1)
SENDER_REPORT, BYE = 200, 203


class Session:
    """A client on the loop; asks one thing after the other."""

    def __init__(self, url: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._url, self._reader, self._writer = url, reader, writer
        self._cseq = 0
        self._session = ""

    @classmethod
    async def open(cls, url: str) -> Session:
        parts = urlsplit(url)
        return cls(url, *await asyncio.open_connection(parts.hostname, parts.port))

    async def ask(self, method: str, **headers: str) -> str:
        """The head of the answer."""
        self._cseq += 1
        session = {"Session": self._session} if self._session else {}
        lines = [f"{method} {self._url} RTSP/1.0", f"CSeq: {self._cseq}"]
        lines += [f"{name}: {value}" for name, value in {**session, **headers}.items()]
        self._writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        head = (await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), DEADLINE_S)).decode()
        if found := re.search(r"Session: (\w+)", head):
            self._session = found[1]
        return head

    async def ended(self) -> bool:
        return await asyncio.wait_for(self._reader.read(), DEADLINE_S) is not None

    def close(self) -> None:
        self._writer.close()


class Ports:
    """A client's UDP ports."""

    def __init__(self) -> None:
        self.rtp, self.rtcp = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        for port in (self.rtp, self.rtcp):
            port.bind(("127.0.0.1", 0))
            port.setblocking(False)

    @property
    def transport(self) -> str:
        return f"RTP/AVP;unicast;client_port={self.rtp.getsockname()[1]}-{self.rtcp.getsockname()[1]}"

    async def packet(self, port: socket.socket) -> bytes:
        return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(port, 1 << 16), DEADLINE_S)

    def close(self) -> None:
        self.rtp.close()
        self.rtcp.close()


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    encoder, _, options = KINDS["h264"]
    return record(tmp_path_factory.mktemp("sessions") / "square.mp4", encoder, options)


@contextmanager
def ports() -> Iterator[Ports]:
    opened = Ports()
    try:
        yield opened
    finally:
        opened.close()


def served(recording: Path, act: Callable[[str], Awaitable[None]]) -> None:
    """Runs `act` against a server of one looping camera."""

    async def serve() -> None:
        async with ReplayServer(ReplayOptions((recording,), port=0, playback=Playback(loop=True))) as server:
            await act(server.urls[0])

    asyncio.run(serve())


def test_udp_client_gets_a_report_then_packets_without_gaps(recording: Path) -> None:
    async def act(url: str) -> None:
        with ports() as mine:
            session = await Session.open(url)
            answer = await session.ask("SETUP", Transport=mine.transport)
            server_rtp, server_rtcp = map(int, re.findall(r"server_port=(\d+)-(\d+)", answer)[0])
            assert server_rtp % 2 == 0 and server_rtcp == server_rtp + 1
            await session.ask("PLAY")

            report = await mine.packet(mine.rtcp)
            packets = [await mine.packet(mine.rtp) for _ in range(30)]

            assert report[1] == SENDER_REPORT
            numbers = [int.from_bytes(packet[2:4], "big") for packet in packets]
            assert all((later - earlier) % 65536 == 1 for earlier, later in pairwise(numbers))
            session.close()

    served(recording, act)


def test_udp_packets_stop_at_pause_and_with_the_connection(recording: Path) -> None:
    async def act(url: str) -> None:
        with ports() as mine:
            session = await Session.open(url)
            await session.ask("SETUP", Transport=mine.transport)
            await session.ask("PLAY")
            await mine.packet(mine.rtp)
            await session.ask("PAUSE")
            await _silence(mine)
            await session.ask("PLAY")
            await mine.packet(mine.rtp)
            session.close()
            await session.ended()
            await _silence(mine)

    served(recording, act)


def test_udp_client_is_told_goodbye(recording: Path) -> None:
    async def play() -> None:
        with ports() as mine:
            async with ReplayServer(ReplayOptions((recording,), port=0, playback=Playback(loop=True))) as server:
                session = await Session.open(server.urls[0])
                await session.ask("SETUP", Transport=mine.transport)
                await session.ask("PLAY")
                await mine.packet(mine.rtp)
            last = b""
            while len(last) < 8 or last[-7] != BYE:
                last = await mine.packet(mine.rtcp)
            session.close()

    asyncio.run(play())


async def _silence(client: Ports) -> None:
    """Until three pictures' time has passed without a packet."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            await _drain(client.rtp)
            try:
                await asyncio.wait_for(client.packet(client.rtp), 0.3)
            except TimeoutError:
                return


async def _drain(port: socket.socket) -> None:
    try:
        while True:
            port.recv(1 << 16)
    except BlockingIOError:
        return


def test_silent_session_is_ended(recording: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "SESSION_TIMEOUT_S", 0.3)

    async def act(url: str) -> None:
        session = await Session.open(url)
        await session.ask("SETUP", Transport="RTP/AVP/TCP;unicast;interleaved=0-1")
        assert await session.ended()
        session.close()

    served(recording, act)


@pytest.mark.parametrize("by", ["request", "receiver report"])
def test_session_lives_on_while_the_client_shows_that_it_does(
    recording: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    async def lives(url: str, timeout_s: float) -> bool:
        """For two of these."""
        monkeypatch.setattr(connection, "SESSION_TIMEOUT_S", timeout_s)
        with ports() as mine:
            session = await Session.open(url)
            answer = await session.ask("SETUP", Transport=mine.transport)
            server_rtcp = int(re.findall(r"server_port=\d+-(\d+)", answer)[0])
            await session.ask("PLAY")
            try:
                for _ in range(8):
                    await asyncio.sleep(timeout_s / 4)
                    if by == "request":
                        assert "200 OK" in await session.ask("GET_PARAMETER")
                    else:
                        mine.rtcp.sendto(RECEIVER_REPORT, ("127.0.0.1", server_rtcp))
                await _drain(mine.rtp)
                return bool(await asyncio.wait_for(mine.packet(mine.rtp), timeout_s))
            except (TimeoutError, asyncio.IncompleteReadError, ConnectionError):
                return False
            finally:
                session.close()

    async def act(url: str) -> None:
        # A machine that stands still makes the client silent.
        assert await lives(url, 0.6) or await lives(url, 5.0)

    served(recording, act)


def test_large_picture_leaves_in_bursts_and_in_order() -> None:
    async def send() -> list[bytes]:
        with ports() as mine:
            udp = UdpPorts("127.0.0.1")
            udp.open()
            client = ClientPorts(mine.rtp.getsockname()[1], mine.rtcp.getsockname()[1])
            subscriber = UdpSubscriber(udp, "127.0.0.1", client, lambda unit: b"report", lambda: None)
            subscriber._pending.extend(bytes([number]) for number in range(2 * BURST_PACKETS + 5))
            subscriber._burst()
            assert len(subscriber._pending) == BURST_PACKETS + 5
            came = [await mine.packet(mine.rtp) for _ in range(2 * BURST_PACKETS + 5)]
            subscriber.close()
            udp.close()
            return came

    assert asyncio.run(send()) == [bytes([number]) for number in range(2 * BURST_PACKETS + 5)]
