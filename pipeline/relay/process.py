"""The publisher's process and its loop; what it stands on is told in the package."""

from __future__ import annotations

import math
import os
import secrets
import signal
from ctypes import c_int64
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec
import zmq

from pipeline import ledger
from pipeline.child import end_with_parent, ignore_terminal, raise_descriptor_limit
from pipeline.clock import NS_PER_MS, NS_PER_S, Clock, SystemClock
from pipeline.errors import PublishError
from pipeline.logs import configure_logs
from pipeline.publish import FAREWELL_MS, INBOX_QUEUE, QUEUE_TOPIC, ROSTER_TOPIC, Roster
from pipeline.relay.history import History
from pipeline.relay.inside import Inside
from pipeline.relay.outlet import Encoding, Outlet
from pipeline.relay.overview import EVERY_S, Overview
from pipeline.wire import CameraState, FrameResult, camera_of, compact, decode, encode

_FRAMES, _STATES = f"{FrameResult.kind}/".encode(), f"{CameraState.kind}/".encode()
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
        fleet: The fleet's name.
        p95_ms: The age that is promised, until the supervisor says another.
        encoding: Of the messages at `bind`.
        json_bind: Where the same messages are in JSON; empty for nowhere.
        inside: A folder for the fleet's own members: `results` there is as `bind`, `history` answers what was missed;
            None for none.
        history_mb: How much of the last minute is kept for them, MB.
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


@dataclass(frozen=True, slots=True)
class RelayReady:
    """The relay's word that it is bound.

    Attributes:
        endpoint: Where subscribers connect, with its port.
        json_endpoint: The same for JSON; empty where there is none.
    """

    endpoint: str
    json_endpoint: str = ""


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
    report.send(relay.ready)
    report.close()
    relay.run(beat)


class Relay:
    """Inbox, outlets, and the loop between them. `stop` may come from anywhere, the rest from one thread."""

    def __init__(self, spec: RelaySpec, clock: Clock) -> None:
        """Bind where subscribers look.

        Raises:
            PublishError: The address is in use, not of this machine, or not allowed.
        """
        self._clock = clock
        self._poller = zmq.Poller()
        self._public = Outlet(spec.bind, spec.queue, self._poller, spec.encoding)
        self._json = Outlet(spec.json_bind, spec.queue, self._poller, "json") if spec.json_bind else None
        self._inside = None if spec.inside is None else Inside(spec.inside, self._poller)
        self._address, self._returns = spec.inbox, spec.returns
        self._ledgers = spec.ledgers
        self._inbox: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.PULL)
        self._inbox.set(zmq.RCVHWM, INBOX_QUEUE)
        self._stop_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._stopping = False
        self._poller.register(self._stop_fd, zmq.POLLIN)
        self._history = History(secrets.token_hex(6), spec.history_mb << 20)
        self._overview = Overview(spec.fleet, spec.p95_ms, self._now_s(), clock.wall_ns())
        self._told_s = self._now_s()

    @property
    def ready(self) -> RelayReady:
        """Where subscribers connect."""
        return RelayReady(self._public.endpoint, self._json.endpoint if self._json is not None else "")

    @property
    def endpoint(self) -> str:
        """Where subscribers connect, with its port."""
        return self._public.endpoint

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
            self._poller.poll(self._timeout_ms())
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

    @property
    def _outlets(self) -> list[Outlet]:
        inside = [] if self._inside is None else [self._inside.outlet]
        return [self._public, *([] if self._json is None else [self._json]), *inside]

    def _look(self) -> bool:
        """Read who came and what members have missed; False if everybody has just been sent away."""
        stay = [outlet.look() for outlet in self._outlets]
        for outlet in self._outlets:
            for topic, body in self._history.newest(outlet.repeats.take(self._now_s())):
                self._send(outlet, topic, body)
        if self._inside is not None:
            self._inside.answer(self._history)
        return all(stay)

    def _await_subscribers(self, beat: c_int64, for_ms: int) -> None:
        """Let messages wait until subscribers that were here before are back."""
        end_ns = self._clock.monotonic_ns() + for_ms * NS_PER_MS
        while not self._stopping and (left_ns := end_ns - self._clock.monotonic_ns()) > 0:
            self._poller.poll(-(-left_ns // NS_PER_MS))
            beat.value = self._clock.monotonic_ns()
            for outlet in self._outlets:
                outlet.look()
        self._poller.register(self._inbox, zmq.POLLIN)

    def _timeout_ms(self) -> int:
        """Until a newcomer is served, or the loop turns anyway."""
        due = [at_s for outlet in self._outlets if (at_s := outlet.repeats.due_s()) is not None]
        return min([TURN_MS, *(max(0, math.ceil(1000 * (at_s - self._now_s()))) for at_s in due)])

    def _hand_on(self) -> None:
        """Everything that has come, up to a bound; never blocks."""
        received: dict[bytes, bytes] = {}
        for _ in range(MOST_AT_ONCE):
            try:
                topic, body, receipt = self._inbox.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                break
            if topic == QUEUE_TOPIC:
                self._public.resize(int(body))
            elif topic == ROSTER_TOPIC:
                self._overview.know(msgspec.msgpack.decode(body, type=Roster))
            else:
                self._publish(topic, body)
                if receipt:
                    received[topic] = receipt
        for topic, receipt in received.items():
            ledger.note(self._ledgers / camera_of(topic), receipt)

    def _publish(self, topic: bytes, body: bytes) -> None:
        """Number a message, send it, and see what it says."""
        numbered = self._history.add(topic, body, self._now_s())
        for outlet in self._outlets:
            self._send(outlet, topic, numbered)
        if topic.startswith(_FRAMES):
            self._overview.hear_frame(body, self._now_s())
        elif topic.startswith(_STATES) and (gone := self._overview.hear_state(body)) is not None:
            self._history.forget(gone)

    @staticmethod
    def _send(outlet: Outlet, topic: bytes, body: bytes) -> None:
        outlet.send(topic, body)
        if outlet.wants_compact and topic.startswith(_FRAMES):
            frame = decode(topic, body)
            assert isinstance(frame, FrameResult)
            short = compact(frame)
            outlet.send(short.topic, encode(short))

    def _tell(self) -> None:
        """Once a second: how the fleet is."""
        now_s = self._now_s()
        if now_s - self._told_s >= EVERY_S:
            self._told_s = now_s
            state = self._overview.tell(now_s, self._clock.wall_ns())
            self._publish(state.topic, encode(state))

    def _close(self) -> None:
        self._inbox.close(linger=0)
        if self._inside is not None:
            self._inside.close()
        for outlet in self._outlets:
            outlet.close(linger_ms=FAREWELL_MS)

    def _now_s(self) -> float:
        return self._clock.monotonic_ns() / NS_PER_S
