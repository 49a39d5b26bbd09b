"""A running fleet to be looked at from outside: the one that runs already, or one of our own."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import msgspec
import psutil

from pipeline.config.values import Fleet
from pipeline.errors import PipelineError, ProfileError
from pipeline.fleet import Fleet as RunningFleet
from pipeline.observe.watch import FleetWatch
from pipeline.supervise.control import any_runs, ask
from pipeline.supervise.status import ProcessStatus
from pipeline.worker.process import WorkerReady

ANSWER_S = 10.0
"""How long a fleet may take to say how it is, on a machine under load."""
TURN_S = 0.25
CLOSE_S = 8.0
"""What a fleet may take to end; it promises three seconds."""


@dataclass(frozen=True, slots=True)
class Attached:
    """A fleet that runs.

    Attributes:
        name: Its name.
        pid: Its supervisor's process id.
        inside: Where it publishes for programs of this user.
        workers: What its workers are.
        ours: Whether it was started for this.
    """

    name: str
    pid: int
    inside: str
    workers: dict[str, WorkerReady]
    ours: bool

    def processes(self) -> list[ProcessStatus]:
        """Its processes now.

        Raises:
            ProfileError: It has ended.
        """
        return msgspec.convert(_status(self.name)["processes"], list[ProcessStatus])

    def require(self) -> None:
        """Make sure that it still runs; costs next to nothing.

        Raises:
            ProfileError: It has ended.
        """
        if not psutil.pid_exists(self.pid):
            raise ended(self.name)


@contextlib.contextmanager
def attached(
    fleet: Fleet, file: Path, urgent: Executor, *, sinks: bool, begin: Callable[[], Callable[[float], None]]
) -> Iterator[Attached]:
    """The fleet of this file: the one of its name that runs here, else one that runs as long as the `with`.

    Args:
        fleet: What the file says.
        file: The file.
        urgent: Starts a fleet of our own.
        sinks: Whether a fleet of our own keeps its results as the file says; one that runs already does as it does.
        begin: Called where one of our own is started; what it gives, several times a second with the seconds so far.

    Raises:
        PipelineError: It cannot be started; the error is its own.
        ProfileError: What runs under its name has other cameras.
    """
    if (found := _running(fleet)) is not None:
        yield found
        return
    with _Child(file if sinks else fleet.model_copy(update={"sinks": {}}), fleet.name) as child:
        urgent.submit(child.start).result()
        child.open(begin())
        yield _attach(_status(fleet.name), ours=True)


def _running(fleet: Fleet) -> Attached | None:
    """The fleet of that name, if it runs."""
    if not any_runs(fleet=fleet.name):
        return None
    status = ask({"command": "status"}, fleet.name, timeout_s=ANSWER_S)
    if strangers := set(status["cameras"]) ^ set(fleet.cameras):
        raise ProfileError(
            f"the fleet “{fleet.name}” that runs here has other cameras than the file "
            f"({', '.join(sorted(strangers))}); camfleet reload applies the file, or give one of the two another name"
        )
    if status["inside"] is None:
        raise ProfileError(f"the fleet “{fleet.name}” is still starting; profile it in a moment")
    return _attach(status, ours=False)


def _attach(status: dict[str, Any], *, ours: bool) -> Attached:
    try:
        workers = msgspec.convert(status["workers"], dict[str, WorkerReady])
        return Attached(status["fleet"], status["pid"], status["inside"], workers, ours)
    except (LookupError, msgspec.ValidationError):
        raise ProfileError("the fleet that runs here is of an older version; start it again") from None


def _status(name: str) -> dict[str, Any]:
    try:
        status: dict[str, Any] = ask({"command": "status"}, name, timeout_s=ANSWER_S)
    except PipelineError:
        raise ended(name) from None
    return status


def ended(name: str) -> ProfileError:
    """What to say of a fleet that is over too soon."""
    return ProfileError(
        f"the fleet “{name}” ended before it was measured: every recording has come to its end, or it was told to; use "
        "`loop: true` or fewer --seconds"
    )


class _Child:
    """A fleet in a process of its own, so that our work is not its; ends with this process, however that ends."""

    def __init__(self, fleet: Path | Fleet, name: str) -> None:
        context = multiprocessing.get_context("spawn")
        self._ours, self._theirs = context.Pipe()
        self._log = tempfile.NamedTemporaryFile(prefix="camfleet-profile-", suffix=".log")  # noqa: SIM115  closed below
        self._process: SpawnProcess = context.Process(target=_run, args=(fleet, name, self._log.name, self._theirs))

    def start(self) -> None:
        """Start the process, at the priority of the calling thread."""
        self._process.start()
        self._theirs.close()

    def open(self, turn: Callable[[float], None]) -> None:
        """Wait until it can serve its cameras.

        Raises:
            PipelineError: It cannot; the error is its own.
        """
        began_s = time.monotonic()
        while not self._ours.poll(TURN_S):
            turn(time.monotonic() - began_s)
        try:
            word = self._ours.recv()
        except (EOFError, OSError):
            lines = Path(self._log.name).read_text("utf-8", "replace").splitlines()
            raise ProfileError(f"the fleet broke off while it started: {lines[-1] if lines else 'no word'}") from None
        if isinstance(word, PipelineError):
            raise word

    def __enter__(self) -> _Child:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.pid is not None:
            self._process.terminate()
            self._process.join(CLOSE_S)
            if self._process.is_alive():
                self._process.kill()
                self._process.join()
        self._ours.close()
        self._log.close()


def _run(fleet: Path | Fleet, name: str, log: str, parent: Connection) -> None:
    """The child's part: run the fleet as `camfleet run` does, its own listener included, until told to end."""
    from pipeline.logs import configure_logs

    os.dup2(os.open(log, os.O_WRONLY | os.O_APPEND), 2)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end)
    configure_logs("fleet")
    try:
        with RunningFleet(fleet):
            status = _status(name)
            with FleetWatch(status["inside"], status["cameras"], status["slo_p95_ms"]):
                parent.send(None)
                parent.recv()
    except PipelineError as error:
        parent.send(error)
    except (EOFError, OSError):
        return  # nobody holds the other end any more


def _end(number: int, frame: object) -> None:
    """Leave as by an exception, so that everything is ended on the way out; a second SIGTERM does not disturb that."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit()
