"""Targets that decide who may hear what: questions of ZeroMQ about a key, files with keys, subscriptions."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import cache
from itertools import count
from pathlib import Path

import zmq
from structlog.testing import capture_logs

from pipeline.clock import SystemClock
from pipeline.keys import read_certificate
from pipeline.relay.audience import Audience
from pipeline.relay.guard import Asked, Lists
from pipeline.relay.history import History
from pipeline.relay.outlet import LONGEST_SUBSCRIPTION, Outlet
from pipeline.relay.overview import Overview
from pipeline.wire import CameraState, encode

FULL, LIMITED = bytes(range(32)), bytes(range(32, 64))
LISTS = Lists()
LISTS.know("bind", {FULL: "full"})
LISTS.know("keys.limited.team", {LIMITED: "gate-reader"})
OPEN = {("bind", FULL), ("keys.limited.team", LIMITED)}
"""Which key opens what."""
NEW_PEER_EVERY = 100
"""Cases; a peer says again all it has said when it was sent away."""


def parts_of(data: bytes) -> list[bytes]:
    """A message's parts, each behind its length."""
    parts = []
    while data:
        parts.append(data[1 : 1 + data[0]])
        data = data[1 + data[0] :]
    return parts


def zap(data: bytes) -> None:
    """A question about a key; yes to one that is well-formed and about a key that opens this, and to no other."""
    parts = parts_of(data)
    answer = Asked.read(parts).answer(LISTS)
    assert [len(answer), answer[0]] == [6, b"1.0"]
    well = len(parts) == 7 and (parts[0], parts[5]) == (b"1.0", b"CURVE")
    opens = well and (parts[2].decode("utf-8", "replace"), parts[6]) in OPEN
    assert answer[2] == (b"200" if opens else b"300"), "let in, or kept out, against the rules"


def key_file(data: bytes) -> None:
    """A file that somebody gives as a key."""
    descriptor = memory_file()
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, data, 0)
    assert len(read_certificate(Path(f"/proc/self/fd/{descriptor}")).public) == 32


@cache
def memory_file() -> int:
    """A file on no disk: thousands a second are written to it."""
    return os.memfd_create("fuzz.key")


class _Room:
    """Readers that may hear one camera of two, and one of them that says what it likes."""

    def __init__(self) -> None:
        clock = SystemClock()
        self.outlet = Outlet("tcp://127.0.0.1:0", queue=1000)
        overview = Overview("fuzz", 150.0, 0.0, clock.wall_ns())
        self.audience = Audience([self.outlet], History("0123456789ab", 0), overview, {"gate"})
        self.heard = 0
        self._cases = count(1)
        self._peer: zmq.Socket[bytes] | None = None

    def hear(self, data: bytes) -> None:
        """Let the peer say it, publish, and hear what the peer hears."""
        if self._peer is None:
            self._peer = self._new_peer()
        with suppress(zmq.Again):
            self._peer.send(data, zmq.NOBLOCK)
        self._publish_and_hear(self._peer)
        if next(self._cases) % NEW_PEER_EVERY == 0 or len(data) > LONGEST_SUBSCRIPTION:
            self._peer.close(linger=0)
            self._peer = None

    def _new_peer(self) -> zmq.Socket[bytes]:
        """One that has subscribed to everything, and hears."""
        peer = zmq.Context.instance().socket(zmq.XSUB)
        peer.connect(self.outlet.endpoint)
        peer.send(b"\x01")
        while not peer.poll(5):
            self._publish_and_hear(peer)
        return peer

    def _publish_and_hear(self, peer: zmq.Socket[bytes]) -> None:
        with capture_logs():
            self.outlet.look()
        for name in ("gate", "vault"):
            state = CameraState(fleet="fuzz", camera_id=name, session_id="", state="live")
            self.audience.publish(state.topic, encode(state), 0.0)
        self.audience.repeat(0.0)
        while peer.poll(0):
            self.heard += 1
            assert b"vault" not in b"".join(peer.recv_multipart()), "a camera was heard that may not be"


room = cache(_Room)


def subscription(data: bytes) -> None:
    """What a reader sends that may hear one camera only."""
    room().hear(data)
