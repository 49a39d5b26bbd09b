"""A running fleet: one worker, a process for every camera, and what happens when one of them dies.

The worker comes first, so that a model that cannot serve the fleet is known before a camera is opened. From then on
nobody depends on anybody: each process is started again when it dies or when its heart stops, and the others go on.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import Any, Self

import structlog

from pipeline.camera.process import ENDED, FAILED, CameraSpec, run_camera
from pipeline.clock import NS_PER_S, Clock, SystemClock
from pipeline.config.values import Fleet
from pipeline.errors import DetectorError, PipelineError, SlotError
from pipeline.runscope import RunLease
from pipeline.supervise.child import Child, Condition, Ground, exit_words
from pipeline.worker.ledger import Ledger
from pipeline.worker.process import WorkerReady, WorkerSpec, run_worker

log = structlog.get_logger()

WATCH_S = 0.5
"""How often heartbeats are looked at, s."""
WORKER_SILENT_S = 10.0
"""A worker's loop turns four times a second; silent for so long, it hangs."""
WORKER_LOADING_S = 600.0
"""How long a worker may take to load its model; a large one is exported and compiled meanwhile."""
CAMERA_GRACE_S = 5.0
"""What a camera's heart may be silent beyond its own time-outs for opening and reading, s."""
CAMERA_END_S, WORKER_END_S = 1.0, 1.5
"""How long processes may take to end by themselves, s; together below the three seconds that a user will wait."""


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """One process of the fleet, as the supervisor sees it."""

    name: str
    condition: Condition
    pid: int | None
    restarts: int


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
        self._ledger = context.RawArray("q", Ledger.size(len(fleet.cameras)))
        self._lease = RunLease()
        self._bind = fleet.publish.bind
        self._report: Connection | None = None
        self._ready = False
        self._stopping = False
        self._wake, self._waker = multiprocessing.Pipe(duplex=False)
        self._worker = Child("worker", run_worker, self._worker_arguments, WORKER_SILENT_S, self._ground)
        self._cameras = {camera_id: self._camera(camera_id) for camera_id in fleet.cameras}

    def open(self) -> WorkerReady:
        """Start everything; returns once the worker can serve the fleet, cameras connect meanwhile and later.

        Raises:
            DetectorError: The model cannot be loaded or cannot serve this fleet.
            PublishError: The results cannot be published where the fleet file says.
        """
        self._worker.start()
        ready = self._await_worker()
        self._bind = ready.endpoint
        for camera in self._cameras.values():
            camera.start()
        return ready

    def run(self, duration_s: float | None = None) -> None:
        """Keep the fleet alive until `stop`, until `duration_s` is over, or until every recording has ended.

        Raises:
            DetectorError: The worker died too often.
        """
        end_s = None if duration_s is None else self._now_s() + duration_s
        while not self._stopping and not self._all_ended():
            if end_s is not None and self._now_s() >= end_s:
                break
            self._wait(end_s)
            self._tend()
            if self._worker.condition == "given up":
                raise DetectorError("the worker died again and again and is given up; the lines above say why")

    def stop(self) -> None:
        """Make `run` return soon; safe in a signal handler."""
        self._stopping = True
        if not self._waker.closed:
            self._waker.send_bytes(b"stop")

    def status(self) -> list[ProcessStatus]:
        """The worker first, then the cameras in the order of the fleet file."""
        return [
            ProcessStatus(child.name, child.condition, child.pid, child.restarts)
            for child in (self._worker, *self._cameras.values())
        ]

    def close(self) -> None:
        """End every process within three seconds, and leave nothing behind. May be called again."""
        _end(list(self._cameras.values()), CAMERA_END_S)
        _end([self._worker], WORKER_END_S)
        self._lease.close()
        for pipe in (self._wake, self._waker):
            pipe.close()
        self._close_report()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _camera(self, camera_id: str) -> Child:
        settings = self._fleet.cameras[camera_id]
        spec = CameraSpec(camera=settings, fleet=self._fleet.name, scope=self._lease.scope, link=self._link)
        silent_s = settings.open_timeout_s + settings.read_timeout_s + CAMERA_GRACE_S
        return Child(f"camera {camera_id}", run_camera, lambda: (spec,), silent_s, self._ground)

    @property
    def _link(self) -> str:
        return f"ipc://{self._lease.scope.directory / 'link'}"

    def _worker_arguments(self) -> tuple[Any, ...]:
        self._close_report()
        self._report, theirs = multiprocessing.Pipe(duplex=False)
        self._ready = False
        cameras = tuple(self._fleet.cameras)
        spec = WorkerSpec("worker", self._fleet, cameras, self._lease.scope, self._link, self._bind)
        return spec, self._ledger, theirs

    def _close_report(self) -> None:
        if self._report is not None:
            self._report.close()
            self._report = None

    def _await_worker(self) -> WorkerReady:
        """Wait for the first worker's word."""
        report = self._report
        assert report is not None
        while not self._stopping:
            wait([report, self._wake, self._worker.sentinel or self._wake])
            if report.poll():
                return self._hear_worker(report)
            if (code := self._worker.reap()) is not None:
                raise DetectorError(f"the worker {exit_words(code)} before it was ready; the lines above say more")
        raise PipelineError("stopped before the worker was ready")

    def _hear_worker(self, report: Connection) -> WorkerReady:
        """Read the worker's word.

        Raises:
            PipelineError: It cannot serve the fleet; the error is its own.
            DetectorError: It died before it could say anything.
        """
        try:
            word = report.recv()
        except EOFError:
            self._worker.join(WORKER_END_S)
            raise DetectorError(
                f"the worker {exit_words(self._worker.reap())} before it was ready; the lines above say more"
            ) from None
        if isinstance(word, PipelineError):
            raise word
        self._ready = True
        ready: WorkerReady = word
        return ready

    def _hear_successor(self) -> None:
        """Read the word of a worker that was started again, if it has said one; a dead one is mourned, not heard."""
        if self._report is None or self._ready or not self._report.poll():
            return
        try:
            word = self._report.recv()
        except EOFError:
            self._close_report()
            return
        if isinstance(word, PipelineError):
            log.error(f"the worker cannot serve the fleet: {word}")
        self._ready = not isinstance(word, PipelineError)

    def _wait(self, end_s: float | None) -> None:
        children = (self._worker, *self._cameras.values())
        due = [at_s for at_s in (end_s, *(child.restart_due_s for child in children)) if at_s is not None]
        timeout_s = min([WATCH_S, *(max(0.0, at_s - self._now_s()) for at_s in due)])
        watched: list[Any] = [self._wake, *(child.sentinel for child in children if child.sentinel is not None)]
        if self._report is not None and not self._ready:
            watched.append(self._report)
        wait(watched, timeout_s)

    def _tend(self) -> None:
        """Look after every process once."""
        self._hear_successor()
        if self._worker.silent_s > (WORKER_SILENT_S if self._ready else WORKER_LOADING_S):
            log.error("the worker hangs and is ended", silent_s=round(self._worker.silent_s))
            self._worker.kill()
        self._mourn(self._worker, lambda code: False)
        for camera in self._cameras.values():
            if camera.hung:
                log.warning(f"{camera.name} hangs and is ended", pid=camera.pid)
                camera.kill()
            self._mourn(camera, lambda code: code in (ENDED, FAILED))

    def _mourn(self, child: Child, has_finished: Callable[[int], bool]) -> None:
        """If the child has died: free what it held, and plan its restart unless it has finished its work."""
        code = child.reap()
        if code is not None:
            self._free_what_it_held(child)
            if has_finished(code):
                child.finish()
            elif (delay_s := child.plan_restart(self._now_s())) is None:
                log.error(f"{child.name} {exit_words(code)} again and again and is given up")
            else:
                log.warning(f"{child.name} {exit_words(code)}; starting it again", delay_s=round(delay_s, 1))
        if child.restart_if_due(self._now_s()):
            log.info(f"{child.name} is started again", pid=child.pid, restarts=child.restarts)

    def _free_what_it_held(self, child: Child) -> None:
        try:
            self._lease.scope.remove_dead()
        except SlotError as error:
            log.warning(f"what {child.name} held in shared memory stays until the fleet ends: {error}")

    def _all_ended(self) -> bool:
        return all(camera.condition in ("done", "given up") for camera in self._cameras.values())

    def _now_s(self) -> float:
        return self._clock.monotonic_ns() / NS_PER_S


def _end(children: list[Child], within_s: float) -> None:
    """Ask the children to end; those that still run after `within_s` are killed."""
    for child in children:
        child.terminate()
    give_up_s = SystemClock().monotonic_ns() / NS_PER_S + within_s
    for child in children:
        if not child.join(give_up_s - SystemClock().monotonic_ns() / NS_PER_S):
            child.kill()
            child.join(within_s)
        child.reap()
