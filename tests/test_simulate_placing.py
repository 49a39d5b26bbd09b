"""Cameras by number are placed as those by name are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.scale.place import CameraNeed, Node, place
from pipeline.scale.simulate.placing import NOWHERE, Places, replace_cameras

CAPACITY, MOST = 5.0, 9.0


def by_name(weights: list[float], owner: list[int], places: Places) -> list[int]:
    """The same by the placement itself, which sees every camera."""
    nodes = [Node(str(node), places.capacity, places.most, drains=node in places.draining) for node in places.nodes]
    cameras = [CameraNeed(str(index), weight) for index, weight in enumerate(weights)]
    present = {str(index): str(node) for index, node in enumerate(owner) if node != NOWHERE}
    where = place(cameras, nodes, present).where
    return [int(where.get(str(index), NOWHERE)) for index in range(len(weights))]


@settings(max_examples=60)
@given(st.data())
def test_replace_cameras_any_fleet_is_as_if_all_had_been_shown(data: st.DataObject) -> None:
    nodes = sorted(data.draw(st.sets(st.integers(0, 9), min_size=1)))
    count = data.draw(st.integers(1, 40))
    weights = data.draw(st.lists(st.sampled_from([0.5, 0.75, 1.0, 1.25, 2.0]), min_size=count, max_size=count))
    owner = data.draw(st.lists(st.integers(NOWHERE, 9), min_size=count, max_size=count))
    draining = frozenset(data.draw(st.sets(st.sampled_from(nodes), max_size=2)))
    places = Places(nodes, draining, CAPACITY, MOST)
    found = replace_cameras(np.array(weights), np.array(owner, np.int64), places)
    expected = by_name(weights, owner, places)
    staying = [index for index, node in enumerate(expected) if node == owner[index]]
    assert all(found[index] == owner[index] for index in staying)
    assert set(found.tolist()) <= {NOWHERE, *nodes}
    assert loads(weights, found.tolist()) == pytest.approx(loads(weights, expected))


def loads(weights: list[float], owner: list[int]) -> list[float]:
    """What the nodes carry, ascending: which of two equals takes a camera is of no matter."""
    carried = np.zeros(11)
    np.add.at(carried, owner, weights)
    return sorted(carried.tolist())


def test_replace_cameras_where_all_may_stay_moves_none() -> None:
    owner = np.array([0, 0, 1, 1], np.int64)
    found = replace_cameras(np.ones(4), owner, Places([0, 1, 2], frozenset(), CAPACITY, MOST))
    assert found.tolist() == owner.tolist()


def test_replace_cameras_of_a_node_that_is_gone_go_where_most_room_is() -> None:
    owner = np.array([0, 0, 1, 2, 2], np.int64)
    found = replace_cameras(np.ones(5), owner, Places([1, 2], frozenset(), CAPACITY, MOST))
    assert sorted(found.tolist()) == [1, 1, 1, 2, 2] or sorted(found.tolist()) == [1, 1, 2, 2, 2]
    assert found[2:].tolist() == [1, 2, 2]


def test_replace_cameras_without_a_node_are_nowhere() -> None:
    found = replace_cameras(np.ones(3), np.array([0, 1, NOWHERE], np.int64), Places([], frozenset(), CAPACITY, MOST))
    assert found.tolist() == [NOWHERE] * 3
