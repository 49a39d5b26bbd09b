"""The results of several workers at one endpoint: a process that hands on what they publish.

    worker × n  ─ PUB ─▶ SUB at an inbox of the run │ PUB at `publish.bind` ─▶ SUB × any  subscribers

ZeroMQ's forwarder, with a loop of its own for a heartbeat and an orderly end, which `zmq.proxy` has neither of. It
takes everything and filters on its way out, so a subscriber that comes is served at once and not when the workers have
heard of it. Nothing is kept: a subscriber that does not read loses messages beyond its queue, and nobody waits for it.
"""

from __future__ import annotations

import os
import signal
from ctypes import c_int64
from dataclasses import dataclass
from multiprocessing.connection import Connection

import zmq

from pipeline.child import end_with_parent
from pipeline.clock import NS_PER_MS, Clock, SystemClock
from pipeline.errors import PublishError
from pipeline.logs import configure_logs
from pipeline.publish import FAREWELL_MS, bind_results

REFUSED = 2
"""Exit code of a relay that cannot publish where it should."""
COME_BACK_MS = 250
"""Subscribers that lost the relay before this one are back within 0.2 s (ZeroMQ's RECONNECT_IVL). Until then the
workers find nobody at the inbox, and their messages wait in their queues."""
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
        inbox: Where the workers publish.
        queue: Messages kept for each subscriber that does not read fast enough.
    """

    name: str
    bind: str
    returns: bool
    inbox: str
    queue: int


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
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()
    configure_logs(spec.name)
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
    """Two sockets and the loop between them. `stop` may come from anywhere, the rest from one thread."""

    def __init__(self, spec: RelaySpec, clock: Clock) -> None:
        """Bind where subscribers look.

        Raises:
            PublishError: The address is in use, not of this machine, or not allowed.
        """
        self._clock = clock
        self._inbox = spec.inbox
        self._pause_ms = COME_BACK_MS if spec.returns else 0
        self._outer: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.PUB)
        self._outer.set(zmq.SNDHWM, spec.queue)
        self._outer.set(zmq.LINGER, 0)
        self.endpoint = bind_results(self._outer, spec.bind)
        self._inner: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.SUB)
        self._inner.set(zmq.RCVHWM, spec.queue)
        self._inner.subscribe(b"")
        self._stop_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._stopping = False
        self._poller = zmq.Poller()
        for readable in (self._inner, self._stop_fd):
            self._poller.register(readable, zmq.POLLIN)

    def stop(self) -> None:
        """End the loop soon; safe from a signal handler and from any thread."""
        self._stopping = True
        os.eventfd_write(self._stop_fd, 1)

    def run(self, beat: c_int64) -> None:
        """Hand on until `stop`, then what is left, and leave."""
        self._poller.poll(self._pause_ms)
        self._inner.bind(self._inbox)
        while not self._stopping:
            self._poller.poll(TURN_MS)
            beat.value = self._clock.monotonic_ns()
            _hand_on(self._inner, self._outer)
        give_up_ns = self._clock.monotonic_ns() + FAREWELL_MS * NS_PER_MS
        while self._inner.poll(QUIET_MS) and self._clock.monotonic_ns() < give_up_ns:
            _hand_on(self._inner, self._outer)
        self._inner.close(linger=0)
        self._outer.close(linger=FAREWELL_MS)


def _hand_on(source: zmq.Socket[bytes], sink: zmq.Socket[bytes]) -> None:
    """Everything that has come, up to a bound; never blocks."""
    for _ in range(MOST_AT_ONCE):
        try:
            parts = source.recv_multipart(zmq.NOBLOCK, copy=False)
        except zmq.Again:
            return
        sink.send_multipart(parts, copy=False)
