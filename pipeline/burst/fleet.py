"""The fleet under test, in a process of its own, so that the lab's work is not the fleet's."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

from pipeline.config import Fleet
from pipeline.errors import BurstError, PipelineError
from pipeline.fleet import Fleet as RunningFleet
from pipeline.supervise.changes import Changes
from pipeline.supervise.status import ProcessStatus, Role

CLOSE_S = 8.0
"""What a fleet may take to end; it promises three seconds."""


class FleetProcess:
    """A fleet as a child process; ends with this process, however that ends. Thread-safe."""

    def __init__(self, fleet: Fleet, log: Path, state: Path | None = None) -> None:
        """Prepare; nothing runs yet.

        Args:
            fleet: What is to run.
            log: Where all goes that it says on stderr.
            state: What it remembers is kept here, and not where this user's fleets keep it.
        """
        context = multiprocessing.get_context("spawn")
        self._ours, self._theirs = context.Pipe()
        self._process = context.Process(
            target=run_fleet, args=(fleet, str(log), self._theirs, state), name="camfleet fleet under test"
        )
        self._lock = threading.Lock()

    def open(self, timeout_s: float) -> str:
        """Start it; returns where it publishes once it can serve its cameras.

        Raises:
            PipelineError: The fleet cannot start; the error is its own.
            BurstError: It said nothing within `timeout_s`, or died.
        """
        self._process.start()
        self._theirs.close()
        if not self._ours.poll(timeout_s):
            raise BurstError(f"the fleet was not ready within {timeout_s:g} s; its log says more")
        endpoint: str = self._answer()
        return endpoint

    @property
    def pid(self) -> int:
        """The supervisor's process id."""
        assert self._process.pid is not None, "opened first"
        return self._process.pid

    def status(self) -> list[ProcessStatus]:
        """The fleet's processes; none once it has ended."""
        try:
            found: list[ProcessStatus] = self._ask("status")
        except PipelineError:
            return []
        return found

    def become(self, fleet: Fleet) -> Changes:
        """Let it run like this from now on: cameras join and leave while it runs; blocks until they are told.

        Raises:
            PipelineError: It cannot, or has ended.
        """
        changes: Changes = self._ask("become", fleet)
        return changes

    def pids_of(self, role: Role, which: str | None = None) -> list[int]:
        """The process ids of all workers, or of the camera `which`; of those that run."""
        found = [status for status in self.status() if status.role == role]
        return [
            status.pid
            for status in found
            if status.pid is not None and (which is None or status.name == f"{role} {which}")
        ]

    def close(self) -> None:
        """End the fleet and wait for it. May be called again."""
        if self._process.pid is None:
            return
        self._process.terminate()
        self._process.join(CLOSE_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._ours.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, *order: Any) -> Any:
        with self._lock:
            try:
                self._ours.send(order)
            except OSError as error:
                raise BurstError("the fleet has ended; its log says more") from error
            try:
                return self._answer()
            except (KeyboardInterrupt, SystemExit):
                self._ours.close()  # so that nobody takes the answer to this order for that to the next
                raise

    def _answer(self) -> Any:
        try:
            answer = self._ours.recv()
        except (EOFError, OSError) as error:
            raise BurstError("the fleet has ended; its log says more") from error
        if isinstance(answer, PipelineError):
            raise answer
        return answer


def run_fleet(fleet: Fleet, log: str, connection: Connection, state: Path | None = None) -> None:
    """The child's part: run the fleet and do as it is told, until SIGTERM or until nobody holds the other end."""
    from pipeline.logs import configure_logs

    if state is not None:
        os.environ["XDG_STATE_HOME"] = str(state.absolute())
    os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644), 2)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end)
    configure_logs("fleet")
    try:
        with RunningFleet(fleet) as running:
            connection.send(running.endpoint)
            while True:
                name, *arguments = connection.recv()
                connection.send(_outcome(_ORDERS[name], running, *arguments))
    except PipelineError as error:
        connection.send(error)
    except (EOFError, OSError):
        return  # nobody holds the other end any more


def _end(number: int, frame: FrameType | None) -> None:
    """Leave as by an exception, so that everything is ended on the way out; a second SIGTERM does not disturb that."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit()


def _become(running: RunningFleet, fleet: Fleet) -> Changes:
    if running.wait(0):
        raise BurstError("the fleet has ended: every camera was given up, so none can join or leave")
    return running.reload(fleet)


_ORDERS: dict[str, Callable[..., Any]] = {"status": lambda running: running.processes, "become": _become}


def _outcome(order: Callable[..., Any], *arguments: Any) -> Any:
    """What came of it; a refusal is an answer, too."""
    try:
        return order(*arguments)
    except PipelineError as error:
        return error
