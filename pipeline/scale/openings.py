"""Which shards may have cameras, and how many, for `place`: pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from pipeline.config.scale import Scale
from pipeline.scale.capacity import node_of
from pipeline.scale.held import Held
from pipeline.scale.place import CameraNeed, Node

_HALF = 0.5
"""Of a usual camera: shares are no whole numbers of cameras, and what one weighs is measured."""


def openings(shards: Iterable[Held], scale: Scale, places: Collection[str] | None = None) -> list[Node]:
    """The shards as `place` sees them.

    A shard whose detector is not warm yet takes no camera; only where none is, cameras wait with those that will be.

    Args:
        shards: All there are.
        scale: What the fleet file says of them.
        places: Those that may have cameras; by default all that serve.
    """
    there = [one for one in shards if not one.ends]
    warm = {one.name for one in there if one.ready is not None}
    opened = warm if places is None else warm & set(places)
    return [
        replace(
            node_of(one.machine, scale),
            node_id=one.name,
            drains=one.leaves,
            closed=bool(warm) and one.name not in opened,
        )
        for one in there
    ]


def even(
    cameras: Sequence[CameraNeed], shards: Sequence[Node], wanted_hz: Mapping[str, float]
) -> tuple[list[CameraNeed], list[Node]]:
    """The same, so that `place` moves cameras from shards with more than their share to those with less.

    Args:
        cameras: All of them.
        shards: All of them; a share is by capacity, of those that take cameras.
        wanted_hz: Detections a second that cameras would have with room; one that is not among them is like the others.
    """
    usual_hz = sum(wanted_hz.values()) / len(wanted_hz) if wanted_hz else 1.0
    weighed = [replace(one, weight=wanted_hz.get(one.camera_id, usual_hz) / usual_hz) for one in cameras]
    room = sum(one.capacity for one in shards if _takes(one))
    weights = sum(one.weight for one in weighed)
    return weighed, [
        replace(one, capacity=min(one.capacity, weights * one.capacity / room + _HALF), most=one.bound)
        if _takes(one)
        else one
        for one in shards
    ]


def _takes(shard: Node) -> bool:
    return not shard.drains and not shard.closed
