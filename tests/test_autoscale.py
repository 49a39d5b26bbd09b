"""A fleet that grows and shrinks with its load, in a cluster that only pretends; the time is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.config import load_fleet
from pipeline.config.values import Fleet
from pipeline.scale.autoscale import policy_of
from pipeline.scale.cluster import Machine
from pipeline.scale.conductor import Conductor
from pipeline.scale.held import WAITS_S
from pipeline.scale.shard import ShardKeys
from tests.clusters import ToldCloud, ToldCluster

FleetFile = Callable[..., Path]
NAMES = [f"cam{number:02}" for number in range(12)]
SOON = {"short_s": 20, "idle_s": 60, "ask_again_s": 30, "give_again_s": 60}
TICK_S = 0.25
LONG_S = 300.0


def fleet_of(fleet_file: FleetFile, names: list[str] = NAMES, **scale: object) -> Fleet:
    urls = {name: f"rtsp://{name}.example/1" for name in names}
    return load_fleet(fleet_file(urls, scale=scale))


def scaled(fleet_file: FleetFile, names: list[str] = NAMES, **settings: object) -> Fleet:
    return fleet_of(fleet_file, names, autoscale={"most": 8, **SOON, **settings})


class Playing:
    """A conductor, a cloud, and their clock."""

    def __init__(self, fleet: Fleet, cloud: ToldCloud) -> None:
        self.cloud, self.now_s = cloud, 0.0
        self.it = Conductor(fleet, cloud, ShardKeys(b"secret", b"proxy"), b"k" * 32)
        self.seen: list[str] = []

    def play(self, seconds: float, look: Callable[[], object] = lambda: None) -> None:
        for _ in range(round(seconds / TICK_S)):
            self.cloud.step(self.now_s)
            self.it.tick(self.now_s)
            if self.it.scaling.words not in self.seen[-1:]:
                self.seen.append(self.it.scaling.words)
            look()
            self.now_s += TICK_S

    @property
    def counts(self) -> list[int]:
        """How many cameras each shard has."""
        return [len(shard.cameras) for shard in self.it.shards if shard.condition == "serving"]

    def weigh(self, each: float) -> None:
        for name in self.cloud.weighs:
            self.cloud.weighs[name] = each


def playing(fleet: Fleet, each: float, **times: float) -> Playing:
    it = Playing(fleet, ToldCloud(dict.fromkeys(fleet.cameras, each), **times))
    it.play(LONG_S)
    return it


def test_fleet_begins_with_the_least_shards_and_has_no_more_while_they_do(fleet_file: FleetFile):
    it = playing(scaled(fleet_file, least=2), 0.05)
    assert it.counts == [6, 6]
    assert len(it.cloud.alive) == 2
    assert it.seen[-1] == "2 of 2 shards serve; 2 shards to begin with"


def test_fleet_whose_strides_give_way_for_long_gets_machines_and_cameras_move_to_warm_shards_alone(
    fleet_file: FleetFile,
):
    it = playing(scaled(fleet_file), 0.05)
    assert it.counts == [12]
    first = next(iter(it.cloud.actors))
    it.weigh(0.15)
    cold: list[str] = []

    def look() -> None:
        for name, shard in it.cloud.actors.items():
            if name != first and shard.version == 0 and it.it.moves.wanted(name):
                cold.append(name)

    it.play(LONG_S, look)
    assert it.counts == [4, 4, 4]
    assert cold == []
    assert it.it.settled
    assert any("1 of 3 shards serve; 1 shard short for 20 s: 3 needed, 1 there" in words for words in it.seen)


def test_fleet_whose_shards_idle_for_long_empties_one_before_it_ends_and_gives_its_machine_back(
    fleet_file: FleetFile,
):
    it = playing(scaled(fleet_file), 0.15)
    assert it.counts == [4, 4, 4]
    it.weigh(0.02)
    unserved: list[str] = []

    def look() -> None:
        served = {name for shard in it.cloud.actors.values() if not shard.gone for name in shard.cameras}
        unserved.extend(set(NAMES) - served)

    it.play(2 * LONG_S, look)
    assert it.counts == [12]
    assert unserved == []
    assert len(it.cloud.alive) == it.cloud.wanted == 1
    assert sum(shard.ended for shard in it.cloud.actors.values()) == 2
    assert it.seen[-1] == "1 of 1 shards serve; 1 were enough for 60 s: 1 shard given back"


def test_fleet_that_grows_and_shrinks_keeps_a_camera_paused_that_moves(fleet_file: FleetFile):
    it = playing(scaled(fleet_file), 0.05)
    before = set(it.cloud.actors)
    for paused in NAMES:
        it.it.pause(paused)
    it.weigh(0.15)
    it.play(LONG_S)
    assert it.counts == [4, 4, 4]
    new = [shard for name, shard in it.cloud.actors.items() if name not in before]
    assert [shard.rested_before for shard in new] == [dict.fromkeys(shard.cameras, True) for shard in new]
    it.weigh(0.02)
    it.play(2 * LONG_S)
    assert it.counts == [12]
    assert it.it.settled
    assert all(it.it.rests(name) for name in NAMES)


def test_fleet_that_has_settled_moves_nothing(fleet_file: FleetFile):
    it = playing(scaled(fleet_file), 0.15)
    where, seen = dict(it.it.moves.where), len(it.seen)
    it.play(LONG_S)
    assert it.it.moves.where == where
    assert len(it.seen) == seen


def test_fleet_that_loses_a_machine_has_its_cameras_elsewhere_and_another_machine_comes(fleet_file: FleetFile):
    it = playing(scaled(fleet_file), 0.15)
    it.cloud.lose(next(iter(it.cloud.alive)))
    it.play(5.0)
    assert it.counts == [6, 6]
    assert it.cloud.wanted == 3
    it.play(LONG_S)
    assert it.counts == [4, 4, 4]
    assert "2 of 3 shards serve; 1 shard lost: the others take over" in it.seen


def test_fleet_told_to_drain_a_machine_has_another_instead(fleet_file: FleetFile):
    it = playing(scaled(fleet_file), 0.15)
    drained = it.it.drain(next(iter(it.cloud.alive)))
    it.play(LONG_S)
    assert it.counts == [4, 4, 4]
    assert it.cloud.on[drained].ended
    assert len(it.cloud.alive) == 4


def test_fleet_whose_shard_cannot_begin_has_not_lost_one(fleet_file: FleetFile):
    it = Playing(scaled(fleet_file, least=2), ToldCloud(dict.fromkeys(NAMES, 0.05)))
    it.play(31.0)
    broken = next(iter(it.cloud.actors.values()))
    broken.refuses["begin"] = "there is no model"
    it.play(LONG_S)
    assert it.counts == [6, 6]
    assert not any("lost" in words for words in it.seen)


def test_fleet_with_heavy_cameras_on_one_shard_spreads_them_by_what_they_want(fleet_file: FleetFile):
    it = playing(scaled(fleet_file, least=2), 0.05)
    heavy = sorted(name for name, shard in it.it.moves.where.items() if shard == min(it.it.moves.where.values()))
    for name in heavy[:4]:
        it.cloud.weighs[name] = 0.25
    it.play(LONG_S)
    loads = [shard.load.demand for shard in it.cloud.actors.values()]
    assert len(loads) == 2
    assert max(loads) < 0.9
    assert any("spread anew" in words for words in it.seen)


def test_fleet_that_gives_empty_shards_back_moves_no_camera(fleet_file: FleetFile):
    it = playing(scaled(fleet_file), 0.15)
    full = it.it.shards[0].name
    few = [camera_id for camera_id, shard in it.it.moves.where.items() if shard == full]
    it.weigh(0.02)
    it.it.apply(scaled(fleet_file, few))
    seen: set[str] = set()
    it.play(2 * LONG_S, lambda: seen.update(it.it.moves.where.values()))
    assert it.counts == [4]
    assert seen == {full}


def test_fleet_whose_shards_jump_for_seconds_gives_back_all_the_same(fleet_file: FleetFile):
    it = playing(scaled(fleet_file, short_s=60), 0.15)
    assert it.counts == [4, 4, 4]

    def jump() -> None:
        it.weigh(0.3 if it.now_s % 20 < 3 else 0.02)

    it.play(2 * LONG_S, jump)
    assert it.counts == [12]


def test_cameras_that_move_are_not_spread_again_before_they_have_arrived(fleet_file: FleetFile):
    it = playing(scaled(fleet_file, short_s=2, ask_again_s=2, least=2, target=0.85), 0.05)
    for shard in it.cloud.actors.values():
        shard.blind = True
    light = sorted(it.it.moves.where)[0]
    for name in it.it.moves.where:
        it.cloud.weighs[name] = 0.16 if it.it.moves.where[name] == it.it.moves.where[light] else 0.01
    spread: list[int] = []

    def look() -> None:
        if it.it.moves.on_the_way:
            spread.append(it.it.scaling.spreads)

    it.play(12.0, look)
    assert len(spread) > 20
    assert len(set(spread)) == 1


def test_fleet_never_has_more_shards_than_it_may(fleet_file: FleetFile):
    it = playing(scaled(fleet_file, most=2), 1.0)
    assert it.counts == [6, 6]
    assert max(count for _, count in it.cloud.requests) == 2


def test_fleet_of_cameras_that_would_have_no_place_asks_for_shards_at_once(fleet_file: FleetFile):
    fleet = fleet_of(fleet_file, cameras=4, most=4, autoscale={"most": 8, **SOON})
    it = playing(fleet, 0.01)
    assert sorted(it.counts) == [4, 4, 4]
    more = [*NAMES, "new"]
    it.cloud.weighs["new"] = 0.01
    it.it.apply(fleet_of(fleet_file, more, cameras=4, most=4, autoscale={"most": 8, **SOON}))
    it.play(LONG_S)
    assert it.it.moves.homeless == {}
    assert len(it.counts) == 4
    assert "4 shards are the least there are to be: 3 there" in it.seen[-1]


def test_front_that_comes_after_another_takes_up_the_shards_and_moves_nothing(fleet_file: FleetFile):
    fleet = scaled(fleet_file)
    it = playing(fleet, 0.15)
    where = dict(it.it.moves.where)
    again = Playing(fleet, it.cloud)
    again.now_s = it.now_s
    again.play(LONG_S)
    assert again.it.moves.where == where
    assert it.cloud.wanted == 3


def test_fleet_that_is_not_scaled_any_more_has_a_shard_on_each_machine(fleet_file: FleetFile):
    it = playing(scaled(fleet_file), 0.05)
    it.cloud.alive["other"] = Machine("other", "10.0.0.9", {"CPU": 4.0})
    it.play(20.0)
    assert len(it.counts) == 1
    it.it.apply(fleet_of(fleet_file))
    it.play(20.0)
    assert len(it.counts) == 2
    assert it.cloud.wanted == 0
    assert it.it.scaling.words == ""


def test_fleet_that_ends_wants_nothing_of_the_cluster(fleet_file: FleetFile):
    it = playing(scaled(fleet_file), 0.05)
    it.it.end(lambda seconds: None)
    assert it.cloud.wanted == 0


def test_fleet_that_is_not_scaled_asks_for_nothing(fleet_file: FleetFile):
    cluster = ToldCluster("a", "b")
    it = Conductor(fleet_of(fleet_file), cluster, ShardKeys(b"secret", b"proxy"), b"k" * 32)
    for turn in range(40):
        it.tick(turn * TICK_S)
    it.end(lambda seconds: None)
    assert cluster.requests == []


def waiting_on(cluster: ToldCluster, fleet: Fleet, taken: str, seconds: float) -> Conductor:
    """A fleet one of whose machines others have taken: its shard answers nothing."""
    it = Conductor(fleet, cluster, ShardKeys(b"secret", b"proxy"), b"k" * 32)
    for turn in range(round(seconds / TICK_S)):
        it.tick(turn * TICK_S)
        cluster.on[taken].slow.update({"begin", "ping"})
    return it


def test_machine_whose_share_others_have_taken_keeps_no_cameras(fleet_file: FleetFile):
    cluster = ToldCluster("a", "b")
    it = waiting_on(cluster, fleet_of(fleet_file), "b", WAITS_S + 5)
    assert set(cluster.on["a"].cameras) == set(NAMES)
    assert it.moves.homeless == {}
    for turn in range(200):
        cluster.on["b"].slow.clear()
        it.tick(WAITS_S + 5 + turn * TICK_S)
    assert [shard.condition for shard in it.shards] == ["serving", "serving"]


def test_shard_that_is_not_warm_yet_gets_no_camera_of_a_machine_that_dies(fleet_file: FleetFile):
    cluster = ToldCluster("a", "b")
    it = Conductor(fleet_of(fleet_file), cluster, ShardKeys(b"secret", b"proxy"), b"k" * 32)
    for turn in range(40):
        it.tick(turn * TICK_S)
    cluster.alive["c"] = Machine("c", "10.0.0.9", {"CPU": 400.0})
    it.tick(11.0)
    cluster.on["c"].slow.add("begin")
    it.tick(12.0)
    cluster.lose("a")
    for turn in range(40):
        it.tick(13.0 + turn * TICK_S)
    assert set(cluster.on["b"].cameras) == set(NAMES)


@pytest.mark.parametrize(
    ("resources", "shards"),
    [
        pytest.param({"CPU": 8.0, "GPU": 4.0}, 4, id="as many as GPUs"),
        pytest.param({"CPU": 4.0, "GPU": 4.0}, 2, id="no more than it has cores for"),
        pytest.param({"CPU": 64.0, "GPU": 8.0}, 4, id="no more than the fleet file says"),
        pytest.param({"CPU": 64.0}, 0, id="none without a GPU"),
    ],
)
def test_machine_has_as_many_shards_as_it_has_room_for(fleet_file: FleetFile, resources: dict[str, float], shards: int):
    cluster = ToldCluster("a", **resources)
    fleet = fleet_of(fleet_file, cpus=2, gpus=1, per_machine=4)
    it = Conductor(fleet, cluster, ShardKeys(b"secret", b"proxy"), b"k" * 32)
    for turn in range(40):
        it.tick(turn * TICK_S)
    assert len(it.shards) == shards
    assert [len(shard.cameras) for shard in it.shards] == ([len(NAMES) // shards] * shards if shards else [])


def test_machine_with_several_shards_is_drained_of_all(fleet_file: FleetFile):
    cluster = ToldCluster("a", "b")
    it = Conductor(fleet_of(fleet_file, cpus=2, per_machine=2), cluster, ShardKeys(b"s", b"p"), b"k" * 32)
    for turn in range(40):
        it.tick(turn * TICK_S)
    assert len(it.shards) == 4
    it.drain("a")
    for turn in range(80):
        it.tick(10.0 + turn * TICK_S)
    assert [shard.machine for shard in it.shards] == ["b 10.0.0.2"] * 2
    assert sum(len(shard.cameras) for shard in it.shards) == len(NAMES)


def test_policy_is_what_the_fleet_file_says(fleet_file: FleetFile):
    policy = policy_of(scaled(fleet_file, least=2, spare=1, target=0.6, idle=0.3))
    assert policy is not None
    assert (policy.least, policy.most, policy.spare, policy.target, policy.idle) == (2, 8, 1, 0.6, 0.3)
    assert (policy.short_s, policy.idle_s) == (20, 60)
    assert policy_of(fleet_of(fleet_file)) is None
