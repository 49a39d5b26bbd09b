"""The worker processes, one a device, which cameras each of them serves, and the publisher of all their results.

A camera finds its worker by a path of its own, a link to its worker's socket. When a worker is given up, the link is
turned to another: ZeroMQ connects again by that path, and the camera goes on, its session and its books with it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from pipeline.client.history import RESULTS
from pipeline.config.camera import Camera
from pipeline.config.keys import Keys
from pipeline.config.values import Fleet
from pipeline.errors import DetectorError, PublishError
from pipeline.relay.doors import RelayReady
from pipeline.relay.process import RelaySpec, run_relay
from pipeline.runscope import RunScope
from pipeline.supervise.budget import RestartBudget
from pipeline.supervise.child import ProcessHost
from pipeline.supervise.members import Members
from pipeline.supervise.service import Service
from pipeline.supervise.spread import spread
from pipeline.worker.process import WorkerReady, WorkerSpec, run_worker

log = structlog.get_logger()

SPARE_RESTARTS = 6
"""Of a worker while there are others: its cameras are blind meanwhile, 6 s and six times its loading, and another
device can see for them. The last worker has the patience that a single one has."""
WORKERS_END_S, PUBLISHER_END_S = 1.3, 0.4
"""How long they may take to end by themselves, s; the publisher last, for the workers' last messages."""


@dataclass(frozen=True, slots=True)
class FleetReady:
    """A fleet that can serve its cameras.

    Attributes:
        endpoint: Where its results are, with the port.
        inside: The same for the fleet's own members, whatever keys `endpoint` wants.
        json_endpoint: Where they are in JSON; empty where they are not.
        workers: The words of its workers, by their names.
        limited: Where readers connect that may not hear everything, by the names of their limits.
    """

    endpoint: str
    inside: str
    json_endpoint: str
    workers: dict[str, WorkerReady]
    limited: dict[str, str] = field(default_factory=dict)


class Workers:
    """Which worker serves which camera, and the publisher. Not thread-safe."""

    def __init__(self, fleet: Fleet, scope: RunScope, members: Members, host: ProcessHost) -> None:
        """Add the workers to the members; nothing runs yet, and no camera is served.

        Args:
            fleet: The whole fleet.
            scope: The run, where the sockets between its processes are.
            members: Gets each worker, and the publisher.
            host: How processes are made.
        """
        self._fleet, self._scope, self._host = fleet, scope, host
        models = fleet.model.per_device()
        self._serves: dict[int, dict[str, Camera]] = {number: {} for number in range(len(models))}
        self._publisher = self._make_publisher()
        self._workers = [self._make_worker(number) for number in self._serves]
        for service in self.services:
            members.add(service)

    @property
    def services(self) -> list[Service[WorkerReady] | Service[RelayReady]]:
        """Every process of these: the workers first."""
        return [*self._workers, self._publisher]

    @property
    def ready(self) -> FleetReady | None:
        """The words of all of them; None until all have said theirs."""
        words = {worker.name: worker.ready for worker in self._workers if worker.ready is not None}
        publisher = self._publisher.ready
        if publisher is None or len(words) < len(self._workers):
            return None
        return FleetReady(publisher.endpoint, self.inside, publisher.json_endpoint, words, publisher.limited)

    @property
    def inside(self) -> str:
        """Where the fleet's own members subscribe."""
        return self._endpoint(RESULTS)

    @property
    def inbox(self) -> str:
        """Where the publisher takes messages from."""
        return self._endpoint("results")

    @property
    def endpoints(self) -> dict[int, str]:
        """Where the workers that are not given up are linked to, by number."""
        return {number: self._endpoint(f"worker-{number}") for number in self._serves}

    @property
    def lives(self) -> dict[int, int]:
        """How often each worker was started again, by number."""
        return {number: self._workers[number].child.restarts for number in self._serves}

    def number_of(self, camera_id: str) -> int | None:
        """Which worker serves this camera; None if none does."""
        return next((number for number, served in self._serves.items() if camera_id in served), None)

    def place(self, cameras: list[Camera]) -> None:
        """Spread these cameras over the workers that have least to do; a camera that is served keeps its worker."""
        for camera in cameras:
            if (number := self.number_of(camera.camera_id)) is not None:
                self._serves[number][camera.camera_id] = camera
        new = [camera for camera in cameras if self.number_of(camera.camera_id) is None]
        self._turn_links(new, self._spread(new))

    def forget(self, camera_id: str) -> None:
        """No worker serves this camera any more."""
        for served in self._serves.values():
            served.pop(camera_id, None)
        self._link(camera_id).unlink(missing_ok=True)

    def link(self, camera_id: str) -> str:
        """The endpoint of whichever worker serves this camera."""
        return f"ipc://{self._link(camera_id)}"

    def change(self, fleet: Fleet) -> None:
        """Workers that are started from now on know this fleet file."""
        self._fleet = fleet

    def hand_over(self) -> None:
        """Let others serve the cameras of a worker that was given up.

        Raises:
            DetectorError: There is no other.
            PublishError: The publisher was given up.
        """
        if self._publisher.child.condition == "given up":
            raise PublishError("the publisher died again and again and is given up; the lines above say why")
        for number in [n for n in self._serves if self._workers[n].child.condition == "given up"]:
            self._move_cameras_of(number)

    def _make_worker(self, number: int) -> Service[WorkerReady]:
        device = self._fleet.model.per_device()[number].device
        alone = len(self._serves) == 1
        name = "worker" if alone else f"worker {device}"

        def arguments() -> tuple[Any, ...]:
            fleet = self._fleet.model_copy(update={"model": self._fleet.model.per_device()[number]})
            return (WorkerSpec(name, fleet, self._scope, self._endpoint(f"worker-{number}"), self.inbox),)

        service: Service[WorkerReady] = Service(
            "worker",
            name,
            run_worker,
            arguments,
            host=self._host,
            failure=DetectorError,
            prefix="" if alone else f"{name}: ",
            ends=1,
            ends_within_s=WORKERS_END_S,
        )
        if not alone:
            service.child.budget = RestartBudget(most=SPARE_RESTARTS)
        return service

    def _make_publisher(self) -> Service[RelayReady]:
        def arguments() -> tuple[Any, ...]:
            before = service.ready
            spec = RelaySpec(
                name=service.name,
                bind=self._fleet.publish.bind if before is None else before.endpoint,
                returns=before is not None,
                inbox=self.inbox,
                queue=self._fleet.publish.queue,
                ledgers=self._scope.ledgers,
                fleet=self._fleet.name,
                p95_ms=self._fleet.slo.p95_ms,
                encoding=self._fleet.publish.encoding,
                json_bind=self._json_bind(before),
                inside=self._scope.directory,
                history_mb=self._fleet.publish.history_mb,
                keys=self._keys(before),
            )
            return (spec,)

        service: Service[RelayReady] = Service(
            "publisher",
            "publisher",
            run_relay,
            arguments,
            host=self._host,
            failure=PublishError,
            ends=3,
            ends_within_s=PUBLISHER_END_S,
        )
        return service

    def _keys(self, before: RelayReady | None) -> Keys | None:
        """As the fleet file says, at the very endpoints of the publisher before."""
        keys = self._fleet.publish.keys
        return keys if keys is None or before is None else keys.at(before.limited)

    def _json_bind(self, before: RelayReady | None) -> str:
        return before.json_endpoint if before is not None else self._fleet.publish.json_bind or ""

    def _move_cameras_of(self, number: int) -> None:
        orphans = list(self._serves.pop(number).values())
        if not self._serves:
            raise DetectorError("the worker died again and again and is given up; the lines above say why")
        moved = self._spread(orphans)
        self._turn_links(orphans, moved)
        words = ", ".join(f"{camera_id} → {self._workers[n].name}" for camera_id, n in moved.items())
        log.warning(f"{self._workers[number].name} is gone, others serve its cameras: {words or 'it had none'}")
        if len(self._serves) == 1:
            (last,) = self._serves
            self._workers[last].child.budget = RestartBudget()

    def _spread(self, cameras: list[Camera]) -> dict[str, int]:
        return spread(cameras, {number: list(served.values()) for number, served in self._serves.items()})

    def _turn_links(self, cameras: list[Camera], workers: dict[str, int]) -> None:
        """Let each of these cameras find the worker of that number; also while its process runs."""
        for camera in cameras:
            number = workers[camera.camera_id]
            self._serves[number][camera.camera_id] = camera
            new = self._scope.directory / "camera.new"
            new.symlink_to(f"worker-{number}")
            new.replace(self._link(camera.camera_id))

    def _link(self, camera_id: str) -> Path:
        """A short name, whatever the camera's: paths of UNIX sockets end at 107 bytes."""
        return self._scope.directory / f"camera-{hashlib.blake2s(camera_id.encode(), digest_size=6).hexdigest()}"

    def _endpoint(self, name: str) -> str:
        return f"ipc://{self._scope.directory / name}"
