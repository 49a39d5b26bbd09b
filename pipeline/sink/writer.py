"""The thread that empties a spool into a sink: it may wait, fail and try again, and nobody waits for it."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from pipeline.clock import NS_PER_S, Clock
from pipeline.errors import PipelineError, SinkError, WireError
from pipeline.redact import redact
from pipeline.sink.protocol import Refused, Sink
from pipeline.sink.spool import Held, Spool
from pipeline.wire import Message, decode

log = structlog.get_logger()

MOST = 1000
"""Messages in a batch."""
BATCH_S = 0.2
"""How long messages gather, unless there are enough of them."""
TICK_S = 1.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
SLOW_S = 5.0
"""A write that takes longer is worth telling."""

Open = Callable[[], Sink]


def pause_s(failures: int, chance: float) -> float:
    """How long to wait after so many failures in a row: doubling, and a part of it by chance (0..1)."""
    longest = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(failures - 1, 10))
    return longest * (0.5 + chance / 2)


@dataclass(frozen=True, slots=True)
class _Batch:
    """Messages that are on their way: what can be read of those that were taken, and the number of the last."""

    messages: list[Message]
    unreadable: int
    last: int

    @classmethod
    def of(cls, held: list[Held]) -> _Batch:
        """Decode them."""
        messages = []
        for one in held:
            try:
                messages.append(decode(one.topic, one.body))
            except WireError:
                continue
        return cls(messages, len(held) - len(messages), held[-1].number)


class Writer:
    """Begins at once; `close` ends it.

    Attributes:
        written: Messages that the sink has taken.
    """

    def __init__(self, open_sink: Open, spool: Spool, clock: Clock) -> None:
        """Start the thread.

        Args:
            open_sink: Gives the sink, again after each failure; may block.
            spool: What is to be written.
            clock: The time.
        """
        self.written = 0
        self._open, self._spool, self._clock = open_sink, spool, clock
        self._sink: Sink | None = None
        self._batch: _Batch | None = None
        self._failures, self._why = 0, ""
        self._refused = ""
        self._busy_since_s: float | None = None
        self._ticked_s = self._until_s = 0.0
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    @property
    def detail(self) -> str:
        """What is wrong, in one sentence; empty while all is well. May be asked from any thread."""
        since_s = self._busy_since_s
        if self._why or since_s is None or self._now_s() - since_s < SLOW_S:
            return self._why or self._refused
        return f"a batch has been on its way for {self._now_s() - since_s:.0f} s"

    def close(self, within_s: float) -> bool:
        """Write what is left as far as that goes at once, and let go of the sink; False if it takes too long."""
        self._until_s = self._now_s() + within_s
        self._ending.set()
        self._thread.join(within_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._ending.is_set():
            self._ending.wait(self._turn())
        self._finish()
        self._let_go()

    def _finish(self) -> None:
        """Write what is left, while that goes well."""
        before = -1
        while not self._failures and self._now_s() < self._until_s and before < self.written:
            before = self.written
            self._turn()

    def _turn(self) -> float:
        """Write one batch, if there is one; how long to wait before the next."""
        try:
            full = self._write()
        except Refused as refused:
            self._give_up(refused)
            return 0.0
        except PipelineError as error:
            return self._failed(redact(error))
        except Exception as error:  # noqa: BLE001 - a library's or a plug-in's mistake ends one try, not the sink
            return self._failed(redact(f"{type(error).__name__}: {error}"))
        finally:
            self._busy_since_s = None
        self._recovered()
        return 0.0 if full else BATCH_S

    def _write(self) -> bool:
        """Whether there was a full batch, and so probably another one."""
        self._busy_since_s = self._now_s()
        if self._sink is None:
            self._sink = self._open()
        if self._batch is None and (held := self._spool.take(MOST)):
            self._batch = _Batch.of(held)
        full = False
        if self._batch is not None:
            if self._batch.messages:
                self._sink.write(self._batch.messages)
            full = len(self._batch.messages) >= MOST
            self._settle(self._batch.unreadable)
        if self._now_s() - self._ticked_s >= TICK_S:
            self._ticked_s = self._now_s()
            self._sink.tick()
        return full

    def _settle(self, lost: int) -> None:
        """The batch is where it belongs, but for so many messages."""
        batch, self._batch = self._batch, None
        if batch is not None:
            self.written += len(batch.messages) + batch.unreadable - lost
            self._spool.done(batch.last)
            if lost:
                self._spool.lose(lost)

    def _give_up(self, refused: Refused) -> None:
        reason = redact(refused)
        if reason != self._refused:
            log.error(f"results are lost: {reason}", messages=refused.messages)
        self._refused = reason
        try:
            self._settle(refused.messages + (self._batch.unreadable if self._batch else 0))
        except SinkError as error:
            self._failed(redact(error))

    def _failed(self, why: str) -> float:
        self._failures += 1
        if self._failures == 1:
            log.warning(f"results wait on disk: {why}")
        self._why = why
        self._let_go()
        return pause_s(self._failures, random.random())

    def _recovered(self) -> None:
        if self._failures:
            log.info("results are taken again", tries=self._failures)
        self._failures, self._why = 0, ""

    def _let_go(self) -> None:
        sink, self._sink = self._sink, None
        if sink is None:
            return
        try:
            sink.close()
        except Exception as error:  # noqa: BLE001 - it must not, but a plug-in may
            log.warning(f"the sink could not be closed: {redact(error)}")

    def _now_s(self) -> float:
        return self._clock.monotonic_ns() / NS_PER_S
