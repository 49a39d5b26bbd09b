"""Changes that are asked for in any thread, and made in the one that runs the fleet."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Generic, TypeVar

from pipeline.errors import ControlError, PipelineError

A = TypeVar("A")
S = TypeVar("S")


class Inbox(Generic[S]):
    """What waits to be made. `put` is safe in a signal handler; `carry_out` belongs to one thread."""

    def __init__(self) -> None:
        self._waiting: SimpleQueue[Callable[[S | None], None]] = SimpleQueue()
        self._closed = False

    def put(self, change: Callable[[S], Future[A]]) -> Future[A]:
        """Make this change soon; its answer, or the `PipelineError` that refuses it, is what the future gives."""
        answer: Future[A] = Future()
        self._waiting.put(lambda subject: _make(change, subject, answer))
        if self._closed:
            self.close()
        return answer

    def close(self) -> None:
        """Refuse what waits, and whatever comes."""
        self._closed = True
        while not self._waiting.empty():
            self._waiting.get()(None)

    def carry_out(self, subject: S) -> None:
        """Make every change that waits."""
        while not self._waiting.empty():
            self._waiting.get()(subject)


def _make(change: Callable[[S], Future[A]], subject: S | None, answer: Future[A]) -> None:
    if subject is None:
        answer.set_exception(ControlError("the fleet has ended"))
        return
    try:
        made = change(subject)
    except PipelineError as error:
        answer.set_exception(error)
        return
    made.add_done_callback(lambda done: _hand_on(done, answer))


def _hand_on(done: Future[A], answer: Future[A]) -> None:
    error = done.exception()
    if error is not None:
        answer.set_exception(error)
    else:
        answer.set_result(done.result())
