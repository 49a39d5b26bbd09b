"""The publisher's process and its loop; what it stands on is told in the package."""

from __future__ import annotations

import os
import secrets
import signal
from collections.abc import Callable
from ctypes import c_int64
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Protocol

import msgspec
import zmq

from pipeline import ledger
from pipeline.child import end_with_parent, ignore_terminal, raise_descriptor_limit
from pipeline.clock import NS_PER_MS, NS_PER_S, Clock, SystemClock
from pipeline.config.keys import Keys
from pipeline.errors import PublishError
from pipeline.logs import configure_logs
from pipeline.publish import (
    FAREWELL_MS,
    INBOX_QUEUE,
    LANES_TOPIC,
    QUEUE_TOPIC,
    ROSTER_TOPIC,
    LanesInUse,
    Letter,
    Roster,
    open_parcel,
)
from pipeline.relay.audience import Audience
from pipeline.relay.doors import Doors, RelayReady
from pipeline.relay.history import History
from pipeline.relay.outlet import Encoding
from pipeline.relay.overview import EVERY_S, Overview
from pipeline.wire import camera_of

REFUSED = 2
"""Exit code of a relay that cannot publish where it should."""
COME_BACK_MS = 250
"""Subscribers that lost their connection are back within 0.2 s (ZeroMQ's RECONNECT_IVL). Until then messages wait."""
TURN_MS = 250
MOST_AT_ONCE = 300
"""Parcels that are handed on before the heart beats again."""
QUIET_MS = 20
"""When it ends: no message for so long means that the workers, which ended before, have said all."""


@dataclass(frozen=True, slots=True)
class RelaySpec:
    """All a relay needs to know.

    Attributes:
        name: For people.
        bind: Where subscribers look; a restarted relay gets the very endpoint of the one before.
        returns: Whether there was one before, whose subscribers will come back.
        inbox: Where the workers send their messages.
        queue: Messages kept for each subscriber that does not read fast enough.
        ledgers: Where the cameras' ledgers are, which tell a successor of a killed worker what has come (`ledger`).
        fleet: The fleet's name.
        p95_ms: The age that is promised, until the supervisor says another.
        encoding: Of the messages at `bind`.
        json_bind: Where the same messages are in JSON; empty for nowhere.
        inside: A folder for the fleet's own members: `results` there is as `bind`, `history` answers what was missed;
            None for none.
        history_mb: How much of the last minute is kept for them, MB.
        keys: Who may subscribe, and where those who may not hear everything; None for everybody.
    """

    name: str
    bind: str
    returns: bool
    inbox: str
    queue: int
    ledgers: Path
    fleet: str = "fleet"
    p95_ms: float = 150.0
    encoding: Encoding = "msgpack"
    json_bind: str = ""
    inside: Path | None = None
    history_mb: int = 32
    keys: Keys | None = None


def run_relay(spec: RelaySpec, report: Connection, beat: c_int64) -> None:
    """Run a relay in this process until SIGTERM or the parent's end.

    Args:
        spec: From where to where.
        report: Gets one `RelayReady`, or the `PublishError` that says why it cannot publish there.
        beat: Set to the monotonic time, ns, whenever the loop turns.
    """
    serve(spec.name, lambda: Relay(spec, SystemClock()), report, beat)


class Publishing(Protocol):
    """What a process publishes with; `stop` may come from anywhere."""

    @property
    def ready(self) -> RelayReady:
        """Where subscribers connect."""

    def run(self, beat: c_int64) -> None:
        """Hand on until `stop`."""

    def stop(self) -> None:
        """End soon."""


def serve(name: str, bind: Callable[[], Publishing], report: Connection, beat: c_int64) -> None:
    """Publish in this process until SIGTERM or the parent's end; `name` is for people, the rest as in `run_relay`."""
    ignore_terminal()
    end_with_parent()
    configure_logs(name)
    raise_descriptor_limit()
    try:
        publishing = bind()
    except PublishError as error:
        report.send(error)
        raise SystemExit(REFUSED) from None
    signal.signal(signal.SIGTERM, lambda number, frame: publishing.stop())
    report.send(publishing.ready)
    report.close()
    publishing.run(beat)


class Relay:
    """Inbox, outlets, and the loop between them. `stop` may come from anywhere, the rest from one thread."""

    def __init__(self, spec: RelaySpec, clock: Clock) -> None:
        """Bind where subscribers look.

        Raises:
            PublishError: The address is in use, not of this machine, or not allowed.
        """
        self._clock = clock
        self._poller = zmq.Poller()
        self._doors = Doors(spec, self._poller, clock)
        self._address, self._returns = spec.inbox, spec.returns
        self._ledgers = spec.ledgers
        self._inbox: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.PULL)
        self._inbox.set(zmq.RCVHWM, INBOX_QUEUE)
        self._stop_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._stopping = False
        self._poller.register(self._stop_fd, zmq.POLLIN)
        self._audiences = self._make_audiences(spec, secrets.token_hex(6))
        self._told_s = self._now_s()

    @property
    def ready(self) -> RelayReady:
        """Where subscribers connect."""
        return self._doors.ready

    @property
    def endpoint(self) -> str:
        """Where subscribers connect, with its port."""
        return self._doors.public.endpoint

    def stop(self) -> None:
        """End the loop soon; safe from a signal handler and from any thread."""
        self._stopping = True
        os.eventfd_write(self._stop_fd, 1)

    def run(self, beat: c_int64) -> None:
        """Hand on until `stop`, then what is left, and leave.

        Raises:
            PublishError: The address was taken by another program meanwhile.
        """
        self._inbox.bind(self._address)
        self._await_subscribers(beat, COME_BACK_MS if self._returns else 0)
        while not self._stopping:
            self._poller.poll(self._doors.due_ms(TURN_MS))
            beat.value = self._clock.monotonic_ns()
            self._hand_on()
            self._tell()
            if not self._look():
                self._poller.unregister(self._inbox)
                self._await_subscribers(beat, COME_BACK_MS)
        give_up_ns = self._clock.monotonic_ns() + FAREWELL_MS * NS_PER_MS
        while self._inbox.poll(QUIET_MS) and self._clock.monotonic_ns() < give_up_ns:
            self._hand_on()
        self._close()

    def _make_audiences(self, spec: RelaySpec, publisher: str) -> list[Audience]:
        """Those who hear everything first, then each group that does not."""

        def overview() -> Overview:
            return Overview(spec.fleet, spec.p95_ms, self._now_s(), self._clock.wall_ns())

        audiences = [Audience(self._doors.whole, History(publisher, spec.history_mb << 20), overview())]
        for name, outlet in self._doors.limited.items():
            assert spec.keys is not None
            cameras = spec.keys.limited[name].cameras
            audiences.append(Audience([outlet], History(publisher, 0), overview(), cameras))
        return audiences

    def _look(self) -> bool:
        """Read who came and what members have missed; False if everybody has just been sent away."""
        stay = self._doors.look()
        for audience in self._audiences:
            audience.repeat(self._now_s())
        if self._doors.inside is not None:
            self._doors.inside.answer(self._audiences[0].history)
        return stay

    def _await_subscribers(self, beat: c_int64, for_ms: int) -> None:
        """Let messages wait until subscribers that were here before are back."""
        self._doors.await_subscribers(beat, for_ms, lambda: self._stopping)
        self._poller.register(self._inbox, zmq.POLLIN)

    def _hand_on(self) -> None:
        """Everything that has come, up to a bound; never blocks."""
        received: dict[bytes, bytes] = {}
        for _ in range(MOST_AT_ONCE):
            try:
                parcel = self._inbox.recv(zmq.NOBLOCK)
            except zmq.Again:
                break
            for letter in open_parcel(parcel):
                self._take(letter)
                if letter.receipt:
                    received[letter.topic] = letter.receipt
        for topic, receipt in received.items():
            ledger.note(self._ledgers / camera_of(topic), receipt)

    def _take(self, letter: Letter) -> None:
        """Publish a message, or do what is said to the publisher itself."""
        if letter.topic == QUEUE_TOPIC:
            for outlet in (self._doors.public, *self._doors.limited.values()):
                outlet.resize(int(letter.body))
        elif letter.topic == ROSTER_TOPIC:
            roster = msgspec.msgpack.decode(letter.body, type=Roster)
            for audience in self._audiences:
                audience.know(roster)
        elif letter.topic == LANES_TOPIC:
            use = msgspec.msgpack.decode(letter.body, type=LanesInUse)
            for audience in self._audiences:
                audience.use(use, self._now_s())
        else:
            for audience in self._audiences:
                audience.publish(letter.topic, letter.body, self._now_s())

    def _tell(self) -> None:
        """Once a second: how the fleet is."""
        now_s = self._now_s()
        if now_s - self._told_s >= EVERY_S:
            self._told_s = now_s
            for audience in self._audiences:
                audience.tell(now_s, self._clock.wall_ns())

    def _close(self) -> None:
        self._inbox.close(linger=0)
        self._doors.close()

    def _now_s(self) -> float:
        return self._clock.monotonic_ns() / NS_PER_S
