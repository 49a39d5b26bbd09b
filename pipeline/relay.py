"""The publisher: a process between the workers and whoever subscribes.

    worker × n  ─ PUSH ─▶ PULL at an inbox of the run │ XPUB at `publish.bind` ─▶ SUB × any  subscribers

Strangers reach this process and no other: what they send costs the workers nothing. Subscribers stay connected when a
worker is started again, and nothing of what it has published is lost. Nothing is kept: a subscriber that does not read
loses messages beyond its queue, and nobody waits for it.
"""

from __future__ import annotations

import os
import signal
from ctypes import c_int64
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import zmq

from pipeline import ledger
from pipeline.child import end_with_parent, ignore_terminal, raise_descriptor_limit
from pipeline.clock import NS_PER_MS, Clock, SystemClock
from pipeline.errors import PublishError
from pipeline.logs import configure_logs
from pipeline.outlet import Outlet
from pipeline.publish import FAREWELL_MS, INBOX_QUEUE, QUEUE_TOPIC
from pipeline.wire import camera_of

REFUSED = 2
"""Exit code of a relay that cannot publish where it should."""
COME_BACK_MS = 250
"""Subscribers that lost their connection are back within 0.2 s (ZeroMQ's RECONNECT_IVL). Until then messages wait."""
TURN_MS = 250
MOST_AT_ONCE = 1000
"""Messages that are handed on before the heart beats again."""
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
    """

    name: str
    bind: str
    returns: bool
    inbox: str
    queue: int
    ledgers: Path


@dataclass(frozen=True, slots=True)
class RelayReady:
    """The relay's word that it is bound: `endpoint` tells where, with its port."""

    endpoint: str


def run_relay(spec: RelaySpec, report: Connection, beat: c_int64) -> None:
    """Run a relay in this process until SIGTERM or the parent's end.

    Args:
        spec: From where to where.
        report: Gets one `RelayReady`, or the `PublishError` that says why it cannot publish there.
        beat: Set to the monotonic time, ns, whenever the loop turns.
    """
    ignore_terminal()
    end_with_parent()
    configure_logs(spec.name)
    raise_descriptor_limit()
    try:
        relay = Relay(spec, SystemClock())
    except PublishError as error:
        report.send(error)
        raise SystemExit(REFUSED) from None
    signal.signal(signal.SIGTERM, lambda number, frame: relay.stop())
    report.send(RelayReady(relay.endpoint))
    report.close()
    relay.run(beat)


class Relay:
    """Inbox, outlet, and the loop between them. `stop` may come from anywhere, the rest from one thread."""

    def __init__(self, spec: RelaySpec, clock: Clock) -> None:
        """Bind where subscribers look.

        Raises:
            PublishError: The address is in use, not of this machine, or not allowed.
        """
        self._clock = clock
        self._poller = zmq.Poller()
        self._outlet = Outlet(spec.bind, spec.queue, self._poller)
        self._address, self._returns = spec.inbox, spec.returns
        self._ledgers = spec.ledgers
        self._inbox: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.PULL)
        self._inbox.set(zmq.RCVHWM, INBOX_QUEUE)
        self._stop_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._stopping = False
        self._poller.register(self._stop_fd, zmq.POLLIN)

    @property
    def endpoint(self) -> str:
        """Where subscribers connect, with its port."""
        return self._outlet.endpoint

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
            self._poller.poll(TURN_MS)
            beat.value = self._clock.monotonic_ns()
            self._hand_on()
            if not self._outlet.look():
                self._poller.unregister(self._inbox)
                self._await_subscribers(beat, COME_BACK_MS)
        give_up_ns = self._clock.monotonic_ns() + FAREWELL_MS * NS_PER_MS
        while self._inbox.poll(QUIET_MS) and self._clock.monotonic_ns() < give_up_ns:
            self._hand_on()
        self._inbox.close(linger=0)
        self._outlet.close(linger_ms=FAREWELL_MS)

    def _await_subscribers(self, beat: c_int64, for_ms: int) -> None:
        """Let messages wait until subscribers that were here before are back."""
        end_ns = self._clock.monotonic_ns() + for_ms * NS_PER_MS
        while not self._stopping and (left_ns := end_ns - self._clock.monotonic_ns()) > 0:
            self._poller.poll(-(-left_ns // NS_PER_MS))
            beat.value = self._clock.monotonic_ns()
            self._outlet.look()
        self._poller.register(self._inbox, zmq.POLLIN)

    def _hand_on(self) -> None:
        """Everything that has come, up to a bound; never blocks."""
        received: dict[bytes, bytes] = {}
        for _ in range(MOST_AT_ONCE):
            try:
                topic, body, receipt = self._inbox.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                break
            if topic == QUEUE_TOPIC:
                self._outlet.resize(int(body))
                continue
            self._outlet.send(topic, body)
            if receipt:
                received[topic] = receipt
        for topic, receipt in received.items():
            ledger.note(self._ledgers / camera_of(topic), receipt)
