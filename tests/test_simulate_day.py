"""A fleet's day in simulated time: nodes follow the load, a part is lost, cameras come back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.scale.simulate.account import day_of
from pipeline.scale.simulate.crew import Crew
from pipeline.scale.simulate.day import FleetDay, Moment, asked
from pipeline.scale.simulate.figures import Day
from pipeline.scale.simulate.scenario import Domains, Node, Scenario
from tests.simulated import FULL, costs, scenario, table

NOON_S = 12 * 3600.0
CALM = {"what": "nothing"}


def day(what: Scenario, cameras: int = 200) -> tuple[FleetDay, list[Moment]]:
    fleet = FleetDay(what, costs(placing_us=10.0), table(), cameras)
    return fleet, fleet.run()


def summed(what: Scenario, cameras: int = 200) -> Day:
    fleet, moments = day(what, cameras)
    return day_of(what, costs(), [fleet], [moments])


def at(moments: Sequence[Moment], at_s: float) -> Moment:
    return next(one for one in moments if one.at_s <= at_s < one.until_s)


def test_day_nodes_follow_the_load_up_and_down() -> None:
    what = scenario(day=[[0, 0.3], [8, 0.3], [10, 1.0], [14, 1.0], [16, 0.3]], loss=CALM)
    _, moments = day(what)
    per_node = what.scaling.target * FULL
    night, noon, evening = at(moments, 6 * 3600), at(moments, NOON_S), at(moments, 23 * 3600)
    assert night.ready == -(-0.3 * 200 // per_node)
    assert noon.ready >= 200 / (0.9 * FULL)
    assert evening.ready <= night.ready + 2
    assert all(one.dark == 0 for one in moments)


def test_day_without_scaling_has_as_many_nodes_all_day() -> None:
    _, moments = day(scenario(scaling={"on": False}, loss=CALM))
    assert {one.nodes for one in moments} == {-(-200 // (0.7 * FULL))}


def test_day_with_scaling_costs_less_than_without() -> None:
    found = summed(scenario(loss=CALM), 2000)
    assert found.cost < 0.85 * found.cost_fixed
    assert found.short_share < 0.05
    assert found.damage is None


def test_day_rack_lost_is_noticed_placed_and_opened_one_camera_after_the_other() -> None:
    what = scenario(
        day=[[0, 1.0]],
        domains={"zones": 2, "rack_nodes": 5, "notice_s": 4},
        camera={"opening_s": 2.0},
        node={"opens_hz": 2.0},
    )
    fleet, moments = day(what)
    assert fleet.lost is not None
    struck = fleet.lost.cameras
    back_s = np.sort(fleet.back_s[struck]) - NOON_S
    # 15 nodes: 8 and 7 in two zones, so racks of 5, 3, 5 and 2; ten nodes take over those of five.
    assert fleet.lost.nodes == 5
    assert 60 <= len(struck) <= 70
    assert back_s[0] == pytest.approx(4 + 0.002 + 2)
    assert back_s[-1] == pytest.approx(4 + 0.002 + 2 + (len(struck) // 10 - 1 + bool(len(struck) % 10)) / 2, abs=0.6)
    assert at(moments, NOON_S + 1).dark == len(struck)
    assert at(moments, NOON_S + 30).dark == 0


def test_day_lost_nodes_are_replaced_elsewhere() -> None:
    _, moments = day(scenario(day=[[0, 1.0]], domains={"zones": 2, "rack_nodes": 5}))
    before, after = at(moments, NOON_S - 60), at(moments, NOON_S + 1800)
    assert at(moments, NOON_S + 60).ready == before.ready - 5
    assert after.ready == before.ready


@pytest.mark.parametrize(
    ("what", "nodes"),
    [pytest.param("node", 1, id="a node"), pytest.param("rack", 5, id="a rack"), pytest.param("zone", 8, id="a zone")],
)
def test_day_loss_takes_what_stands_together(what: str, nodes: int) -> None:
    found = summed(scenario(day=[[0, 1.0]], loss={"what": what}, domains={"zones": 2, "rack_nodes": 5})).damage
    assert found is not None
    assert (found.what, found.nodes) == (what, nodes)
    assert found.back_s is not None
    assert found.calm_s is not None


def test_day_others_have_fewer_detections_until_new_nodes_come() -> None:
    what = scenario(day=[[0, 1.0]], domains={"zones": 2, "rack_nodes": 10}, node={"boot_s": 200, "warm_s": 50})
    found = summed(what).damage
    assert found is not None
    # 200 cameras on 7 nodes, each full with 20: 140 of 200.
    assert found.detected == pytest.approx(0.7, abs=0.01)
    assert found.calm_s is not None and 250 <= found.calm_s < 400


def test_day_spare_nodes_take_over_what_is_lost() -> None:
    body: dict[str, Any] = {"day": [[0, 1.0]], "domains": {"zones": 2, "rack_nodes": 10}}
    without, spare = summed(scenario(**body)).damage, summed(scenario(**body, scaling={"spare_share": 0.5})).damage
    assert without is not None and spare is not None
    assert spare.detected > without.detected


def test_day_is_the_same_every_time() -> None:
    what = scenario(camera={"unequal": 0.4, "apart_h": 1.0}, seed=7)
    assert summed(what) == summed(what)
    assert summed(what) != summed(what.model_copy(update={"seed": 8}))


def test_day_of_cells_adds_up() -> None:
    what = scenario(loss=CALM)
    fleets = [FleetDay(what, costs(), table(), 100, seed=number) for number in range(2)]
    found = day_of(what, costs(), fleets, [fleet.run() for fleet in fleets])
    alone = summed(what, 100)
    assert (found.cameras, found.cells) == (200, 2)
    assert found.nodes_most == 2 * alone.nodes_most
    assert found.cost == pytest.approx(2 * alone.cost, rel=1e-3)


@given(st.floats(-48, 48))
def test_asked_goes_round_the_clock(hour: float) -> None:
    what = scenario(day=[[6, 0.2], [18, 1.0]])
    assert float(asked(what, hour)) == pytest.approx(float(asked(what, hour + 24)), abs=1e-6)
    assert 0.2 <= float(asked(what, hour)) <= 1.0


@settings(max_examples=15)
@given(
    shares=st.lists(st.floats(0.05, 1.0), min_size=1, max_size=6),
    what=st.sampled_from(["nothing", "node", "rack", "zone"]),
    cameras=st.integers(1, 120),
    rack=st.integers(1, 6),
)
def test_day_any_load_and_loss_has_every_camera_back_and_nobody_on_a_dead_node(
    shares: list[float], what: str, cameras: int, rack: int
) -> None:
    points = [[24 * number / len(shares), share] for number, share in enumerate(shares)]
    fleet, moments = day(scenario(day=points, loss={"what": what}, domains={"zones": 3, "rack_nodes": rack}), cameras)
    assert moments[-1].dark == 0
    assert set(fleet.owner.tolist()) <= set(fleet.crew.machines)
    assert all(one.ready <= one.nodes for one in moments)


def test_crew_fills_zones_evenly_and_racks_one_after_the_other() -> None:
    crew = Crew(Node(), Domains(zones=3, rack_nodes=2))
    crew.begin(9)
    assert [one.slot for one in crew.machines.values()] == list(range(9))
    assert crew.lose("rack", 0.0, 3600.0) == [0, 3]
    crew.ask(2, 10.0)
    assert [one.slot for one in list(crew.machines.values())[-2:]] == [9, 10]


def test_crew_uses_a_slot_again_when_what_was_lost_is_back() -> None:
    crew = Crew(Node(), Domains(zones=2, rack_nodes=2))
    crew.begin(4)
    dead = crew.lose("zone", 0.0, 100.0)
    assert dead == [0, 2]
    assert crew.bury(4.9) == []
    assert crew.bury(5.0) == dead
    crew.ask(1, 50.0)
    crew.ask(1, 100.0)
    assert [one.slot for one in crew.machines.values()] == [1, 3, 5, 0]
