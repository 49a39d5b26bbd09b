"""Cameras by number placed by `pipeline.scale.place`, which knows names: only those that may move are shown to it.

The placement looks at every camera, and a day has hundreds of them. Cameras on nodes that neither drain nor carry too
much stay where they are, whatever else is there; so all of one node's are shown as a single one of their weight. What
comes out is the same (`tests/test_simulate_placing.py`), in a tenth of the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.scale.place import CameraNeed, Node, place

NOWHERE = -1
_STAYS = 1
"""Priority of what stands for a node's own cameras: larger than theirs."""
_SLACK = 1e-9

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Places:
    """Nodes that may have cameras.

    Attributes:
        nodes: Their numbers, ascending.
        draining: Those of them that are to be empty soon.
        capacity: What each carries as promised, usual cameras.
        most: And with strides at their largest.
    """

    nodes: Sequence[int]
    draining: frozenset[int]
    capacity: float
    most: float


def replace_cameras(weights: Floats, owner: Ints, places: Places) -> Ints:
    """The node of each camera, (N,) int64, `NOWHERE` for those that none can take.

    Args:
        weights: Of each camera, in usual cameras, (N,) float64.
        owner: The node that each is on now, (N,) int64; `NOWHERE`, or a node that is gone, for those that are nowhere.
        places: Where they may be.
    """
    count = max([*places.nodes, int(owner.max(initial=0))], default=0) + 1
    living = np.zeros(count, bool)
    living[list(places.nodes)] = True
    at_home = (owner >= 0) & living[owner]
    loads = np.bincount(owner[at_home], weights[at_home], count)
    shown = loads > places.capacity + _SLACK
    shown[list(places.draining)] = True
    free = np.flatnonzero(~at_home | shown[owner])
    if not len(free):
        return owner
    cameras = [
        CameraNeed(str(index), weight) for index, weight in zip(free.tolist(), weights[free].tolist(), strict=True)
    ]
    present = {str(index): str(owner[index]) for index in free.tolist() if at_home[index]}
    for node in places.nodes:
        if not shown[node] and loads[node] > 0:
            cameras.append(CameraNeed(f"on {node}", float(loads[node]), priority=_STAYS))
            present[f"on {node}"] = str(node)
    nodes = [Node(str(node), places.capacity, places.most, drains=node in places.draining) for node in places.nodes]
    where = place(cameras, nodes, present).where
    found = owner.copy()
    found[free] = [int(where.get(str(index), NOWHERE)) for index in free.tolist()]
    return found
