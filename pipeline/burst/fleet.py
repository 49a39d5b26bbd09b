"""The fleet under test, in a process of its own, so that the lab's work is not the fleet's."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Self

from pipeline.config import Fleet
from pipeline.errors import BurstError, PipelineError
from pipeline.supervise.status import ProcessStatus, Role
from pipeline.supervise.supervisor import Supervisor
from pipeline.supervise.workers import FleetReady

STATUS_S = 0.25
"""How often the processes are looked at for those that came back, s."""
CLOSE_S = 8.0
"""What a supervisor may take to end; it promises three seconds."""


class FleetProcess:
    """A supervisor and its fleet as a child process; ends with this process, however that ends. Thread-safe."""

    def __init__(self, fleet: Fleet, log: Path) -> None:
        """Prepare; nothing runs yet. All that the fleet says on stderr goes to `log`."""
        context = multiprocessing.get_context("spawn")
        self._ours, self._theirs = context.Pipe()
        self._process = context.Process(
            target=run_fleet, args=(fleet, str(log), self._theirs), name="camfleet burst fleet"
        )
        self._status: list[ProcessStatus] = []
        self._lock = threading.Lock()

    def open(self, timeout_s: float) -> FleetReady:
        """Start it; returns once the workers can serve the fleet.

        Raises:
            PipelineError: The fleet cannot start; the error is its own.
            BurstError: It said nothing within `timeout_s`, or died.
        """
        self._process.start()
        self._theirs.close()
        if not self._ours.poll(timeout_s):
            raise BurstError(f"the fleet was not ready within {timeout_s:g} s; raise warmup_s, or see its log")
        try:
            word = self._ours.recv()
        except EOFError:
            raise BurstError("the fleet ended before it was ready; its log says more") from None
        if isinstance(word, PipelineError):
            raise word
        ready: FleetReady = word
        return ready

    @property
    def pid(self) -> int:
        """The supervisor's process id."""
        assert self._process.pid is not None, "opened first"
        return self._process.pid

    def status(self) -> list[ProcessStatus]:
        """The fleet's processes as they were at most `STATUS_S` ago."""
        with self._lock:
            try:
                while self._ours.poll():
                    self._status = self._ours.recv()
            except (EOFError, OSError):
                self._status = []
            return self._status

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
        with self._lock:
            self._ours.close()
        self._process.join(CLOSE_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def run_fleet(fleet: Fleet, log: str, connection: Connection) -> None:
    """The child's part: run the fleet until the other end of `connection` is closed, telling what processes it has."""
    from pipeline.logs import configure_logs

    os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644), 2)
    stopped = threading.Event()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    configure_logs("fleet")
    with Supervisor(fleet) as supervisor:

        def stop() -> None:
            stopped.set()
            supervisor.stop()

        signal.signal(signal.SIGTERM, lambda number, frame: stop())
        threading.Thread(target=_until_closed, args=(connection, stop), name="until-closed", daemon=True).start()
        try:
            connection.send(supervisor.open())
        except PipelineError as error:
            if not stopped.is_set():
                connection.send(error)
            return
        _run(supervisor, stopped, connection)


def _run(supervisor: Supervisor, stopped: threading.Event, connection: Connection) -> None:
    told: list[ProcessStatus] = []
    while not stopped.is_set():
        status = supervisor.status()
        if status != told:
            told = status
            try:
                connection.send(told)
            except OSError:
                return
        supervisor.run(STATUS_S)
        if all(one.condition in ("done", "given up") for one in status if one.role == "camera"):
            stopped.wait(STATUS_S)


def _until_closed(connection: Connection, stop: Callable[[], None]) -> None:
    """Call `stop` once nobody holds the other end."""
    try:
        connection.recv()
    except (EOFError, OSError):
        stop()
