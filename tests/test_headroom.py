"""Autoscaling on headroom: the policy alone, and in a loop with shards whose load is known."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.scale.headroom import Decision, Headroom, Load, Phase, Policy, Shard

POLICY = Policy()
LOOK_S = 20.0
MOST_STRETCH = 4.0


def load(demand: float) -> Load:
    """A shard that would be so many times fully busy: its strides give way from there on."""
    stretch = min(MOST_STRETCH, max(1.0, demand))
    busy = min(1.0, demand)
    return Load(wanted_hz=100 * demand, detected_hz=100 * busy, busy=busy, stretch=stretch)


def shards(*demands: float, phase: Phase = "ready") -> dict[str, Shard]:
    return {f"shard-{number:02}": Shard(phase, load(demand)) for number, demand in enumerate(demands)}


def watched(
    policy: Policy, seen: dict[str, Shard], seconds: float, begin_s: float = 0.0
) -> list[tuple[float, Decision]]:
    """What is decided while all stays as it is; only what is more than waiting."""
    headroom, decided = Headroom(policy), []
    for turn in range(int(seconds / LOOK_S) + 1):
        now_s = turn * LOOK_S
        decided.append((now_s, headroom.update(seen, now_s)))
    return [(at_s, one) for at_s, one in decided[1:] if one.why]


class Fleet:
    """Shards that share a load evenly; new ones take their time to come and to warm up."""

    def __init__(self, policy: Policy, count: int, boot_s: float = 100.0, warm_s: float = 20.0) -> None:
        self.headroom = Headroom(policy)
        self.boot_s, self.warm_s = boot_s, warm_s
        self.born_s = {f"shard-{number:03}": -1e9 for number in range(count)}
        self.placed = sorted(self.born_s)
        self.now_s, self.asked, self.gave, self.number = 0.0, 0, 0, count

    def phase(self, name: str) -> Phase:
        age_s = self.now_s - self.born_s[name]
        return "coming" if age_s < self.boot_s else "warming" if age_s < self.boot_s + self.warm_s else "ready"

    def run(self, demand: float, seconds: float) -> None:
        """Let time go by with so much to do."""
        end_s = self.now_s + seconds
        while self.now_s < end_s:
            each = load(demand / len(self.placed))
            seen = {
                name: Shard(self.phase(name), each if name in self.placed else Load(0, 0, 0)) for name in self.born_s
            }
            self.follow(self.headroom.update(seen, self.now_s), seen)
            self.now_s += LOOK_S

    def follow(self, decision: Decision, seen: dict[str, Shard]) -> None:
        assert all(seen[name].phase == "ready" for name in decision.places)
        assert self.headroom.policy.least <= decision.wanted
        for name in decision.drain:
            del self.born_s[name]
        self.gave += len(decision.drain)
        for _ in range(decision.wanted - len(self.born_s)):
            self.born_s[f"shard-{self.number:03}"] = self.now_s
            self.number += 1
            self.asked += 1
        if list(decision.places) != self.placed:
            self.placed = list(decision.places)
            self.headroom.placed(self.now_s)


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        pytest.param(Load(100, 50, 0.5), 1.0, id="wanted divided by what it does when always busy"),
        pytest.param(Load(100, 100, 0.25), 0.25, id="a quarter busy with all that is wanted"),
        pytest.param(Load(300, 100, 1.0, 2.4), 3.0, id="strides offer a surplus, so that they tell less than lanes"),
        pytest.param(Load(100, 90, 0.3, 1.5), 1.5, id="strides say more where something else is short"),
        pytest.param(Load(100, 0, 1.0, 4.0), 4.0, id="a device that stands still"),
        pytest.param(Load(0, 0, 0.0), 0.0, id="no cameras"),
    ],
)
def test_load_tells_how_many_shards_it_would_fill(seen: Load, expected: float) -> None:
    assert seen.demand == pytest.approx(expected)


def test_headroom_short_for_long_enough_asks_for_as_many_as_it_takes() -> None:
    decided = watched(POLICY, shards(1.5, 1.5, 1.5, 1.5), 100)
    assert decided[0][0] == POLICY.short_s
    assert decided[0][1].wanted == math.ceil(6 / POLICY.target)


def test_headroom_short_with_a_break_asks_for_nothing() -> None:
    headroom = Headroom(POLICY)
    for turn in range(100):
        calm = turn % 3 == 2
        decision = headroom.update(shards(*[0.6 if calm else 1.5] * 4), turn * LOOK_S)
        assert decision.wanted == 4


def test_headroom_asks_once_while_shards_are_on_their_way() -> None:
    seen = shards(1.5, 1.5)
    headroom = Headroom(POLICY)
    wanted = {headroom.update(seen, turn * LOOK_S).wanted for turn in range(7)}
    seen |= {name: Shard("coming") for name in ("new-1", "new-2", "new-3")}
    later = [headroom.update(seen, 70 + turn * LOOK_S) for turn in range(100)]
    assert wanted == {2, 5}
    assert {one.wanted for one in later} == {5}
    assert all(one.places == ("shard-00", "shard-01") for one in later)


def test_headroom_idle_for_long_gives_back_the_least_busy_and_leaves_room() -> None:
    at_s, decision = watched(POLICY, shards(0.4, 0.1, 0.3, 0.2, 0.4, 0.4, 0.4, 0.4), 3600)[0]
    assert at_s >= POLICY.idle_s
    assert decision.drain == ("shard-01", "shard-03")
    assert decision.wanted == 6
    assert not set(decision.drain) & set(decision.places)


@pytest.mark.parametrize(
    ("demands", "phase"),
    [
        pytest.param((0.4, 0.4), "ready", id="one alone would be fuller than the target"),
        pytest.param((0.1,), "ready", id="the least there is to be"),
        pytest.param((0.5, 0.5, 0.5, 0.5), "ready", id="neither idle nor short"),
        pytest.param((0.1, 0.1, 0.1, 1.5), "ready", id="another is short"),
    ],
)
def test_headroom_gives_nothing_back(demands: tuple[float, ...], phase: Phase) -> None:
    assert not any(decision.drain for _, decision in watched(POLICY, shards(*demands, phase=phase), 3600))


def test_headroom_uneven_shards_are_spread_anew_instead_of_asking() -> None:
    decided = watched(POLICY, shards(1.5, 0.4, 0.4, 0.4), 100)
    assert decided[0][1].spread
    assert {decision.wanted for _, decision in decided} == {4}


def test_headroom_lost_shard_is_wanted_again_and_cameras_spread_at_once() -> None:
    headroom = Headroom(POLICY)
    seen = shards(0.6, 0.6, 0.6, 0.6)
    headroom.update(seen, 0.0)
    del seen["shard-02"]
    decision = headroom.update(seen, LOOK_S)
    assert (decision.wanted, decision.spread) == (4, True)
    assert decision.why == "1 shard lost: the others take over"
    assert not headroom.update(seen, 2 * LOOK_S).spread


def test_headroom_told_of_a_larger_least_asks_for_it_at_once() -> None:
    headroom = Headroom(Policy(least=2))
    headroom.update(shards(0.5, 0.5), 0.0)
    headroom.policy = Policy(least=5)
    decision = headroom.update(shards(0.5, 0.5), 1.0)
    assert (decision.wanted, decision.why) == (5, "5 shards are the least there are to be: 2 there")
    assert headroom.update(shards(0.5, 0.5), 2.0).why == ""


def test_headroom_keeps_spare_shards() -> None:
    fleet = Fleet(Policy(spare=2), 1)
    fleet.run(3.0, 7200)
    assert len(fleet.placed) == math.ceil(3.0 / POLICY.target) + 2


def test_headroom_follows_a_day_up_and_down() -> None:
    fleet = Fleet(POLICY, 3)
    fleet.run(2.0, 3600)
    assert len(fleet.placed) == 3
    fleet.run(9.0, 3600)
    assert len(fleet.placed) >= math.ceil(9.0 / POLICY.short_demand)
    fleet.run(2.0, 6 * 3600)
    assert len(fleet.placed) <= 5


@settings(max_examples=30)
@given(
    demand=st.floats(0.05, 40.0),
    count=st.integers(1, 60),
    boot_s=st.floats(0, 600),
    target=st.floats(0.5, 0.85),
)
def test_headroom_constant_load_comes_to_rest_without_anybody_short(
    demand: float, count: int, boot_s: float, target: float
) -> None:
    fleet = Fleet(Policy(target=target, idle=0.6 * target), count, boot_s)
    fleet.run(demand, 12 * 3600)
    asked, gave, there = fleet.asked, fleet.gave, len(fleet.placed)
    fleet.run(demand, 3 * 3600)
    assert (fleet.asked, fleet.gave) == (asked, gave)
    assert demand / there <= POLICY.short_demand
    assert not (asked and gave)


@settings(max_examples=30)
@given(st.lists(st.floats(0.0, 30.0), min_size=1, max_size=12), st.integers(1, 5), st.integers(20, 60))
def test_headroom_any_day_stays_within_its_bounds(demands: list[float], least: int, most: int) -> None:
    fleet = Fleet(Policy(least=least, most=most), least)
    for demand in demands:
        fleet.run(demand, 1200)
        assert least <= len(fleet.born_s) <= most
        assert fleet.headroom.update({}, fleet.now_s).wanted <= most
