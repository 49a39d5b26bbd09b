"""A member that the others depend on: in each of its lives it says once that it can serve, or why it cannot."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, Generic, TypeVar

import structlog

from pipeline.errors import PipelineError
from pipeline.supervise.child import Child, ProcessHost, exit_words
from pipeline.supervise.members import Member
from pipeline.supervise.status import Role

log = structlog.get_logger()

R = TypeVar("R")

SILENT_S = 10.0
"""The loop of a worker turns four times a second, and so does the publisher's; silent for so long, it hangs."""
LOADING_S = 600.0
"""How long a worker may take to load its model; a large one is exported and compiled meanwhile."""
DYING_S = 1.5
"""How long a process whose pipe has closed may take to end."""


class Service(Member, Generic[R]):
    """A process that sends one word through a pipe: that it is ready, or a `PipelineError`. Not thread-safe.

    Attributes:
        ready: Its word, from its first life on; None until then.
    """

    def __init__(
        self,
        role: Role,
        name: str,
        target: Callable[..., None],
        arguments: Callable[[], tuple[Any, ...]],
        *,
        host: ProcessHost,
        failure: type[PipelineError],
        prefix: str = "",
        ends: int = 0,
        ends_within_s: float = 1.0,
    ) -> None:
        """Prepare; nothing runs yet.

        Args:
            role: What it does.
            name: For people.
            target: Runs in the process; gets the arguments, its end of the pipe, then the heartbeat.
            arguments: Asked at every start.
            host: How processes are made.
            failure: What it is called when it dies before it is ready.
            prefix: What its errors begin with, where they have to say whose they are.
            ends: Its place in the order of ending.
            ends_within_s: How long it may take to end by itself, s.
        """
        child = Child(name, target, lambda: (*arguments(), self._renew_pipe()), SILENT_S, host)
        super().__init__(role, child, ends=ends, ends_within_s=ends_within_s)
        self.ready: R | None = None
        self._failure, self._prefix = failure, prefix
        self._pipe: Connection | None = None
        self._serves = False

    @property
    def awaited(self) -> Connection | None:
        """Becomes readable when it says its word, or dies before; None if there is nothing to wait for."""
        return None if self._serves else self._pipe

    def hear(self) -> None:
        """Note its word, if it has said one. A successor that cannot serve is told in the log, and tried again.

        Raises:
            PipelineError: Its first life cannot serve, or died before it could.
        """
        if self.ready is None and self._pipe is None and self.child.pid is None:
            raise self._failure(f"the {self.child.name} could not be started; the lines above say more")
        if self._serves or self._pipe is None or not self._pipe.poll():
            return
        try:
            word = self._pipe.recv()
        except EOFError:
            self.close()
            if self.ready is None:
                self.child.join(DYING_S)
                how = exit_words(self.child.reap())
                words = f"the {self.child.name} {how} before it was ready; the lines above say more"
                raise self._failure(words) from None
            return
        if not isinstance(word, PipelineError):
            self.ready, self._serves = word, True
        elif self.ready is not None:
            log.error(f"the {self.child.name} cannot serve the fleet: {word}")
        else:
            raise type(word)(f"{self._prefix}{word}") from word

    def tend(self, free: Callable[[], None]) -> None:
        """Hear its word, end it if it hangs, start it again if it has died."""
        self.hear()
        self.end_if_hung()
        self.child.look_after(free)

    def end_if_hung(self) -> None:
        """Kill it if its heart has stopped, or if it has been loading for too long."""
        silent_s = self.child.silent_s
        if silent_s > (SILENT_S if self._serves else LOADING_S):
            log.error(f"the {self.child.name} hangs and is ended", silent_s=round(silent_s))
            self.child.kill()

    def close(self) -> None:
        """Close the pipe."""
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None

    def _renew_pipe(self) -> Connection:
        """The end of a new pipe for the next life."""
        self.close()
        self._serves = False
        self._pipe, theirs = multiprocessing.Pipe(duplex=False)
        return theirs
