"""A running fleet: a worker for each device, a process for every camera and sink, and what happens when one dies.

The workers come first, so that a model that cannot serve the fleet is known before a camera is opened. From then on
nobody depends on anybody: each process is started again when it dies or when its heart stops, and the others go on.

The fleet changes while it runs (`apply`, `pause`, `resume`): what did not change is not touched. Changes are asked for
with `submit`, from any thread and from signal handlers; they are made in the thread that runs the fleet.
"""

from __future__ import annotations

import difflib
import multiprocessing
from collections.abc import Callable, Collection
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from multiprocessing.connection import wait
from pathlib import Path
from threading import Event
from types import TracebackType
from typing import Self, TypeVar

import structlog

from pipeline.camera.evidence.keeper import Clip
from pipeline.camera.evidence.order import ClipOrder, wait_for
from pipeline.clock import NS_PER_S, Clock, SystemClock
from pipeline.config.values import Fleet, Model
from pipeline.detect.load import require_library
from pipeline.errors import ControlError, DetectorError, PipelineError
from pipeline.runscope import RunLease, process_folder
from pipeline.supervise.cameras import Cameras
from pipeline.supervise.changes import Changes, compare, keep_fixed
from pipeline.supervise.child import ProcessHost
from pipeline.supervise.evidence import EvidenceAtWork
from pipeline.supervise.inbox import Inbox
from pipeline.supervise.members import Members
from pipeline.supervise.pages import make_page, require_page
from pipeline.supervise.roster import RosterTeller
from pipeline.supervise.rules import RulesAtWork
from pipeline.supervise.service import Service
from pipeline.supervise.sinks import Sinks, require_libraries
from pipeline.supervise.status import ProcessStatus
from pipeline.supervise.swap import ModelSwap
from pipeline.supervise.workers import FleetReady, Workers
from pipeline.web.process import PageReady
from pipeline.worker.process import settings_of

log = structlog.get_logger()

WATCH_S = 0.5
"""How often heartbeats are looked at, s."""
SWAP_WATCH_S = 0.05
"""The same while workers load another model."""

BEING_LOADED = "another model is being loaded; try again when it has taken over"

A = TypeVar("A")


@dataclass(frozen=True, slots=True)
class _Change:
    """A change that waits for its model."""

    fleet: Fleet
    changes: Changes
    answer: Future[Changes]


@dataclass(slots=True)
class _Swapping:
    """A model that is loaded beside the one at work; what it is for, once that is known."""

    swap: ModelSwap
    model: Model
    loaded: Future[None]
    change: _Change | None = None

    def fail(self, error: PipelineError) -> None:
        """Nothing comes of it."""
        if not self.loaded.done():
            self.loaded.set_exception(error)
        if self.change is not None:
            self.change.answer.set_exception(error)


class Supervisor:
    """Starts, watches and ends the processes of one fleet. `stop` may come from anywhere, the rest from one thread.

    Example:
        with Supervisor(fleet) as supervisor:
            print("publishing on", supervisor.open().endpoint)
            supervisor.run(duration_s=30)

    Attributes:
        all_ended: Set while no camera will deliver another picture.
    """

    def __init__(self, fleet: Fleet, clock: Clock | None = None, directory: Path | None = None) -> None:
        """Prepare; nothing runs yet.

        Args:
            fleet: What the fleet file says.
            clock: The time; the system's by default.
            directory: The fleet file's folder, where relative paths of its sinks begin; the current one by default.

        Raises:
            ConfigError: A sink or the page needs a library that is not installed.
            DetectorError: The model does.
            SlotError: There is no place for the run.
        """
        for model in (fleet.model, *(look.model for look in fleet.cascade.values())):
            require_library(model)
        require_libraries(fleet)
        require_page(fleet)
        self._fleet = fleet
        self._clock = clock or SystemClock()
        keep_fork_server_in(process_folder())
        context = multiprocessing.get_context("forkserver")
        # Imported once, in the server: a camera then starts in milliseconds and shares the memory of these modules.
        sinks = ["pipeline.sink.process"] if fleet.sinks else []
        context.set_forkserver_preload(["pipeline.camera.process", *sinks])
        self._lease = RunLease()
        host = ProcessHost(context, self._clock, self._lease.scope)
        self._begun = self._stopping = False
        self._inbox: Inbox[Supervisor] = Inbox()
        self.all_ended = Event()
        self._swaps = count(1, 2)
        self._swap: _Swapping | None = None
        self._wake, self._waker = multiprocessing.Pipe(duplex=False)
        self._members = Members(self._clock)
        self._workers = Workers(fleet, self._lease.scope, self._members, host)
        self._roster = RosterTeller(self._workers.inbox, self._clock)
        self._cameras = Cameras(fleet, self._lease.scope, self._workers, self._members, host)
        self._page = make_page(fleet, self._lease.scope, self._workers.inside, self._members, host)
        self._rules = RulesAtWork(fleet, self._lease.scope, self._workers.inbox, self._members, host)
        directory = directory or Path.cwd()
        self._sinks = Sinks(fleet, self._lease.scope, self._members, host, directory)
        self._evidence = EvidenceAtWork(fleet, self._lease.scope, self._workers.inbox, self._members, host, directory)

    def open(self) -> FleetReady:
        """Start the workers, the publisher and the sinks; returns once the workers can serve the fleet.

        Cameras start with `run`, so that whoever subscribes in between hears each from its first frame on.

        Raises:
            DetectorError: The model cannot be loaded or cannot serve this fleet, on one of its devices.
            PublishError: The results cannot be published where the fleet file says.
            PageError: The page cannot be served where it says.
        """
        for key, endpoint in self._fleet.publish.exposed.items():
            log.warning(f"publish.{key}: whoever reaches {endpoint} can read all: there are no keys (insecure: true)")
        for service in self._workers.services:
            service.child.start()
        ready = self._await_workers()
        self._rules.start(ready.inside)
        self._evidence.start(ready.inside)
        self._sinks.start(ready.inside)
        if self._page is not None:
            self._page.child.start()
            self._await_page(self._page)
        return ready

    def run(self, duration_s: float | None = None, *, stays: bool = False) -> None:
        """Keep the fleet alive until `stop`, until `duration_s` is over, or until every recording has ended.

        Args:
            duration_s: How long, s; None for no limit.
            stays: Do not end with the recordings: other cameras may join. `all_ended` tells.

        Raises:
            DetectorError: The last worker died too often.
            PublishError: The publisher died too often.
        """
        end_s = None if duration_s is None else self._now_s() + duration_s
        if not self._begun:
            self._begun = True
            self._cameras.start()
        while not self._stopping and (stays or not self._cameras.all_ended):
            if end_s is not None and self._now_s() >= end_s:
                break
            self._wait(end_s)
            self._tend()

    @property
    def fleet(self) -> Fleet:
        """What runs now."""
        return self._fleet

    @property
    def directory(self) -> Path:
        """The run's, private to this user."""
        return self._lease.scope.directory

    @property
    def ready(self) -> FleetReady | None:
        """Where results are; None until the workers can serve the fleet."""
        return self._workers.ready

    @property
    def page(self) -> str:
        """The address of the fleet's page; empty where it has none."""
        return "" if self._page is None or self._page.ready is None else self._page.ready.address

    @property
    def paused(self) -> frozenset[str]:
        """The cameras that are paused."""
        return self._cameras.paused

    @property
    def shards(self) -> tuple[()]:
        """None: this fleet is on one machine."""
        return ()

    @property
    def scaling(self) -> str:
        """Nothing: this fleet is on one machine."""
        return ""

    def submit(self, change: Callable[[Supervisor], Future[A]]) -> Future[A]:
        """Make this change soon, in the thread that runs the fleet; the answer comes when it is made.

        Example:
            changes = supervisor.submit(lambda running: running.apply(fleet)).result()
        """
        answer = self._inbox.put(change)
        self._nudge()
        return answer

    def apply(self, fleet: Fleet) -> Future[Changes]:
        """Run as this fleet file says from now on; where it names another model, the answer waits until that serves.

        Raises:
            ControlError: Another model is being loaded.
            ConfigError: A sink needs a library that is not installed.
            DetectorError: The model does.
        """
        for model in (fleet.model, *(look.model for look in fleet.cascade.values())):
            require_library(model)
        require_libraries(fleet)
        if self._swap is not None and self._swap.change is not None:
            raise ControlError(BEING_LOADED)
        changes, wanted = compare(self._fleet, fleet), keep_fixed(self._fleet, fleet)
        answer: Future[Changes] = Future()
        if changes.model:
            self._swap_to(wanted.model).change = _Change(wanted, changes, answer)
        else:
            self._become(wanted, changes)
            answer.set_result(changes)
        return answer

    def prepare(self, fleet: Fleet) -> Future[None]:
        """Load the model of this fleet beside the one at work, and hold it until `apply`; done when it is warm.

        Raises:
            ControlError: Another model is about to take over.
        """
        if self._swap is not None and self._swap.change is not None:
            raise ControlError(BEING_LOADED)
        model = keep_fixed(self._fleet, fleet).model
        return _done(None) if model == self._fleet.model else self._swap_to(model).loaded

    def unprepare(self) -> Future[None]:
        """Let go of a model that was prepared, or is being."""
        if self._swap is not None and self._swap.change is None:
            self._give_up_swap(ControlError("the model is not wanted any more"))
        return _done(None)

    def refuse(self) -> None:
        """Make no change any more: nobody runs the fleet."""
        self._inbox.close()
        if self._swap is not None:
            self._swap.fail(ControlError("the fleet has ended"))
            self._swap = None

    def pause(self, camera_id: str) -> Future[None]:
        """Let go of a camera and keep its settings.

        Raises:
            ControlError: The fleet has no such camera.
        """
        return self._with(camera_id, self._cameras.pause)

    def resume(self, camera_id: str) -> Future[None]:
        """Take up a camera that was paused.

        Raises:
            ControlError: The fleet has no such camera.
        """
        return self._with(camera_id, self._cameras.resume)

    def keep_paused(self, camera_ids: Collection[str]) -> Future[None]:
        """Pause these cameras and no others; one that joins from now on and is among them begins paused."""
        self._cameras.keep_paused(camera_ids)
        self._note_ended()
        return _done(None)

    def drain(self, node: str) -> Future[str]:
        """Nothing can be drained here: raises `ControlError`."""
        raise ControlError(f"this fleet is on one machine, and none is called “{node}”; it ends with Ctrl-C")

    def order_clip(self, camera_id: str, order: ClipOrder) -> Future[Callable[[], Clip]]:
        """Have a camera's process write what it keeps of its `evidence_url`; the answer waits for it when called.

        Raises:
            ControlError: The fleet has no such camera, it keeps nothing, or has no process now.
        """
        self._with(camera_id, lambda name: self._cameras.order_clip(name, order))
        return _done(lambda: wait_for(order, order.wait_s))

    def stop(self) -> None:
        """Make `run` return soon; safe in a signal handler."""
        self._stopping = True
        self._nudge()

    def status(self) -> list[ProcessStatus]:
        """The workers first, then the publisher, then the cameras and the sinks in the order of the fleet file."""
        return self._members.status

    def close(self) -> None:
        """End every process within three seconds (four with slow sinks); leave nothing behind. May be called again."""
        self.refuse()
        # Whatever fails on the way: the run's folder and shared memory do not stay.
        with ExitStack() as last:
            for pipe in (self._wake, self._waker):
                last.callback(pipe.close)
            for close in (self._lease.close, self._roster.close, self._cameras.close, self._members.end):
                last.callback(close)

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

    def _await_page(self, page: Service[PageReady]) -> None:
        """Wait until it is served, so that an address that is taken is told now; later it stops nobody."""
        while not self._stopping and page.ready is None:
            wait([self._wake, *self._members.awaited()])
            page.hear()

    def _wait(self, end_s: float | None) -> None:
        due = [*self._members.due_s(), *([] if end_s is None else [end_s])]
        timeout_s = min([WATCH_S, *(max(0.0, at_s - self._now_s()) for at_s in due)])
        wait([self._wake, *self._members.awaited()], SWAP_WATCH_S if self._swap else timeout_s)
        while self._wake.poll():
            self._wake.recv_bytes()

    def _tend(self) -> None:
        """Look after every process once."""
        self._inbox.carry_out(self)
        self._members.tend(self._lease.scope.free_dead)
        self._note_ended()
        self._workers.hand_over()
        self._cameras.tell()
        self._roster.tell(self._fleet, self._members.status)
        self._hear_swap()

    def _note_ended(self) -> None:
        """Before any answer is given: whoever added a camera then waits for that one."""
        (self.all_ended.set if self._cameras.all_ended else self.all_ended.clear)()

    def _become(self, fleet: Fleet, changes: Changes) -> None:
        self._fleet = fleet
        self._workers.change(fleet)
        for camera_id in changes.removed:
            self._cameras.remove(camera_id)
        if changes.settings:
            self._cameras.follow(fleet)
            for number in self._workers.endpoints:
                self._cameras.send(number, settings_of(fleet))
        for camera_id in (*changes.restarted, *changes.adjusted):
            self._cameras.change(fleet.cameras[camera_id])
        for camera_id in changes.added:
            self._cameras.add(fleet.cameras[camera_id])
        self._rules.change(fleet)
        self._evidence.change(fleet)
        self._sinks.change(fleet)
        self._note_ended()
        log.info("the fleet has changed", what=changes.words)

    def _swap_to(self, model: Model) -> _Swapping:
        """The change to this model that is under way, or begins now."""
        if self._swap is not None and self._swap.model != model:
            self._give_up_swap(ControlError("another model is wanted by now"))
        if self._swap is None:
            swap = ModelSwap(next(self._swaps), self._fleet.model, model, self._cameras.send)
            self._swap = _Swapping(swap, model, Future())
            swap.begin(self._workers.lives)
        return self._swap

    def _give_up_swap(self, why: PipelineError) -> None:
        if self._swap is not None:
            self._swap.swap.abort()
            self._swap.fail(why)
            self._swap = None

    def _hear_swap(self) -> None:
        """What the workers say of a model that they load."""
        replies = self._cameras.replies()
        if self._swap is None:
            return
        swapping, swap = self._swap, self._swap.swap
        try:
            if not swap.hear(replies, self._workers.lives):
                return
        except DetectorError as error:
            self._swap = None
            swapping.fail(error)
            return
        if not swapping.loaded.done():
            swapping.loaded.set_result(None)
        if swapping.change is None:
            return
        if swap.holds:
            swap.commit()
            return
        self._swap = None
        self._become(swapping.change.fleet, swapping.change.changes)
        swapping.change.answer.set_result(swapping.change.changes)

    def _with(self, camera_id: str, change: Callable[[str], None]) -> Future[None]:
        if camera_id not in self._fleet.cameras:
            raise ControlError(unknown_camera(camera_id, self._fleet))
        change(camera_id)
        self._note_ended()
        return _done(None)

    def _nudge(self) -> None:
        if not self._waker.closed:
            self._waker.send_bytes(b"wake")

    def _now_s(self) -> float:
        return self._clock.monotonic_ns() / NS_PER_S


def _done(result: A) -> Future[A]:
    done: Future[A] = Future()
    done.set_result(result)
    return done


def keep_fork_server_in(folder: Path) -> None:
    """Let its socket lie there; a folder of multiprocessing's own would stay when this process is killed."""
    multiprocessing.current_process()._config.setdefault("tempdir", str(folder))  # type: ignore[attr-defined]


def unknown_camera(camera_id: str, fleet: Fleet) -> str:
    """What to say of a camera that the fleet does not have."""
    close = difflib.get_close_matches(camera_id, fleet.cameras, 1)
    hint = f"did you mean “{close[0]}”?" if close else f"there is {', '.join(list(fleet.cameras)[:20])}"
    return f"the fleet has no camera “{camera_id}”; {hint}"
