"""The mark of a fleet's front: who holds it, who may follow, and what becomes of it when nobody does."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from pipeline.errors import ClusterError
from pipeline.scale import mark as marks
from pipeline.scale.claim import CLAIM_S, RENEW_S, Claim
from pipeline.scale.mark import HELD_S, Mark
from pipeline.scale.shard import LEASE_S
from tests.clusters import ToldCluster
from tests.waiting import DEADLINE_S, wait_until


class Marked:
    """A mark whose clock is told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(marks, "_LOOK_S", 0.01)
        self.now_s = 0.0
        self.forgotten, self.left = threading.Event(), threading.Event()
        self.it = Mark(self.forgotten.set, self.left.set, now_s=lambda: self.now_s)


@pytest.fixture
def marked(monkeypatch: pytest.MonkeyPatch) -> Marked:
    it = Marked(monkeypatch)
    yield it
    it.it.end()


def test_mark_is_held_by_one_front_at_a_time(marked: Marked):
    assert not marked.it.held()
    assert marked.it.hold("a")
    assert not marked.it.hold("b")
    marked.now_s = HELD_S / 2
    assert marked.it.hold("a")
    marked.now_s = HELD_S
    assert not marked.it.hold("b")
    assert marked.it.held()


def test_mark_of_a_front_that_is_silent_is_given_to_the_next_and_not_back(marked: Marked):
    assert marked.it.hold("a")
    marked.now_s = HELD_S
    assert not marked.it.held()
    assert marked.it.hold("b")
    assert not marked.it.hold("a")


def test_mark_that_is_released_is_free_at_once(marked: Marked):
    assert marked.it.hold("a")
    marked.it.release("b", ended=False)
    assert marked.it.held()
    marked.it.release("a", ended=False)
    assert marked.it.hold("b")


def test_mark_that_nobody_holds_for_long_has_the_fleet_forgotten_and_ends(marked: Marked):
    assert marked.it.hold("a")
    marked.now_s = LEASE_S
    assert marked.left.wait(DEADLINE_S)
    assert marked.forgotten.is_set()


def test_mark_of_a_fleet_that_has_ended_ends_at_once(marked: Marked):
    assert marked.it.hold("a")
    marked.it.release("a", ended=True)
    assert marked.left.wait(DEADLINE_S)


def test_mark_ends_also_if_the_fleet_cannot_be_forgotten(monkeypatch: pytest.MonkeyPatch, within: Callable):
    monkeypatch.setattr(marks, "_LOOK_S", 0.01)
    monkeypatch.setattr(threading, "excepthook", lambda caught: None)
    left = threading.Event()

    def broken() -> None:
        raise OSError("the store does not answer")

    Mark(broken, left.set, lease_s=0.0)
    wait_until(within, left.is_set)


class Waits:
    """A clock that is told by waiting."""

    def __init__(self, cluster: ToldCluster) -> None:
        self._cluster = cluster
        self.waited_s = 0.0

    def __call__(self, seconds: float) -> None:
        self.waited_s += seconds
        self._cluster.mark().now_s += seconds


def test_second_front_is_refused_as_long_as_the_first_says_that_it_is_there():
    cluster = ToldCluster()
    first, second, waits = Claim(cluster, "town"), Claim(cluster, "town"), Waits(cluster)
    first.take(waits)

    def wait(seconds: float) -> None:
        waits(seconds)
        first.keep(waits.waited_s)

    with pytest.raises(ClusterError, match="the fleet “town” is run from elsewhere already"):
        second.take(wait)
    assert waits.waited_s == pytest.approx(CLAIM_S)


def test_second_front_follows_a_first_that_was_killed_and_the_first_ends_when_it_wakes():
    cluster = ToldCluster()
    first, second, waits = Claim(cluster, "town"), Claim(cluster, "town"), Waits(cluster)
    first.take(waits)
    second.take(waits)
    assert waits.waited_s == pytest.approx(HELD_S, abs=0.2)
    first.keep(RENEW_S)
    with pytest.raises(ClusterError, match="another has followed it"):
        first.keep(RENEW_S)


def test_front_that_was_ended_is_followed_at_once():
    cluster = ToldCluster()
    first, second, waits = Claim(cluster, "town"), Claim(cluster, "town"), Waits(cluster)
    first.take(waits)
    first.release(waits, ended=False)
    second.take(waits)
    assert waits.waited_s == 0.0


def test_front_whose_mark_is_lost_makes_another_and_says_so():
    cluster = ToldCluster()
    first, second, waits = Claim(cluster, "town"), Claim(cluster, "town"), Waits(cluster)
    first.take(waits)
    cluster.mark().kill()
    assert not first.keep(RENEW_S)
    assert first.keep(RENEW_S)
    assert not first.keep(2 * RENEW_S)
    assert cluster.marks == 2
    with pytest.raises(ClusterError):
        second.take(lambda seconds: None)


def test_front_whose_mark_cannot_be_reached_goes_on():
    cluster = ToldCluster()
    first = Claim(cluster, "town")
    first.take(Waits(cluster))
    cluster.mark().away = True
    for turn in range(1, 20):
        assert not first.keep(turn * RENEW_S)
