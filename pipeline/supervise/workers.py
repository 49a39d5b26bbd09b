"""The worker processes, one a device, which cameras each of them serves, and where their results come together.

One worker publishes by itself. Several publish through a relay, so that subscribers find everything at one endpoint.

A camera finds its worker by a path of its own, a link to its worker's socket. When a worker is given up, the link is
turned to another: ZeroMQ connects again by that path, and the camera goes on, its session and its books with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import structlog

from pipeline.config.camera import Camera
from pipeline.config.values import Fleet
from pipeline.errors import DetectorError, PublishError
from pipeline.relay import RelayReady, RelaySpec, run_relay
from pipeline.runscope import RunScope
from pipeline.supervise.budget import RestartBudget
from pipeline.supervise.child import Ground, end
from pipeline.supervise.service import Service
from pipeline.supervise.spread import spread
from pipeline.worker.ledger import LedgerMemory
from pipeline.worker.process import WorkerReady, WorkerSpec, run_worker

log = structlog.get_logger()

SPARE_RESTARTS = 6
"""Of a worker while there are others: its cameras are blind meanwhile, 6 s and six times its loading, and another
device can see for them. The last worker has the patience that a single one has."""
WORKERS_END_S, RELAY_END_S = 1.3, 0.4
"""How long they may take to end by themselves, s; the relay last, because it hands on the workers' last messages."""


@dataclass(frozen=True, slots=True)
class FleetReady:
    """A fleet that can serve its cameras.

    Attributes:
        endpoint: Where its results are, with the port.
        workers: The words of its workers, by their names.
    """

    endpoint: str
    workers: dict[str, WorkerReady]


class Workers:
    """All workers of a fleet, and their relay if there are several. Not thread-safe."""

    def __init__(self, fleet: Fleet, scope: RunScope, memory: LedgerMemory, ground: Ground) -> None:
        """Prepare; nothing runs yet.

        Args:
            fleet: The whole fleet.
            scope: The run, where the sockets between its processes are.
            memory: The ledger's, kept across workers.
            ground: What all children stand on.
        """
        self._fleet, self._scope, self._memory, self._ground = fleet, scope, memory, ground
        models = fleet.model.per_device()
        self._index = {camera_id: index for index, camera_id in enumerate(fleet.cameras)}
        self._serves: dict[int, list[str]] = {number: [] for number in range(len(models))}
        self._turn_links(spread(fleet.cameras.values(), dict.fromkeys(self._serves, ())))
        self._relay = self._make_relay() if len(models) > 1 else None
        self._workers = [self._make_worker(number) for number in self._serves]

    @property
    def services(self) -> list[Service[WorkerReady] | Service[RelayReady]]:
        """Every process of these: the workers first."""
        return [*self._workers, *([self._relay] if self._relay else [])]

    @property
    def ready(self) -> FleetReady | None:
        """The words of all of them; None until all have said theirs."""
        words = {worker.child.name: worker.ready for worker in self._workers if worker.ready is not None}
        first = (self._relay or self._workers[0]).ready
        if first is None or len(words) < len(self._workers):
            return None
        return FleetReady(first.endpoint, words)

    def link(self, camera_id: str) -> str:
        """The endpoint of whichever worker serves this camera."""
        return self._endpoint(f"camera-{self._index[camera_id]}")

    def hand_over(self) -> None:
        """Let others serve the cameras of a worker that was given up.

        Raises:
            DetectorError: There is no other.
            PublishError: The relay was given up.
        """
        if self._relay is not None and self._relay.child.condition == "given up":
            raise PublishError("the publisher died again and again and is given up; the lines above say why")
        for number in [n for n in self._serves if self._workers[n].child.condition == "given up"]:
            self._move_cameras_of(number)

    def close(self) -> None:
        """End them all. May be called again."""
        end([worker.child for worker in self._workers], WORKERS_END_S)
        if self._relay is not None:
            end([self._relay.child], RELAY_END_S)
        for service in self.services:
            service.close()

    def _make_worker(self, number: int) -> Service[WorkerReady]:
        model = self._fleet.model.per_device()[number]
        alone = self._relay is None
        name = "worker" if alone else f"worker {model.device}"
        fleet = self._fleet.model_copy(update={"model": model})

        def arguments() -> tuple[Any, ...]:
            results = self._bound(service) if alone else self._endpoint("results")
            cameras, link = tuple(self._serves[number]), self._endpoint(f"worker-{number}")
            return WorkerSpec(name, fleet, cameras, self._scope, link, results, not alone), self._memory

        prefix = "" if alone else f"{name}: "
        service: Service[WorkerReady] = Service(name, run_worker, arguments, self._ground, DetectorError, prefix=prefix)
        if not alone:
            service.child.budget = RestartBudget(most=SPARE_RESTARTS)
        return service

    def _make_relay(self) -> Service[RelayReady]:
        def arguments() -> tuple[Any, ...]:
            spec = RelaySpec(
                name=service.child.name,
                bind=self._bound(service),
                returns=service.ready is not None,
                inbox=self._endpoint("results"),
                queue=self._fleet.publish.queue,
            )
            return (spec,)

        service: Service[RelayReady] = Service("publisher", run_relay, arguments, self._ground, PublishError)
        return service

    def _bound(self, service: Service[WorkerReady] | Service[RelayReady]) -> str:
        """Where to publish: a process that was started again takes the very endpoint of the one before."""
        return self._fleet.publish.bind if service.ready is None else service.ready.endpoint

    def _move_cameras_of(self, number: int) -> None:
        orphans = self._cameras(self._serves.pop(number))
        if not self._serves:
            raise DetectorError("the worker died again and again and is given up; the lines above say why")
        moved = spread(orphans, {n: self._cameras(served) for n, served in self._serves.items()})
        self._turn_links(moved)
        words = ", ".join(f"{camera_id} → {self._name(n)}" for camera_id, n in moved.items())
        log.warning(f"{self._name(number)} is gone, others serve its cameras: {words or 'it had none'}")
        if len(self._serves) == 1:
            (last,) = self._serves
            self._workers[last].child.budget = RestartBudget()

    def _turn_links(self, workers: dict[str, int]) -> None:
        """Let each of these cameras find the worker of that number; also while its process runs."""
        for camera_id, number in workers.items():
            self._serves[number].append(camera_id)
            new = self._scope.directory / "camera.new"
            new.symlink_to(f"worker-{number}")
            new.replace(self._scope.directory / f"camera-{self._index[camera_id]}")

    def _cameras(self, camera_ids: list[str]) -> list[Camera]:
        return [self._fleet.cameras[camera_id] for camera_id in camera_ids]

    def _name(self, number: int) -> str:
        return self._workers[number].child.name

    def _endpoint(self, name: str) -> str:
        return f"ipc://{self._scope.directory / name}"
