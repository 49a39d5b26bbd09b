"""What users ask of single cameras of a fleet over several machines: carried out by the shard that has the camera."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass

from pipeline.camera.evidence.keeper import Clip
from pipeline.camera.evidence.order import ClipOrder
from pipeline.errors import ControlError
from pipeline.scale.clips import Cut
from pipeline.scale.conductor import Conductor
from pipeline.scale.errands import Errands
from pipeline.scale.gallery import Source
from pipeline.scale.held import Held
from pipeline.supervise.supervisor import unknown_camera

PAUSE_S = 10.0
"""How long a machine may take to say that a camera is paused there."""
CLIP_COMES_S = 15.0
"""How long a clip may take to come, once it is written."""


class CameraControl:
    """Not thread-safe, but for `source`; the answers may be awaited in any thread."""

    def __init__(self, conductor: Conductor) -> None:
        """Nothing was asked."""
        self._conductor, self._errands = conductor, Errands()
        self._places = _Places({}, {})

    def pause(self, camera_id: str, now_s: float, *, paused: bool = True) -> Future[None]:
        """Pause a camera or take it up again, where it is and wherever it comes to be; done when its shard says so.

        Raises:
            ControlError: There is no such camera.
        """
        self._require(camera_id)
        self._conductor.pause(camera_id, paused=paused)
        what = "is paused" if paused else "is taken up again"
        held = self._conductor.has(camera_id)
        late = (
            ""
            if held is None
            else f"camera {camera_id} {what} as soon as its machine answers: {_silent(held, PAUSE_S)}"
        )
        return self._errands.hope(lambda: self._conductor.rests(camera_id), now_s + PAUSE_S, late)

    def clip(self, camera_id: str, order: ClipOrder, now_s: float) -> Future[Callable[[], Clip]]:
        """Have what is kept of a camera's second stream written there, and fetch it.

        Raises:
            ControlError: There is no such camera, or no shard has it.
        """
        self._require(camera_id)
        held = self._conductor.has(camera_id)
        if held is None or held.ready is None:
            why = self._conductor.moves.homeless.get(camera_id, "its machine is gone; another takes it up")
            raise ControlError(f"camera {camera_id} is on no machine now, and nothing is kept of it: {why}")
        wait_s = order.wait_s + CLIP_COMES_S
        late = f"the clip of camera {camera_id} did not come: {_silent(held, wait_s)}"
        fetched: Future[Callable[[], Clip]] = Future()
        call = held.actor.call("clip", camera_id, order)
        self._errands.ask(call, now_s + wait_s, late).add_done_callback(lambda cut: _hand_on(cut, order, fetched))
        return fetched

    def source(self, camera_id: str) -> Source | None:
        """Where a camera's pictures are; None of one that no shard has. From any thread."""
        return self._places.source(camera_id)

    def tend(self, now_s: float) -> bool:
        """Hand on what was answered; whether pictures of some camera come from elsewhere now."""
        self._errands.tend(now_s)
        galleries = {
            name: (one.ready.pictures, one.ready.server_key)
            for name, one in self._conductor.held.items()
            if one.ready is not None and one.ready.pictures
        }
        before, self._places = self._places, _Places(dict(self._conductor.moves.where), galleries)
        return self._places != before

    def close(self) -> None:
        """Answer nobody any more."""
        self._errands.close()

    def _require(self, camera_id: str) -> None:
        if camera_id not in self._conductor.fleet.cameras:
            raise ControlError(unknown_camera(camera_id, self._conductor.fleet))


@dataclass(frozen=True, slots=True)
class _Places:
    """Where pictures are: the shard of each camera, and of each shard the address and the key of its gallery."""

    where: Mapping[str, str]
    galleries: Mapping[str, tuple[str, bytes]]

    def source(self, camera_id: str) -> Source | None:
        address, key = self.galleries.get(self.where.get(camera_id, ""), ("", b""))
        return Source(address, f"{camera_id}/".encode(), key) if address else None


def _silent(held: Held, seconds: float) -> str:
    return f"{held.where} has not answered for {seconds:.0f} s"


def _hand_on(cut: Future[Cut], order: ClipOrder, fetched: Future[Callable[[], Clip]]) -> None:
    """What came is written by whoever ordered it, in a thread of his own."""
    if (error := cut.exception()) is not None:
        fetched.set_exception(error)
    else:
        fetched.set_result(lambda: cut.result().put(order))
