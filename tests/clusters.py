"""Clusters for tests: shards that only say what they were told, and shards of threads in this process."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from pipeline.config.values import Fleet
from pipeline.errors import PipelineError
from pipeline.scale.cluster import ActorAway, ActorLost, Machine, Share
from pipeline.scale.headroom import Load
from pipeline.scale.mark import Mark
from pipeline.scale.shard import Shard, ShardReady, ShardSpec, ShardState


class Answered:
    """A call that is answered already, or by a thread."""

    def __init__(self, result: Callable[[], Any], done: Callable[[], bool] = lambda: True) -> None:
        self._result, self._done = result, done

    @property
    def done(self) -> bool:
        return self._done()

    def result(self) -> Any:
        return self._result()


class Told:
    """A shard that serves whatever it is told, and what a test says of it."""

    def __init__(self, name: str) -> None:
        self.name, self.version = name, 0
        self.cameras: frozenset[str] = frozenset()
        self.calls: list[str] = []
        self.gone = self.away = self.ended = self.blind = False
        self.slow: set[str] = set()
        self.refuses: dict[str, str] = {}
        self.fleet: Fleet | None = None
        self.rests: frozenset[str] = frozenset()
        self.rested_before: dict[str, bool] = {}
        self.prepared: object = None
        self.cut: object = None
        self.cannot: Callable[[Fleet], bool] = lambda fleet: False
        self.weighs: dict[str, float] = {}

    def call(self, method: str, *arguments: Any) -> Answered:
        self.calls.append(method)
        self.ended = self.ended or method == "end"
        return Answered(lambda: self._answer(method, arguments), lambda: method not in self.slow)

    def kill(self) -> None:
        self.gone = True

    @property
    def load(self) -> Load | None:
        """Of cameras that weigh something: a shard does 100 detections a second, and strides of 4 at most."""
        if not self.weighs:
            return None
        demand = sum(self.weighs[name] for name in self.cameras)
        busy = min(1.0, demand)
        return Load(100 * demand, 100 * busy, busy, min(4.0, max(1.0, demand)))

    def _answer(self, method: str, arguments: tuple[Any, ...]) -> Any:
        if self.gone:
            raise ActorLost("it was killed")
        if self.away:
            raise ActorAway("its machine does not answer")
        if method in self.refuses:
            raise PipelineError(self.refuses[method])
        if method in ("begin", "apply"):
            return self._follow(*arguments)
        if method == "rest":
            self.rests = arguments[0]
        elif method in ("prepare", "unprepare"):
            self.prepared = arguments[0].model if arguments else None
        elif method == "ping":
            return self._state()
        return self.cut if method == "clip" else None

    def _state(self) -> ShardState:
        seeing = frozenset() if self.blind else self.cameras - self.rests
        wanted_hz = {name: 100 * self.weighs[name] for name in self.cameras if name in self.weighs}
        return ShardState(seeing, self.refuses.get("serving", ""), self.load, wanted_hz)

    def _follow(self, first: ShardSpec | Fleet, *rest: int) -> ShardReady:
        fleet, version = (first.fleet, first.version) if isinstance(first, ShardSpec) else (first, rest[0])
        if self.cannot(fleet):
            raise PipelineError("this it cannot")
        self.fleet, self.version = fleet, version
        for name in fleet.cameras.keys() - self.cameras:
            self.rested_before[name] = name in self.rests
        self.cameras = frozenset(fleet.cameras)
        return ShardReady(f"tcp://{self.name}", b"k" * 32, self.version, self.cameras)


class _Marked:
    """The mark of a front, in this process; its clock is the test's."""

    def __init__(self, forget: Callable[[], None]) -> None:
        self.now_s, self.gone, self.away = 0.0, False, False
        self._mark = Mark(forget, self.kill, now_s=lambda: self.now_s)
        self._mark.end()

    def call(self, method: str, *arguments: Any) -> Answered:
        if self.gone:
            return Answered(self._lost)
        if self.away:
            return Answered(self._silent)
        result = getattr(self._mark, method)(*arguments)
        return Answered(lambda: result)

    def kill(self) -> None:
        self.gone = True

    def _lost(self) -> None:
        raise ActorLost("it was killed")

    def _silent(self) -> None:
        raise ActorAway("its machine does not answer")


class Store:
    """What a cluster keeps."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.marks = 0
        self._mark: _Marked | None = None

    def mark(self) -> _Marked:
        if self._mark is None or self._mark.gone:
            self._mark, self.marks = _Marked(self.kept.clear), self.marks + 1
        return self._mark

    def get(self, key: str) -> bytes | None:
        return self.kept.get(key)

    def put(self, key: str, value: bytes) -> None:
        self.kept[key] = value

    def delete(self, key: str) -> None:
        self.kept.pop(key, None)


class ToldCluster(Store):
    """Machines that a test adds and takes away, and `Told` shards on them."""

    def __init__(self, *names: str, **resources: float) -> None:
        super().__init__()
        self.alive = {name: Machine(name, f"10.0.0.{n}", {"CPU": 4.0, **resources}) for n, name in enumerate(names, 1)}
        self.requests: list[tuple[Share, int]] = []
        self.actors: dict[str, Told] = {}
        self.on: dict[str, Told] = {}

    def machines(self) -> list[Machine]:
        return list(self.alive.values())

    def start(self, name: str, machine: Machine, share: Share) -> Told:
        self.actors[name] = self.on[machine.node_id] = Told(name)
        return self.on[machine.node_id]

    def request(self, share: Share, count: int) -> None:
        self.requests.append((share, count))

    def find(self, name: str) -> Told | None:
        actor = self.actors.get(name)
        return None if actor is None or actor.gone else actor

    def lose(self, node_id: str) -> None:
        """A machine dies."""
        del self.alive[node_id]
        self.on[node_id].gone = True


class ToldCloud(ToldCluster):
    """A cluster whose machines come when they are asked for, after a while, and go when they hold nothing.

    Attributes:
        boot_s: How long a machine takes to come.
        warm_s: How long a shard takes to begin.
        weighs: Share of a shard that each camera keeps busy.
    """

    def __init__(self, weighs: dict[str, float], boot_s: float = 30.0, warm_s: float = 10.0) -> None:
        super().__init__()
        self.weighs, self.boot_s, self.warm_s = weighs, boot_s, warm_s
        self.now_s = 0.0
        self.asked_s: list[float] = []
        self.warm_at_s: dict[str, float] = {}
        self._number = 0

    @property
    def wanted(self) -> int:
        return self.requests[-1][1] if self.requests else 0

    def start(self, name: str, machine: Machine, share: Share) -> Told:
        actor = super().start(name, machine, share)
        actor.weighs = self.weighs
        actor.slow.add("begin")
        self.warm_at_s[name] = self.now_s + self.warm_s
        return actor

    def step(self, now_s: float) -> None:
        """Let time go by."""
        self.now_s = now_s
        for name, at_s in self.warm_at_s.items():
            if now_s >= at_s:
                self.actors[name].slow.discard("begin")
        self.asked_s += [now_s] * (self.wanted - len(self.alive) - len(self.asked_s))
        come = [at_s for at_s in self.asked_s if now_s - at_s >= self.boot_s]
        self.asked_s = self.asked_s[len(come) :]
        for _ in come:
            self._number += 1
            name = f"m{self._number}"
            self.alive[name] = Machine(name, f"10.0.1.{self._number}", {"CPU": 4.0})
        idle = [name for name in self.alive if name in self.on and self.on[name].gone]
        for name in idle[: max(0, len(self.alive) - self.wanted)]:
            del self.alive[name]


class _Thread:
    """A real shard, called from threads."""

    def __init__(self) -> None:
        self.shard = Shard(leave=lambda: None)
        self._pool = ThreadPoolExecutor(4)
        self.killed = False

    def call(self, method: str, *arguments: Any) -> Answered:
        if self.killed:
            return Answered(self._lost)
        future = self._pool.submit(getattr(self.shard, method), *arguments)
        return Answered(future.result, future.done)

    def kill(self) -> None:
        self.killed = True
        self.shard.stay()
        self.shard.end()
        self._pool.shutdown(wait=False)

    def _lost(self) -> None:
        raise ActorLost("it was killed")


class ThreadCluster(Store):
    """Machines that are all this one, and real shards on them in this process."""

    def __init__(self, *names: str) -> None:
        super().__init__()
        self.alive = {name: Machine(name, "127.0.0.1", {"CPU": 1.0}) for name in names}
        self.requested: int | None = None
        self.actors: dict[str, _Thread] = {}
        self.on: dict[str, _Thread] = {}

    def machines(self) -> list[Machine]:
        return list(self.alive.values())

    def start(self, name: str, machine: Machine, share: Share) -> _Thread:
        self.actors[name] = self.on[machine.node_id] = _Thread()
        return self.on[machine.node_id]

    def request(self, share: Share, count: int) -> None:
        self.requested = count

    def find(self, name: str) -> _Thread | None:
        actor = self.actors.get(name)
        return None if actor is None or actor.killed else actor

    def lose(self, node_id: str) -> None:
        """A machine dies."""
        del self.alive[node_id]
        self.on[node_id].kill()
