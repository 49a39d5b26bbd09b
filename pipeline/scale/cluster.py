"""What a fleet over several machines asks of a cluster: machines, actors on them, and a small store.

Ray is the only cluster there is (`on_ray`); tests have one of threads. Nothing here blocks for long: what takes time is
a `Call`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from pipeline.errors import ClusterError


class ActorLost(ClusterError):
    """An actor is gone, with its machine or alone."""


class ActorAway(ClusterError):
    """An actor cannot be reached, and is not known to be gone; whether it has heard what was asked is not known."""


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine of the cluster that lives.

    Attributes:
        node_id: The cluster's name of it.
        address: Where others reach it.
        resources: What it has in all, by the cluster's names: `CPU`, `GPU`, `memory` (bytes), and what was made up.
        drains: Whether the cluster wants it to be empty soon.
    """

    node_id: str
    address: str
    resources: Mapping[str, float] = field(default_factory=dict)
    drains: bool = False


@dataclass(frozen=True, slots=True)
class Share:
    """What an actor takes of its machine, which the cluster gives nobody else.

    Attributes:
        cpus: Cores.
        gpus: GPUs, whose numbers the actor's environment says.
        memory_mb: Megabytes; 0 says nothing of it.
    """

    cpus: float = 1.0
    gpus: float = 0.0
    memory_mb: float = 0.0


class Call(Protocol):
    """A method of an actor that was called."""

    @property
    def done(self) -> bool:
        """Whether `result` answers at once."""

    def result(self) -> Any:
        """What it returned; blocks until it is there.

        Raises:
            ActorLost: The actor is gone.
            ActorAway: It cannot be reached now.
            PipelineError: What the method raised.
        """


class Actor(Protocol):
    """An object in a process of its own, somewhere."""

    def call(self, method: str, *arguments: Any) -> Call:
        """Call a method there; does not wait."""

    def kill(self) -> None:
        """End its process, whatever it does."""


class Cluster(Protocol):
    """Where actors live."""

    def machines(self) -> list[Machine]:
        """Those that live, as the cluster sees it."""

    def start(self, name: str, machine: Machine, share: Share) -> Actor:
        """A `Shard` on that machine and no other, under a name by which it can be found; does not wait."""

    def mark(self) -> Actor:
        """The `Mark` of this fleet, made where there is none; does not wait."""

    def find(self, name: str) -> Actor | None:
        """The actor of that name; None if there is none."""

    def request(self, share: Share, count: int) -> None:
        """Have machines provided for so many actors that take this each, those included that there are; does not wait.

        The number holds until another is told; without effect where machines come and go by hand.

        Raises:
            ClusterError: The cluster cannot be told now.
        """

    def get(self, key: str) -> bytes | None:
        """What the store has under a key of this fleet."""

    def put(self, key: str, value: bytes) -> None:
        """Keep this under a key of this fleet, over what was there."""

    def delete(self, key: str) -> None:
        """Forget a key; without effect where there is none."""
