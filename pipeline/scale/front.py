"""A fleet over several machines, seen from the machine where it was started: what its users meet.

The endpoint, the page and the sinks are processes here, where the fleet file says; the cameras are with shards on other
machines, or this one (`conductor`). It is used as a `Supervisor` is, so the commands that ask and change a running
fleet are the same.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from pathlib import Path
from threading import Event
from types import TracebackType
from typing import Any, Self, TypeVar

import structlog

from pipeline.camera.evidence.keeper import Clip
from pipeline.camera.evidence.order import ClipOrder
from pipeline.clock import NS_PER_S, Clock, SystemClock
from pipeline.config.values import Fleet
from pipeline.errors import ClusterError, PipelineError
from pipeline.runscope import RunLease, process_folder
from pipeline.scale.claim import Claim
from pipeline.scale.cluster import Cluster
from pipeline.scale.conductor import Conductor
from pipeline.scale.control import CameraControl
from pipeline.scale.endpoint import Endpoint
from pipeline.scale.following import Following
from pipeline.scale.gallery import Gallery
from pipeline.scale.held import ShardStatus
from pipeline.scale.keys import keys_between
from pipeline.scale.proxy.orders import Orders
from pipeline.scale.store import Store
from pipeline.supervise.changes import Changes
from pipeline.supervise.child import ProcessHost
from pipeline.supervise.inbox import Inbox
from pipeline.supervise.members import Members
from pipeline.supervise.pages import make_page, require_page
from pipeline.supervise.roster import figures_of
from pipeline.supervise.service import Service
from pipeline.supervise.sinks import Sinks, require_libraries
from pipeline.supervise.status import ProcessStatus
from pipeline.supervise.supervisor import keep_fork_server_in
from pipeline.viewing import GALLERY
from pipeline.worker.process import WorkerReady

log = structlog.get_logger()

TURN_S = 0.1
READY_S = 600.0
"""How long the first shard may take to load its model."""

A = TypeVar("A")


@dataclass(frozen=True, slots=True)
class FrontReady:
    """A fleet over several machines that serves, as `FleetReady` of a single one.

    Attributes:
        endpoint: Where its results are, with the port.
        inside: The same for the front's own members, whatever keys `endpoint` wants.
        json_endpoint: Where they are in JSON; empty where they are not.
        limited: Where readers connect that may not hear everything, by the names of their limits.
        workers: None of its own; they are with the shards.
    """

    endpoint: str
    inside: str
    json_endpoint: str
    limited: dict[str, str] = field(default_factory=dict)
    workers: dict[str, WorkerReady] = field(default_factory=dict)


class Front:
    """Starts, watches and ends a fleet over several machines. `stop` may come from anywhere, the rest from one thread.

    Attributes:
        all_ended: Set when it is over.
    """

    def __init__(
        self, fleet: Fleet, cluster: Cluster, clock: Clock | None = None, directory: Path | None = None
    ) -> None:
        """Prepare; nothing runs yet, unless this fleet runs already: then it is taken up.

        Args:
            fleet: What the fleet file says.
            cluster: Where its shards will be.
            clock: The time; the system's by default.
            directory: The fleet file's folder, where relative paths of its sinks begin; the current one by default.

        Raises:
            ConfigError: A sink or the page needs a library that is not installed.
            SlotError: There is no place for the run.
            ClusterError: This fleet has a front already.
        """
        require_libraries(fleet)
        require_page(fleet)
        self._clock = clock or SystemClock()
        self._claim = Claim(cluster, fleet.name)
        self._claim.take(Event().wait)
        keep_fork_server_in(process_folder())
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["pipeline.scale.proxy.loop"])
        self._lease = RunLease()
        host = ProcessHost(context, self._clock, self._lease.scope)
        self._stopping = self._ends_shards = False
        self._inbox: Inbox[Front] = Inbox()
        self.all_ended = Event()
        self._wake, self._waker = multiprocessing.Pipe(duplex=False)
        self._members = Members(self._clock)
        self._store = Store(cluster)
        between = keys_between(self._store)
        self._kept_keys = self._store.read_keys()
        known = self._store.read()
        runs = fleet if known is None else known.as_it_runs(fleet)
        self._conductor = Conductor(runs, cluster, between.of_shards, between.server_key)
        self._control = CameraControl(self._conductor)
        shown_at = f"ipc://{self.directory / GALLERY}"
        self._gallery = Gallery(shown_at, self._control.source, own_key=between.proxy)
        self._endpoint = Endpoint(fleet.name, fleet.publish, self.directory, between.proxy, host)
        self._proxy = self._endpoint.service
        self._members.add(self._proxy)
        self._page = make_page(fleet, self._lease.scope, self._endpoint.inside, self._members, host)
        self._sinks = Sinks(fleet, self._lease.scope, self._members, host, directory or Path.cwd())
        self._shards: list[ShardStatus] = []
        self._settled, self._scaling = False, ""
        self._following = Following(self._conductor, self._sinks)
        if runs.model != fleet.model:
            self._following.apply(fleet, self._now_s())

    def open(self) -> FrontReady:
        """Start the proxy, the sinks and the page, and the shards; returns once one of them serves.

        Raises:
            PublishError: The results cannot be published where the fleet file says.
            PageError: The page cannot be served where it says.
            ClusterError: No machine of the cluster can have a shard.
        """
        self._gallery.open()
        self._proxy.child.start()
        self._await(self._proxy)
        self._sinks.start(self._endpoint.inside)
        if self._page is not None:
            self._page.child.start()
            self._await(self._page)
        end_s = self._now_s() + READY_S
        while not self._stopping and not self._conductor.feeds:
            self._turn(None)
            if (why := self._conductor.hopeless) or self._now_s() > end_s:
                raise PipelineError(why or f"no shard serves after {READY_S:.0f} s; the lines above say more")
        if (ready := self.ready) is None:
            raise PipelineError("stopped before a shard was ready")
        return ready

    def run(self, duration_s: float | None = None, *, stays: bool = True) -> None:
        """Keep the fleet alive until `stop`, or until `duration_s` is over.

        Raises:
            PublishError: The proxy died too often.
            ClusterError: Another front has followed this one, or the cluster is gone.
        """
        end_s = None if duration_s is None else self._now_s() + duration_s
        while not self._stopping and (end_s is None or self._now_s() < end_s):
            self._turn(end_s)

    @property
    def fleet(self) -> Fleet:
        """What runs now."""
        return self._conductor.fleet

    @property
    def directory(self) -> Path:
        """The run's, private to this user."""
        return self._lease.scope.directory

    @property
    def ready(self) -> FrontReady | None:
        """Where results are; None until the proxy is there."""
        ready = self._proxy.ready
        if ready is None:
            return None
        return FrontReady(ready.endpoint, self._endpoint.inside, ready.json_endpoint, ready.limited)

    @property
    def page(self) -> str:
        """The address of the fleet's page; empty where it has none."""
        return "" if self._page is None or self._page.ready is None else self._page.ready.address

    @property
    def paused(self) -> frozenset[str]:
        """The cameras that are paused, or will be as soon as their machine answers; from any thread."""
        return self._conductor.paused

    @property
    def shards(self) -> list[ShardStatus]:
        """How the shards were a moment ago; from any thread."""
        return self._shards

    @property
    def scaling(self) -> str:
        """How many shards were wanted a moment ago, and why; empty without `scale.autoscale`; from any thread."""
        return self._scaling

    @property
    def settled(self) -> bool:
        """Whether every camera was where it is to be a moment ago, and nowhere else; from any thread."""
        return self._settled

    @property
    def changing(self) -> bool:
        """Whether a change of the fleet was under way a moment ago; from any thread."""
        return self._following.changing

    def submit(self, change: Callable[[Front], Future[A]]) -> Future[A]:
        """Make this change soon, in the thread that runs the fleet; the answer comes when it is made."""
        answer = self._inbox.put(change)
        self._nudge()
        return answer

    def apply(self, fleet: Fleet) -> Future[Changes]:
        """Run as this fleet file says from now on; the answer waits until every shard does.

        Where it names another model, nothing changes until every shard has loaded that, and nothing if one cannot.

        Raises:
            ConfigError: A sink needs a library that is not installed.
            ControlError: Another model is being loaded.
        """
        return self._following.apply(fleet, self._now_s())

    def drain(self, node: str) -> Future[str]:
        """Empty a machine: its cameras move to others, and its shard ends when nobody needs it any more.

        Raises:
            ControlError: There is no such machine, or several.
        """
        return _done(self._conductor.drain(node))

    def pause(self, camera_id: str) -> Future[None]:
        """Let go of a camera on whichever machine it is or comes to be, and keep its settings.

        Raises:
            ControlError: The fleet has no such camera; or, by the answer, its machine is silent: it is paused later.
        """
        return self._control.pause(camera_id, self._now_s())

    def resume(self, camera_id: str) -> Future[None]:
        """Take up a camera that was paused.

        Raises:
            ControlError: As for `pause`.
        """
        return self._control.pause(camera_id, self._now_s(), paused=False)

    def order_clip(self, camera_id: str, order: ClipOrder) -> Future[Callable[[], Clip]]:
        """Have what is kept of a camera's `evidence_url` written on its machine, and fetch it.

        Raises:
            ControlError: The fleet has no such camera, or no machine has it; or, by the answer, why nothing came.
        """
        return self._control.clip(camera_id, order, self._now_s())

    def stop(self) -> None:
        """Make `run` return soon; safe in a signal handler."""
        self._stopping = True
        self._nudge()

    def refuse(self) -> None:
        """Make no change any more: nobody runs the fleet."""
        self._inbox.close()
        self._control.close()
        self._following.close()

    def status(self) -> list[ProcessStatus]:
        """The processes of this machine; those of the shards are in the fleet's own messages."""
        return self._members.status

    def close(self) -> None:
        """End the shards and every process; leave nothing behind. May be called again."""
        self.refuse()
        self.all_ended.set()
        with ExitStack() as last:
            for pipe in (self._wake, self._waker):
                last.callback(pipe.close)
            for close in (self._lease.close, self._endpoint.close, self._gallery.close, self._members.end):
                last.callback(close)
            if not self._ends_shards:
                self._ends_shards = True
                self._conductor.end(Event().wait)
                self._claim.release(Event().wait, ended=True)

    def leave(self) -> None:
        """Go without ending the shards: the next front takes them up."""
        if not self._ends_shards:
            self._ends_shards = True
            self._claim.release(Event().wait, ended=False)
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _await(self, service: Service[Any]) -> None:
        """Wait for its word."""
        while not self._stopping and service.ready is None:
            wait([self._wake, *self._members.awaited()], TURN_S)
            with self._touching_nothing_once_lost():
                self._keep_mark()
            service.hear()

    def _turn(self, end_s: float | None) -> None:
        """Wait a moment, and look after everything once."""
        left_s = TURN_S if end_s is None else min(TURN_S, max(0.0, end_s - self._now_s()))
        wait([self._wake, *self._members.awaited()], left_s)
        while self._wake.poll():
            self._wake.recv_bytes()
        self._inbox.carry_out(self)
        self._members.tend(self._lease.scope.free_dead)
        self._endpoint.require()
        with self._touching_nothing_once_lost():
            self._keep_mark()
            self._conductor.tick(self._now_s())
        self._shards, self._settled = self._conductor.shards, self._conductor.settled
        self._scaling = self._conductor.scaling.words
        self._order()
        if self._control.tend(self._now_s()):
            self._gallery.turn()
        self._following.tend(self._now_s())

    def _keep_mark(self) -> None:
        """Stay the only front.

        Raises:
            ClusterError: Another has followed this one, and has its shards.
        """
        if self._claim.keep(self._now_s()) and self._kept_keys is not None:
            self._store.write_keys(self._kept_keys)
            self._conductor.save_anew()

    @contextmanager
    def _touching_nothing_once_lost(self) -> Iterator[None]:
        """Where another has the shards by now, or the cluster is gone, this front does not end them."""
        try:
            yield
        except ClusterError:
            self._ends_shards = True
            raise

    def _order(self) -> None:
        """Tell the proxy what has changed."""
        conductor = self._conductor
        orders = Orders(
            feeds=conductor.feeds,
            where=dict(conductor.moves.where),  # Which changes in place, and is compared with what was told last.
            leaving=conductor.moves.leaving,
            homeless=conductor.moves.homeless,
            p95_ms=self.fleet.slo.p95_ms,
            max_loss=self.fleet.slo.max_loss,
            processes=tuple(figures_of(one) for one in self._members.status),
        )
        self._endpoint.order(orders)

    def _nudge(self) -> None:
        if not self._waker.closed:
            self._waker.send_bytes(b"wake")

    def _now_s(self) -> float:
        return self._clock.monotonic_ns() / NS_PER_S


def _done(result: A) -> Future[A]:
    done: Future[A] = Future()
    done.set_result(result)
    return done
