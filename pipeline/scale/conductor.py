"""Which shards there are and what each is to serve: looks at the cluster, places, and has the shards follow.

Everything that takes time is asked for and looked at later, so a machine that does not answer holds up nobody. A shard
is gone when the cluster says so, and not when it is silent: whoever is cut off keeps its cameras and its sessions, and
is heard again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

import structlog

from pipeline.config.values import Fleet
from pipeline.errors import ClusterError, PipelineError
from pipeline.scale.autoscale import Autoscale
from pipeline.scale.capacity import is_said, needs_of, share_of
from pipeline.scale.cluster import ActorAway, ActorLost, Cluster, Machine
from pipeline.scale.held import WAITS_S, Held, ShardStatus
from pipeline.scale.machines import Machines
from pipeline.scale.moves import Moves, Serving
from pipeline.scale.openings import even, openings
from pipeline.scale.place import Node
from pipeline.scale.proxy.orders import Feed
from pipeline.scale.shard import ShardKeys, ShardReady, ShardSpec, ShardState
from pipeline.scale.store import Known, Store

log = structlog.get_logger()

LOOK_S = 0.5
"""How often the cluster is asked which machines live."""
PING_S = 1.0
RETRY_S = 20.0
"""How soon a shard is tried again on a machine where it could not begin."""
AGAIN_S = 2.0
"""The same where a shard died that had begun."""
ENDS_WITHIN_S, END_LOOK_S = 5.0, 0.05


class Conductor:
    """Not thread-safe; `tick` is called several times a second.

    Attributes:
        fleet: What runs now.
        version: Counts the fleet files that were applied.
        moves: Which shard has which camera.
        scaling: How many shards there are to be.
        refusals: Why shards could not follow the newest version, by shard.
        paused: Cameras that are paused, wherever they are or come to be.
    """

    def __init__(self, fleet: Fleet, cluster: Cluster, keys: ShardKeys, server_key: bytes) -> None:
        """Take up what the store knows of this fleet, or begin anew; nothing is asked of any shard yet.

        Args:
            fleet: The whole fleet.
            cluster: Where shards live.
            keys: What shards get to be heard by the proxies.
            server_key: The public half of their own.
        """
        self.fleet, self.version = fleet, 1
        self.refusals: dict[str, str] = {}
        self.paused: frozenset[str] = frozenset()
        self._cluster, self._keys, self._server_key = cluster, keys, server_key
        self._store, self._saved = Store(cluster), Known(version=0)
        self._held: dict[str, Held] = {}
        self._machines = Machines(cluster)
        self._begun = 0
        self._looked_s: float | None = None
        self._placed_for: tuple[int, list[Node], int, int] | None = None
        self.scaling = Autoscale(fleet, cluster)
        self.moves = self._adopt()

    @property
    def feeds(self) -> tuple[Feed, ...]:
        """The shards that serve."""
        return tuple(
            Feed(shard=name, endpoint=held.ready.endpoint, server_key=held.ready.server_key)
            for name, held in self._held.items()
            if held.ready is not None
        )

    @property
    def shards(self) -> list[ShardStatus]:
        """How all of them are."""
        return [
            ShardStatus(
                name,
                f"{held.machine.node_id[:8]} {held.machine.address}",
                "ending" if held.ends else "starting" if held.ready is None else "serving",
                tuple(sorted(name for name in self.moves.wanted(held.name))),
                held.leaves,
            )
            for name, held in self._held.items()
        ]

    @property
    def held(self) -> Mapping[str, Held]:
        """The shards that there are, by their names."""
        return self._held

    @property
    def hopeless(self) -> str:
        """Why there is no shard and will be none on the machines that there are; empty where one may still serve."""
        if self._looked_s is None or self._held or self.scaling.coming:
            return ""
        return self._machines.why_none

    @property
    def settled(self) -> bool:
        """Whether every camera is where it is to be and nowhere else, and every shard follows this version."""
        told = {*self.moves.where, *self.moves.homeless} == set(self.fleet.cameras)
        follow = (one.follows(self.version, self.moves.wanted(one.name)) for one in self._held.values())
        return told and not self.moves.on_the_way and all(follow)

    def apply(self, fleet: Fleet) -> None:
        """Run as this fleet says from now on; only what has changed moves or is touched."""
        self.fleet, self.version = fleet, self.version + 1
        self.paused = frozenset(fleet.cameras.keys() & self.paused)
        self.scaling.follow(fleet)
        self.refusals.clear()
        for held in self._held.values():
            held.refused.clear()

    def has(self, camera_id: str) -> Held | None:
        """The shard that has a camera; of two, the one that had it first."""
        return self._held.get(self.moves.had_by(camera_id) or "")

    def pause(self, camera_id: str, *, paused: bool = True) -> None:
        """Pause a camera wherever it is and comes to be, or take it up again."""
        self.paused = self.paused | {camera_id} if paused else self.paused - {camera_id}

    def rests(self, camera_id: str) -> bool:
        """Whether the shards that have a camera know whether it is paused."""
        held = [one for one in self._held.values() if one.ready is not None]
        return all(one.rests == self.paused for one in held if camera_id in self.moves.wanted(one.name))

    def drain(self, node: str) -> str:
        """Empty a machine, by its address or the beginning of its id; its id.

        Raises:
            ControlError: There is no such machine, or several.
        """
        return self._machines.drain(node)

    def save_anew(self) -> None:
        """Keep all that a front needs once more: the store may have forgotten it."""
        self._saved = Known(version=0)

    def tick(self, now_s: float) -> None:
        """Look, place, and ask; never blocks for long."""
        if self._looked_s is None or now_s - self._looked_s >= LOOK_S:
            self._looked_s = now_s
            self._machines.look()
        for held in list(self._held.values()):
            machine = self._machines.get(held.machine.node_id)
            if machine is None:
                self._lose(held, "its machine is gone")
            else:
                held.machine = machine
                self._hear(held, now_s)
                self._give_up_waiting(held, now_s)
        self.scaling.look(self._held, bool(self.moves.on_the_way), self._machines.kept_empty(self.fleet.scale), now_s)
        self._begin_where_room_is(now_s)
        self._place()
        self.moves.let_go(self._serving(), now_s)
        for held in self._held.values():
            self._tell(held, now_s)
        self._save()

    def end(self, wait: Callable[[float], object]) -> None:
        """End every shard; `wait` is called with seconds between looks. Nothing of this fleet stays in the store."""
        for held in self._held.values():
            if not held.ends:
                held.ask("end")
        for _ in range(round(ENDS_WITHIN_S / END_LOOK_S)):
            if all(held.asked["end"].done for held in self._held.values()):
                break
            wait(END_LOOK_S)
        for held in self._held.values():
            held.actor.kill()
        self._held.clear()
        self.scaling.end()
        self._store.forget()

    def _adopt(self) -> Moves:
        """Take up the shards of a front that was there before; where cameras are, and which are on their way."""
        known = self._store.read()
        if known is None:
            return Moves()
        # Whatever the file says now, it is another version: shards are told, and those that follow already do nothing.
        self.version, self._machines.drained = known.version + 1, set(known.drained)
        self.paused = frozenset(self.fleet.cameras.keys() & known.paused)
        self._machines.look()
        for one in known.shards:
            actor, machine = self._cluster.find(one.name), self._machines.get(one.node_id)
            if actor is not None and machine is not None:
                self._held[one.name] = held = Held(one.name, machine, actor)
                if one.endpoint:
                    cameras = frozenset(one.cameras)
                    held.ready = ShardReady(one.endpoint, self._server_key, known.version, cameras, one.pictures)
                else:
                    self._ask(held, "begin")
        where = {camera_id: shard for camera_id, shard in known.where.items() if shard in self._held}
        leaving: dict[str, str] = {}
        for one in known.shards:
            for camera_id in one.cameras if one.name in self._held else ():
                # Whoever serves a camera of a shard that is gone keeps it, as when the front lives on.
                if where.setdefault(camera_id, one.name) != one.name:
                    leaving[camera_id] = one.name
        log.info("a fleet that runs already is taken up", shards=len(self._held), cameras=len(where))
        return Moves(where, leaving)

    def _hear(self, held: Held, now_s: float) -> None:
        """What a shard has answered."""
        for method in [method for method, call in held.asked.items() if call.done]:
            if held.name not in self._held:
                return  # What it said before was its last.
            try:
                answer = held.asked.pop(method).result()
            except ActorAway:
                if method in ("begin", "end"):
                    self._ask(held, method)
            except ActorLost as error:
                # With its machine, more often than alone: the cluster takes a moment to notice.
                self._machines.avoid(held.machine, now_s + AGAIN_S)
                self._lose(held, str(error))
                return
            except PipelineError as error:
                self._refused(held, method, str(error), now_s)
            else:
                self._note(held, method, answer, now_s)

    def _note(self, held: Held, method: str, answer: object, now_s: float) -> None:
        if method == "end":
            held.actor.kill()
            self._held.pop(held.name, None)
            log.info(f"shard {held.name} has ended", machine=held.machine.address)
        elif method == "rest":
            held.rests = held.asks_rest
        elif isinstance(answer, ShardReady):
            if held.ready is None:
                log.info(f"shard {held.name} serves", machine=held.machine.address)
            held.follow(answer)
        elif isinstance(answer, ShardState):
            held.hear(answer)
            if answer.failed:
                self._refused(held, "begin", answer.failed, now_s)

    def _refused(self, held: Held, method: str, why: str, now_s: float) -> None:
        """A shard cannot serve where it is, or not as this version says."""
        if method == "apply":
            held.refused.add(held.asks)
            if held.asks[0] == self.version:
                self.refusals[held.name] = why
            log.error(f"shard {held.name} stays as it was: {why}")
        elif method == "rest":
            held.rests = held.asks_rest
            log.error(f"shard {held.name} cannot pause cameras: {why}")
        elif method == "begin":
            self._machines.avoid(held.machine, now_s + RETRY_S)
            self._machines.say_unfit(held.machine, why)
            held.actor.kill()
            self._lose(held, why)

    def _give_up_waiting(self, held: Held, now_s: float) -> None:
        """Others have taken what it needs of its machine: its cameras are not to wait with it."""
        if held.name in self._held and held.waits(now_s):
            why = f"what a shard takes of it has not been free for {WAITS_S:.0f} s"
            self._refused(held, "begin", why, now_s)

    def _lose(self, held: Held, why: str) -> None:
        """A shard is gone."""
        if self._held.pop(held.name, None) is not None and not held.ends:
            log.warning(f"shard {held.name} is gone: {why}", cameras=len(self.moves.wanted(held.name)))
        self.moves.lose(held.name)

    def _begin_where_room_is(self, now_s: float) -> None:
        """Shards on each machine that can have them, also where no camera is yet: they are warm when one comes."""
        taken = Counter(held.machine.node_id for held in self._held.values())
        for machine, room in self._machines.rooms(self.fleet.scale, now_s):
            for _ in range(room - taken[machine.node_id]):
                if self.scaling.may_begin:
                    self._begin(machine)

    def _begin(self, machine: Machine) -> None:
        self._begun += 1
        name = f"{machine.node_id[:6]}-{self.version}.{self._begun}"
        try:
            actor = self._cluster.start(name, machine, share_of(self.fleet.scale))
        except ClusterError as error:
            self._machines.say_unfit(machine, str(error))
            return
        self._held[name] = held = Held(name, machine, actor)
        self.scaling.begun()
        self._ask(held, "begin")

    def _place(self) -> None:
        """Give every camera its shard."""
        shards = openings(self._held.values(), self.fleet.scale, self.scaling.places)
        spreads = self.scaling.spreads
        if (self.version, shards, len(self.moves.where), spreads) == self._placed_for:
            return
        cameras, shown = needs_of(self.fleet.cameras.values()), shards
        if self._placed_for is not None and self._placed_for[-1] != spreads:
            cameras, shown = even(cameras, shards, self._wanted_hz())
        moved = self.moves.place(cameras, shown)
        self._placed_for = self.version, shards, len(self.moves.where), spreads
        if moved:
            log.info("cameras move", cameras=", ".join(moved))

    def _wanted_hz(self) -> dict[str, float]:
        """How much each camera wants; nothing where somebody has said how many there may be."""
        if any(is_said(held.machine, self.fleet.scale) for held in self._held.values()):
            return {}
        found: dict[str, float] = {}
        for name, hz in (one for held in self._held.values() for one in held.wanted_hz.items()):
            found[name] = max(hz, found.get(name, 0.0))  # Of a camera that moves, the new shard knows little yet.
        return found

    def _serving(self) -> dict[str, Serving]:
        return {
            name: Serving(held.ready.cameras, held.seeing | self.paused)
            for name, held in self._held.items()
            if held.ready is not None
        }

    def _tell(self, held: Held, now_s: float) -> None:
        """Have a shard follow, and ask how it is."""
        if held.ends:
            return
        # Also while it begins, which may take longer than a shard goes on that nobody asks for.
        if "ping" not in held.asked and now_s - held.asked_s >= PING_S:
            held.asked_s = now_s
            self._ask(held, "ping")
        if held.ready is None:
            return
        if held.rests != self.paused:
            # Before it is given cameras: one that is paused is not to be opened where it comes to be.
            if "rest" not in held.asked:
                held.asks_rest = self.paused
                held.ask("rest", self.paused)
            return
        wanted = self.moves.wanted(held.name)
        if "apply" not in held.asked and (due := held.due(self.version, wanted)) is not None:
            self._ask_to_follow(held, due, wanted)
        elif held.leaves and not wanted and not held.ready.cameras:
            self._ask(held, "end")

    def _ask(self, held: Held, method: str) -> None:
        if method == "begin":
            held.fleets[self.version] = self.fleet
            part = self._part(self.fleet, frozenset())
            held.ask("begin", ShardSpec(held.name, held.machine.address, part, self.version, self._keys))
        else:
            held.ask(method)

    def _ask_to_follow(self, held: Held, version: int, cameras: frozenset[str]) -> None:
        held.asks = version, cameras
        fleet = held.fleets.setdefault(version, self.fleet)
        held.ask("apply", self._part(fleet, cameras), version)

    def _part(self, fleet: Fleet, cameras: frozenset[str]) -> Fleet:
        """A version of the fleet with these cameras and no other; those that it does not know are as they are now."""
        known = {**self.fleet.cameras, **fleet.cameras}
        return fleet.model_copy(update={"cameras": {name: one for name, one in known.items() if name in cameras}})

    def _save(self) -> None:
        """Keep what a front needs that is started again."""
        shards = tuple(held.known for _, held in sorted(self._held.items()) if not held.ends)
        known = Known(
            version=self.version,
            shards=shards,
            where=dict(self.moves.where),
            leaving=self.moves.leaving,
            homeless=dict(self.moves.homeless),
            p95_ms=self.fleet.slo.p95_ms,
            max_loss=self.fleet.slo.max_loss,
            drained=tuple(sorted(self._machines.drained)),
            paused=tuple(sorted(self.paused)),
            model=self.fleet.model.model_dump_json(),
        )
        if known != self._saved:
            self._store.write(known)
            self._saved = known
