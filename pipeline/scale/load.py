"""How full a shard is, from what it says of itself once a second: what the policy of scaling (`headroom`) looks at."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.plan import StrideBounds
from pipeline.scale.headroom import Load
from pipeline.wire import FleetState


def load_of(state: FleetState, bounds: Mapping[str, StrideBounds]) -> Load | None:
    """The load of a shard; None while it is not known, because no worker has said yet how busy its lanes are.

    Args:
        state: The shard's own, as its publisher tells it.
        bounds: Of the strides of its cameras; cameras that are not among them, such as archives, take what is left and
            are not counted.
    """
    workers = [one for one in state.processes if one.lanes and one.lanes_busy is not None]
    if not workers:
        return None
    cameras = {name: one for name, one in state.cameras.items() if name in bounds and one.frame_hz > 0}
    wanted_hz = sum(one.frame_hz / bounds[name].floor(one.frame_hz) for name, one in cameras.items())
    asked_hz = sum(one.frame_hz / max(1, one.stride) for one in cameras.values())
    lanes = sum(one.lanes or 0 for one in workers)
    busy = sum(one.lanes_busy or 0.0 for one in workers) / lanes
    return Load(
        wanted_hz=wanted_hz,
        detected_hz=sum(one.detect_hz for one in cameras.values()),
        busy=min(1.0, busy),
        stretch=max(1.0, wanted_hz / asked_hz) if asked_hz else 1.0,
    )
