"""Another model on all shards or on none, in a cluster that only pretends; the time is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.config import load_fleet
from pipeline.config.values import Fleet
from pipeline.errors import ControlError
from pipeline.scale.swap import PREPARE_S, FleetSwap
from tests.test_conductor import NAMES, Playing, fleet_of, playing

NEW = {"backend": "stub", "options": {"a_ms": 9}}


@pytest.fixture
def new(fleet_file: Callable[..., Path]) -> Fleet:
    return fleet_of(fleet_file, NAMES, model=NEW)


@pytest.fixture
def it(fleet_file: Callable[..., Path]) -> Playing:
    return playing(load_fleet(fleet_file({name: f"rtsp://{name}.example/1" for name in NAMES})), "a", "b")


def test_fleet_swap_asks_every_shard_and_changes_nothing_before_all_have_the_model(it: Playing, new: Fleet):
    it.cluster.on["b"].slow.add("prepare")
    swap = FleetSwap(new, it.now_s)
    assert not swap.tend(it.it.held, it.now_s)
    it.play()
    assert not swap.tend(it.it.held, it.now_s)
    assert [one.prepared for one in it.cluster.on.values()] == [new.model, None]
    assert {one.version for one in it.cluster.on.values()} == {1}
    it.cluster.on["b"].slow.clear()
    assert swap.tend(it.it.held, it.now_s)
    it.it.apply(new)
    it.play()
    assert it.it.settled
    assert [one.fleet.model for one in it.cluster.on.values()] == [new.model] * 2


def test_fleet_swap_that_one_machine_cannot_make_is_made_by_none_and_says_which_and_why(it: Playing, new: Fleet):
    it.cluster.on["b"].refuses["prepare"] = "the model stays as it was: there is no such file"
    swap = FleetSwap(new, it.now_s)
    words = r"the model stays as it was on every machine: 10\.0\.0\.2 \(b\): there is no such file"
    with pytest.raises(ControlError, match=words):
        swap.tend(it.it.held, it.now_s)
    for shard in it.cluster.on.values():
        assert shard.calls[-1] == "unprepare"


def test_fleet_swap_does_not_wait_for_a_machine_that_dies(it: Playing, new: Fleet):
    it.cluster.on["b"].slow.add("prepare")
    swap = FleetSwap(new, it.now_s)
    assert not swap.tend(it.it.held, it.now_s)
    it.cluster.lose("b")
    it.play()
    assert swap.tend(it.it.held, it.now_s)


def test_fleet_swap_asks_a_machine_again_that_could_not_be_reached(it: Playing, new: Fleet):
    shard = it.cluster.on["b"]
    shard.away = True
    swap = FleetSwap(new, it.now_s)
    for _ in range(3):
        assert not swap.tend(it.it.held, it.now_s)
    shard.away = False
    swap.tend(it.it.held, it.now_s)
    assert swap.tend(it.it.held, it.now_s)
    assert shard.prepared == new.model


def test_fleet_swap_waits_for_a_shard_that_begins_with_the_model_before(it: Playing, new: Fleet):
    it.cluster.alive["c"] = it.cluster.alive["a"].__class__("c", "10.0.0.3", {"CPU": 4.0})
    it.it.tick(it.now_s)
    it.now_s += 1.0
    it.it.tick(it.now_s)
    late = it.cluster.on["c"]
    late.slow.add("begin")
    swap = FleetSwap(new, it.now_s)
    if it.it.held[late.name].ready is None:
        assert not swap.tend(it.it.held, it.now_s)
    late.slow.clear()
    it.play()
    swap.tend(it.it.held, it.now_s)
    assert swap.tend(it.it.held, it.now_s)
    assert late.prepared == new.model


def test_fleet_swap_of_which_a_machine_says_nothing_for_long_is_given_up_with_its_name(it: Playing, new: Fleet):
    it.cluster.on["a"].slow.add("prepare")
    swap = FleetSwap(new, it.now_s)
    assert not swap.tend(it.it.held, it.now_s + PREPARE_S - 1.0)
    with pytest.raises(ControlError, match=r"10\.0\.0\.1 \(a\) has not loaded it within 600 s"):
        swap.tend(it.it.held, it.now_s + PREPARE_S)
    assert [one.calls[-1] for one in it.cluster.on.values()] == ["unprepare", "unprepare"]
