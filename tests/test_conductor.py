"""Shards that follow what is wanted of them, in a cluster that only pretends; the time is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.config import load_fleet
from pipeline.config.values import Fleet
from pipeline.errors import ControlError
from pipeline.scale.conductor import RETRY_S, Conductor
from pipeline.scale.moves import HEARD_S
from pipeline.scale.shard import ShardKeys
from tests.clusters import ToldCluster

FleetFile = Callable[..., Path]
NAMES = [f"cam{number}" for number in range(6)]


def fleet_of(fleet_file: FleetFile, names: list[str], **sections: object) -> Fleet:
    return load_fleet(fleet_file({name: f"rtsp://{name}.example/1" for name in names}, **sections))


@pytest.fixture
def fleet(fleet_file: FleetFile) -> Fleet:
    return fleet_of(fleet_file, NAMES)


class Playing:
    """A conductor and its clock."""

    def __init__(self, fleet: Fleet, cluster: ToldCluster) -> None:
        self.cluster, self.now_s = cluster, 0.0
        self.it = Conductor(fleet, cluster, ShardKeys(b"secret", b"proxy"), b"k" * 32)

    def play(self, seconds: float = 5.0) -> None:
        for _ in range(round(seconds / 0.25)):
            self.it.tick(self.now_s)
            self.now_s += 0.25

    def cameras(self) -> dict[str, set[str]]:
        """What each machine's shard serves."""
        return {name: set(self.cluster.on[name].cameras) for name in self.cluster.alive}


def playing(fleet: Fleet, *machines: str, **resources: float) -> Playing:
    it = Playing(fleet, ToldCluster(*machines, **resources))
    it.play()
    return it


def test_conductor_of_a_new_fleet_gives_each_machine_a_shard_and_its_cameras(fleet: Fleet):
    it = playing(fleet, "a", "b", "c")
    assert sorted(map(len, it.cameras().values())) == [2, 2, 2]
    assert set.union(*it.cameras().values()) == set(NAMES)
    assert it.it.settled
    assert len(it.it.feeds) == 3


def test_conductor_after_a_machine_died_gives_its_cameras_to_others_and_touches_no_other(fleet: Fleet):
    it = playing(fleet, "a", "b", "c")
    before = it.cameras()
    it.cluster.lose("c")
    it.play(1.0)
    after = it.cameras()
    assert before["a"] < after["a"]
    assert before["b"] < after["b"]
    assert after["a"] | after["b"] == set(NAMES)
    assert [feed.shard for feed in it.it.feeds] == [it.cluster.on[name].name for name in "ab"]


def test_conductor_of_a_shard_that_died_alone_begins_another_on_its_machine(fleet: Fleet):
    it = playing(fleet, "a", "b")
    first = it.cluster.on["a"]
    first.gone = True
    it.play()
    assert it.cluster.on["a"] is not first
    assert it.it.settled
    assert set.union(*it.cameras().values()) == set(NAMES)


def test_conductor_of_a_machine_that_does_not_answer_moves_nothing(fleet: Fleet):
    it = playing(fleet, "a", "b")
    before = it.cameras()
    it.cluster.on["a"].away = True
    it.play(20.0)
    it.cluster.on["a"].away = False
    it.play()
    assert it.cameras() == before
    assert it.it.settled


def test_conductor_of_a_machine_that_drains_empties_it_before_its_shard_ends(fleet: Fleet):
    it = playing(fleet, "a", "b")
    old = it.cluster.on["a"]
    it.cluster.alive["a"] = replace(it.cluster.alive["a"], drains=True)
    it.play(1.0)
    assert set(it.cluster.on["b"].cameras) == set(NAMES)
    assert old.cameras  # and keeps them, until the other sees them
    it.play(HEARD_S + 3.0)
    assert old.cameras == frozenset()
    assert old.ended
    assert it.it.settled


def test_conductor_told_to_drain_finds_the_machine_by_its_address(fleet: Fleet):
    it = playing(fleet, "a", "b")
    assert it.it.drain("10.0.0.1") == "a"
    it.play(10.0)
    assert it.cluster.on["a"].ended
    assert set(it.cluster.on["b"].cameras) == set(NAMES)


def test_conductor_told_to_drain_what_is_not_there_says_what_is(fleet: Fleet):
    it = playing(fleet, "a", "b")
    with pytest.raises(ControlError, match=r"no machine is called “c”; there are a \(10.0.0.1\), b \(10.0.0.2\)"):
        it.it.drain("c")


def test_conductor_told_to_drain_what_several_machines_are_called_says_so(fleet: Fleet):
    it = playing(fleet, "ab", "ac")
    with pytest.raises(ControlError, match="2 machines are called “a”"):
        it.it.drain("a")


def test_conductor_of_a_changed_fleet_moves_only_what_must(fleet: Fleet, fleet_file: FleetFile):
    it = playing(fleet, "a", "b")
    before = it.cameras()
    it.it.apply(fleet_of(fleet_file, [*NAMES[:5], "new"]))
    it.play()
    after = it.cameras()
    assert it.it.settled
    assert {name for cameras in after.values() for name in cameras} == {*NAMES[:5], "new"}
    for name in "ab":
        assert before[name] - {NAMES[5]} <= after[name]


def test_conductor_of_a_machine_that_joins_warms_a_shard_and_moves_nothing(fleet: Fleet):
    it = playing(fleet, "a", "b")
    before = it.cameras()
    it.cluster.alive["c"] = replace(it.cluster.alive["a"], node_id="c")
    it.play()
    assert it.cameras() == {**before, "c": set()}


def test_conductor_beyond_capacity_says_who_has_no_place(fleet_file: FleetFile):
    it = playing(fleet_of(fleet_file, NAMES, scale={"cameras": 2, "most": 2}), "a", "b")
    assert it.it.moves.homeless == dict.fromkeys(NAMES[4:], "no machine has room for it")


def test_conductor_believes_a_machine_that_says_how_many_cameras_it_carries(fleet_file: FleetFile):
    it = playing(fleet_of(fleet_file, NAMES, scale={"cameras": 1, "most": 1}), "a", cameras=6)
    assert len(it.cameras()["a"]) == 6


def test_conductor_of_cameras_with_needs_puts_them_where_those_are(fleet_file: FleetFile):
    urls = {name: {"url": "rtsp://cam/1", "needs": ["site-north"]} for name in NAMES}
    it = Playing(load_fleet(fleet_file(urls)), ToldCluster("a", "b"))
    it.cluster.alive["b"] = replace(it.cluster.alive["b"], resources={"CPU": 1.0, "site-north": 1.0})
    it.play()
    assert it.cameras() == {"a": set(), "b": set(NAMES)}


def test_conductor_of_a_shard_that_cannot_begin_tries_later_and_elsewhere(fleet: Fleet):
    it = Playing(fleet, ToldCluster("a", "b"))
    it.it.tick(0.0)
    broken = it.cluster.on["a"]
    broken.refuses["begin"] = "there is no model"
    it.play()
    assert set(it.cluster.on["b"].cameras) == set(NAMES)
    assert it.cluster.on["a"] is broken
    it.play(RETRY_S)
    assert it.cluster.on["a"] is not broken


def test_conductor_of_a_shard_that_begins_slowly_says_meanwhile_that_it_is_wanted(fleet: Fleet):
    it = Playing(fleet, ToldCluster("a"))
    it.it.tick(0.0)
    slow = it.cluster.on["a"]
    slow.slow.add("begin")
    it.play(100.0)
    assert slow.calls.count("ping") > 90
    slow.slow.clear()
    it.play()
    assert slow.cameras == set(NAMES)


def test_conductor_of_a_shard_that_serves_no_more_gives_its_cameras_to_others(fleet: Fleet):
    it = playing(fleet, "a", "b")
    it.cluster.on["a"].refuses["serving"] = "the worker died again and again"
    it.play(3.0)
    assert set(it.cluster.on["b"].cameras) == set(NAMES)


def test_conductor_of_machines_that_are_all_too_small_says_why(fleet_file: FleetFile):
    it = playing(fleet_of(fleet_file, NAMES, scale={"cpus": 8}), "a")
    assert "it has 4 CPU, and a shard takes 8" in it.it.hopeless


def test_conductor_of_a_shard_that_cannot_follow_says_so_and_asks_no_more(fleet: Fleet, fleet_file: FleetFile):
    it = playing(fleet, "a", "b")
    it.cluster.on["a"].refuses["apply"] = "there is no such model"
    it.it.apply(fleet_of(fleet_file, NAMES, slo={"p95_ms": 80}))
    it.play()
    assert list(it.it.refusals.values()) == ["there is no such model"]
    assert it.cluster.on["a"].calls.count("apply") == 2
    assert it.cluster.on["b"].version == it.it.version


def test_conductor_told_late_that_a_version_is_refused_has_the_next_followed(fleet: Fleet, fleet_file: FleetFile):
    it = playing(fleet, "a")
    shard = it.cluster.on["a"]
    shard.cannot = lambda asked: asked.slo.p95_ms == 80
    shard.slow.add("apply")
    it.it.apply(fleet_of(fleet_file, NAMES, slo={"p95_ms": 80}))
    it.play(1.0)
    it.it.apply(fleet_of(fleet_file, NAMES, slo={"p95_ms": 90}))
    shard.slow.clear()
    it.play()
    assert it.it.refusals == {}
    assert it.it.settled
    assert shard.version == it.it.version


def test_conductor_of_a_shard_that_cannot_follow_still_gives_it_the_cameras_of_a_dead_machine(
    fleet: Fleet, fleet_file: FleetFile
):
    it = playing(fleet, "a", "b")
    shard = it.cluster.on["a"]
    shard.cannot = lambda asked: asked.slo.p95_ms == 80
    it.it.apply(fleet_of(fleet_file, [*NAMES, "new"], slo={"p95_ms": 80}))
    it.play()
    it.cluster.lose("b")
    it.play()
    assert shard.cameras == {*NAMES, "new"}
    assert shard.fleet is not None
    assert shard.fleet.slo == fleet.slo
    assert list(it.it.refusals.values()) == ["this it cannot"]
    asked = shard.calls.count("apply")
    it.play()
    assert shard.calls.count("apply") == asked


def test_conductor_of_a_shard_that_cannot_follow_still_drains_it(fleet: Fleet, fleet_file: FleetFile):
    it = playing(fleet, "a", "b")
    shard = it.cluster.on["a"]
    shard.cannot = lambda asked: asked.slo.p95_ms == 80
    it.it.apply(fleet_of(fleet_file, NAMES, slo={"p95_ms": 80}))
    it.play()
    it.it.drain("a")
    it.play(HEARD_S + 5.0)
    assert shard.ended
    assert it.cameras()["b"] == set(NAMES)
    assert it.it.settled


def test_conductor_that_comes_after_another_takes_up_its_shards_as_they_are(fleet: Fleet):
    it = playing(fleet, "a", "b")
    before, shards = it.cameras(), dict(it.cluster.on)
    again = Playing(fleet, it.cluster)
    again.play()
    assert again.it.settled
    assert again.cameras() == before
    assert it.cluster.on == shards
    assert again.it.version == it.it.version + 1


def test_conductor_that_comes_after_another_takes_up_shards_that_had_not_begun(fleet: Fleet):
    it = Playing(fleet, ToldCluster("a", "b"))
    it.it.tick(0.0)
    shards = dict(it.cluster.on)
    again = Playing(fleet, it.cluster)
    again.play()
    assert again.it.settled
    assert it.cluster.on == shards


def test_conductor_that_comes_after_another_gives_away_what_was_lost_meanwhile(fleet: Fleet):
    it = playing(fleet, "a", "b")
    it.cluster.lose("b")
    again = Playing(fleet, it.cluster)
    again.play()
    assert again.cameras() == {"a": set(NAMES)}


def test_conductor_that_comes_during_a_drain_leaves_cameras_with_the_old_shard_until_the_new_one_sees_them(
    fleet: Fleet,
):
    it = playing(fleet, "a", "b")
    old, new = it.cluster.on["a"], it.cluster.on["b"]
    before, new.blind = old.cameras, True
    it.it.drain("a")
    it.it.tick(it.now_s)
    again = Playing(fleet, it.cluster)
    again.play(HEARD_S + 3.0)
    assert old.cameras == before
    assert new.cameras == set(NAMES)
    new.blind = False
    again.play(HEARD_S + 3.0)
    assert old.ended
    assert again.it.settled
    assert again.cameras()["b"] == set(NAMES)


def test_conductor_that_comes_after_a_new_shard_died_on_the_way_leaves_cameras_where_they_still_are(fleet: Fleet):
    it = playing(fleet, "a", "b", "c")
    old, before = it.cluster.on["a"], it.cluster.on["a"].cameras
    it.it.drain("a")
    it.it.tick(it.now_s)
    it.cluster.lose("b")
    again = Playing(fleet, it.cluster)
    again.it.tick(0.0)
    assert again.it.moves.wanted(old.name) == before


def test_conductor_that_ends_leaves_no_shard_and_nothing_in_the_store(fleet: Fleet):
    it = playing(fleet, "a", "b")
    it.it.end(lambda seconds: None)
    assert all(shard.ended and shard.gone for shard in it.cluster.actors.values())
    assert it.cluster.kept == {}


def test_conductor_keeps_a_camera_paused_when_it_moves_and_never_opens_it_where_it_comes_to_be(fleet: Fleet):
    it = playing(fleet, "a", "b")
    paused = sorted(it.cluster.on["a"].cameras)[0]
    it.it.pause(paused)
    assert not it.it.rests(paused)
    it.play(1.0)
    assert it.it.rests(paused)
    it.it.drain("a")
    it.play(HEARD_S + 5.0)
    new = it.cluster.on["b"]
    assert new.cameras == set(NAMES)
    assert new.rested_before[paused]
    assert it.cluster.on["a"].ended
    it.it.pause(paused, paused=False)
    it.play(1.0)
    assert new.rests == frozenset()


def test_conductor_tells_a_shard_that_joins_which_cameras_are_paused_before_it_has_any(fleet: Fleet):
    it = playing(fleet, "a")
    it.it.pause("cam3")
    it.play(1.0)
    it.cluster.alive["b"] = replace(it.cluster.alive["a"], node_id="b")
    it.play()
    it.cluster.lose("a")
    it.play()
    assert it.cluster.on["b"].rested_before == {name: name == "cam3" for name in NAMES}


def test_conductor_of_a_changed_fleet_keeps_cameras_paused_and_forgets_those_that_left(
    fleet: Fleet, fleet_file: FleetFile
):
    it = playing(fleet, "a")
    it.it.pause("cam0")
    it.it.pause("cam5")
    it.it.apply(fleet_of(fleet_file, NAMES[:5]))
    it.play()
    assert it.it.paused == {"cam0"}
    assert it.cluster.on["a"].rests == {"cam0"}


def test_conductor_that_comes_after_another_keeps_cameras_paused(fleet: Fleet):
    it = playing(fleet, "a")
    it.it.pause("cam0")
    it.play(1.0)
    again = Playing(fleet, it.cluster)
    assert again.it.paused == {"cam0"}
    again.play(1.0)
    assert again.it.rests("cam0")


def test_conductor_of_a_shard_that_cannot_pause_says_so_and_goes_on(fleet: Fleet):
    it = playing(fleet, "a", "b")
    shard = it.cluster.on["a"]
    shard.refuses["rest"] = "it serves nothing"
    it.it.pause("cam0")
    it.play()
    asked = shard.calls.count("rest")
    it.play()
    assert shard.calls.count("rest") == asked
    assert it.it.settled
