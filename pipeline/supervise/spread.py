"""Which worker serves which camera: pure arithmetic."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from pipeline.config.camera import Camera

_ORDER: tuple[Literal["high", "normal", "low"], ...] = ("high", "normal", "low")


def spread(cameras: Iterable[Camera], onto: Mapping[int, Sequence[Camera]]) -> dict[str, int]:
    """A worker for each camera, by camera_id: as many cameras for each worker, and as many of each priority.

    Round robin in file order where all cameras are alike. A priority is dealt out before the next, so that the cameras
    that are to keep their detections do not compete for one device; the heaviest of each first, to the worker that has
    the least weight of those that are due.

    Args:
        cameras: Those to be served, in file order.
        onto: The workers, by number, with the cameras that each serves already; at least one.
    """
    served = {number: list(already) for number, already in onto.items()}

    def burden(number: int, priority: str) -> tuple[int, int, float, int]:
        alike = sum(camera.priority == priority for camera in served[number])
        return alike, len(served[number]), sum(camera.weight for camera in served[number]), number

    found: dict[str, int] = {}
    for camera in sorted(cameras, key=lambda camera: (_ORDER.index(camera.priority), -camera.weight)):
        number = min(served, key=lambda number: burden(number, camera.priority))
        served[number].append(camera)
        found[camera.camera_id] = number
    return found
