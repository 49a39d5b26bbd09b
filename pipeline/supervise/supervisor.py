"""A running fleet: a worker for each device, a process for every camera, and what happens when one of them dies.

The workers come first, so that a model that cannot serve the fleet is known before a camera is opened. From then on
nobody depends on anybody: each process is started again when it dies or when its heart stops, and the others go on.
"""

from __future__ import annotations

import multiprocessing
from multiprocessing.connection import wait
from types import TracebackType
from typing import Self

import structlog

from pipeline.clock import NS_PER_S, Clock, SystemClock
from pipeline.config.values import Fleet
from pipeline.errors import PipelineError, SlotError
from pipeline.runscope import RunLease
from pipeline.supervise.cameras import Cameras
from pipeline.supervise.child import ProcessHost
from pipeline.supervise.members import Members
from pipeline.supervise.status import ProcessStatus
from pipeline.supervise.workers import FleetReady, Workers

log = structlog.get_logger()

WATCH_S = 0.5
"""How often heartbeats are looked at, s."""


class Supervisor:
    """Starts, watches and ends the processes of one fleet. `stop` may come from anywhere, the rest from one thread.

    Example:
        with Supervisor(fleet) as supervisor:
            print("publishing on", supervisor.open().endpoint)
            supervisor.run(duration_s=30)
    """

    def __init__(self, fleet: Fleet, clock: Clock | None = None) -> None:
        self._fleet = fleet
        self._clock = clock or SystemClock()
        context = multiprocessing.get_context("forkserver")
        # Imported once, in the server: a camera then starts in milliseconds and shares the memory of these modules.
        context.set_forkserver_preload(["pipeline.camera.process"])
        host = ProcessHost(context, self._clock)
        self._lease = RunLease()
        self._stopping = False
        self._wake, self._waker = multiprocessing.Pipe(duplex=False)
        self._members = Members(self._clock)
        self._workers = Workers(fleet, self._lease.scope, self._members, host)
        self._cameras = Cameras(fleet, self._lease.scope, self._workers, self._members, host)

    def open(self) -> FleetReady:
        """Start everything; returns once the workers can serve the fleet, cameras connect meanwhile and later.

        Raises:
            DetectorError: The model cannot be loaded or cannot serve this fleet, on one of its devices.
            PublishError: The results cannot be published where the fleet file says.
        """
        for service in self._workers.services:
            service.child.start()
        ready = self._await_workers()
        self._cameras.start()
        return ready

    def run(self, duration_s: float | None = None) -> None:
        """Keep the fleet alive until `stop`, until `duration_s` is over, or until every recording has ended.

        Raises:
            DetectorError: The last worker died too often.
            PublishError: The process that publishes for several workers died too often.
        """
        end_s = None if duration_s is None else self._now_s() + duration_s
        while not self._stopping and not self._cameras.all_ended:
            if end_s is not None and self._now_s() >= end_s:
                break
            self._wait(end_s)
            self._tend()

    def stop(self) -> None:
        """Make `run` return soon; safe in a signal handler."""
        self._stopping = True
        if not self._waker.closed:
            self._waker.send_bytes(b"stop")

    def status(self) -> list[ProcessStatus]:
        """The workers first, then the publisher if there is one, then the cameras in the order of the fleet file."""
        return self._members.status

    def close(self) -> None:
        """End every process within three seconds, and leave nothing behind. May be called again."""
        self._members.end()
        self._cameras.close()
        self._lease.close()
        for pipe in (self._wake, self._waker):
            pipe.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _await_workers(self) -> FleetReady:
        """Wait for the first word of each."""
        while not self._stopping:
            for service in self._workers.services:
                service.hear()
            if (ready := self._workers.ready) is not None:
                return ready
            wait([self._wake, *self._members.awaited()])
        raise PipelineError("stopped before the worker was ready")

    def _wait(self, end_s: float | None) -> None:
        due = [*self._members.due_s(), *([] if end_s is None else [end_s])]
        timeout_s = min([WATCH_S, *(max(0.0, at_s - self._now_s()) for at_s in due)])
        wait([self._wake, *self._members.awaited()], timeout_s)

    def _tend(self) -> None:
        """Look after every process once."""
        self._members.tend(self._free_the_dead)
        self._workers.hand_over()
        self._cameras.tell()

    def _free_the_dead(self) -> None:
        try:
            self._lease.scope.remove_dead()
        except SlotError as error:
            log.warning(f"what a dead process held in shared memory stays until the fleet ends: {error}")

    def _now_s(self) -> float:
        return self._clock.monotonic_ns() / NS_PER_S
