"""One child process: started, watched by its heartbeat, ended, started again."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Container
from contextlib import suppress
from ctypes import c_int64
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext, ForkServerProcess
from threading import Event, Thread
from typing import Any, Literal

import structlog

from pipeline.clock import NS_PER_S, Clock
from pipeline.orphans import note_process
from pipeline.runscope import RunScope
from pipeline.supervise.budget import RestartBudget
from pipeline.supervise.life import UNKNOWN, Life

log = structlog.get_logger()

STOPPED_S = 2.0
"""A fork server that has not answered for so long may have been stopped, and is told to go on."""
START_S = 20.0
"""How long a process may take to start: milliseconds, but the first waits for what the fork server loads."""

Condition = Literal["running", "waiting", "done", "given up"]


@dataclass(frozen=True, slots=True)
class ProcessHost:
    """What all children of a supervisor stand on: how processes are made, the time, and the run they are noted in."""

    context: ForkServerContext
    clock: Clock
    scope: RunScope | None = None


class Child:
    """A process that is to run, whatever happens to it. Not thread-safe.

    Attributes:
        name: For people: `camera gate`, `worker`.
        restarts: How often it was started again.
        last_exit: Exit code of its last life; negative for a signal; None before the first end.
        budget: How often it may be started again, and how soon.
    """

    def __init__(
        self,
        name: str,
        target: Callable[..., None],
        arguments: Callable[[], tuple[Any, ...]],
        silent_s: float,
        host: ProcessHost,
    ) -> None:
        """Prepare; nothing runs yet.

        Args:
            name: For people.
            target: Runs in the process; gets the arguments, then the heartbeat.
            arguments: Asked at every start.
            silent_s: A heart that has not beaten for so long belongs to a hung process.
            host: What all children stand on.
        """
        self.name = name
        self.restarts = 0
        self.last_exit: int | None = None
        self.budget = RestartBudget()
        self._context, self._scope = host.context, host.scope
        self._clock = host.clock
        self._limit_s = silent_s
        self._target = target
        self._arguments = arguments
        self._beat: c_int64 = host.context.Value("q", 0, lock=False)
        self._life: Life | None = None
        self._due_s: float | None = None
        self._began_s = 0.0
        self._done = self._given_up = False

    def start(self) -> None:
        """Start the process; also again, after `reap`. One that cannot be started has died, and is tried again."""
        self._due_s = None
        self._beat.value = self._clock.monotonic_ns()
        self._began_s = self._now_s()
        try:
            process = self._context.Process(
                target=self._target, args=(*self._arguments(), self._beat), name=f"camfleet {self.name}", daemon=True
            )
            _start(process)
            self._life = Life(process)
            if self._scope is not None and process.pid is not None:
                note_process(self._scope.directory, process.pid)
        except (OSError, EOFError) as error:
            self._miss(error)

    @property
    def condition(self) -> Condition:
        """What is going on with it."""
        if self._life is not None:
            return "running"
        if self._done:
            return "done"
        return "given up" if self._given_up else "waiting"

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._life.pid if self._life else None

    @property
    def sentinel(self) -> int | None:
        """Becomes readable when the process ends; None while none runs."""
        return self._life.sentinel if self._life else None

    @property
    def restart_due_s(self) -> float | None:
        """When it is to be started again, s of the monotonic clock; None unless it waits for that."""
        return self._due_s

    def reap(self) -> int | None:
        """Exit code if the process has ended since the last call; it stays down until `plan_restart` or `finish`."""
        if self._life is None or not self._life.has_ended():
            return None
        self.last_exit = self._life.close()
        self._life = None
        return self.last_exit

    def plan_restart(self) -> float | None:
        """Start it again after a pause, which is returned; None if it died too often and is given up."""
        now_s = self._now_s()
        delay_s = self.budget.next_delay_s(now_s - self._began_s)
        self._due_s = None if delay_s is None else now_s + delay_s
        self._given_up = delay_s is None
        return delay_s

    def restart_if_due(self) -> bool:
        """Start it again if its pause is over; True if it was."""
        if self._due_s is None or self._now_s() < self._due_s:
            return False
        self.restarts += 1
        self.start()
        return True

    def finish(self) -> None:
        """It has done its work and is not started again."""
        self._done = True

    def _miss(self, error: OSError | EOFError) -> None:
        """Note that it could not be started."""
        why = str(error) or "the fork server has ended"
        if (delay_s := self.plan_restart()) is None:
            log.error(f"{self.name} cannot be started and is given up: {why}")
        else:
            log.warning(f"{self.name} cannot be started, trying again: {why}", delay_s=round(delay_s, 1))

    def look_after(self, free: Callable[[], None], finished: Container[int] = ()) -> None:
        """If it has died, plan its restart, unless it has finished its work; if a restart is due, start it.

        Args:
            free: Frees what dead processes held, before another takes their place.
            finished: Exit codes of a process that has done its work.
        """
        if (code := self.reap()) is not None:
            free()
            if code in finished:
                self.finish()
            elif (delay_s := self.plan_restart()) is None:
                log.error(f"{self.name} {exit_words(code)} again and again and is given up")
            else:
                log.warning(f"{self.name} {exit_words(code)}; starting it again", delay_s=round(delay_s, 1))
        if self.restart_if_due() and self._life is not None:
            log.info(f"{self.name} is started again", pid=self.pid, restarts=self.restarts)

    @property
    def silent_s(self) -> float:
        """How long ago its heart beat last, or it was started; 0 while it does not run."""
        return (self._clock.monotonic_ns() - self._beat.value) / NS_PER_S if self._life is not None else 0.0

    @property
    def hung(self) -> bool:
        """Whether it runs and its heart has stopped."""
        return self.silent_s > self._limit_s

    def forgive(self) -> None:
        """Count its silence from now on: nobody could have heard its heart before."""
        self._beat.value = self._clock.monotonic_ns()

    def terminate(self) -> None:
        """Ask it to end."""
        if self._life is not None:
            self._life.signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        if self._life is not None:
            self._life.signal(signal.SIGKILL)

    def join(self, timeout_s: float) -> bool:
        """Wait for its end; False if it still runs after `timeout_s`."""
        return self._life is None or self._life.has_ended(max(0.0, timeout_s))

    def _now_s(self) -> float:
        return self._clock.monotonic_ns() / NS_PER_S


def _start(process: ForkServerProcess) -> None:
    """Start it, or raise `OSError` or `EOFError`; a start that succeeds too late is undone."""
    failures: list[OSError | EOFError] = []
    given_up = Event()

    def start() -> None:
        try:
            process.start()
        except (OSError, EOFError) as error:
            failures.append(error)
        else:
            if given_up.is_set():
                process.kill()

    thread = Thread(target=start, name="start", daemon=True)
    thread.start()
    thread.join(STOPPED_S)
    if thread.is_alive():
        _wake_fork_server()
        thread.join(START_S - STOPPED_S)
    if thread.is_alive():
        given_up.set()
        raise TimeoutError(f"the fork server has not answered for {START_S:.0f} s")
    if failures:
        raise failures[0]


def _wake_fork_server() -> None:
    # The library keeps the number to itself. Going on is no news to a server that was not stopped.
    pid = getattr(forkserver._forkserver, "_forkserver_pid", None)
    if pid is not None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def exit_words(code: int | None) -> str:
    """An exit code for people."""
    if code is None:
        return "ended"
    if code == UNKNOWN:
        return "ended, and the fork server that knew how has ended too"
    if code == 128 + signal.SIGTERM:
        return "was told to end by SIGTERM"
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"
