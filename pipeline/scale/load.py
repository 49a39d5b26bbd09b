"""How full a shard is, from what it says of itself once a second: what the policy of scaling (`headroom`) looks at."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping

from pipeline.config.camera import Camera
from pipeline.plan import StrideBounds, camera_plan
from pipeline.scale.headroom import Load
from pipeline.wire import FleetState


def bounds_of(cameras: Iterable[Camera]) -> dict[str, StrideBounds]:
    """Between which strides cameras are served; without archives, which take what is left."""
    return {one.camera_id: camera_plan(one).stride for one in cameras if not one.waits_for_worker}


def wanted_of(state: FleetState, bounds: Mapping[str, StrideBounds]) -> dict[str, float]:
    """Detections a second that each camera would have at its least stride; without those that send nothing."""
    return {
        name: one.frame_hz / bounds[name].floor(one.frame_hz)
        for name, one in state.cameras.items()
        if name in bounds and one.frame_hz > 0
    }


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
    wanted = wanted_of(state, bounds)
    cameras = [state.cameras[name] for name in wanted]
    wanted_hz = sum(wanted.values())
    asked_hz = sum(one.frame_hz / max(1, one.stride) for one in cameras)
    lanes = sum(one.lanes or 0 for one in workers)
    busy = sum(one.lanes_busy or 0.0 for one in workers) / lanes
    return Load(
        wanted_hz=wanted_hz,
        detected_hz=sum(one.detect_hz for one in cameras),
        busy=min(1.0, busy),
        stretch=max(1.0, wanted_hz / asked_hz) if asked_hz else 1.0,
    )


class Steady:
    """A shard's load over a while: a stride that jumps for a second is no shortage, nor the end of one."""

    def __init__(self, over_s: float) -> None:
        """Begin with nothing; the load is the one in the middle of those seen in the last `over_s` seconds."""
        self.over_s = over_s
        self._seen: deque[tuple[float, Load]] = deque()

    def update(self, load: Load | None, now_s: float) -> Load | None:
        """The load so far, with what is seen at this monotonic time, s; None until something is known."""
        if load is None:
            return None
        self._seen.append((now_s, load))
        while self._seen[0][0] < now_s - self.over_s:
            self._seen.popleft()
        loads = sorted((one for _, one in self._seen), key=lambda one: one.demand)
        return loads[len(loads) // 2]
