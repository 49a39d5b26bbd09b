"""The cameras of one worker, by name; they come by introducing themselves, and go."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count

from pipeline.plan import CameraPlan
from pipeline.worker.channel import Channel


class Channels:
    """Those that are served now. Not thread-safe."""

    def __init__(self, make: Callable[[CameraPlan, int], Channel]) -> None:
        """Begin with none; `make` opens a camera's channel, given its plan and its phase."""
        self._make = make
        self._open: dict[str, Channel] = {}
        self._phases: dict[str, int] = {}

    def open(self, plan: CameraPlan) -> Channel:
        """Begin to serve a camera.

        Its phase is the smallest that no other has, so that few cameras ask for the detector in the same instant.

        Raises:
            SlotError: Its slot cannot be opened.
        """
        taken = set(self._phases.values())
        phase = next(number for number in count() if number not in taken)
        self._open[plan.camera_id] = channel = self._make(plan, phase)
        self._phases[plan.camera_id] = phase
        return channel

    def close(self, camera_id: str) -> None:
        """Serve it no more; what it has not published is lost."""
        self._open.pop(camera_id).close()
        del self._phases[camera_id]

    def get(self, camera_id: str) -> Channel | None:
        """The camera's channel, if it is open."""
        return self._open.get(camera_id)

    def __getitem__(self, camera_id: str) -> Channel:
        return self._open[camera_id]

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Channel]:
        return iter(self._open.values())

    def close_all(self) -> None:
        """Leave every slot."""
        for channel in self:
            channel.close()
