"""All doors of a publisher: its outlets, and who guards them, opened, looked after and closed together."""

from __future__ import annotations

import math
from collections.abc import Callable
from ctypes import c_int64
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol

import zmq

from pipeline.clock import NS_PER_MS, NS_PER_S, Clock
from pipeline.config.keys import Keys
from pipeline.publish import FAREWELL_MS
from pipeline.relay.guard import domain_of, make_guard
from pipeline.relay.inside import Inside
from pipeline.relay.outlet import Encoding, Outlet


class Published(Protocol):
    """What has to be known to open them, as the fleet file says it under `publish`."""

    @property
    def bind(self) -> str:
        """Where subscribers look."""

    @property
    def encoding(self) -> Encoding:
        """Of the messages there."""

    @property
    def queue(self) -> int:
        """Messages kept for each subscriber that does not read fast enough."""

    @property
    def json_bind(self) -> str:
        """Where the same messages are in JSON; empty for nowhere."""

    @property
    def inside(self) -> Path | None:
        """A folder for the fleet's own members; None for none."""

    @property
    def keys(self) -> Keys | None:
        """Who may subscribe, and where those who may not hear everything; None for everybody."""


@dataclass(frozen=True, slots=True)
class RelayReady:
    """A publisher's word that it is bound.

    Attributes:
        endpoint: Where subscribers connect, with its port.
        json_endpoint: The same for JSON; empty where there is none.
        limited: The same for those who may not hear everything, by the names of their limits.
    """

    endpoint: str
    json_endpoint: str = ""
    limited: dict[str, str] = field(default_factory=dict)


class Doors:
    """Outlets, and their guard where there are keys. Not thread-safe.

    Attributes:
        whole: The outlets of those who hear everything.
        limited: Those of others, by the names of their limits.
        inside: What the fleet's own members are offered; None for nothing.
        public: The outlet at `bind`.
    """

    def __init__(self, spec: Published, poller: zmq.Poller, clock: Clock) -> None:
        """Bind all; `poller` is told what to wait for.

        Raises:
            PublishError: An address is in use, not of this machine, or not allowed.
        """
        self._poller, self._clock = poller, clock
        self._guard, locks = make_guard(spec.keys, poller)
        limited = {} if spec.keys is None else spec.keys.limited
        share = 1 + bool(spec.json_bind) + len(limited)

        def outlet(bind: str, encoding: Encoding, domain: str) -> Outlet:
            return Outlet(bind, spec.queue, poller, encoding, lock=locks.get(domain), share=share)

        self.public = outlet(spec.bind, spec.encoding, "bind")
        self._json = outlet(spec.json_bind, "json", "json_bind") if spec.json_bind else None
        self.inside = None if spec.inside is None else Inside(spec.inside, poller)
        self.limited = {name: outlet(one.bind, one.encoding, domain_of(name)) for name, one in limited.items()}
        inside = None if self.inside is None else self.inside.outlet
        self.whole = tuple(one for one in (self.public, self._json, inside) if one is not None)
        self._all = (*self.whole, *self.limited.values())

    @property
    def ready(self) -> RelayReady:
        """Where subscribers connect."""
        limited = {name: outlet.endpoint for name, outlet in self.limited.items()}
        return RelayReady(self.public.endpoint, self._json.endpoint if self._json is not None else "", limited)

    def look(self) -> bool:
        """Read who came; False if everybody has just been sent away."""
        return all([self._admit(), *(outlet.look() for outlet in self._all)])

    def await_subscribers(self, beat: c_int64, for_ms: int, is_over: Callable[[], bool]) -> None:
        """Wait until subscribers that were here before are back, or it `is_over`; messages are left to wait."""
        end_ns = self._clock.monotonic_ns() + for_ms * NS_PER_MS
        while not is_over() and (left_ns := end_ns - self._clock.monotonic_ns()) > 0:
            self._poller.poll(-(-left_ns // NS_PER_MS))
            beat.value = self._clock.monotonic_ns()
            self.look()

    def due_ms(self, most_ms: int) -> int:
        """How long nobody has to look here: until a newcomer is served, or `most_ms`."""
        due = [at_s for outlet in self._all if (at_s := outlet.repeats.due_s()) is not None]
        return min([most_ms, *(max(0, math.ceil(1000 * (at_s - self._now_s()))) for at_s in due)])

    def close(self) -> None:
        """Let what was sent go out, and close."""
        if self.inside is not None:
            self.inside.close()
        for outlet in self._all:
            outlet.close(linger_ms=FAREWELL_MS)
        if self._guard is not None:
            self._guard.close()

    def _admit(self) -> bool:
        """Say who may come in; False if those of an outlet have just been sent away."""
        if self._guard is None:
            return True
        gone = self._guard.answer(self._now_s())
        for outlet in self._all:
            for address in outlet.take_refused():
                self._guard.refuse(self._now_s(), outlet.domain, partial(outlet.complete, address))
            if outlet.domain in gone:
                outlet.send_away(FAREWELL_MS)
        return not gone

    def _now_s(self) -> float:
        return self._clock.monotonic_ns() / NS_PER_S
