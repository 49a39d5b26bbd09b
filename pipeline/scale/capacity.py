"""What a machine carries and what a camera takes, for `place`: pure."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.config.camera import Camera
from pipeline.config.scale import Scale
from pipeline.scale.cluster import Machine, Share
from pipeline.scale.place import CameraNeed, Node

CAMERAS = "cameras"
"""The resource by which a machine says itself how many cameras it carries."""
AT_MOST = 2.0
"""Times the cameras that a shard carries as promised, unless the fleet file says another number: at double stride."""
UNBOUNDED_PER_CPU = 1000.0
"""Where nobody has said how many cameras a machine carries, they are spread by cores and never too many."""
_PRIORITY = {"high": 1, "normal": 0, "low": -1}
_MB = 1 << 20
_SLACK = 1e-9


def share_of(scale: Scale) -> Share:
    """What a shard takes of its machine."""
    return Share(cpus=scale.cpus, gpus=scale.gpus, memory_mb=scale.memory_mb)


def why_unfit(machine: Machine, scale: Scale) -> str:
    """Why no shard can be on a machine, by what it has; empty where one can."""
    for name, amount in _wanted(scale).items():
        if machine.resources.get(name, 0.0) < amount:
            return f"it has {machine.resources.get(name, 0.0):g} {name}, and a shard takes {amount:g}"
    return ""


def shards_on(machine: Machine, scale: Scale) -> int:
    """How many shards a machine can have, by what it has."""
    wanted = {name: amount for name, amount in _wanted(scale).items() if amount > 0}
    fits = (int(machine.resources.get(name, 0.0) / amount + _SLACK) for name, amount in wanted.items())
    return min([scale.per_machine, *fits])


def is_said(machine: Machine, scale: Scale) -> bool:
    """Whether somebody has said how many cameras a shard of this machine carries."""
    return bool(machine.resources.get(CAMERAS) or scale.cameras)


def node_of(machine: Machine, scale: Scale) -> Node:
    """A shard of a machine as `place` sees it."""
    shards = max(1, shards_on(machine, scale))
    by_machine = machine.resources.get(CAMERAS)
    said = by_machine / shards if by_machine else scale.cameras
    offers = frozenset(machine.resources)
    if said is None:
        cores = machine.resources.get("CPU", 0.0) or 1.0
        return Node(machine.node_id, UNBOUNDED_PER_CPU * cores / shards, offers=offers, drains=machine.drains)
    more = AT_MOST if scale.most is None or scale.cameras is None else scale.most / scale.cameras
    return Node(machine.node_id, said, most=said * more, offers=offers, drains=machine.drains)


def needs_of(cameras: Iterable[Camera]) -> list[CameraNeed]:
    """Cameras as `place` sees them."""
    return [CameraNeed(one.camera_id, needs=frozenset(one.needs), priority=_PRIORITY[one.priority]) for one in cameras]


def _wanted(scale: Scale) -> dict[str, float]:
    return {"CPU": scale.cpus, "GPU": scale.gpus, "memory": float(scale.memory_mb * _MB)}
