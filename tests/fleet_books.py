"""A subscriber that keeps everything a fleet publishes, and whether it adds up."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self

from pipeline import CameraState, FrameResult, Subscriber, SubscriberTimeout
from tests.waiting import DEADLINE_S


class FleetBooks:
    """Listens in a thread until its `with` ends."""

    def __init__(self, endpoint: str | list[str]) -> None:
        self.frames: dict[str, list[FrameResult]] = {}
        self.states: list[CameraState] = []
        self._stop = threading.Event()
        self.subscriber = Subscriber(endpoint, states=True, timeout_s=0.1, queue=0)
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def count(self, camera_id: str) -> int:
        """Frames of a camera so far."""
        return len(self.frames.get(camera_id, ()))

    def sessions(self, camera_id: str) -> list[str]:
        """A camera's sessions, each time another began."""
        found: list[str] = []
        for frame in self.frames.get(camera_id, ()):
            if found[-1:] != [frame.session_id]:
                found.append(frame.session_id)
        return found

    def state(self, camera_id: str) -> str:
        """What a camera said last of itself; empty where it has said nothing."""
        return next((one.state for one in reversed(self.states) if one.camera_id == camera_id), "")

    def unheard(self, camera_id: str) -> int:
        """Frames within its sessions that were neither heard nor told to be lost."""
        missing = 0
        last: FrameResult | None = None
        for frame in self.frames.get(camera_id, ()):
            if last is not None and last.session_id == frame.session_id:
                missing += frame.frame_id - last.frame_id - 1 - sum(frame.lost.values())
            last = frame
        return missing

    def unbalanced(self) -> list[FrameResult]:
        """Messages whose books do not add up."""
        return [frame for frames in self.frames.values() for frame in frames if not _adds_up(frame)]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(DEADLINE_S)

    def _listen(self) -> None:
        with self.subscriber as messages:
            while not self._stop.is_set():
                try:
                    message = messages.receive()
                except SubscriberTimeout:
                    continue
                if isinstance(message, CameraState):
                    self.states.append(message)
                else:
                    self.frames.setdefault(message.camera_id, []).append(message)


def _adds_up(frame: FrameResult) -> bool:
    counts = frame.counts
    return (
        counts.decoded
        == frame.frame_id + 1
        == counts.detected + sum(counts.filled.values()) + sum(counts.lost.values())
    )
