"""The cameras of a running fleet: a process for each that is not paused, and words for those that have none.

They come, change and go while the fleet runs. What concerns only how a camera is served reaches its process as a new
plan, which it hands on; what concerns where it is or how it is decoded needs a process that begins anew. A camera
without a process cannot say how it is, so that is said for it here, once a second.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Collection
from multiprocessing.connection import Connection
from typing import Any

from pipeline.camera.backlog import LATE_SHARE
from pipeline.camera.evidence.order import ClipOrder
from pipeline.camera.process import ENDED, FAILED, CameraSpec, run_camera
from pipeline.camera.sandbox import tell_missing
from pipeline.clock import NS_PER_S
from pipeline.config.camera import Camera
from pipeline.config.values import Fleet
from pipeline.errors import ControlError
from pipeline.link import Announce, FromSupervisor, FromWorker, Link
from pipeline.runscope import RunScope
from pipeline.supervise.changes import needs_new_process
from pipeline.supervise.child import Child, ProcessHost, exit_words
from pipeline.supervise.members import Member, Members
from pipeline.supervise.workers import Workers
from pipeline.viewing import socket_of
from pipeline.wire import CameraState, State

GRACE_S = 5.0
"""What a camera's heart may be silent beyond its own time-outs for opening and reading, s."""
ENDS_WITHIN_S = 1.0
"""How long cameras may take to end by themselves, s; with the workers, below the three that a user will wait."""
TELL_EVERY_S = 1.0
PAUSED = "paused; camfleet camera resume brings it back"
SUPERVISOR = ".supervisor"
"""How the supervisor is called on the link; no camera has a name that begins with a dot."""


class CameraMember(Member):
    """A camera's process and the way to tell it how it is to be served."""

    def __init__(self, camera: Camera, spec: CameraSpec, host: ProcessHost) -> None:
        """Prepare; nothing runs yet."""
        self._spec = spec
        self._orders: Connection | None = None
        silent_s = camera.open_timeout_s + camera.silence_s + GRACE_S
        child = Child(f"camera {camera.camera_id}", run_camera, self._arguments, silent_s, host)
        super().__init__("camera", child, finished=(ENDED, FAILED), ends=0, ends_within_s=ENDS_WITHIN_S)

    def order(self, spec: CameraSpec) -> None:
        """Serve it like this from now on, also after it was started again."""
        self._spec = spec
        if self._orders is not None and self.child.pid is not None:
            try:
                self._orders.send(spec)
            except OSError:
                return  # it has just died; its next life begins with this plan

    def order_clip(self, order: ClipOrder) -> bool:
        """Have a clip written; False where there is no process to do it."""
        if self._orders is None or self.child.condition != "running":
            return False
        try:
            self._orders.send(order)
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Let go of the pipe."""
        if self._orders is not None:
            self._orders.close()
            self._orders = None

    def _arguments(self) -> tuple[Any, ...]:
        self.close()
        theirs, self._orders = multiprocessing.Pipe(duplex=False)
        return self._spec, theirs


class Cameras:
    """All cameras of the fleet, with a process or without. Not thread-safe."""

    def __init__(self, fleet: Fleet, scope: RunScope, workers: Workers, members: Members, host: ProcessHost) -> None:
        """Add every camera of the fleet; nothing runs yet."""
        self._fleet, self._scope, self._workers, self._members = fleet, scope, workers, members
        self._host, self._clock = host, host.clock
        self._cameras: dict[str, Camera] = dict(fleet.cameras)
        self._paused: set[str] = set()
        self._joins_paused: frozenset[str] = frozenset()
        self._since_ns: dict[str, tuple[State, int]] = {}
        self._links: dict[int, Link] = {}
        self._told_s = 0.0
        workers.place(list(self._cameras.values()))
        for camera in self._cameras.values():
            members.add(self._member(camera))

    @property
    def all_ended(self) -> bool:
        """Whether no camera will deliver another picture, and none is paused."""
        conditions = [member.child.condition for member in self._members.of("camera")]
        return not self._paused and all(condition in ("done", "given up") for condition in conditions)

    def start(self) -> None:
        """Start every process."""
        # Opened now: a camera dies when no descriptor is left, and that is to be told.
        for number in self._workers.endpoints:
            self._link(number)
        if any(camera.sandbox for camera in self._cameras.values()):
            tell_missing()
        for member in self._members.of("camera"):
            member.child.start()

    def add(self, camera: Camera) -> None:
        """Let a camera join; one of those that are to be paused when they come does nothing yet."""
        self._cameras[camera.camera_id] = camera
        self._workers.place([camera])
        if camera.camera_id in self._joins_paused:
            self._paused.add(camera.camera_id)
            self._announce(camera.camera_id, "paused", PAUSED)
        else:
            self._begin(camera)

    def remove(self, camera_id: str) -> None:
        """Let a camera leave for good."""
        self._end_process(camera_id)
        self._announce(camera_id, "removed", "removed from the fleet", gone=True)
        self._workers.forget(camera_id)
        self._paused.discard(camera_id)
        del self._cameras[camera_id]
        self._scope.ledger(camera_id).unlink(missing_ok=True)
        socket_of(self._scope.directory, camera_id).unlink(missing_ok=True)

    def change(self, camera: Camera) -> None:
        """Serve a camera otherwise; its session goes on unless its source is concerned."""
        before, self._cameras[camera.camera_id] = self._cameras[camera.camera_id], camera
        self._workers.place([camera])
        member = self._members.get(f"camera {camera.camera_id}")
        if isinstance(member, CameraMember):
            if needs_new_process(before, camera):
                self._end_process(camera.camera_id)
                self._begin(camera)
            else:
                member.order(self._spec(camera))

    def pause(self, camera_id: str) -> None:
        """End its process and keep its settings. Without effect on one that is paused."""
        if camera_id not in self._paused:
            self._paused.add(camera_id)
            self._end_process(camera_id)
            self._announce(camera_id, "paused", PAUSED, gone=True)

    def resume(self, camera_id: str) -> None:
        """Start it again. Without effect on one that is not paused."""
        if camera_id in self._paused:
            self._paused.discard(camera_id)
            self._begin(self._cameras[camera_id])

    def keep_paused(self, camera_ids: Collection[str]) -> None:
        """Pause these and no others, those that join from now on among them."""
        self._joins_paused = frozenset(camera_ids)
        for camera_id in self._cameras:
            (self.pause if camera_id in self._joins_paused else self.resume)(camera_id)

    def order_clip(self, camera_id: str, order: ClipOrder) -> None:
        """Have a camera's process write what it keeps of its `evidence_url`.

        Raises:
            ControlError: It keeps nothing, or has no process now.
        """
        if self._cameras[camera_id].evidence_url is None:
            raise ControlError(f"camera “{camera_id}” keeps nothing; give it an evidence_url in the fleet file")
        member = self._members.get(f"camera {camera_id}")
        if not isinstance(member, CameraMember) or not member.order_clip(order):
            raise ControlError(f"camera “{camera_id}” has no process now, and what it kept is gone")

    @property
    def paused(self) -> frozenset[str]:
        """Those that are paused."""
        return frozenset(self._paused)

    def follow(self, fleet: Fleet) -> None:
        """Tell every process what this fleet file says for all cameras."""
        self._fleet = fleet
        for camera_id, camera in self._cameras.items():
            member = self._members.get(f"camera {camera_id}")
            if isinstance(member, CameraMember):
                member.order(self._spec(camera))

    def tell(self) -> None:
        """Once a second: how the cameras are that have no process to say it."""
        now_s = self._clock.monotonic_ns() / NS_PER_S
        if now_s - self._told_s < TELL_EVERY_S:
            return
        self._told_s = now_s
        for camera_id in self._cameras:
            if (silent := self._silent(camera_id)) is not None:
                self._announce(camera_id, *silent)

    def send(self, number: int, message: FromSupervisor) -> None:
        """Tell a worker."""
        self._link(number).send(message)

    def replies(self) -> dict[int, list[FromWorker]]:
        """What the workers have said to the supervisor since the last call, by their numbers."""
        return {number: link.receive() for number, link in self._links.items()}

    def close(self) -> None:
        """Hang up."""
        for link in self._links.values():
            link.close()
        self._links.clear()

    def _silent(self, camera_id: str) -> tuple[State, str] | None:
        """How a camera is whose process does not run; None for one that speaks for itself."""
        if camera_id in self._paused:
            return "paused", PAUSED
        member = self._members.get(f"camera {camera_id}")
        if member is None or member.child.condition == "running":
            return None
        if member.child.condition == "done":
            if member.child.last_exit == FAILED:
                return "failed", "it cannot be played; the fleet's log says why"
            return "ended", ""
        how = exit_words(member.child.last_exit)
        if member.child.condition == "given up":
            return "failed", f"its process {how} again and again and is given up; the fleet's log says why"
        return "retrying", f"its process {how} and is started again"

    def _announce(self, camera_id: str, state: State, detail: str, *, gone: bool = False) -> None:
        number = self._workers.number_of(camera_id)
        if number is None:
            return
        wall_ns = self._clock.wall_ns()
        known = self._since_ns.get(camera_id)
        if known is None or known[0] != state:
            self._since_ns[camera_id] = (state, wall_ns)
        told = CameraState(
            fleet=self._fleet.name,
            camera_id=camera_id,
            session_id="",
            state=state,
            detail=detail,
            since_ns=self._since_ns[camera_id][1],
            at_ns=wall_ns,
        )
        self._link(number).send(Announce(told, gone))

    def _link(self, number: int) -> Link:
        if number not in self._links:
            self._links[number] = Link(self._workers.endpoints[number], SUPERVISOR)
        return self._links[number]

    def _begin(self, camera: Camera) -> None:
        member = self._member(camera)
        self._since_ns.pop(camera.camera_id, None)
        self._members.add(member)
        member.child.start()

    def _end_process(self, camera_id: str) -> None:
        self._members.remove(f"camera {camera_id}")

    def _member(self, camera: Camera) -> CameraMember:
        return CameraMember(camera, self._spec(camera), self._host)

    def _spec(self, camera: Camera) -> CameraSpec:
        late_s = LATE_SHARE * self._fleet.slo.p95_ms / 1000
        link = self._workers.link(camera.camera_id)
        return CameraSpec(camera, self._fleet.name, self._scope, link, late_s)
