"""A scenario simulated: the shard played, each size reckoned and its day gone through."""

from __future__ import annotations

import math
from collections.abc import Callable

from pipeline.scale.simulate.account import day_of
from pipeline.scale.simulate.day import DAY_S, FleetDay
from pipeline.scale.simulate.figures import Day, Played, Simulation, Size
from pipeline.scale.simulate.limits import Fleet, cell_size, uses, uses_in_cell, verdict
from pipeline.scale.simulate.measured import Measured
from pipeline.scale.simulate.scenario import Scenario
from pipeline.scale.simulate.table import ShardTable, play

Step = Callable[[str, float], Callable[[float], None]]
"""Begins a step with its words and length; what it gives tells how far the step is."""


def simulate(scenario: Scenario, costs: Measured, step: Step) -> Simulation:
    """Everything about a scenario; less than a minute for 100,000 cameras, and the same every time."""
    table = play(scenario, step("one shard frame by frame, through the worker's own core", 1.0))
    carries = table.carries(scenario.scaling.target)
    fleet = Fleet(scenario, costs, carries)
    cell = scenario.cell or cell_size(fleet)
    return Simulation(
        name=scenario.name,
        p95_ms=scenario.p95_ms,
        currency=scenario.currency,
        carries=round(carries, 2),
        cell=cell,
        played=_played(table),
        sizes=[_size(fleet, table, cameras, cell, step) for cameras in sorted(set(scenario.cameras))],
        measured_on=f"{costs.machine}, {costs.at}, by {costs.by}",
        measured=costs.words(),
    )


def _size(fleet: Fleet, table: ShardTable, cameras: int, cell: int, step: Step) -> Size:
    found = uses(fleet, cameras)
    return Size(
        cameras=cameras,
        uses=found,
        in_cells=uses_in_cell(fleet, cameras, cell),
        verdict=verdict(found, cameras),
        day=_day(fleet, table, cameras, step),
    )


def _day(fleet: Fleet, table: ShardTable, cameras: int, step: Step) -> Day:
    """The day of all cells; a node or a rack is lost in one of them, a zone in all."""
    scenario, costs = fleet.scenario, fleet.costs
    cells = math.ceil(cameras / scenario.cell) if scenario.cell else 1
    sizes = [cameras // cells + (number < cameras % cells) for number in range(cells)]
    turn = step(f"a day of {cameras:,} cameras", DAY_S * cells)
    fleets, moments = [], []
    for number, size in enumerate(sizes):
        struck = not number or scenario.loss.what == "zone"
        one = FleetDay(scenario, costs, table, size, seed=number, struck=struck)
        moments.append(one.run(_after(number * DAY_S, turn)))
        fleets.append(one)
    return day_of(scenario, costs, fleets, moments)


def _after(done: float, turn: Callable[[float], None]) -> Callable[[float], None]:
    return lambda at_s: turn(done + at_s)


def _played(table: ShardTable) -> list[Played]:
    rows = table.rows
    return [
        Played(
            cameras=int(table.cameras[index]),
            demand=round(float(table.demands[index]), 3),
            wanted_hz=float(rows.wanted_hz[index]),
            detected_hz=float(rows.detected_hz[index]),
            stride=float(rows.stride[index]),
            p95_ms=float(rows.p95_ms[index]),
        )
        for index in range(len(table.cameras))
    ]
