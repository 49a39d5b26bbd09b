"""What runs in the processes of Ray's actors: shards, and the mark of a fleet's front."""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from typing import Any

from pipeline.errors import PipelineError

NAMESPACE = "camfleet"
MARK, KEPT = "front", ("state", "keys")
"""How a fleet's mark is called, and what the cluster keeps of it (`pipeline.scale.store`), after the fleet's name."""
ASK_S = 5.0
_WANTED = b"/wanted/"
"""What fleets want of Ray's autoscaler, before their names; begins no fleet's name."""


def called(fleet: str, name: str) -> str:
    """What an actor, or a key of Ray's store, is called."""
    return f"{fleet}/{name}"


class _Holder:
    """An object in an actor's process, which is called by the names of its methods."""

    def __init__(self, held: Any) -> None:
        self._held = held

    def ask(self, method: str, arguments: tuple[Any, ...]) -> tuple[bool, Any]:
        """Whether it went well, and what came of it, or what was raised."""
        # Ray starts its workers at niceness 15, so that a machine stays usable; here cameras wait for them. On Linux it
        # is the calling thread's own, which those that it starts inherit.
        with suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, 0, 0)
        try:
            return True, getattr(self._held, method)(*arguments)
        except PipelineError as error:
            return False, error


class ShardHolder(_Holder):
    """A shard. When it ends because it hears of no front, nobody else may be left to forget the fleet."""

    def __init__(self, fleet: str) -> None:
        # Children of this process would import its main module, which is Ray's and large, each for itself.
        vars(sys.modules["__main__"]).pop("__file__", None)
        from pipeline.logs import configure_logs
        from pipeline.scale.shard import Shard

        configure_logs("shard")

        def leave() -> None:
            try:
                if not _is_led(fleet):
                    _forget(fleet)
            finally:
                os._exit(0)

        super().__init__(Shard(leave))


class MarkHolder(_Holder):
    """The mark of a fleet's front; there is one by its name."""

    def __init__(self, fleet: str) -> None:
        from pipeline.scale.mark import Mark

        super().__init__(Mark(lambda: _forget(fleet), lambda: os._exit(0)))


def _is_led(fleet: str) -> bool:
    """Whether the fleet has a front, as far as can be known."""
    import ray

    try:
        mark = ray.get_actor(called(fleet, MARK), namespace=NAMESPACE)
        return bool(ray.get(mark.ask.remote("held", ()), timeout=ASK_S)[1])
    except ValueError:
        return False  # There is no mark.
    except ray.exceptions.RayError:
        return True


def want(fleet: str, bundles: list[dict[str, float]]) -> None:
    """Have Ray's autoscaler keep machines for these bundles, and for those that other fleets of the cluster want.

    Ray has one list of all that is wanted: each fleet keeps its part of it in the store.
    """
    from ray.autoscaler.sdk import request_resources
    from ray.experimental import internal_kv

    own = _WANTED + fleet.encode()
    if bundles:
        internal_kv._internal_kv_put(own, json.dumps(bundles).encode(), overwrite=True, namespace=NAMESPACE)
    else:
        internal_kv._internal_kv_del(own, namespace=NAMESPACE)
    keys: list[bytes] = internal_kv._internal_kv_list(_WANTED, namespace=NAMESPACE)
    kept = [internal_kv._internal_kv_get(key, namespace=NAMESPACE) for key in keys]
    request_resources(bundles=[bundle for one in kept for bundle in json.loads(one or "[]")])


def _forget(fleet: str) -> None:
    """Have Ray's store forget the fleet, and its autoscaler what the fleet wanted."""
    from ray.experimental import internal_kv

    for key in KEPT:
        internal_kv._internal_kv_del(called(fleet, key).encode(), namespace=NAMESPACE)
    want(fleet, [])
