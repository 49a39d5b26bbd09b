"""Cameras on their way between shards, by arithmetic alone."""

from __future__ import annotations

import pytest

from pipeline.scale.moves import HANDOVER_S, HEARD_S, Moves, Serving
from pipeline.scale.place import CameraNeed, Node

CAMERAS = [CameraNeed("gate"), CameraNeed("yard")]


def moving() -> Moves:
    """Both cameras on their way from a, which drains, to b."""
    moves = Moves({"gate": "a", "yard": "a"})
    assert moves.place(CAMERAS, [Node("a", 9, drains=True), Node("b", 9)]) == ("gate", "yard")
    return moves


def serving(*seeing: str) -> dict[str, Serving]:
    return {"b": Serving({"gate", "yard"}, seeing)}


def test_camera_that_moves_is_with_both_until_the_new_shard_has_seen_it_for_a_while():
    moves = moving()
    assert moves.wanted("a") == moves.wanted("b") == {"gate", "yard"}
    moves.let_go(serving("gate"), 10.0)
    moves.let_go(serving("gate"), 10.0 + HEARD_S)
    assert moves.wanted("a") == {"yard"}
    assert moves.on_the_way == {"yard"}


def test_camera_that_is_seen_only_for_a_moment_stays_with_both():
    moves = moving()
    for at_s, seen in ((10.0, ["gate"]), (11.0, []), (12.0, ["gate"])):
        moves.let_go(serving(*seen), at_s)
    assert "gate" in moves.on_the_way


def test_camera_that_only_one_may_watch_is_let_go_at_last():
    moves = moving()
    moves.let_go({}, 0.0)  # the new shard is still loading: that is no reason to let go
    moves.let_go({}, 100.0)
    assert moves.on_the_way == {"gate", "yard"}
    moves.let_go(serving(), 100.0)
    moves.let_go(serving(), 100.0 + HANDOVER_S)
    assert moves.on_the_way == frozenset()


def test_camera_whose_new_shard_is_gone_stays_where_it_still_is():
    moves = moving()
    moves.lose("b")
    assert moves.where == {"gate": "a", "yard": "a"}
    assert moves.on_the_way == frozenset()


def test_camera_whose_old_shard_is_gone_on_the_way_is_the_new_ones():
    moves = moving()
    moves.lose("a")
    assert moves.wanted("b") == {"gate", "yard"}
    assert moves.on_the_way == frozenset()


def test_camera_of_a_shard_that_is_gone_has_a_new_place_at_once():
    moves = Moves({"gate": "a", "yard": "b"})
    moves.lose("a")
    assert moves.place(CAMERAS, [Node("b", 9)]) == ()
    assert moves.wanted("b") == {"gate", "yard"}


def test_camera_that_moves_back_on_the_way_is_with_one_again():
    moves = moving()
    assert moves.place(CAMERAS, [Node("a", 9), Node("b", 9, drains=True)]) == ("gate", "yard")
    assert moves.wanted("b") == frozenset()
    assert moves.on_the_way == frozenset()


def test_camera_that_leaves_the_fleet_on_the_way_is_with_nobody():
    moves = moving()
    moves.place(CAMERAS[:1], [Node("a", 9, drains=True), Node("b", 9)])
    assert moves.wanted("a") == moves.wanted("b") == {"gate"}


@pytest.mark.parametrize("shards", [[], [Node("b", 0)]], ids=["no machine", "no room"])
def test_camera_without_a_place_is_homeless_with_the_reason(shards: list[Node]):
    moves = Moves({"gate": "a"})
    moves.lose("a")
    moves.place(CAMERAS[:1], shards)
    assert set(moves.homeless) == {"gate"}
    assert moves.where == {}
