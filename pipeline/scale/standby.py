"""A further proxy of a fleet that runs over several machines: another endpoint with the same messages.

Who connects to both endpoints hears everything once, and goes on when one of them is away (`client.reading`). It
learns from the cluster's store what the front tells its own proxy, and lives with its process.
"""

from __future__ import annotations

import multiprocessing
import time
from contextlib import ExitStack
from multiprocessing.connection import wait
from types import TracebackType
from typing import Self

import structlog

from pipeline.clock import SystemClock
from pipeline.config.values import Fleet
from pipeline.errors import ClusterError, PipelineError
from pipeline.relay.doors import RelayReady
from pipeline.runscope import RunLease, process_folder
from pipeline.scale.cluster import Cluster
from pipeline.scale.endpoint import Endpoint
from pipeline.scale.keys import keys_between
from pipeline.scale.proxy.orders import Feed, Orders
from pipeline.scale.store import Store
from pipeline.supervise.child import ProcessHost
from pipeline.supervise.members import Members
from pipeline.supervise.supervisor import keep_fork_server_in

log = structlog.get_logger()

LOOK_S = 0.5


class Standby:
    """Ends with its `with`. `stop` may come from anywhere, the rest from one thread."""

    def __init__(self, fleet: Fleet, cluster: Cluster) -> None:
        """Prepare; nothing runs yet.

        Args:
            fleet: What the fleet file says, with the endpoint that this one is to have.
            cluster: Where the fleet runs.

        Raises:
            ClusterError: It does not run there.
        """
        self._store = Store(cluster)
        if self._store.read_keys() is None:
            raise ClusterError(
                f"no fleet “{fleet.name}” runs in this cluster; camfleet run FLEET.yaml --on ray starts it"
            )
        between = keys_between(self._store)
        self._server_key = between.server_key
        keep_fork_server_in(process_folder())
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["pipeline.scale.proxy.loop"])
        self._stopping = False
        self._wake, self._waker = multiprocessing.Pipe(duplex=False)
        self._lease, clock = RunLease(), SystemClock()
        self._members = Members(clock)
        host = ProcessHost(context, clock, self._lease.scope)
        self._endpoint = Endpoint(fleet.name, fleet.publish, self._lease.scope.directory, between.proxy, host)
        self._members.add(self._endpoint.service)

    def open(self) -> RelayReady:
        """Start the proxy; where it is.

        Raises:
            PublishError: The results cannot be published there.
        """
        service = self._endpoint.service
        service.child.start()
        while not self._stopping:
            service.hear()
            if service.ready is not None:
                self._follow()
                return service.ready
            wait([self._wake, *self._members.awaited()])
        raise PipelineError("stopped before the proxy was ready")

    def run(self, duration_s: float | None = None) -> None:
        """Keep it alive until `stop`, until the fleet ends, or until `duration_s` is over.

        Raises:
            PublishError: The proxy died too often.
        """
        end_s = None if duration_s is None else time.monotonic() + duration_s
        while not self._stopping and (end_s is None or time.monotonic() < end_s):
            wait([self._wake, *self._members.awaited()], LOOK_S)
            self._members.tend(lambda: None)
            self._endpoint.require()
            if not self._follow():
                log.warning("the fleet has ended: by itself, or because no front has led it for a minute")
                return

    def stop(self) -> None:
        """Make `run` return soon; safe in a signal handler."""
        self._stopping = True
        if not self._waker.closed:
            self._waker.send_bytes(b"wake")

    def close(self) -> None:
        """End the proxy and leave nothing behind. May be called again."""
        with ExitStack() as last:
            for pipe in (self._wake, self._waker):
                last.callback(pipe.close)
            for close in (self._lease.close, self._endpoint.close, self._members.end):
                last.callback(close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _follow(self) -> bool:
        """Tell the proxy what the front has written down; False if there is nothing any more."""
        known = self._store.read()
        if known is None:
            return False
        feeds = [
            Feed(shard=one.name, endpoint=one.endpoint, server_key=self._server_key)
            for one in known.shards
            if one.endpoint
        ]
        self._endpoint.order(
            Orders(
                feeds=tuple(feeds),
                where=known.where,
                leaving=known.leaving,
                homeless=known.homeless,
                p95_ms=known.p95_ms,
                max_loss=known.max_loss,
            )
        )
        return True
