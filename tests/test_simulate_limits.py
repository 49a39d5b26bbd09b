"""What breaks first: limits, their sums, and the words that tell them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.scale.simulate.limits import Fleet, cell_size, limits, uses, uses_in_cell, verdict
from pipeline.scale.simulate.measured import Constant, measured
from pipeline.scale.simulate.traffic import message_bytes, proxies, traffic
from tests.simulated import costs, scenario

USUAL = Fleet(scenario(), measured(), carries=17.0)
ROUND = costs(
    frame_bytes=400.0,
    object_bytes=60.0,
    compact_frame_bytes=300.0,
    compact_object_bytes=10.0,
    proxy_message_us=10.0,
    proxy_byte_us=0.001,
    proxy_copy_us=2.0,
    proxy_copied_byte_us=0.002,
    reader_message_us=5.0,
    reader_byte_us=0.005,
)


def test_traffic_is_the_sum_of_messages_bytes_and_copies() -> None:
    what = scenario(camera={"fps": 10.0, "objects": 10.0}, subscribers={"everything": 2, "desks_per_1000": 0})
    seen = traffic(what, ROUND, 100)
    assert (seen.in_hz, seen.copies_hz, seen.message_bytes) == (1000, 2000, 1000)
    assert seen.in_cores == pytest.approx(1000 * (10 + 1) / 1e6)
    assert seen.out_cores == pytest.approx(2000 * (2 + 2) / 1e6)
    assert seen.reader_cores == pytest.approx(1000 * (5 + 5) / 1e6)
    assert seen.out_gbit == pytest.approx(2000 * 1000 * 8 / 1e9)
    assert seen.proxy_busy == seen.in_cores


def test_traffic_of_desks_is_of_the_few_cameras_that_they_hear() -> None:
    what = scenario(camera={"fps": 10.0}, subscribers={"everything": 0, "desks_per_1000": 5, "desk_cameras": 16})
    seen = traffic(what, ROUND, 2000)
    assert (seen.in_hz, seen.copies_hz) == (20_000, 10 * 16 * 10)


def test_message_in_compact_form_is_smaller() -> None:
    what = scenario(subscribers={"compact": True})
    assert message_bytes(what, ROUND) == 400
    assert message_bytes(what, ROUND, asked=0.0) == 300


@pytest.mark.parametrize(
    ("cameras", "expected"),
    [pytest.param(10, 2, id="one pair at least"), pytest.param(20_000, 12, id="as many pairs as it takes")],
)
def test_proxies_are_as_many_pairs_as_it_takes(cameras: int, expected: int) -> None:
    what = scenario(camera={"fps": 10.0, "objects": 10.0}, subscribers={"everything": 1, "desks_per_1000": 0})
    # 20,000 × 10 × 11 µs = 2.2 cores, a pair for each half of one; 1.6 of 10 Gbit/s.
    assert proxies(what, traffic(what, ROUND, cameras)) == expected - 2 * (cameras == 20_000)


@pytest.mark.parametrize("limit", limits(USUAL), ids=lambda limit: limit.name)
def test_limit_breaks_where_it_says(limit: object) -> None:
    (found,) = [use for use in uses(USUAL, 1000) if use.name == limit.name]  # type: ignore[attr-defined]
    assert found.answer and found.words
    if found.breaks_at is not None:
        at, before = uses(USUAL, found.breaks_at), uses(USUAL, found.breaks_at - 1)
        assert next(use.share for use in at if use.name == found.name) >= 1
        assert next(use.share for use in before if use.name == found.name) <= 1


@settings(max_examples=50)
@given(st.integers(1, 100_000), st.integers(1, 100_000))
def test_limits_are_the_fuller_the_more_cameras(some: int, others: int) -> None:
    few, many = sorted((some, others))
    for limit in limits(USUAL):
        assert limit.use(few)[0] <= limit.use(many)[0]


def test_cell_has_half_of_every_limit_that_bounds_it_left() -> None:
    cell = cell_size(USUAL)
    assert all(use.share <= 0.5 for use in uses_in_cell(USUAL, 100_000, cell))
    assert any(use.share > 0.5 for use in uses_in_cell(USUAL, 100_000, cell + 500))


def test_verdict_of_a_small_fleet_names_the_fullest_and_where_it_ends() -> None:
    found = uses(USUAL, 10)
    assert verdict(found, 10).startswith("Nothing breaks at 10. The fullest is “")
    assert f"{found[0].breaks_at:,}" in verdict(found, 10)


def test_verdict_of_a_large_fleet_tells_what_breaks_in_order() -> None:
    words = verdict(uses(USUAL, 100_000), 100_000)
    first = min((use for use in uses(USUAL, 100_000) if use.breaks_at), key=lambda use: use.breaks_at or 0)
    assert words.startswith(f"“{first.name}” breaks first, at {first.breaks_at:,} cameras, then “")


def test_fleet_without_subscribers_to_everything_has_no_limit_for_them() -> None:
    fleet = Fleet(scenario(subscribers={"everything": 0}), measured(), carries=17.0)
    assert not [limit for limit in limits(fleet) if "everything" in limit.name]


def test_measured_figures_say_how_they_came_about() -> None:
    found = measured()
    figures = [getattr(found, name) for name in found.__struct_fields__]
    constants = [one for one in figures if isinstance(one, Constant)]
    assert len(constants) == len(found.words()) > 10
    assert all(one.how and one.value >= 0 for one in constants)
    assert found.machine and found.at and found.by
