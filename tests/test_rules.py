"""Zones, lines and events, on frames that are made up: one story a test."""

from __future__ import annotations

from typing import Any

import pytest
import shapely
from msgspec.structs import replace

pytest.importorskip("shapely", reason="zones and lines need Shapely: pip install 'camfleet[rules]'")

from pipeline.config.rules import Rules, Zone
from pipeline.errors import RuleError
from pipeline.rules import CameraRules
from pipeline.rules.geometry import Area
from pipeline.wire import FrameResult, TrackedBox
from pipeline.wire.event import Event
from tests.wire_messages import FRAME

START_NS = 1_760_000_000_000_000_000
STEP_NS = 40_000_000
DOOR = {"lines": {"door": {"points": [[500, 0], [500, 1000]]}}}
"""Upright, from the top to the bottom: whoever goes from the right of the picture to its left goes `in`."""
ORIGINS = ("detected", "predicted")
YARD = [[400, 400], [800, 400], [800, 800], [400, 800]]


def box(x: float, y: float = 600.0, track_id: int = 1, **changes: Any) -> TrackedBox:
    """An object of 40 x 100 px that stands at (x, y)."""
    told = {"xyxy": (x - 20, y - 100, x + 20, y), "track_id": track_id, "velocity_px_s": None} | changes
    return replace(FRAME.tracks[0], **told)


def frame(number: int, *tracks: TrackedBox, **changes: Any) -> FrameResult:
    """The camera's frame `number`, 40 ms after the one before."""
    told = {"frame_id": number, "captured_at_ns": START_NS + number * STEP_NS, "frame_wh": (1000, 1000)}
    return replace(FRAME, tracks=tracks, **(told | changes))


def events(rules: dict[str, Any] | CameraRules, frames: list[FrameResult]) -> list[Event]:
    """What rules make of frames."""
    judge = rules if isinstance(rules, CameraRules) else CameraRules(Rules.model_validate(rules))
    return [event for one in frames for event in judge.update(one)]


def walk(first: int, last: int, step: int, begin: int = 0, **changes: Any) -> list[FrameResult]:
    """An object that goes from x to x, a step a frame."""
    return [frame(begin + i, box(x, **changes)) for i, x in enumerate(range(first, last, step))]


def told(found: list[Event]) -> list[tuple[str, str, str]]:
    return [(event.rule, event.direction or event.happening, event.phase) for event in found]


def at_ms(event: Event) -> float:
    return (event.at_ns - START_NS) / 1e6


@pytest.mark.parametrize(
    ("frames", "directions"),
    [
        pytest.param(walk(600, 400, -10), ["in"], id="once over it"),
        pytest.param(walk(400, 600, 10), ["out"], id="the other way"),
        pytest.param(walk(600, 510, -10), [], id="up to it and no further"),
        pytest.param(walk(600, 400, -10) + walk(400, 600, 10, begin=20), ["in", "out"], id="there and back"),
        pytest.param([frame(i, box(500 + (-1) ** i)) for i in range(50)], [], id="trembling on it"),
        pytest.param(
            walk(560, 500, -10) + [frame(6 + i, box(499.0)) for i in range(20)], ["in"], id="stays close behind it"
        ),
        pytest.param([frame(0, box(700)), frame(25, box(300))], ["in"], id="in one leap"),
        pytest.param(walk(600, 400, -10, y=1100.0), [], id="past its end"),
    ],
)
def test_line_counts_each_crossing_once(frames: list[FrameResult], directions: list[str]):
    rules = {"lines": {"door": {"points": [[500, 100], [500, 999]]}}}
    assert [event.direction for event in events(rules, frames)] == directions


def test_line_crossed_between_detections_is_told_with_the_moment_in_between():
    # Detected every fifth frame; in between predicted boxes run ahead, and across the line too early.
    frames = [
        frame(i, box(605 - 10 * i) if i % 5 == 0 else box(560 - 10 * i, origin="predicted", since_detected_ms=40.0))
        for i in range(0, 21)
    ]
    (event,) = events(DOOR, frames)
    assert event.direction == "in"
    assert at_ms(event) == pytest.approx(10.5 * 40)
    assert 0 < event.error_ms < 200


def test_line_crossed_slowly_by_a_box_that_trembles_is_told_by_its_course():
    # 20 px/s; drawn between the two detections beside the line it would be 39 ms late.
    frames = [frame(5 * i, box(524.2 - 4 * i + 1.5 * (-1) ** i)) for i in range(12)]
    (event,) = events(DOOR, frames)
    assert at_ms(event) == pytest.approx(24.2 / 20 * 1000, abs=30)
    assert event.error_ms > 40


def test_zone_entered_slowly_by_a_box_that_trembles_is_told_by_its_course():
    frames = [frame(5 * i, box(375.8 + 4 * i + 1.5 * (-1) ** i)) for i in range(12)]
    (event,) = events({"zones": {"yard": {"polygon": YARD}}}, frames)
    assert at_ms(event) == pytest.approx(24.2 / 20 * 1000, abs=30)


def test_zone_crossed_at_corner_and_edges_tells_the_last_share_of_the_path():
    area = Area.of(Zone.model_validate({"polygon": YARD}), (1000, 1000))
    assert area.crossed_at([(300, 500), (500, 500)]) == pytest.approx(0.5)
    assert area.crossed_at([(300, 500), (900, 500)]) == pytest.approx(5 / 6)
    assert area.crossed_at([(300, 300), (500, 500)]) == pytest.approx(0.5)
    assert area.crossed_at([(100, 100), (200, 200)]) == 1.0


def test_line_crossed_by_predicted_boxes_only_is_no_event():
    frames = [frame(0, box(560)), *[frame(i, box(560 - 10 * i, origin="predicted")) for i in range(1, 20)]]
    assert events(DOOR, frames) == []


EARLY = {"lines": {"door": {**DOOR["lines"]["door"], "rests_on": "any"}}}


def every_fifth(*xs: float, ahead: float = 0.0) -> list[FrameResult]:
    """An object that is detected at these places, 200 ms apart, and predicted to move on by `ahead` px a frame."""
    frames = []
    for i, x in enumerate(xs):
        frames.append(frame(5 * i, box(x)))
        frames += [frame(5 * i + k, box(x + k * ahead, origin="predicted")) for k in range(1, 5)]
    return frames


def test_line_that_does_not_wait_tells_at_once_and_corrects_the_time():
    early, late = events(EARLY, every_fifth(550, 530, 480, ahead=-20))
    assert (early.frame_id, early.revised, early.direction) == (7, False, "in")
    assert (late.frame_id, late.revised, late.withdrawn) == (10, True, False)
    assert early.event_id == late.event_id
    assert at_ms(late) == pytest.approx(200 + 200 * 30 / 50, abs=10)
    assert at_ms(early) == pytest.approx(200 + 60, abs=1)


def test_line_that_does_not_wait_says_nothing_more_where_it_was_right():
    found = events(EARLY, every_fifth(550, 515, 465, ahead=-10))
    assert [(event.frame_id, event.revised, event.count) for event in found] == [(7, False, 1)]


def test_line_that_does_not_wait_takes_back_what_did_not_happen():
    early, back = events(EARLY, every_fifth(550, 530, 540, 560, ahead=-10)[:11])
    assert (early.withdrawn, back.withdrawn, back.revised) == (False, True, True)
    assert early.event_id == back.event_id
    assert events(DOOR, every_fifth(550, 530, 540, 560, ahead=-10)) == []


def test_line_that_does_not_wait_takes_back_the_crossing_of_an_object_that_is_never_seen_again():
    found = events(EARLY, every_fifth(550, 530, ahead=-10) + [frame(10 + i) for i in range(60)])
    assert [(event.withdrawn, event.frame_id >= 10) for event in found] == [(False, False), (True, True)]


def test_zone_that_does_not_wait_begins_at_once_and_is_corrected_or_taken_back():
    rules = {"zones": {"yard": {"polygon": YARD, "when": ["enter", "leave"], "rests_on": "any"}}}
    right = events(rules, every_fifth(350, 370, 450, 460, ahead=12))
    assert [(event.phase, event.revised) for event in right] == [("begin", False), ("update", True)]
    assert len({event.event_id for event in right}) == 1
    wrong = events(rules, every_fifth(350, 370, 360, 350, ahead=12)[:11])
    assert [(event.phase, event.withdrawn) for event in wrong] == [("begin", False), ("end", True)]
    assert len({event.event_id for event in wrong}) == 1


def test_line_crossed_behind_a_pillar_under_another_track_is_one_crossing_of_one_object():
    before, after = walk(640, 540, -10), [frame(20 + i, box(440 - 10 * i, track_id=9)) for i in range(5)]
    moving = [
        replace(one, tracks=tuple(replace(t, velocity_px_s=(-250.0, 0, -250.0, 0)) for t in one.tracks))
        for one in before
    ]
    (event,) = events(DOOR, [*moving, *after])
    assert event.object_id.endswith(":1")
    assert event.track_id == 9


def test_line_two_objects_of_which_one_vanishes_are_not_made_one():
    frames = [frame(i, box(600, track_id=1), box(620 - 20 * i, y=900.0, track_id=2)) for i in range(12)]
    assert [event.track_id for event in events(DOOR, frames)] == [2]


def test_line_object_that_is_predicted_beside_a_new_one_stays_itself():
    # Two who stand on either side of the line and are detected in turn: nobody crosses.
    frames = [
        frame(i, box(492, track_id=1, origin=ORIGINS[i % 2]), box(508, track_id=2, origin=ORIGINS[1 - i % 2]))
        for i in range(20)
    ]
    alone = [frame(i, box(492)) for i in range(-30, 0)]
    assert events(DOOR, [*alone, *frames]) == []


def test_line_object_first_seen_just_behind_it_has_crossed_it():
    empty = [frame(i) for i in range(30)]
    late = [frame(30 + i, box(490 - 5 * i)) for i in range(10)]
    (event,) = events(DOOR, empty + late)
    assert event.direction == "in"
    assert at_ms(event) < 30 * 40


def test_line_object_that_was_there_when_the_camera_began_has_crossed_nothing():
    assert events(DOOR, [frame(i, box(490 - 5 * i)) for i in range(10)]) == []


def test_line_tells_classes_scores_and_directions_that_were_asked_for_only():
    rules = {"lines": {"door": {**DOOR["lines"]["door"], "when": "out", "classes": "person", "min_score": 0.5}}}
    assert events(rules, walk(600, 400, -10)) == []
    assert len(events(rules, walk(400, 600, 10))) == 1
    assert events(rules, walk(400, 600, 10, class_name="car")) == []
    assert events(rules, walk(400, 600, 10, score=0.4)) == []


def test_zone_one_visit_is_one_event_with_begin_and_end():
    rules = {"zones": {"yard": {"polygon": YARD, "when": ["enter", "leave"]}}}
    found = events(rules, walk(300, 900, 10))
    assert told(found) == [("yard", "enter", "begin"), ("yard", "enter", "end"), ("yard", "leave", "once")]
    begin, end, leave = found
    assert begin.event_id == end.event_id != leave.event_id
    assert at_ms(begin) == pytest.approx(400)
    assert end.lasted_s == pytest.approx(1.6)


def test_zone_who_stands_on_its_edge_neither_comes_nor_goes():
    rules = {"zones": {"yard": {"polygon": YARD, "when": ["enter", "leave"]}}}
    assert events(rules, walk(300, 400, 10) + [frame(10 + i, box(400 + (-1) ** i)) for i in range(100)]) == []


def test_zone_object_that_vanishes_inside_ends_its_visit_when_it_was_last_seen():
    rules = {"zones": {"yard": {"polygon": YARD, "when": ["enter", "gone"]}}}
    found = events(rules, walk(300, 600, 10) + [frame(30 + i) for i in range(60)])
    assert told(found) == [("yard", "enter", "begin"), ("yard", "enter", "end"), ("yard", "gone", "once")]
    assert found[1].lasted_s == pytest.approx(0.76)


def test_zone_dwell_begins_when_it_has_lasted_and_is_told_again():
    rules = {"zones": {"yard": {"polygon": YARD, "when": "dwell > 2s"}}}
    stays = [frame(i, box(600)) for i in range(25 * 15)]
    found = events(rules, stays + [frame(len(stays) + i) for i in range(80)])
    assert told(found) == [("yard", "dwell", phase) for phase in ("begin", "update", "end")]
    assert at_ms(found[0]) == 2000
    assert len({event.event_id for event in found}) == 1


def test_zone_stopped_ends_when_it_moves_on():
    rules = {"zones": {"yard": {"polygon": YARD, "when": "stopped > 1s"}}}
    found = events(rules, [frame(i, box(500 + i % 3)) for i in range(50)] + walk(500, 700, 10, begin=50))
    assert told(found) == [("yard", "stopped", "begin"), ("yard", "stopped", "end")]


@pytest.mark.parametrize(
    ("when", "counts", "phases"),
    [
        pytest.param("count > 1 for 1s", [2] * 40, ["begin"], id="long enough"),
        pytest.param("count > 1 for 1s", [2] * 20 + [1] * 30, [], id="not long enough"),
        pytest.param("count > 1 for 1s", [2] * 40 + [1] * 5 + [2] * 10, ["begin"], id="a flicker ends nothing"),
        pytest.param("count > 1 for 1s", [2] * 40 + [0] * 40, ["begin", "end"], id="over"),
        pytest.param("nothing for 1s", [0] * 40, ["begin"], id="nobody"),
        pytest.param("nothing for 1s", [0] * 40 + [1] * 2, ["begin", "end"], id="somebody again"),
        pytest.param("count < 1 for 1s", [0] * 40, ["begin"], id="fewer than one"),
    ],
)
def test_zone_counts_objects_for_as_long_as_asked(when: str, counts: list[int], phases: list[str]):
    rules = {"zones": {"yard": {"polygon": YARD, "when": when}}}
    frames = [frame(i, *[box(500 + 100 * k, track_id=k + 1) for k in range(n)]) for i, n in enumerate(counts)]
    assert [event.phase for event in events(rules, frames)] == phases


def test_zone_blind_camera_is_no_empty_zone():
    rules = {"zones": {"yard": {"polygon": YARD, "when": "nothing for 2s"}}}
    frames = [frame(i) for i in range(40)]
    blind = [frame(i, origin="skipped") for i in range(40, 110)]
    assert events(rules, frames + blind + [frame(i) for i in range(110, 150)]) == []
    assert len(events(rules, [frame(i) for i in range(60)])) == 1


@pytest.mark.parametrize(
    ("hours", "events_told"), [("00:00-23:59", 1), ("23:00-08:00", 0), ("08:50-08:55", 1), ("22:00-09:00", 1)]
)
def test_rule_between_hours_of_its_timezone(hours: str, events_told: int):
    rules = {"lines": {"door": {**DOOR["lines"]["door"], "between": hours, "timezone": "UTC"}}}  # 08:53 UTC
    assert len(events(rules, walk(600, 400, -10))) == events_told


def test_rules_killed_and_begun_again_after_any_frame_tell_the_same():
    rules = Rules.model_validate(
        DOOR | {"zones": {"yard": {"polygon": YARD, "when": ["enter", "leave", "stopped > 1s"]}}}
    )
    frames = walk(300, 560, 5) + [frame(52 + i, box(560)) for i in range(60)] + walk(560, 300, -5, begin=112)
    once = events(CameraRules(rules), frames)
    judge, often = CameraRules(rules), []
    for one in frames:
        often += judge.update(one)
        judge = CameraRules(rules, judge.state)
    assert often == once
    assert len(once) >= 6


def test_rules_zone_in_pixels_outside_the_picture_names_it_and_the_size():
    rules = {"zones": {"yard": {"polygon": [[0, 0], [1200, 0], [1200, 500]]}}}
    with pytest.raises(RuleError, match=r"camera gate: yard: \[1200, 0\] is outside .* 1000x1000"):
        events(rules, [frame(0)])


def test_rules_damaged_state_is_told():
    with pytest.raises(RuleError, match="damaged"):
        CameraRules(Rules.model_validate(DOOR), b"\xc1")


def test_rules_without_shapely_are_refused_with_the_command_that_brings_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("pipeline.extras.find_spec", lambda name: None)
    assert not Rules().any
    with pytest.raises(ValueError, match=r"pip install 'camfleet\[rules\]'"):
        Rules.model_validate(DOOR)


@pytest.mark.parametrize("point", [(0, 0), (37.5, 80), (50, 50), (100, 100), (63, 20), (-5, 130)])
def test_distance_from_an_edge_is_that_of_geos(point: tuple[float, float]):
    area = Area.of(Zone(polygon=((0.1, 0.2), (0.9, 0.1), (0.6, 0.5), (0.8, 0.9), (0.2, 0.7))), (100, 100))
    expected = shapely.distance(shapely.Point(point), area.polygon.exterior)
    assert area.distance_px(point) == pytest.approx(expected, abs=1e-9)
