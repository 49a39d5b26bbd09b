"""A fleet of recordings, played once: everything that is published about them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from pipeline.config.values import Fleet, Publish
from pipeline.errors import EvaluationError
from pipeline.listen import Listener
from pipeline.redact import redact
from pipeline.supervise.supervisor import Supervisor
from pipeline.wire import CameraState, FrameResult

PRIVATE = Publish(bind="tcp://127.0.0.1:0", queue=1_000_000)
"""Not where a fleet of the same file may be publishing, and with room for all, so that nothing is lost on the way."""
QUIET_S = 1.0
"""After the fleet has ended: how long no message may come until all have been heard, s."""


def require_recordings(fleet: Fleet) -> None:
    """Check that every camera is a recording that comes to its end.

    Raises:
        EvaluationError: One is not.
    """
    for camera_id, camera in fleet.cameras.items():
        if camera.url.kind != "file":
            raise EvaluationError(
                f"camera {camera_id}: {redact(str(camera.url))} is no recording; only what is the same "
                "each time can be compared with ground truth. Record it with “camfleet record” and label that"
            )
        if camera.loop:
            raise EvaluationError(f"camera {camera_id} has loop: true and would never end; take it out to evaluate")


@dataclass(frozen=True, slots=True)
class Heard:
    """A frame, and when it was heard: wall time, ns since 1970-01-01 UTC."""

    result: FrameResult
    at_ns: int


def play(fleet: Fleet, turn: Callable[[int], None]) -> dict[str, list[FrameResult]]:
    """Every frame that was published of each camera, in order; as `listen_to`."""
    return {camera_id: [one.result for one in heard] for camera_id, heard in listen_to(fleet, turn).items()}


def listen_to(fleet: Fleet, turn: Callable[[int], None]) -> dict[str, list[Heard]]:
    """Every frame that was published of each camera, in order, and when; blocks until all recordings have ended.

    Args:
        fleet: Published on a free local port and kept in no sink, whatever its file says.
        turn: Called from another thread with the number of frames so far; for progress.

    Raises:
        PipelineError: The fleet cannot be started.
        EvaluationError: A camera delivered nothing, began anew on the way, or was not heard from its first frame on.
    """
    require_recordings(fleet)
    with Supervisor(fleet.model_copy(update={"publish": PRIVATE, "sinks": {}})) as supervisor:
        endpoint = supervisor.open().inside
        kept = _Kept(turn)
        with Listener(endpoint, kept.hear, drain_s=QUIET_S):
            try:
                supervisor.run()
            finally:
                # While the listener still listens: the last frames count too, and after Ctrl-C no more shall come.
                supervisor.close()
    played: dict[str, list[Heard]] = {camera_id: [] for camera_id in fleet.cameras}
    for heard in kept.heard:
        played[heard.result.camera_id].append(heard)
    for camera_id, frames in played.items():
        require_whole(camera_id, [one.result for one in frames], kept.states.get(camera_id))
    return played


class _Kept:
    """Every frame of a fleet in the order of arrival, and the last state of each camera."""

    def __init__(self, turn: Callable[[int], None]) -> None:
        self.heard: list[Heard] = []
        self.states: dict[str, CameraState] = {}
        self._turn = turn

    def hear(self, message: FrameResult | CameraState) -> None:
        if isinstance(message, CameraState):
            self.states[message.camera_id] = message
        else:
            self.heard.append(Heard(message, time.time_ns()))
            self._turn(len(self.heard))


def require_whole(camera_id: str, results: list[FrameResult], state: CameraState | None) -> None:
    """Check that a camera's messages are those of one session, from its first frame on; `state` is its last.

    Raises:
        EvaluationError: They are not, or there are none.
    """
    if not results:
        why = state.detail if state is not None and state.detail else "the lines above may say more"
        raise EvaluationError(f"camera {camera_id} never delivered a frame: {redact(why)}")
    sessions = len({result.session_id for result in results})
    if sessions > 1:
        raise EvaluationError(
            f"camera {camera_id} came in {sessions} sessions, and ground truth counts the frames of one: its process "
            "was started again, or the recording's time or picture size jumps"
        )
    counts = results[-1].counts
    missed = counts.decoded - sum(counts.lost.values()) - len(results)
    if missed:
        raise EvaluationError(f"camera {camera_id}: {missed} published frames were not heard; evaluate again")
