"""A sink at work: what is heard is chosen and kept on disk here, and written by a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from pipeline.client import Key
from pipeline.client.inlet import Heard, Inlet
from pipeline.clock import NS_PER_S, Clock
from pipeline.config.sinks.base import SinkSettings
from pipeline.errors import SinkError
from pipeline.redact import redact
from pipeline.sink.choose import Choice
from pipeline.sink.opening import open_sink
from pipeline.sink.protocol import Place
from pipeline.sink.report import SinkFigures
from pipeline.sink.spool import Spool, SpoolState
from pipeline.sink.writer import Writer
from pipeline.wire import encode

log = structlog.get_logger()

TURN_MS = 100
"""With what follows, less than the second that a sink has to end."""
GATHER_S = 0.03
"""How long messages gather before they are written to disk together: 30 transactions a second instead of 1,000."""
QUIET_MS, LAST_S = 30, 0.25
"""At the end: no message for so long means that the publisher has said all; and how long that is waited for at most."""
WRITING_S = 0.5
"""How long the last batches may take at the end; what is left is written after the next start."""


@dataclass(frozen=True, slots=True)
class SinkSpec:
    """All a sink needs to know.

    Attributes:
        settings: What the fleet file says.
        place: Where it belongs.
        endpoint: Where the fleet publishes.
        spool: The folder that its spool is in.
        run: Losses are counted from the beginning of a run.
        folder: The run's folder, of a member of the fleet, which can ask for what it has missed.
        key: What opens an endpoint that wants one.
        report: The file in which it says how it does; None if nobody looks.
    """

    settings: SinkSettings
    place: Place
    endpoint: str
    spool: Path
    run: str = ""
    folder: Path | None = None
    key: Key | None = None
    report: Path | None = None


class Feed:
    """From the fleet to the spool, and from there to the sink. Use it from one thread."""

    def __init__(self, spec: SinkSpec, clock: Clock) -> None:
        """Open the spool, subscribe, and begin to write.

        Raises:
            SinkError: The spool belongs to another process, or nothing can be kept there.
            PublishError: The endpoint is not one that ZeroMQ knows.
        """
        self._clock = clock
        self._closed = False
        self._choice = Choice(spec.settings)
        self._spool = Spool(spec.spool, spec.settings.spool_mb * 1_000_000, spec.run)
        try:
            self._inlet = Inlet(
                spec.endpoint, spec.settings.cameras, self._spool.positions(), run=spec.folder, key=spec.key
            )
        except BaseException:
            self._spool.close()
            raise
        self._unkept, self._why = 0, ""
        self._state = SpoolState(0, 0, 0.0, 0)
        self._writer = Writer(lambda: open_sink(spec.settings, spec.place), self._spool, clock)

    @property
    def figures(self) -> SinkFigures:
        """How it does; once it is closed, how it did."""
        self._look()
        return SinkFigures(
            waiting=self._state.waiting,
            waiting_bytes=self._state.size,
            lag_s=round(self._state.lag_s, 3),
            written=self._writer.written,
            lost=self._state.lost + self._unkept,
            missed=self._inlet.hearing.missed,
            detail=self._why or self._writer.detail,
        )

    def run(self, stop: threading.Event, turned: Callable[[], None]) -> None:
        """Keep what is heard until `stop`; `turned` is called several times a second."""
        while not stop.is_set():
            if self._hear(TURN_MS):
                stop.wait(GATHER_S)
            turned()

    def close(self) -> bool:
        """Keep and write what is left, within a second; False if the sink does not let go."""
        end_ns = self._clock.monotonic_ns() + round(LAST_S * NS_PER_S)
        while self._hear(QUIET_MS) and self._clock.monotonic_ns() < end_ns:
            continue
        self._inlet.close()
        if not self._writer.close(WRITING_S):
            return False
        self._look()
        self._spool.close()
        self._closed = True
        return True

    def _look(self) -> None:
        if self._closed:
            return
        try:
            self._state = self._spool.state(self._clock.wall_ns())
        except SinkError as error:
            self._why = redact(error)

    def _hear(self, wait_ms: int) -> bool:
        """Whether something came."""
        heard = self._inlet.receive(wait_ms)
        if heard:
            self._keep(heard)
        return bool(heard)

    def _keep(self, heard: list[Heard]) -> None:
        known = self._inlet.hearing.positions
        positions = {one.topic: known[one.topic] for one in heard if one.topic in known}
        messages = [kept for one in heard if (kept := self._chosen(one)) is not None]
        try:
            self._spool.append(messages, positions, self._clock.wall_ns())
            self._why = ""
        except SinkError as error:
            self._unkept += len(messages)
            if not self._why:
                log.error(f"results are lost: {redact(error)}")
            self._why = redact(error)

    def _chosen(self, heard: Heard) -> tuple[bytes, bytes] | None:
        chosen = self._choice.choose(heard.message)
        if chosen is None:
            return None
        return heard.topic, heard.body if chosen is heard.message else encode(chosen)
