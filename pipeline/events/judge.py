"""Frames in, events out: which are new, and when what is known is kept."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from pipeline.client.inlet import Heard, Inlet
from pipeline.clock import NS_PER_S, Clock
from pipeline.config.rules import Rules
from pipeline.errors import RuleError, SinkError
from pipeline.events.memory import Memory, read_memory, write_memory
from pipeline.events.spec import EventsSpec
from pipeline.events.unheard import Name, Unheard, name_of
from pipeline.publish import Publisher
from pipeline.redact import redact
from pipeline.rules import CameraRules
from pipeline.wire import FrameResult
from pipeline.wire.event import Event

log = structlog.get_logger()

KEEP_S = 1.0
"""How often what is known is kept while nothing happens; what happened is kept at once."""
REMEMBERED = 10_000
"""Events known to be published: far more than happen between two times of keeping."""


class Judge:
    """The rules of all cameras. Use it from one thread."""

    def __init__(self, spec: EventsSpec, clock: Clock) -> None:
        """Remember, and subscribe.

        Raises:
            PublishError: The endpoint is not one that ZeroMQ knows.
        """
        self._file, self._clock = spec.memory, clock
        memory = self._remember()
        self._rules = {name: _begin(name, rules, memory) for name, rules in spec.rules.items()}
        positions = {topic.encode(): position for topic, position in memory.positions.items()}
        self._inlet = Inlet(spec.endpoint, sorted(spec.rules), positions, run=spec.folder)
        self._publisher = Publisher(spec.inbox)
        self._published: dict[Name, None] = {}
        self._kept_ns = clock.monotonic_ns()
        self._unheard = Unheard()
        self._told: dict[str, str] = {}

    def turn(self, wait_ms: int) -> bool:
        """Hear, judge, publish and keep; whether something came. Waits up to `wait_ms` for it."""
        heard = self._inlet.receive(wait_ms)
        events = [event for one in heard for event in self._judge(one)]
        # What was missed has the events of its frames behind them, so all is heard before anything is published.
        new = [event for event in events if self._is_new(event)]
        self._unheard.put(new, self._clock.monotonic_ns())
        if heard:
            new += self._unheard.overdue(heard[-1].message.publisher, self._clock.monotonic_ns())
        if new:
            self._publisher.publish(*new)
        if new or self._clock.monotonic_ns() - self._kept_ns >= KEEP_S * NS_PER_S:
            self.keep()
        return bool(heard)

    def keep(self) -> None:
        """Write down what is known now."""
        self._kept_ns = self._clock.monotonic_ns()
        positions = {topic.decode(): position for topic, position in self._inlet.hearing.positions.items()}
        cameras = {name: rules.state for name, rules in self._rules.items()}
        try:
            write_memory(self._file, Memory(positions, cameras))
        except SinkError as error:
            self._tell("", redact(error))
        else:
            self._told.pop("", None)

    def close(self) -> None:
        """Keep, and leave."""
        self.keep()
        self._inlet.close()
        self._publisher.close()

    def _judge(self, heard: Heard) -> Sequence[Event]:
        message = heard.message
        if isinstance(message, Event):
            self._note(message)
            self._unheard.hear(name_of(message))
        rules = self._rules.get(message.camera_id) if isinstance(message, FrameResult) else None
        if rules is None or not isinstance(message, FrameResult):
            return ()
        try:
            return rules.update(message)
        except RuleError as error:
            self._tell(message.camera_id, str(error))
            return ()

    def _is_new(self, event: Event) -> bool:
        if name_of(event) in self._published:
            return False
        self._note(event)
        return True

    def _note(self, event: Event) -> None:
        self._published[name_of(event)] = None
        if len(self._published) > REMEMBERED:
            del self._published[next(iter(self._published))]

    def _remember(self) -> Memory:
        try:
            return read_memory(self._file)
        except SinkError as error:
            log.error(f"events begin anew: {redact(error)}")
            return Memory()

    def _tell(self, about: str, why: str) -> None:
        """Log what is wrong, once."""
        if self._told.get(about) != why:
            self._told[about] = why
            log.error(why)


def _begin(camera_id: str, rules: Rules, memory: Memory) -> CameraRules:
    try:
        return CameraRules(rules, memory.cameras.get(camera_id, b""))
    except RuleError as error:
        log.error(f"events of camera {camera_id} begin anew: {error}")
        return CameraRules(rules)
