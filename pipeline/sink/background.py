"""A thread with an asyncio loop, for libraries that want one: keep-alives go on between two batches."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

import structlog

from pipeline.redact import redact

log = structlog.get_logger()

T = TypeVar("T")

FAREWELL_S = 5.0
"""How long tasks that are cancelled may take to end."""


class Background:
    """A loop in a thread of its own. `run` and `close` from one thread."""

    def __init__(self, name: str) -> None:
        """Start it.

        Args:
            name: The thread's, for people.
        """
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(_tell)
        self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)
        self._thread.start()

    @property
    def closed(self) -> bool:
        """Whether it runs nothing any more."""
        return self._loop.is_closed()

    def run(self, work: Coroutine[Any, Any, T], within_s: float) -> T:
        """What `work` gives; blocks.

        Raises:
            TimeoutError: It took longer, and was cancelled.
            Exception: What `work` raised.
        """
        return asyncio.run_coroutine_threadsafe(asyncio.wait_for(work, within_s), self._loop).result()

    def close(self) -> None:
        """Cancel what still runs, and end the thread. May be called again."""
        if not self.closed:
            # Not by `run`, whose own task would be one of the others.
            asyncio.run_coroutine_threadsafe(_cancel_others(), self._loop).result()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()


def silence(*loggers: str) -> LastWord:
    """Keep these libraries' own log lines, which nobody has redacted, from stderr.

    Returns:
        The last warning among them, for libraries that give their reasons nowhere else.
    """
    last = LastWord()
    for name in loggers:
        logger = logging.getLogger(name)
        logger.propagate = False
        logger.handlers = [one for one in logger.handlers if not isinstance(one, LastWord)] + [last]
    return last


class LastWord(logging.Handler):
    """The newest line that a library has logged, and nothing before it."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self.text = record.getMessage()


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    if others:
        await asyncio.wait(others, timeout=FAREWELL_S)


def _tell(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What nobody has waited for; asyncio would print it as it is."""
    log.debug("in the background", what=redact(context.get("exception") or context["message"]))
