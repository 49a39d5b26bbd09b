"""Which shard has which camera, and cameras on their way from one to another: pure, the time is told.

A camera that moves from a shard that lives is with both for a moment: the old one lets go when the new one has had
detections of it for a while, or cannot get them, as with cameras that only one may watch at a time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from pipeline.scale.place import CameraNeed, Node, place

HEARD_S = 2.0
"""How long a new shard has had detections of a camera before the old one lets go: the proxies have turned by then."""
HANDOVER_S = 15.0
"""How long the old shard keeps a camera of which the new one, which serves it, gets nothing."""


@dataclass(slots=True)
class _Leaving:
    """A camera that another shard is to take over: from which, since when the other serves it, and sees it."""

    shard: str
    served_s: float | None = None
    seen_s: float | None = None


@dataclass(frozen=True, slots=True)
class Serving:
    """What a shard does of what it is to do.

    Attributes:
        cameras: Those that it was told to serve, and has answered.
        seeing: Those of which it has detections.
    """

    cameras: Collection[str] = ()
    seeing: Collection[str] = ()


class Moves:
    """Not thread-safe.

    Attributes:
        where: The shard of each camera that has one: the new one, of a camera that moves.
        homeless: Cameras that no shard takes, and why.
        stretched: Shards that carry more than they do as promised.
    """

    def __init__(self, where: Mapping[str, str] | None = None, leaving: Mapping[str, str] | None = None) -> None:
        """Begin with what is known: the shard of each camera, and the old one of each that is on its way."""
        self.where: dict[str, str] = dict(where or {})
        self.homeless: dict[str, str] = {}
        self.stretched: tuple[str, ...] = ()
        self._leaving = {camera_id: _Leaving(shard) for camera_id, shard in (leaving or {}).items()}

    @property
    def on_the_way(self) -> frozenset[str]:
        """Cameras that two shards have."""
        return frozenset(self._leaving)

    @property
    def leaving(self) -> dict[str, str]:
        """The old shard of each camera that two have."""
        return {camera_id: one.shard for camera_id, one in self._leaving.items()}

    def had_by(self, camera_id: str) -> str | None:
        """The shard that has a camera, or had it first where two have it; None of one without a home."""
        leaving = self._leaving.get(camera_id)
        return self.where.get(camera_id) if leaving is None else leaving.shard

    def wanted(self, shard: str) -> frozenset[str]:
        """What a shard is to serve: its own cameras, and those that it keeps until another has them."""
        mine = [camera_id for camera_id, its in self.where.items() if its == shard]
        return frozenset([*mine, *(camera_id for camera_id, one in self._leaving.items() if one.shard == shard)])

    def place(self, cameras: Iterable[CameraNeed], shards: Iterable[Node]) -> tuple[str, ...]:
        """Give every camera its shard; those that move. `shards` are all that live, by their names."""
        wanted = {camera.camera_id: camera for camera in cameras}
        for camera_id in [one for one in self.where if one not in wanted]:
            del self.where[camera_id]
            self._leaving.pop(camera_id, None)
        found = place(wanted.values(), shards, self.where)
        for camera_id in found.moved:
            self._move(camera_id, found.where[camera_id])
        for camera_id in found.homeless:
            self._leaving.pop(camera_id, None)
        self.where = dict(found.where)
        self.homeless, self.stretched = dict(found.homeless), found.stretched
        return found.moved

    def lose(self, shard: str) -> None:
        """A shard is gone: whoever still serves one of its cameras keeps it, the others need a new place."""
        self._leaving = {camera_id: one for camera_id, one in self._leaving.items() if one.shard != shard}
        for camera_id in [camera_id for camera_id, its in self.where.items() if its == shard]:
            before = self._leaving.pop(camera_id, None)
            if before is None:
                del self.where[camera_id]
            else:
                self.where[camera_id] = before.shard

    def let_go(self, serving: Mapping[str, Serving], now_s: float) -> None:
        """Look whether cameras have arrived: then their old shards need not keep them any more."""
        for camera_id, one in list(self._leaving.items()):
            new = serving.get(self.where[camera_id], Serving())
            one.served_s = _since(one.served_s, camera_id in new.cameras, now_s)
            one.seen_s = _since(one.seen_s, camera_id in new.cameras and camera_id in new.seeing, now_s)
            is_seen = one.seen_s is not None and now_s - one.seen_s >= HEARD_S
            if is_seen or (one.served_s is not None and now_s - one.served_s >= HANDOVER_S):
                del self._leaving[camera_id]

    def _move(self, camera_id: str, to: str) -> None:
        before = self._leaving.get(camera_id)
        if before is None:
            self._leaving[camera_id] = _Leaving(self.where[camera_id])
        elif before.shard == to:
            del self._leaving[camera_id]
        else:
            self._leaving[camera_id] = _Leaving(before.shard)


def _since(before_s: float | None, holds: bool, now_s: float) -> float | None:
    if not holds:
        return None
    return now_s if before_s is None else before_s
