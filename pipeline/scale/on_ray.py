"""Ray as the cluster: its actors, what it says of machines, and its key-value store. The only place that knows Ray.

Ray alone decides which machines live. Out of the box it takes up to half a minute for one that died; a head that is
started with HEAD_OPTIONS takes about three seconds, and still waits for thirty for one that is only silent.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pipeline.errors import ClusterError, ConfigError
from pipeline.extras import require
from pipeline.redact import redact
from pipeline.scale.cluster import ActorAway, ActorLost, Machine, Share
from pipeline.scale.ray_actors import MARK, NAMESPACE, MarkHolder, ShardHolder, called, want

HEAD_OPTIONS = {
    "health_check_initial_delay_ms": 1000,
    "health_check_period_ms": 1000,
    "health_check_timeout_ms": 10_000,
    "health_check_failure_threshold": 3,
}
"""`ray start --head --system-config=…`: a machine whose Ray is gone refuses at once and is dead after three tries; one
that is cut off says nothing, and has three times ten seconds."""
WORDS = "ray://"
_AUTO = "ray"
_ON_THE_HEAD = {"node:__internal_head__": 0.001}
"""What is there holds no machine that could be given back, and does not go with one that dies."""
_CALLS_AT_ONCE = 16
"""Of a shard: one that loads a model, and clips that are cut, hold up nothing else."""
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_DEDUP_LOGS": "0"}
"""Nothing phones home."""


def require_ray() -> None:
    """Make sure that Ray is installed, before any long work.

    Raises:
        ConfigError: It is not; the message says how it is installed.
    """
    require("ray", "--on ray")


def address_of(on: str) -> str:
    """What Ray takes for `--on`: the cluster of this machine, or the address of one.

    Raises:
        ConfigError: It is neither.
    """
    if on == _AUTO:
        return "auto"
    if on.startswith(WORDS) and len(on) > len(WORDS):
        return on
    raise ConfigError(f"--on {redact(on)}: expected ray, for the cluster of this machine, or ray://HOST:PORT")


@contextmanager
def _answers() -> Iterator[None]:
    """Where Ray says in its own way that the cluster is gone, say it in ours."""
    from ray.exceptions import RaySystemError

    try:
        yield
    except (ConnectionError, RaySystemError) as error:
        raise ClusterError(
            f"the Ray cluster does not answer any more: {_first_line(error)}; is its head gone? A front that is run"
            " again takes up the shards that still run"
        ) from None


class RayCall:
    """A method that was called, see `Call`."""

    def __init__(self, ref: Any) -> None:
        self._ref = ref

    @property
    @_answers()
    def done(self) -> bool:
        """Whether `result` answers at once."""
        import ray

        ready, _ = ray.wait([self._ref], timeout=0)
        return bool(ready)

    @_answers()
    def result(self) -> Any:
        """What it returned; raises as `Call` says."""
        import ray
        from ray import exceptions

        try:
            well, outcome = ray.get(self._ref)
        except exceptions.ActorUnavailableError as error:
            raise ActorAway(f"it cannot be reached: {_first_line(error)}") from None
        except (exceptions.RayActorError, exceptions.ActorUnschedulableError) as error:
            raise ActorLost(_first_line(error)) from None
        except exceptions.RayError as error:
            raise ClusterError(_first_line(error)) from None
        if well:
            return outcome
        raise outcome


class RayActor:
    """An actor with a shard, see `Actor`."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    @_answers()
    def call(self, method: str, *arguments: Any) -> RayCall:
        """Call a method of its shard; does not wait."""
        return RayCall(self._handle.ask.remote(method, arguments))

    @_answers()
    def kill(self) -> None:
        """End its process, whatever it does."""
        import ray

        ray.kill(self._handle)


class RayCluster:
    """A cluster of Ray, for one fleet; ends with its `with`. Use it from one thread."""

    def __init__(self, address: str, fleet: str) -> None:
        """Join it.

        Args:
            address: As `address_of` gives it.
            fleet: The fleet's name; its actors and keys have it before theirs.

        Raises:
            ClusterError: There is no cluster.
        """
        os.environ.update(_QUIET)
        import ray

        self._fleet = fleet
        try:
            ray.init(address=address, namespace=NAMESPACE, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
            raise ClusterError(
                f"there is no Ray cluster at {redact(address)}: {_first_line(error)}; ray start --head "
                f"--system-config='{json.dumps(HEAD_OPTIONS)}' starts one"
            ) from None
        self._shard, self._mark = ray.remote(ShardHolder), ray.remote(MarkHolder)

    @_answers()
    def machines(self) -> list[Machine]:
        """Those that live, as Ray sees it."""
        import ray

        draining = _draining()
        nodes: Callable[[], list[dict[str, Any]]] = ray.nodes
        return [
            Machine(one["NodeID"], one["NodeManagerAddress"], one["Resources"], one["NodeID"] in draining)
            for one in nodes()
            if one["Alive"]
        ]

    @_answers()
    def start(self, name: str, machine: Machine, share: Share) -> RayActor:
        """A shard on that machine; Ray gives nobody else what it takes.

        Raises:
            ClusterError: There is one of that name.
        """
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        try:
            handle = self._shard.options(
                name=called(self._fleet, name),
                namespace=NAMESPACE,
                lifetime="detached",
                max_restarts=0,
                max_concurrency=_CALLS_AT_ONCE,
                scheduling_strategy=NodeAffinitySchedulingStrategy(machine.node_id, soft=False),
                **_options(share),
            ).remote(self._fleet)
        except ValueError as error:
            raise ClusterError(_first_line(error)) from None
        return RayActor(handle)

    @_answers()
    def mark(self) -> RayActor:
        """The mark of this fleet, made where there is none."""
        handle = self._mark.options(
            name=called(self._fleet, MARK),
            namespace=NAMESPACE,
            lifetime="detached",
            get_if_exists=True,
            num_cpus=0,
            max_restarts=0,
            max_concurrency=_CALLS_AT_ONCE,
            resources=_ON_THE_HEAD,
        ).remote(self._fleet)
        return RayActor(handle)

    @_answers()
    def find(self, name: str) -> RayActor | None:
        """The actor of that name; None if there is none."""
        import ray

        try:
            return RayActor(ray.get_actor(called(self._fleet, name), namespace=NAMESPACE))
        except ValueError:
            return None

    def request(self, share: Share, count: int) -> None:
        """Have Ray's autoscaler keep machines for so many shards, beside what other fleets of the cluster want."""
        import ray

        try:
            with _answers():
                want(self._fleet, [_bundle(share)] * count)
        except (ray.exceptions.RayError, OSError, RuntimeError, ValueError) as error:
            raise ClusterError(_first_line(error)) from None

    @_answers()
    def get(self, key: str) -> bytes | None:
        """What Ray's store has under a key of this fleet."""
        from ray.experimental import internal_kv

        found: bytes | None = internal_kv._internal_kv_get(self._key(key), namespace=NAMESPACE)
        return found

    @_answers()
    def put(self, key: str, value: bytes) -> None:
        """Keep this under a key of this fleet."""
        from ray.experimental import internal_kv

        internal_kv._internal_kv_put(self._key(key), value, overwrite=True, namespace=NAMESPACE)

    @_answers()
    def delete(self, key: str) -> None:
        """Forget a key."""
        from ray.experimental import internal_kv

        internal_kv._internal_kv_del(self._key(key), namespace=NAMESPACE)

    def close(self) -> None:
        """Leave the cluster; detached shards stay."""
        import ray

        ray.shutdown()

    def __enter__(self) -> RayCluster:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _key(self, key: str) -> bytes:
        return called(self._fleet, key).encode()


def _options(share: Share) -> dict[str, Any]:
    """What Ray sets aside for an actor."""
    memory = {"memory": int(share.memory_mb) << 20} if share.memory_mb else {}
    return {"num_cpus": share.cpus, "num_gpus": share.gpus, **memory}


def _bundle(share: Share) -> dict[str, float]:
    """The same, as its autoscaler has it."""
    wanted = {"CPU": share.cpus, "GPU": share.gpus, "memory": float(int(share.memory_mb) << 20)}
    return {name: amount for name, amount in wanted.items() if amount}


def _draining() -> set[str]:
    """Machines that Ray wants to be empty soon: ray drain-node, or its autoscaler. A client of Ray is not told."""
    from ray._private import state

    found: Callable[[], dict[str, int]] | None = getattr(state.state, "get_draining_nodes", None)
    try:
        return set() if found is None else set(found())
    except Exception:  # noqa: BLE001 - it is no promise of Ray's, and what it raises is not known
        return set()


def _first_line(error: BaseException) -> str:
    """What is wrong; of one that only introduces what another process has said, the last line of that."""
    first, *rest = str(error).strip().splitlines() or [""]
    return redact(f"{first} {rest[-1].strip()}" if rest and first.endswith(":") else first)
