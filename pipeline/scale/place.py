"""Which camera is on which node: a pure function, so that Ray, tests and the simulator drive the same.

A camera that may stay stays: each move begins a new session. What has to go somewhere goes, the important and the heavy
first, to the node whose share of use is least. A node's `capacity` is what it carries as promised; beyond it strides
give way, up to `most`. So a camera moves, or joins, within capacity if that can be, and beyond it before it is dark;
and one that only crowds a node, or is on a node that drains, stays where it is until there is room elsewhere.

It is quick: 100,000 cameras on 4,000 nodes are placed in about a second (`tests/test_place.py` has the rules).
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

_SLACK = 1e-9
"""Weights are sums of fractions."""


@dataclass(frozen=True, slots=True)
class CameraNeed:
    """What a camera takes of a node.

    Attributes:
        camera_id: Its name.
        weight: How much of a node's capacity it takes; 1 is an ordinary camera.
        needs: What a node must offer, such as a site or a camera network.
        priority: Who finds a place first: larger before smaller.
    """

    camera_id: str
    weight: float = 1.0
    needs: frozenset[str] = frozenset()
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Node:
    """What a node gives.

    Attributes:
        node_id: Its name.
        capacity: The weights that it carries as promised.
        most: The weights that it carries when strides give way; None for `capacity`.
        offers: What it offers, see `CameraNeed.needs`.
        drains: Whether it is to be empty soon, and takes nobody.
        closed: Whether it takes nobody now, and keeps whom it has.
    """

    node_id: str
    capacity: float
    most: float | None = None
    offers: frozenset[str] = frozenset()
    drains: bool = False
    closed: bool = False

    @property
    def bound(self) -> float:
        """What is never exceeded."""
        return self.capacity if self.most is None else max(self.most, self.capacity)


@dataclass(frozen=True, slots=True)
class Placement:
    """Where every camera is to be.

    Attributes:
        where: The node of each camera that has one.
        moved: Cameras that were on another node, sorted.
        added: Cameras that were nowhere, sorted.
        homeless: Cameras that no node can take, and why, in words.
        stretched: Nodes that carry more than they do as promised: more capacity is wanted.
    """

    where: Mapping[str, str]
    moved: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    homeless: Mapping[str, str] = field(default_factory=dict)
    stretched: tuple[str, ...] = ()


def place(cameras: Iterable[CameraNeed], nodes: Iterable[Node], present: Mapping[str, str]) -> Placement:
    """Where each camera is to be, so that as few as possible move.

    Args:
        cameras: All that are to be somewhere.
        nodes: All that live; one that is not among them is gone.
        present: The node of each camera that is somewhere now; nodes and cameras that are gone may be in it.
    """
    wanted = {camera.camera_id: camera for camera in cameras}
    board = _Board({node.node_id: node for node in nodes})
    orphans, leaving = _seat(board, wanted, present)
    crowding = list(board.crowding(wanted))
    waiting = board.settle(_in_order(orphans), within_capacity=True)
    for camera in _in_order([*leaving, *crowding]):
        board.move(camera, within_capacity=True)
    waiting = board.settle(waiting, within_capacity=False)
    for camera in _in_order(leaving):
        if board.nodes[board.where[camera.camera_id]].drains:
            board.move(camera, within_capacity=False)
    waiting = [camera for camera in waiting if not board.make_room(camera, wanted)]
    waiting += board.shed(wanted)
    return _told(board, waiting, present)


class _Board:
    """Who sits where while it is decided."""

    def __init__(self, nodes: Mapping[str, Node]) -> None:
        self.nodes = nodes
        self.where: dict[str, str] = {}
        self.load: dict[str, float] = dict.fromkeys(nodes, 0.0)
        self.on: dict[str, dict[str, None]] = {name: {} for name in nodes}
        self._queues: dict[tuple[frozenset[str], bool], _Queue] = {}

    def put(self, camera: CameraNeed, node_id: str) -> None:
        """Let it be there."""
        self.where[camera.camera_id] = node_id
        self.load[node_id] += camera.weight
        self.on[node_id][camera.camera_id] = None

    def take(self, camera: CameraNeed) -> str:
        """Let it be nowhere; where it was."""
        node_id = self.where.pop(camera.camera_id)
        self.load[node_id] -= camera.weight
        del self.on[node_id][camera.camera_id]
        for queue in self._queues.values():
            queue.refresh(node_id)
        return node_id

    def settle(self, cameras: Sequence[CameraNeed], *, within_capacity: bool) -> list[CameraNeed]:
        """Give each a place; those for whom there is none."""
        left = []
        for camera in cameras:
            found = self._queue(camera.needs, within_capacity).find(camera.weight)
            if found is None:
                left.append(camera)
            else:
                self.put(camera, found)
        return left

    def move(self, camera: CameraNeed, *, within_capacity: bool) -> None:
        """Give it another place than it has, if there is one."""
        here = self.where[camera.camera_id]
        found = self._queue(camera.needs, within_capacity).find(camera.weight, but=here)
        if found is not None:
            self.take(camera)
            self.put(camera, found)

    def crowding(self, cameras: Mapping[str, CameraNeed]) -> Iterator[CameraNeed]:
        """Those that would have to leave so that every node carries what it has as promised."""
        for name, node in self.nodes.items():
            over = self.load[name] - node.capacity
            if over <= _SLACK or node.drains:
                continue
            here = [cameras[camera_id] for camera_id in self.on[name]]
            for camera in sorted(here, key=lambda one: (one.priority, -one.weight, one.camera_id)):
                if over <= _SLACK:
                    break
                over -= camera.weight
                yield camera

    def make_room(self, camera: CameraNeed, cameras: Mapping[str, CameraNeed]) -> bool:
        """Move others, which can be elsewhere, out of the way of one that can be in few places; whether it worked."""
        if not camera.needs:
            return False
        for name in sorted(self._fitting(camera.needs), key=lambda one: self.load[one] - self.nodes[one].bound):
            node = self.nodes[name]
            here = [cameras[camera_id] for camera_id in self.on[name]]
            for other in sorted(here, key=lambda one: (len(one.needs), one.priority, -one.weight, one.camera_id)):
                if self.load[name] + camera.weight <= node.bound + _SLACK:
                    break
                if not other.needs >= camera.needs:
                    self.move(other, within_capacity=False)
            if self.load[name] + camera.weight <= node.bound + _SLACK:
                self.put(camera, name)
                return True
            # Nobody moves in vain, and again and again while one waits that has room nowhere.
            for other in here:
                if self.where[other.camera_id] != name:
                    self.take(other)
                    self.put(other, name)
        return False

    def shed(self, cameras: Mapping[str, CameraNeed]) -> list[CameraNeed]:
        """Take away what is beyond all bounds."""
        gone = []
        for name, node in self.nodes.items():
            here = [cameras[camera_id] for camera_id in self.on[name]]
            for camera in sorted(here, key=lambda one: (one.priority, -one.weight, one.camera_id)):
                if self.load[name] <= node.bound + _SLACK:
                    break
                self.take(camera)
                gone.append(camera)
        return gone

    def _fitting(self, needs: frozenset[str]) -> list[str]:
        return [name for name, node in self.nodes.items() if needs <= node.offers and not (node.drains or node.closed)]

    def _queue(self, needs: frozenset[str], within_capacity: bool) -> _Queue:
        key = needs, within_capacity
        if key not in self._queues:
            self._queues[key] = _Queue(self, self._fitting(needs), within_capacity)
        return self._queues[key]


class _Queue:
    """Nodes that offer the same, the least used first. Loads that grew since are looked at again when it matters."""

    def __init__(self, board: _Board, names: Iterable[str], within_capacity: bool) -> None:
        nodes, self._load = board.nodes, board.load
        self._bounds = {name: nodes[name].capacity if within_capacity else nodes[name].bound for name in names}
        self._heap = [(self._share(name), name) for name in self._bounds]
        heapq.heapify(self._heap)
        self._full: list[tuple[float, str]] = []

    def find(self, weight: float, but: str = "") -> str | None:
        """The least used node with room for so much; None if there is none. It stays in the queue."""
        while self._full and -self._full[0][0] + _SLACK >= weight:
            self.refresh(heapq.heappop(self._full)[1])
        left_out: list[tuple[float, str]] = []
        found: str | None = None
        while self._heap and found is None:
            share, name = self._heap[0]
            if share != (now := self._share(name)):
                heapq.heapreplace(self._heap, (now, name))
            elif self._load[name] + weight > self._bounds[name] + _SLACK:
                heapq.heappop(self._heap)
                heapq.heappush(self._full, (self._load[name] - self._bounds[name], name))
            elif name == but:
                left_out.append(heapq.heappop(self._heap))
            else:
                found = name
        for entry in left_out:
            heapq.heappush(self._heap, entry)
        return found

    def refresh(self, name: str) -> None:
        """Its load has shrunk, or it may have room for less."""
        if name in self._bounds:
            heapq.heappush(self._heap, (self._share(name), name))

    def _share(self, name: str) -> float:
        return self._load[name] / self._bounds[name] if self._bounds[name] else float("inf")


def _seat(
    board: _Board, wanted: Mapping[str, CameraNeed], present: Mapping[str, str]
) -> tuple[list[CameraNeed], list[CameraNeed]]:
    """Let those stay who may; those who have no place, and those on nodes that drain."""
    orphans, leaving = [], []
    for camera in wanted.values():
        node = board.nodes.get(present.get(camera.camera_id, ""))
        if node is None or not camera.needs <= node.offers:
            orphans.append(camera)
            continue
        board.put(camera, node.node_id)
        if node.drains:
            leaving.append(camera)
    return orphans, leaving


def _in_order(cameras: Iterable[CameraNeed]) -> list[CameraNeed]:
    return sorted(cameras, key=lambda one: (-one.priority, not one.needs, -one.weight, one.camera_id))


def _told(board: _Board, waiting: Iterable[CameraNeed], present: Mapping[str, str]) -> Placement:
    where = dict(sorted(board.where.items()))
    moved = tuple(name for name, node in where.items() if name in present and present[name] != node)
    offers: dict[frozenset[str], bool] = defaultdict(bool)
    homeless = {}
    for camera in waiting:
        if camera.needs not in offers:
            offers[camera.needs] = any(camera.needs <= node.offers for node in board.nodes.values())
        homeless[camera.camera_id] = _why(camera, offers[camera.needs], bool(board.nodes))
    return Placement(
        where=where,
        moved=moved,
        added=tuple(name for name in where if name not in present),
        homeless=dict(sorted(homeless.items())),
        stretched=tuple(
            sorted(name for name, node in board.nodes.items() if board.load[name] > node.capacity + _SLACK)
        ),
    )


def _why(camera: CameraNeed, is_offered: bool, any_node: bool) -> str:
    if not any_node:
        return "there is no machine for it"
    if not is_offered:
        return f"no machine offers {', '.join(sorted(camera.needs))}"
    which = f" that offers {', '.join(sorted(camera.needs))}" if camera.needs else ""
    return f"no machine{which} has room for it"
