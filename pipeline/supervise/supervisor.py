"""A running fleet: a worker for each device, a process for every camera, and what happens when one of them dies.

The workers come first, so that a model that cannot serve the fleet is known before a camera is opened. From then on
nobody depends on anybody: each process is started again when it dies or when its heart stops, and the others go on.
"""

from __future__ import annotations

import multiprocessing
from multiprocessing.connection import wait
from types import TracebackType
from typing import Any, Self

import structlog

from pipeline.camera.backlog import LATE_SHARE
from pipeline.camera.process import ENDED, FAILED, CameraSpec, run_camera
from pipeline.clock import NS_PER_S, Clock, SystemClock
from pipeline.config.values import Fleet
from pipeline.errors import PipelineError, SlotError
from pipeline.runscope import RunLease
from pipeline.supervise.child import Child, Ground, end
from pipeline.supervise.status import ProcessStatus
from pipeline.supervise.workers import FleetReady, Workers
from pipeline.worker.ledger import Ledger

log = structlog.get_logger()

WATCH_S = 0.5
"""How often heartbeats are looked at, s."""
CAMERA_GRACE_S = 5.0
"""What a camera's heart may be silent beyond its own time-outs for opening and reading, s."""
CAMERAS_END_S = 1.0
"""How long cameras may take to end by themselves, s; with the workers, below the three that a user will wait."""


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
        self._ground = Ground(context, self._clock)
        self._lease = RunLease()
        self._stopping = False
        self._wake, self._waker = multiprocessing.Pipe(duplex=False)
        memory = context.RawArray("q", Ledger.size(len(fleet.cameras)))
        self._workers = Workers(fleet, self._lease.scope, memory, self._ground)
        self._cameras = {camera_id: self._camera(camera_id) for camera_id in fleet.cameras}

    def open(self) -> FleetReady:
        """Start everything; returns once the workers can serve the fleet, cameras connect meanwhile and later.

        Raises:
            DetectorError: The model cannot be loaded or cannot serve this fleet, on one of its devices.
            PublishError: The results cannot be published where the fleet file says.
        """
        for service in self._workers.services:
            service.child.start()
        ready = self._await_workers()
        for camera in self._cameras.values():
            camera.start()
        return ready

    def run(self, duration_s: float | None = None) -> None:
        """Keep the fleet alive until `stop`, until `duration_s` is over, or until every recording has ended.

        Raises:
            DetectorError: The last worker died too often.
            PublishError: The process that publishes for several workers died too often.
        """
        end_s = None if duration_s is None else self._now_s() + duration_s
        while not self._stopping and not self._all_ended():
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
        return [ProcessStatus(child.name, child.condition, child.pid, child.restarts) for child in self._children()]

    def close(self) -> None:
        """End every process within three seconds, and leave nothing behind. May be called again."""
        end(list(self._cameras.values()), CAMERAS_END_S)
        self._workers.close()
        self._lease.close()
        for pipe in (self._wake, self._waker):
            pipe.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _camera(self, camera_id: str) -> Child:
        settings = self._fleet.cameras[camera_id]
        link = self._workers.link(camera_id)
        late_s = LATE_SHARE * self._fleet.slo.p95_ms / 1000
        spec = CameraSpec(settings, self._fleet.name, self._lease.scope, link, late_s)
        silent_s = settings.open_timeout_s + settings.read_timeout_s + CAMERA_GRACE_S
        return Child(f"camera {camera_id}", run_camera, lambda: (spec,), silent_s, self._ground)

    def _children(self) -> list[Child]:
        return [*(service.child for service in self._workers.services), *self._cameras.values()]

    def _await_workers(self) -> FleetReady:
        """Wait for the first word of each."""
        while not self._stopping:
            for service in self._workers.services:
                service.hear()
            if (ready := self._workers.ready) is not None:
                return ready
            wait([self._wake, *self._awaited()])
        raise PipelineError("stopped before the worker was ready")

    def _awaited(self) -> list[Any]:
        return [service.awaited for service in self._workers.services if service.awaited is not None]

    def _wait(self, end_s: float | None) -> None:
        children = self._children()
        due = [at_s for at_s in (end_s, *(child.restart_due_s for child in children)) if at_s is not None]
        timeout_s = min([WATCH_S, *(max(0.0, at_s - self._now_s()) for at_s in due)])
        sentinels = [child.sentinel for child in children if child.sentinel is not None]
        wait([self._wake, *sentinels, *self._awaited()], timeout_s)

    def _tend(self) -> None:
        """Look after every process once."""
        for service in self._workers.services:
            service.hear()
            service.end_if_hung()
            service.child.look_after(self._free_the_dead)
        self._workers.hand_over()
        for camera in self._cameras.values():
            if camera.hung:
                log.warning(f"{camera.name} hangs and is ended", pid=camera.pid)
                camera.kill()
            camera.look_after(self._free_the_dead, finished=(ENDED, FAILED))

    def _free_the_dead(self) -> None:
        try:
            self._lease.scope.remove_dead()
        except SlotError as error:
            log.warning(f"what a dead process held in shared memory stays until the fleet ends: {error}")

    def _all_ended(self) -> bool:
        return all(camera.condition in ("done", "given up") for camera in self._cameras.values())

    def _now_s(self) -> float:
        return self._clock.monotonic_ns() / NS_PER_S
