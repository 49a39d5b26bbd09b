"""Zones and lines that ask for attributes, which are known some frames later: one story a test."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("shapely", reason="zones and lines need Shapely: pip install 'camfleet[rules]'")

from pipeline.config.rules import Rules
from pipeline.rules import CameraRules
from pipeline.rules.attributes import WAIT_S
from pipeline.wire import Attribute, FrameResult
from tests.test_rules import DOOR, STEP_NS, YARD, at_ms, box, events, frame, told

WAITS = round(WAIT_S * 1e9 / STEP_NS)
"""Frames for which an event is held."""
RED = {"colour": "red"}


def found(**labels: str) -> dict[str, Attribute]:
    return {name: Attribute(label=label, score=0.9) for name, label in labels.items()}


def rules(section: str = "lines", **changes: Any) -> dict[str, Any]:
    """The door, or the yard, for what is red."""
    shape = DOOR["lines"]["door"] if section == "lines" else {"polygon": YARD}
    return {section: {"door" if section == "lines" else "yard": {**shape, "attributes": RED, **changes}}}


def walk(label_at: int, label: str = "red", *, frames: int = 40, begin: int = 600, **changes: Any) -> list[FrameResult]:
    """From x = 600 to the left, 10 px a frame, over the door by frame 11; known from frame `label_at`."""
    return [
        frame(i, box(begin - 10 * i, attributes=found(colour=label) if i >= label_at else {}, **changes))
        for i in range(frames)
    ]


@pytest.mark.parametrize(
    ("frames", "crossings"),
    [
        pytest.param(walk(0), 1, id="known before"),
        pytest.param(walk(25), 1, id="known later"),
        pytest.param(walk(0, "blue"), 0, id="another before"),
        pytest.param(walk(25, "blue"), 0, id="another later"),
        pytest.param(walk(99), 0, id="never known"),
        pytest.param(
            walk(99, frames=20) + [frame(20 + i, box(400, attributes=found(helmet="no"))) for i in range(5)],
            0,
            id="something else known",
        ),
    ],
)
def test_line_counts_who_has_the_attribute(frames: list[FrameResult], crossings: int):
    assert [event.count for event in events(rules(), frames)] == [1] * crossings


def test_crossing_before_the_attribute_is_told_late_with_its_own_time_and_who_it_was():
    (early,), (late,) = events(rules(), walk(0)), events(rules(), walk(25))
    assert early.frame_id < 20
    assert late.frame_id == 25
    assert (late.event_id, late.at_ns, late.error_ms) == (early.event_id, early.at_ns, early.error_ms)
    assert late.xyxy == box(350).xyxy
    assert late.attributes == early.attributes == found(colour="red")
    assert not late.revised


@pytest.mark.parametrize("section", ["lines", "zones"])
@pytest.mark.parametrize(("later", "tells"), [(-1, True), (1, False)])
def test_event_waits_for_its_attribute_so_long_and_no_longer(section: str, later: int, tells: bool):
    first = events(rules(section), walk(0, begin=900, frames=60))[0]
    known = first.frame_id + WAITS + later
    x = [max(600 if section == "zones" else 300, 900 - 10 * i) for i in range(known + 2)]
    frames = [frame(i, box(at, attributes=found(colour="red") if i >= known else {})) for i, at in enumerate(x)]
    assert [event.at_ns for event in events(rules(section), frames)][:1] == ([first.at_ns] if tells else [])


def test_two_labels_or_two_attributes_are_one_of_each():
    ask = {"colour": ["red", "orange"], "helmet": "no"}
    frames = [
        frame(i, box(600 - 10 * i, attributes=found(colour="orange") | (found(helmet="no") if i > 20 else {})))
        for i in range(30)
    ]
    (event,) = events(rules(attributes=ask), frames)
    assert (event.frame_id, sorted(event.attributes)) == (21, ["colour", "helmet"])
    assert not events(rules(attributes=ask | {"helmet": "yes"}), frames)


def test_object_keeps_what_was_found_under_another_track():
    """Its track breaks off before the line, and the new one is looked at by nobody."""
    frames = [frame(i, box(600 - 10 * i, track_id=1, attributes=found(colour="red"))) for i in range(6)]
    frames += [frame(6 + i, box(540 - 10 * i, track_id=2)) for i in range(15)]
    (event,) = events(rules(), frames)
    assert (event.track_id, event.attributes) == (2, found(colour="red"))


def test_zone_that_is_entered_before_the_attribute_is_known_tells_begin_and_end():
    frames = walk(25, begin=900, frames=70)
    found_ = events(rules("zones", when=["enter", "leave"]), frames)
    plain = events(rules("zones", when=["enter", "leave"], attributes={}), frames)
    assert (
        told(found_) == told(plain) == [("yard", "enter", "begin"), ("yard", "enter", "end"), ("yard", "leave", "once")]
    )
    assert [(event.event_id, event.at_ns) for event in found_] == [(event.event_id, event.at_ns) for event in plain]
    assert found_[0].frame_id == 25
    assert plain[0].frame_id < 25


def test_visit_that_is_over_before_the_attribute_is_known_is_told_whole():
    frames = walk(60, begin=900, frames=62)
    found_ = events(rules("zones", when=["enter", "leave"]), frames)
    assert told(found_) == [("yard", "enter", "begin"), ("yard", "enter", "end"), ("yard", "leave", "once")]
    assert {event.frame_id for event in found_} == {60}
    assert [at_ms(event) for event in found_] == sorted(at_ms(event) for event in found_)


def test_what_lasts_is_told_to_its_end_although_a_later_look_finds_something_else():
    frames = walk(0, begin=900, frames=30) + [
        frame(30 + i, box(610 - 10 * i, attributes=found(colour="blue"))) for i in range(40)
    ]
    assert told(events(rules("zones", when=["enter", "leave"]), frames)) == [
        ("yard", "enter", "begin"),
        ("yard", "enter", "end"),
    ], "who leaves is blue by then"


def test_count_is_of_those_of_whom_it_is_known():
    def yard(number: int, reds: int) -> FrameResult:
        people = [
            box(450 + 80 * i, track_id=i + 1, attributes=found(colour="red") if i < reds else {}) for i in range(4)
        ]
        return frame(number, *people)

    frames = [yard(i, i // 10) for i in range(45)]
    (event,) = events(rules("zones", when=["count > 2"]), frames)
    assert (event.frame_id, event.count, event.attributes) == (30, 3, {})


def test_object_that_is_gone_before_anybody_looked_is_never_told():
    state = CameraRules(Rules.model_validate(rules("zones") | rules()))
    assert events(state, walk(99, begin=700, frames=30) + [frame(30 + i) for i in range(200)]) == []
    assert b"colour" not in state.state
    assert len(state.state) < 400, "nothing waits for it"


@pytest.mark.parametrize("label", ["red", "blue"])
def test_rule_that_tells_at_once_says_nothing_of_whom_nothing_is_known(label: str):
    """Predicted boxes carry it over the line; it comes back to where it was, and is known only then."""
    ahead = [frame(i, box(560 - 10 * i, origin="detected" if i < 3 else "predicted")) for i in range(12)]
    back = [frame(12 + i, box(560, attributes=found(colour=label))) for i in range(10)]
    assert events(rules(rests_on="any"), ahead + back) == []
    assert events(rules("zones", rests_on="any", polygon=[[0, 0], [500, 0], [500, 999], [0, 999]]), ahead + back) == []
    known = [
        frame(one.frame_id, *(box(560 - 10 * i, origin=one.tracks[0].origin, attributes=found(colour=label)),))
        for i, one in enumerate(ahead)
    ]
    assert [(event.withdrawn) for event in events(rules(rests_on="any"), known + back)] == [False, True] * (
        label == "red"
    )


@pytest.mark.parametrize("section", ["lines", "zones"])
@pytest.mark.parametrize("cut", range(5, 60, 6))
def test_rules_that_are_started_again_while_events_wait_tell_the_same(section: str, cut: int):
    frames = walk(45, begin=900, frames=70)
    whole = events(rules(section, when=["enter", "leave"] if section == "zones" else ["in"]), frames)
    first = CameraRules(Rules.model_validate(rules(section, when=["enter", "leave"] if section == "zones" else ["in"])))
    before = events(first, frames[:cut])
    again = CameraRules(first.rules, first.state)
    assert before + events(again, frames[cut:]) == whole
    assert whole
