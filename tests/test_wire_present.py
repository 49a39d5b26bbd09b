"""Boxes carried to another moment than that of their frame."""

from __future__ import annotations

import math

import numpy as np
import pytest
from msgspec.structs import replace

from pipeline.client.reading import Reading, Wanted
from pipeline.clock import VirtualClock
from pipeline.detections import Detections
from pipeline.track import kalman
from pipeline.track.tracker import Tracker, TrackerConfig
from pipeline.wire import FrameResult, TrackedBox, box, compact, decode, encode
from tests.wire_messages import FRAME

AT_NS = FRAME.published_at_ns
MS = 1_000_000


def seen(**changes: object) -> FrameResult:
    """The frame, 40 ms old when it is published, with one object that has these properties."""
    return replace(FRAME, tracks=(replace(FRAME.tracks[0], **changes),))


def only(result: FrameResult) -> TrackedBox:
    (found,) = result.tracks
    return found


def test_box_moves_by_its_velocity_for_the_age_of_its_frame_and_what_came_after():
    carried = only(seen(velocity_px_s=(50, -10, 100, 0)).at(AT_NS + 60 * MS))
    assert carried.xyxy == pytest.approx((15.0, 19.0, 120.0, 220.5))
    assert (carried.origin, carried.since_detected_ms) == ("predicted", pytest.approx(100.0))


def test_box_grows_uncertain_as_the_filter_says():
    carried = only(seen(uncertainty_px=3.0, uncertainty_px_s=40).at(AT_NS + 60 * MS))
    assert carried.uncertainty_px == pytest.approx(math.sqrt(9 + 16 + 0.09 * 200.5**2 * 0.1))
    assert box.STRAYS == kalman.POSITION_NOISE


def test_box_whose_velocity_is_not_known_stays_and_grows_uncertain():
    carried = only(seen(velocity_px_s=None, uncertainty_px_s=None).at(AT_NS + 60 * MS))
    assert carried.xyxy == FRAME.tracks[0].xyxy
    assert carried.uncertainty_px > FRAME.tracks[0].uncertainty_px


@pytest.mark.parametrize(
    "changes",
    [{"velocity_px_s": (-1200, 0, -1200, 0)}, {"velocity_px_s": (0, 8000, 0, 8000)}, {"since_detected_ms": 901.0}],
    ids=["left at the left", "left at the bottom", "too long ago"],
)
def test_box_of_which_nothing_is_known_any_more_is_left_out(changes: dict):
    assert seen(**changes).at(AT_NS + 60 * MS).tracks == ()


def test_box_at_an_edge_is_cut_off_there():
    assert only(seen(velocity_px_s=(-500, 0, -500, 0)).at(AT_NS + 60 * MS)).xyxy == (0.0, 20.0, 60.0, 220.5)


def test_frame_says_of_a_moment_before_its_capture_what_it_says_of_itself():
    assert FRAME.at(AT_NS - 41 * MS) is FRAME


def test_frame_keeps_what_is_said_of_itself():
    assert replace(FRAME.at(AT_NS), tracks=()) == replace(FRAME, tracks=())


def test_reading_carries_boxes_to_the_moment_at_which_they_are_handed_over():
    clock = VirtualClock(wall_offset_s=(AT_NS + 60 * MS) / 1e9)
    for message in (FRAME, compact(FRAME)):
        given = Reading(Wanted(present=True), clock).take([message.topic, encode(message)])
        assert isinstance(given, FrameResult)
        assert only(given).xyxy[0] == pytest.approx(15.0, abs=0.01)


def test_reader_of_a_fleet_that_tells_no_velocity_knows_none():
    body = encode(seen(velocity_px_s=None, uncertainty_px_s=None))
    given = decode(FRAME.topic, body)
    assert isinstance(given, FrameResult)
    assert only(given).velocity_px_s is None
    small = compact(given)
    assert (small.objects.velocity_px_s, only(small.expand()).velocity_px_s) == ((), None)


def test_tracker_gives_the_velocity_of_what_moves_steadily():
    tracker = Tracker(TrackerConfig(), (640, 360))
    for step in range(20):
        left = 100.0 + 4 * step
        found = Detections(
            np.array([[left, 100, left + 40, 200]], np.float32), np.full(1, 0.9, np.float32), np.zeros(1, np.int32)
        )
        tracks = tracker.update(found, step / 25)
    assert tracks.velocity_px_s[0] == pytest.approx([100, 0, 100, 0], abs=3)
    ahead = tracker.predict(21 / 25)
    assert ahead.velocity_px_s[0] == pytest.approx([100, 0, 100, 0], abs=3)
    assert tracker.interpolate(18.5 / 25).velocity_px_s[0] == pytest.approx([100, 0, 100, 0], abs=3)
    assert 0 < tracks.uncertainty_px_s[0] < 100
