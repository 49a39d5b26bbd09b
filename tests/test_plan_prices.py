"""Price tables: what they may say, what is said of mistakes, and what machines cost by them."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.capacity.cost import HOURS_A_MONTH, costs
from pipeline.capacity.prices import load_prices
from pipeline.capacity.service import parse_service
from pipeline.capacity.task import Task, cameras
from pipeline.errors import ConfigError
from pipeline.plan import StrideBounds

TABLE = """
currency: EUR
machines:
  small:
    hour: {frankfurt: 0.66, virginia: 0.53}
    spot: {frankfurt: 0.21}
    service: {b1: 18, b2: 20ms, 4: 24, b8: 0.032s}
  large:
    hour: 1.40
    service: {b1: 7, b8: 13}
    instances: 2
  tiny: {hour: 0.05, service: {b1: 400}}
"""


def write(folder: Path, text: str) -> Path:
    file = folder / "prices.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def task(count: int, most: int = 1) -> Task:
    return Task(cameras(count, 25, StrideBounds(1, most)), parse_service("b1=50"), 150.0)


def test_prices_by_region_or_everywhere_with_service_times_in_any_unit(tmp_path: Path):
    prices = load_prices(write(tmp_path, TABLE))
    small, large = prices.machines["small"], prices.machines["large"]
    assert small.times is not None and small.times.by_batch == ((1, 18), (2, 20), (4, 24), (8, 32))
    assert prices.regions(small) == {"frankfurt": (0.66, 0.21), "virginia": (0.53, None)}
    assert prices.regions(large) == {"anywhere": (1.40, None)}
    assert prices.currency == "EUR"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        pytest.param("[]", "a price table is a mapping with “machines”", id="a list"),
        pytest.param("machines: {}", "prices.yaml:1:1: machines: is empty", id="no machine"),
        pytest.param("machines: {a: {}}", ":1:12: machines.a.hour: is missing", id="no price"),
        pytest.param("machines: {a: {hour: -1}}", "machines.a.hour: found “-1”, expected a number", id="less"),
        pytest.param(
            "machines: {a: {hour: {x: dear}}}", "machines.a.hour.x: found “dear”, expected a number", id="word"
        ),
        pytest.param("machines: {a: {hour: 1, sopt: 1}}", "machines.a.sopt: is no key; did you mean “spot”?", id="key"),
        pytest.param("machines: {a: {hour: {x: 1}, spot: {y: 1}}}", "“y”, of which “hour” says no price", id="region"),
        pytest.param("machines: {a: {hour: 1, service: {b1: fast}}}", "expected a time such as 25ms", id="time"),
        pytest.param("machines: {a: {hour: 1, service: {bx: 5}}}", "expected the size of a batch", id="batch"),
        pytest.param("machines: {a: {hour: 1, service: {}}}", "names no batch", id="no times"),
        pytest.param("machines: {a: {hour: 1, instances: 0}}", "machines.a.instances: found “0”", id="instances"),
        pytest.param("machines: {'a b': {hour: 1}}", "a name is 1 to 63 letters", id="name"),
    ],
)
def test_prices_mistakes_are_told_with_their_line(tmp_path: Path, text: str, line: str):
    with pytest.raises(ConfigError) as caught:
        load_prices(write(tmp_path, text))
    assert line in str(caught.value)
    assert "prices.yaml" in str(caught.value)


def test_prices_file_that_is_not_there_is_told(tmp_path: Path):
    with pytest.raises(ConfigError, match="there is no such file"):
        load_prices(tmp_path / "none.yaml")


def test_costs_are_machines_times_price_and_the_cheapest_is_marked(tmp_path: Path):
    found = {(cost.machine, cost.region): cost for cost in costs(task(8), load_prices(write(tmp_path, TABLE)))}
    frankfurt = found["small", "frankfurt"]
    assert frankfurt.machines == 2, "200 a second; one carries 250 with batches of 8, 80 % of it busy"
    assert frankfurt.hour == pytest.approx(2 * 0.66)
    assert frankfurt.used == pytest.approx(frankfurt.utilisation * 2 * 0.66, rel=1e-3)
    assert frankfurt.month == pytest.approx(HOURS_A_MONTH * 2 * 0.66, abs=0.01)
    assert frankfurt.million == pytest.approx(1e6 * 2 * 0.66 / 3600 / 200, rel=1e-3)
    assert [key for key, cost in found.items() if cost.cheapest] == [("small", "virginia")]
    assert "400 ms old" in found["tiny", "anywhere"].problem


def test_costs_of_many_cameras_choose_the_larger_machine(tmp_path: Path):
    found = costs(task(40), load_prices(write(tmp_path, TABLE)))
    assert [cost.machine for cost in found if cost.cheapest] == ["large"]


def test_costs_archive_is_worked_through_at_the_spot_price(tmp_path: Path):
    found = {cost.region: cost for cost in costs(task(4), load_prices(write(tmp_path, TABLE)), archive_hours=100)}
    hours = 100 * 25 / 250
    assert found["frankfurt"].archive_hours == pytest.approx(hours)
    assert found["frankfurt"].archive == pytest.approx(hours * 0.21) and found["frankfurt"].archive_is_spot
    assert found["virginia"].archive == pytest.approx(hours * 0.53) and not found["virginia"].archive_is_spot
