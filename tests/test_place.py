"""Where cameras go, by arithmetic alone."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as some

from pipeline.scale.place import CameraNeed, Node, Placement, place

NORTH = frozenset({"north"})


def cameras(count: int, **settings: object) -> list[CameraNeed]:
    return [CameraNeed(f"cam{number:02d}", **settings) for number in range(count)]


def on(placement: Placement, node_id: str) -> list[str]:
    return [name for name, node in placement.where.items() if node == node_id]


def test_place_of_a_new_fleet_spreads_cameras_evenly_by_capacity():
    found = place(cameras(12), [Node("a", 8), Node("b", 8), Node("c", 16)], {})
    assert [len(on(found, name)) for name in "abc"] == [3, 3, 6]
    assert len(found.added) == 12
    assert not found.moved
    assert not found.homeless


def test_place_with_nothing_changed_moves_nothing_though_nodes_are_uneven():
    present = {f"cam{number:02d}": "a" for number in range(8)}
    found = place(cameras(8), [Node("a", 8), Node("b", 8)], present)
    assert found.where == present
    assert not found.moved


def test_place_after_a_node_died_moves_its_cameras_alone():
    before = place(cameras(24), [Node(name, 12) for name in "abc"], {})
    after = place(cameras(24), [Node(name, 12) for name in "ab"], before.where)
    assert set(after.moved) == set(on(before, "c"))
    assert [len(on(after, name)) for name in "ab"] == [12, 12]


def test_place_with_too_little_capacity_stretches_nodes_before_a_camera_is_dark():
    before = place(cameras(24), [Node(name, 8, most=12) for name in "abc"], {})
    after = place(cameras(24), [Node(name, 8, most=12) for name in "ab"], before.where)
    assert not after.homeless
    assert after.stretched == ("a", "b")


def test_place_beyond_all_bounds_says_why_and_leaves_the_less_important_out():
    known = [CameraNeed("gate", priority=1), *cameras(2)]
    found = place(known, [Node("a", 2)], {})
    assert found.where["gate"] == "a"
    assert found.homeless == {"cam01": "no machine has room for it"}


def test_place_of_a_stretched_node_moves_just_enough_once_there_is_room():
    present = {f"cam{number:02d}": "a" for number in range(10)}
    found = place(cameras(10), [Node("a", 8, most=12), Node("b", 8)], present)
    assert found.moved == ("cam00", "cam01")
    assert not found.stretched


def test_place_of_a_draining_node_empties_it_as_far_as_others_have_room():
    present = {f"cam{number:02d}": "a" for number in range(4)}
    found = place(cameras(4), [Node("a", 8, drains=True), Node("b", 3)], present)
    assert on(found, "a") == ["cam03"]
    assert not found.homeless


def test_place_of_a_camera_with_needs_takes_a_node_that_offers_them():
    found = place(cameras(2, needs=NORTH), [Node("a", 8), Node("b", 8, offers=NORTH)], {})
    assert on(found, "b") == ["cam00", "cam01"]


def test_place_of_a_camera_whose_needs_nobody_offers_says_which():
    found = place(cameras(1, needs=NORTH), [Node("a", 8)], {})
    assert found.homeless == {"cam00": "no machine offers north"}


def test_place_moves_a_camera_that_can_be_anywhere_out_of_the_way_of_one_that_cannot():
    known = [*cameras(2), CameraNeed("gate", needs=NORTH)]
    nodes = [Node("a", 2, offers=NORTH), Node("b", 2)]
    found = place(known, nodes, {"cam00": "a", "cam01": "a"})
    assert found.where["gate"] == "a"
    assert len(found.moved) == 1
    assert not found.homeless


def test_place_of_a_node_that_lost_what_a_camera_needs_moves_it():
    found = place(cameras(1, needs=NORTH), [Node("a", 2), Node("b", 2, offers=NORTH)], {"cam00": "a"})
    assert found.moved == ("cam00",)


def test_place_forgets_cameras_that_left_the_fleet():
    assert place(cameras(1), [Node("a", 2)], {"cam00": "a", "gone": "a"}).where == {"cam00": "a"}


def test_place_without_nodes_says_so():
    assert place(cameras(1), [], {}).homeless == {"cam00": "there is no machine for it"}


WEIGHTS = some.sampled_from([0.5, 1.0, 1.7, 3.0])
SITES = some.frozensets(some.sampled_from(["north", "south", "gpu"]), max_size=2)


@example(
    known=[(0.5, frozenset(), 0), (1.7, frozenset({"north"}), 0)],
    rooms=[(1.0, frozenset({"north"}), 1.0, False)] * 2,
    present=[],
)
@given(
    known=some.lists(some.tuples(WEIGHTS, SITES, some.integers(0, 2)), max_size=25),
    rooms=some.lists(some.tuples(some.floats(0, 9), SITES, some.floats(1, 2), some.booleans()), max_size=5),
    present=some.lists(some.integers(0, 7), max_size=25),
)
def test_place_of_anything_keeps_its_promises(known, rooms, present):
    wanted = {f"cam{n}": CameraNeed(f"cam{n}", *one) for n, one in enumerate(known)}
    nodes = {
        f"n{n}": Node(f"n{n}", cap, cap * more, offers, drains) for n, (cap, offers, more, drains) in enumerate(rooms)
    }
    before = {f"cam{n}": f"n{node}" for n, node in enumerate(present)}
    found = place(wanted.values(), nodes.values(), before)
    assert {*found.where, *found.homeless} == set(wanted)
    assert not set(found.where) & set(found.homeless)
    for name, node in nodes.items():
        load = sum(wanted[camera_id].weight for camera_id in on(found, name))
        assert load <= node.bound + 1e-6
    for camera_id, name in found.where.items():
        assert wanted[camera_id].needs <= nodes[name].offers
        assert not nodes[name].drains or before[camera_id] == name
    assert (
        place(wanted.values(), nodes.values(), found.where).moved == ()
        or found.stretched
        or any(node.drains for node in nodes.values())
    )


@pytest.mark.parametrize("lost", [0, 1])
def test_place_of_many_is_the_same_each_time(lost: int):
    known = [CameraNeed(f"cam{n}", 1 + n % 3 / 2) for n in range(2000)]
    nodes = [Node(f"n{n}", 40) for n in range(100)]
    before = place(known, nodes, {}).where
    assert place(known, nodes[lost:], before) == place(known[::-1], nodes[lost:][::-1], before)
