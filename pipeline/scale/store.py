"""What a front that is started again has to know, in the cluster's own store."""

from __future__ import annotations

import msgspec
from pydantic import ValidationError

from pipeline.config.values import Fleet, Model
from pipeline.foreign import UNREADABLE
from pipeline.scale.cluster import Cluster

_STATE, _KEYS = "state", "keys"


class KnownShard(msgspec.Struct, frozen=True, kw_only=True):
    """A shard: its actor's name, its machine, its cameras, and where it publishes; empty while it does not yet.

    Attributes:
        pictures: Where it shows its cameras' pictures.
    """

    name: str
    node_id: str
    endpoint: str
    cameras: tuple[str, ...]
    pictures: str = ""


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """A fleet that runs: the directory of its streams.

    Attributes:
        version: Of the fleet file.
        shards: All there are.
        where: The shard that is to be heard for each camera.
        leaving: The shard that lets go of each camera that moves.
        homeless: Cameras that no shard serves, and why.
        p95_ms: The age that is promised.
        max_loss: Points of HOTA that a camera may lose; None where nothing is promised.
        drained: Machines that are to be empty.
        paused: Cameras that are paused.
        model: The `model` section by which shards run, as JSON; empty where that is not known.
    """

    version: int
    shards: tuple[KnownShard, ...] = ()
    where: dict[str, str] = msgspec.field(default_factory=dict)
    leaving: dict[str, str] = msgspec.field(default_factory=dict)
    homeless: dict[str, str] = msgspec.field(default_factory=dict)
    p95_ms: float = 150.0
    max_loss: float | None = None
    drained: tuple[str, ...] = ()
    paused: tuple[str, ...] = ()
    model: str = ""

    def as_it_runs(self, fleet: Fleet) -> Fleet:
        """A fleet file with the model by which shards run now: another takes over when all of them have loaded it."""
        try:
            return fleet.model_copy(update={"model": Model.model_validate_json(self.model)})
        except ValidationError:
            return fleet  # Another version of camfleet has written it.


class KnownKeys(msgspec.Struct, frozen=True, kw_only=True):
    """The files of the keys between shards and proxies: of each pair the secret one and the public one."""

    shard_secret: bytes
    shard_public: bytes
    proxy_secret: bytes
    proxy_public: bytes

    def __repr__(self) -> str:
        return "KnownKeys()"


class Store:
    """What is known of one fleet."""

    def __init__(self, cluster: Cluster) -> None:
        """Nothing is read yet."""
        self._cluster = cluster

    def read(self) -> Known | None:
        """What was written; None where nothing was, or another version of camfleet has written it."""
        body = self._cluster.get(_STATE)
        try:
            return None if body is None else msgspec.msgpack.decode(body, type=Known)
        except UNREADABLE:
            return None

    def write(self, known: Known) -> None:
        """Keep this from now on."""
        self._cluster.put(_STATE, msgspec.msgpack.encode(known))

    def read_keys(self) -> KnownKeys | None:
        """The keys of a fleet that runs."""
        body = self._cluster.get(_KEYS)
        try:
            return None if body is None else msgspec.msgpack.decode(body, type=KnownKeys)
        except UNREADABLE:
            return None

    def write_keys(self, keys: KnownKeys) -> None:
        """Keep them for a front that is started again, and for other proxies."""
        self._cluster.put(_KEYS, msgspec.msgpack.encode(keys))

    def forget(self) -> None:
        """The fleet has ended."""
        for key in (_STATE, _KEYS):
            self._cluster.delete(key)
