"""Machines and what they cost: right-sizing between kinds and regions, and archives at the spot price."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import msgspec

from pipeline.capacity.arithmetic import FULL, size
from pipeline.capacity.figures import Cost
from pipeline.capacity.prices import Machine, Prices
from pipeline.capacity.task import Task

HOURS_A_MONTH = 730.0
ARCHIVE_SHARE = 1.0
"""Utilisation by archives: nothing is promised for them, so a machine may be as busy as it can."""


def costs(task: Task, prices: Prices, archive_hours: float = 0.0) -> list[Cost]:
    """What each kind of machine would cost in each region, the cheapest that fits marked.

    Args:
        task: What is to be carried; how many instances it takes is found for each kind.
        prices: What there is.
        archive_hours: Hours of recordings, of all cameras together, that are to be worked through besides, at the least
            stride and a camera's frame rate; on machines of their own, since these may be interrupted.
    """
    found = [
        cost for name, machine in prices.machines.items() for cost in _of(name, machine, task, prices, archive_hours)
    ]
    fitting = [cost for cost in found if not cost.problem]
    if not fitting:
        return found
    least = min(fitting, key=lambda cost: (cost.hour + cost.archive / HOURS_A_MONTH, cost.machines))
    return [msgspec.structs.replace(cost, cheapest=cost is least) for cost in found]


def _of(name: str, machine: Machine, task: Task, prices: Prices, archive_hours: float) -> Iterator[Cost]:
    asked = replace(task, service=machine.times or task.service, instances=None)
    sizing, _ = size(asked)
    machines = math.ceil(sizing.instances / machine.instances)
    carried_hz = machines * machine.instances * asked.service.carries_hz(sizing.batch)
    utilisation = sizing.offered_hz / carried_hz
    hours = _archive_hours(asked, machine, archive_hours)
    for region, (hour, spot) in prices.regions(machine).items():
        if not sizing.fits:
            yield Cost(machine=name, region=region, problem=sizing.problem)
            continue
        yield Cost(
            machine=name,
            region=region,
            machines=machines,
            utilisation=round(utilisation, 4),
            hour=round(machines * hour, 6),
            used=round(utilisation * machines * hour, 6),
            million=round(1e6 * machines * hour / (3600 * sizing.offered_hz), 4),
            month=round(HOURS_A_MONTH * machines * hour, 2),
            archive_hours=round(hours, 3),
            archive=round(hours * (hour if spot is None else spot), 4),
            archive_is_spot=bool(hours) and spot is not None,
        )


def _archive_hours(task: Task, machine: Machine, archive_hours: float) -> float:
    """Machine hours: frames of the recordings ÷ what a machine with full batches does in an hour."""
    if not archive_hours or not task.sources:
        return 0.0
    mean_hz = task.offered_hz(1) / len(task.sources)
    best_hz = max(task.service.carries_hz(batch) for batch in task.service.sizes) * machine.instances
    return archive_hours * mean_hz / (ARCHIVE_SHARE * best_hz)


def words(cost: Cost, currency: str) -> str:
    """One line of the sum, for people."""
    each = cost.hour / cost.machines
    return (
        f"{cost.machines} × {each:g} {currency}/h = {cost.hour:g}; {100 * cost.utilisation:.0f} % of it is work "
        f"({cost.used:.3g}), at most {100 * FULL:.0f} % is planned for"
    )
