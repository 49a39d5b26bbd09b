"""How fast a form of a model is on this machine: the bench's bare detector, with one model after the other."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.bench.bare import measure_bare
from pipeline.config.camera import Camera
from pipeline.config.url import CameraUrl
from pipeline.config.values import Fleet, Model
from pipeline.levers.figures import Speed

MUCH = 0.1
"""Cores that other programs take, from which on images a second say more of them than of the model."""
NOBODY = CameraUrl("rtsp://127.0.0.1/none")
"""Of a fleet that has only a model; nothing connects to it."""


def fleet_with(model: Model, fleet: Fleet | None = None) -> Fleet:
    """A fleet whose detector this model is: `fleet`, or one without cameras of its own."""
    if fleet is not None:
        return fleet.model_copy(update={"model": model})
    return Fleet(name="levers", model=model, cameras={"none": Camera(camera_id="none", url=NOBODY)})


def measure_speed(fleet: Fleet, max_batch: int | None, seconds: float, turn: Callable[[float], None]) -> Speed:
    """The fleet's detector alone for `seconds`, in a process of its own; blocks.

    Args:
        fleet: Whose `model` and `worker`.
        max_batch: Pictures at once; None leaves it to the fleet and the model.
        seconds: How long, after loading and warming up.
        turn: Called several times a second with the seconds measured so far; for progress.

    Raises:
        DetectorError: The model cannot be loaded so, or fails.
    """
    if max_batch is not None:
        fleet = fleet.model_copy(update={"worker": fleet.worker.model_copy(update={"max_batch": max_batch})})
    bare = measure_bare(fleet, seconds, turn)
    return Speed(
        images_hz=bare.images_hz,
        cpu_ms_per_image=bare.cpu_ms_per_image,
        memory_mb=bare.memory_mb,
        lanes=bare.lanes,
        batch=bare.batch,
        other_cores=bare.other_cores,
        by_cpu_time=bare.other_cores >= MUCH and str(fleet.model.device).lower() in {"auto", "cpu"},
    )
