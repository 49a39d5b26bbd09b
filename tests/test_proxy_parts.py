"""What a proxy decides, without sockets: who is heard for a camera, how the whole fleet is, what passed of late."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from pipeline.client.history import Ask
from pipeline.scale.proxy.orders import Orders
from pipeline.scale.proxy.passed import KEPT_S, Passed
from pipeline.scale.proxy.voices import Voices
from pipeline.scale.proxy.whole import FRESH_S, Whole
from pipeline.wire import Counts, FleetState, Message, ProcessFigures, encode, publisher_id, stamp, stamp_of
from tests.test_wire import frame
from tests.wire_messages import FLEET, FRAME, STATE

SKIPPED = replace(FRAME, origin="skipped", filled_because="unwanted", tracks=())
REMOVED = replace(STATE, state="removed")
LIVE = FLEET.cameras["gate"]


def heard(voices: Voices, shard: str, message: Message) -> bool:
    return voices.hears(shard, message.topic, "gate", encode(message))


def test_voices_of_a_camera_that_moves_are_the_old_shard_until_boxes_come_from_the_new():
    voices = Voices()
    voices.know({"gate": "a"}, ["a", "b"])
    assert heard(voices, "a", FRAME)
    voices.know({"gate": "b"}, ["a", "b"], {"gate": "a"})
    assert heard(voices, "a", FRAME)
    assert not heard(voices, "b", STATE)
    assert not heard(voices, "b", SKIPPED)
    assert heard(voices, "a", FRAME)
    assert heard(voices, "b", FRAME)
    assert not heard(voices, "a", FRAME)
    assert not heard(voices, "a", REMOVED)
    assert heard(voices, "b", STATE)


def test_voices_of_a_camera_that_leaves_a_shard_early_do_not_say_that_it_left_the_fleet():
    voices = Voices()
    voices.know({"gate": "a"}, ["a", "b"])
    assert heard(voices, "a", FRAME)
    voices.know({"gate": "b"}, ["a", "b"], {"gate": "a"})
    assert not heard(voices, "a", REMOVED)


def test_voices_of_a_camera_that_leaves_the_fleet_say_so():
    voices = Voices()
    voices.know({"gate": "a"}, ["a"])
    assert heard(voices, "a", FRAME)
    voices.know({}, ["a"])
    assert voices.departed() == set()
    assert heard(voices, "a", FRAME)
    assert heard(voices, "a", REMOVED)
    voices.forget("gate")
    assert voices.departed() == set()


def test_voices_of_a_camera_that_leaves_the_fleet_before_the_proxy_knows_say_so_then():
    voices = Voices()
    voices.know({"gate": "a"}, ["a"])
    assert heard(voices, "a", FRAME)
    assert not heard(voices, "a", REMOVED)
    assert voices.take_farewells() == []
    voices.know({}, ["a"])
    assert voices.take_farewells() == [("gate", REMOVED.topic, encode(REMOVED))]
    assert voices.take_farewells() == []


def test_voices_of_a_camera_that_comes_back_after_its_shard_let_go_of_it_keep_no_farewell():
    voices = Voices()
    voices.know({"gate": "a"}, ["a"])
    assert heard(voices, "a", FRAME)
    assert not heard(voices, "a", REMOVED)
    assert heard(voices, "a", STATE)
    voices.know({}, ["a"])
    assert voices.take_farewells() == []


def test_voices_of_a_camera_without_boxes_that_moves_are_the_new_shard_once_the_old_has_let_go():
    voices = Voices()
    voices.know({"gate": "a"}, ["a", "b"])
    assert heard(voices, "a", STATE)
    voices.know({"gate": "b"}, ["a", "b"], {"gate": "a"})
    assert not heard(voices, "b", STATE)
    assert not heard(voices, "a", REMOVED)
    assert voices.silent() == {}
    assert heard(voices, "b", STATE)


def test_voices_of_a_camera_whose_old_shard_is_cut_off_are_the_new_one_when_it_may_not_have_it_any_more():
    voices = Voices()
    voices.know({"gate": "a"}, ["a", "b"])
    assert heard(voices, "a", STATE)
    voices.know({"gate": "b"}, ["a", "b"], {"gate": "a"})
    voices.know({"gate": "b"}, ["a", "b"])
    assert voices.silent() == {}
    assert heard(voices, "b", STATE)
    assert not heard(voices, "a", FRAME)


def test_voices_of_a_shard_that_comes_back_with_another_address_begin_anew():
    voices = Voices()
    voices.know({"gate": "a"}, ["a"])
    assert heard(voices, "a", FRAME)
    voices.know({"gate": "a"}, [])  # as the proxy says before it connects to the new address
    assert voices.silent() == {"gate": True}
    assert heard(voices, "a", STATE)


def test_voices_of_a_camera_that_left_while_its_shard_was_dead_are_nobody_and_that_is_to_be_said():
    voices = Voices()
    voices.know({"gate": "a"}, ["a"])
    assert heard(voices, "a", FRAME)
    voices.know({"gate": "b"}, ["b"])
    voices.know({}, ["b"])
    assert voices.departed() == {"gate"}
    voices.forget("gate")
    assert voices.departed() == set()


def test_voices_of_a_camera_that_left_and_whose_shard_dies_before_it_says_so_are_nobody():
    voices = Voices()
    voices.know({"gate": "a"}, ["a"])
    assert heard(voices, "a", FRAME)
    voices.know({}, ["a"])
    assert voices.departed() == set()
    voices.know({}, [])
    assert voices.departed() == {"gate"}


def test_voices_of_a_camera_that_left_are_not_a_shard_that_was_cut_off_and_does_not_know():
    voices = Voices()
    voices.know({"gate": "b"}, ["a", "b"])
    assert heard(voices, "b", FRAME)
    voices.know({}, ["a", "b"])
    assert heard(voices, "b", REMOVED)
    voices.forget("gate")
    for stale in "ab":
        assert not heard(voices, stale, FRAME)
        assert not heard(voices, stale, STATE)
    voices.know({"gate": "a"}, ["a", "b"])
    assert heard(voices, "a", FRAME)


def test_voices_of_a_camera_that_loses_its_home_do_not_say_that_it_left_the_fleet():
    voices = Voices()
    voices.know({"gate": "a"}, ["a", "b"])
    assert heard(voices, "a", FRAME)
    voices.know({}, ["a", "b"], homeless=["gate"])
    assert heard(voices, "a", FRAME)
    assert not heard(voices, "b", FRAME)
    assert not heard(voices, "a", REMOVED)
    assert not heard(voices, "a", FRAME)
    assert voices.departed() == set()


def test_voices_after_a_shard_is_gone_take_whatever_the_new_one_says():
    voices = Voices()
    voices.know({"gate": "a"}, ["a", "b"])
    assert heard(voices, "a", FRAME)
    voices.know({"gate": "b"}, ["b"])
    assert voices.silent() == {"gate": True}
    assert heard(voices, "b", STATE)
    assert voices.silent() == {}


def test_voices_of_a_camera_that_comes_back_are_its_first_shard_again():
    voices = Voices()
    for shard, other in (("a", "b"), ("b", "a"), ("a", "b")):
        voices.know({"gate": shard}, ["a", "b"])
        assert heard(voices, shard, FRAME)
        assert not heard(voices, other, FRAME)


def test_voices_without_orders_are_whoever_speaks_first():
    voices = Voices()
    assert heard(voices, "a", FRAME)
    assert heard(voices, "a", STATE)


def test_voices_of_a_camera_never_heard_are_awaited():
    voices = Voices()
    voices.know({"gate": "a"}, ["a"])
    assert voices.silent() == {"gate": False}


def part(publisher: str, *cameras: str, **changes: object) -> FleetState:
    own = {
        "publisher": publisher,
        "kept": True,
        "broken_by": {},
        "cameras": dict.fromkeys(cameras, LIVE),
        "processes": (
            ProcessFigures(name="worker", role="worker", condition="running", restarts=0),
            ProcessFigures(name=f"camera {cameras[0]}", role="camera", condition="running", restarts=0),
        ),
    }
    return replace(FLEET, **{**own, **changes})


WHERE = {"gate": "a", "yard": "b"}


def whole() -> Whole:
    it = Whole("town", FLEET.since_ns + 5)
    it.hear("a", part("1", "gate"), 0.0)
    it.hear("b", part("2", "yard"), 0.0)
    return it


def test_whole_fleet_is_the_sum_of_its_shards():
    state = whole().tell(Orders(where=WHERE), {}, 1.0, 7)
    assert list(state.cameras) == ["gate", "yard"]
    assert state.kept is True
    assert state.counts == Counts(decoded=16, detected=8, filled={"stride": 6}, lost={"link": 2})
    assert [one.name for one in state.processes] == ["worker a", "camera gate", "worker b", "camera yard"]
    assert (state.since_ns, state.at_ns) == (FLEET.since_ns, 7)


def test_whole_fleet_without_a_shard_keeps_what_it_counted_and_says_whose_cameras_are_not_seen():
    it = whole()
    it.know(["a"])
    state = it.tell(Orders(where={"gate": "a", "yard": "a"}), {"yard": "its machine is gone"}, 1.0, 7)
    assert state.kept is False
    assert state.broken_by == {"yard": "retrying: its machine is gone"}
    assert state.cameras["yard"].state is None
    assert state.counts.decoded == 16


def test_whole_fleet_of_which_a_shard_is_cut_off_does_not_count_as_kept():
    it = whole()
    it.hear("a", part("1", "gate"), FRESH_S + 1)
    state = it.tell(Orders(where=WHERE), {}, FRESH_S + 1, 7)
    assert state.broken_by == {"yard": "retrying: its machine (b) says nothing"}


@pytest.mark.parametrize(
    ("kept", "silent", "whole_kept"),
    [(True, {}, True), (None, {}, None), (False, {}, None), (True, {"new": None}, None)],
    ids=["all keep it", "one does not know", "one was broken by a camera that moved on", "one awaited"],
)
def test_whole_fleet_keeps_its_promise_only_where_that_is_known(kept, silent, whole_kept):
    it = whole()
    it.hear("b", part("2", "yard", kept=kept), 0.0)
    assert it.tell(Orders(where=WHERE), silent, 1.0, 7).kept is whole_kept


def test_whole_fleet_says_of_homeless_cameras_why():
    state = whole().tell(Orders(where=WHERE, homeless={"roof": "no machine has room for it"}), {}, 1.0, 7)
    assert state.broken_by == {"roof": "retrying: no machine has room for it"}


def numbered(publisher: str, number: int, camera_id: str = "gate") -> tuple[bytes, bytes]:
    message = frame(camera_id, number)
    return message.topic, stamp(encode(message), publisher_id(publisher), number)


def test_stamp_of_a_message_is_what_was_stamped():
    assert stamp_of(numbered("abcdef012345", 70_000)[1]) == ("abcdef012345", 70_000)
    assert stamp_of(encode(frame("gate", 1))) == ("", 0)
    assert stamp_of(b"") == ("", 0)


def test_passed_messages_are_given_again_by_publisher_and_number():
    passed = Passed(1 << 20)
    for publisher in ("a", "b"):
        for number in (1, 2, 3):
            passed.add(*numbered(publisher, number), float(number))
    answer = passed.answer(Ask(publisher="b", positions={"detections/gate/": 1}), 1 << 20)
    assert [stamp_of(body) for _, body in answer.messages] == [("b", 2), ("b", 3)]
    assert answer.following is None


def test_passed_messages_come_in_pieces_and_keep_their_bounds():
    passed = Passed(1 << 20)
    for number in range(1, 5):
        passed.add(*numbered("a", number), float(number))
    first = passed.answer(Ask(publisher="a", positions={}), 1)
    assert len(first.messages) == 1
    assert first.following is not None
    passed.add(*numbered("a", 5), KEPT_S + 2.5)  # the first two are too old now
    rest = passed.answer(Ask(publisher="a", positions={}, begin=first.following), 1 << 20)
    assert [stamp_of(body)[1] for _, body in rest.messages] == [3, 4, 5]
