"""The cameras of one worker."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from pipeline.worker.channel import Channel, ChannelPlan


class Channels:
    """Those that are open; another camera of the fleet may come when its own worker is given up. Not thread-safe."""

    def __init__(self, plans: Iterable[ChannelPlan], make: Callable[[ChannelPlan, int], Channel]) -> None:
        """Begin with none.

        Args:
            plans: Of every camera of the fleet.
            make: Opens a camera's channel, given its plan and its phase.
        """
        self._plans = {plan.camera_id: plan for plan in plans}
        self._make = make
        self._open: dict[str, Channel] = {}

    def open(self, camera_id: str) -> Channel | None:
        """Begin to serve a camera; None if the fleet has none of that name.

        Raises:
            SlotError: Its slot cannot be opened.
        """
        plan = self._plans.get(camera_id)
        if plan is not None:
            self._open[camera_id] = self._make(plan, len(self._open))
        return self._open.get(camera_id)

    def get(self, camera_id: str) -> Channel | None:
        """The camera's channel, if it is open."""
        return self._open.get(camera_id)

    def __getitem__(self, camera_id: str) -> Channel:
        return self._open[camera_id]

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Channel]:
        return iter(self._open.values())

    def close(self) -> None:
        """Leave every slot."""
        for channel in self:
            channel.close()
