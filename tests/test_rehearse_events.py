"""Which sightings are one and the same, and what that makes of two sides and the truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from pipeline.burst.observed import CameraDepartures
from pipeline.rehearse.catalogue import catalogue, same_object
from pipeline.rehearse.compare import by, counts, event_figures, of_both, truth_of
from pipeline.rehearse.hear import Ear, HeardEvent, _Log, _presented_ns
from pipeline.rehearse.sightings import sightings
from pipeline.rehearse.take import Clip
from pipeline.wire import Event
from tests.rehearsals import FPS, clip, seen, take, witness
from tests.wire_messages import FRAME

ZERO_NS = 1_760_000_000_000_000_000
EVENT = Event(
    fleet="f", camera_id="gate", event_id="e", phase="once", rule="door", happening="cross", condition="cross",
    at_ns=ZERO_NS + 2_000_000_000, direction="in", session_id="s", track_id=1,
)  # fmt: skip


def test_same_event_a_little_later_is_one_and_another_direction_is_not():
    found = catalogue([witness("a1", seen(2.0), seen(5.0)), witness("b1", seen(2.2), seen(5.0, what="out"))])
    assert [(one.sighting.at_s, sorted(one.by)) for one in found] == [
        (2.0, ["a1", "b1"]),
        (5.0, ["a1"]),
        (5.0, ["b1"]),
    ]


def test_event_further_apart_than_is_allowed_is_another():
    a, b = witness("a1", seen(2.0)), witness("b1", seen(3.5))
    assert len(catalogue([a, b])) == 2
    assert len(catalogue([a, b], within_s=2.0)) == 1


def test_two_who_cross_shortly_after_each_other_are_told_apart_by_their_boxes():
    """B saw only the second one, and that nearer to the time of the first."""
    both = witness("a1", seen(2.0, 1), seen(2.6, 2), paths={1: 100.0, 2: 400.0})
    second = witness("b1", seen(2.2, 9), paths={9: 401.0})
    found = catalogue([both, second])
    assert [(one.sighting.at_s, sorted(one.by)) for one in found] == [(2.0, ["a1"]), (2.6, ["a1", "b1"])]


def test_object_that_is_nowhere_together_with_the_other_is_judged_by_time():
    a, b = witness("a1", seen(2.0)), witness("b1", seen(2.3, track=7), paths={1: 600.0})
    assert same_object(a.sightings[0], a, b.sightings[0], b) is None
    assert len(catalogue([a, b])) == 1


def test_event_that_is_told_twice_counts_twice():
    found = catalogue([witness("truth", seen(2.0)), witness("a1", seen(2.0), seen(2.4))])
    assert [sorted(one.by) for one in found] == [["a1", "truth"], ["a1"]]


def test_most_runs_decide_who_told_it():
    runs = [witness("a1", seen(2.0)), witness("b1"), witness("a2", seen(2.0)), witness("b2", seen(2.1)), witness("a3")]
    (one,) = catalogue(runs)
    assert (one.runs_of("a"), one.runs_of("b")) == (2, 1)
    assert (by(one, 3), by(one, 1)) == ("only_a", "both")
    assert by(one, 4) == "neither", "two of four are not most"


def test_figures_of_events_count_what_is_wanted():
    truth = witness("truth", seen(1.0), seen(3.0), seen(5.0, wanted=False), seen(7.0))
    found = catalogue([truth, witness("a1", seen(1.0), seen(3.1), seen(5.0)), witness("b1", seen(1.1), seen(9.0))])
    measured = {("gate", found[0].sighting.rule)}
    assert [truth_of(one, measured) for one in found] == ["yes", "yes", "unasked", "yes", "no"]
    assert event_figures(found, "a", 1, measured) == pytest.approx(
        {"events": 3, "events.caught": 2, "events.missed": 1, "events.false": 0, "events.count_error": 100 / 3}
    )
    of_b = event_figures(found, "b", 1, measured)
    assert (of_b["events.caught"], of_b["events.missed"], of_b["events.false"]) == (1, 2, 1)
    assert of_both(found, 1) == {"events.both": 1, "events.only_a": 2, "events.only_b": 1}
    (row,) = counts(found, 1, measured)
    assert (row.a, row.b, row.truth) == (2, 2, 3)


def test_nothing_is_caught_where_nobody_knows_what_happened():
    found = catalogue([witness("a1", seen(1.0)), witness("b1", seen(1.0))])
    assert event_figures(found, "b", 1, set()) == {"events": 1}
    assert counts(found, 1, set())[0].truth is None


def test_revised_event_has_its_last_time_and_a_withdrawn_one_was_not_seen():
    later = replace(EVENT, at_ns=EVENT.at_ns + 100_000_000, revised=True)
    gone = replace(EVENT, event_id="g")
    told = [
        HeardEvent(EVENT, EVENT.at_ns + 40_000_000),
        HeardEvent(gone, EVENT.at_ns),
        HeardEvent(later, EVENT.at_ns + 900_000_000),
        HeardEvent(replace(gone, withdrawn=True, revised=True), EVENT.at_ns),
        HeardEvent(replace(EVENT, event_id="x", camera_id="other"), EVENT.at_ns),
    ]
    (one,) = sightings(told, {"gate": ZERO_NS})
    assert (one.at_s, one.what, one.object_key) == (2.1, "in", ("s", 1))


def test_end_of_what_lasts_is_no_second_event():
    begin = replace(EVENT, phase="begin", happening="dwell", condition="dwell > 1s", direction=None)
    (one,) = sightings([HeardEvent(begin, 0), HeardEvent(replace(begin, phase="end"), 0)], {"gate": ZERO_NS})
    assert (one.what, one.told_ms) == ("dwell > 1s", None)


def test_frame_is_found_by_its_time_and_one_between_recordings_is_none():
    made = clip(1.0)
    found = made.frame_at(np.array([0.0, 0.041, 0.49, 0.96, 2.0, -1.0]))
    assert found.tolist() == [0, 1, 12, 24, -1, -1]
    assert (made.frames, made.fps, made.seconds) == (25, pytest.approx(FPS), pytest.approx(1.0))


def test_recording_is_read_without_decoding_it(recording: Path):
    made = Clip.read(recording)
    assert (made.frames, made.picture_wh, made.lead_s) == (75, (320, 180), 0.0)
    assert made.times_s[:3].tolist() == pytest.approx([0, 0.04, 0.08], abs=1e-4)


def test_frames_find_their_place_in_the_recording_though_one_was_lost():
    ear = Ear(("gate",))
    for number in (0, 1, 3):
        captured = ZERO_NS + number * 40_000_000 + 9_000
        ear.hear(replace(FRAME, frame_id=number, captured_at_ns=captured, published_at_ns=captured + 50_000_000))
    at_ns = ZERO_NS + np.arange(5) * 40_000_000
    made = ear.take("gate", clip(0.2), CameraDepartures(at_ns, at_ns + 1000))
    assert (made.published_ns > 0).tolist() == [True, True, False, True, False]
    assert [len(made.on(frame)) for frame in range(5)] == [1, 1, 0, 1, 0]
    assert list(made.path((FRAME.session_id, 3), 0.1, 0.05)) == [3]
    assert made.tracks(0, {"person": 2}).class_id.tolist() == [2]
    assert len(made.tracks(0, {"car": 1})) == 0, "its class has no number"


def test_frame_without_the_cameras_clock_is_the_last_that_had_left():
    at_ns = ZERO_NS + np.arange(3) * 40_000_000
    log = _Log(captured_ns=[ZERO_NS + 45_000_000, ZERO_NS + 80_000_000], by_rtcp=[False, True])
    presented = _presented_ns(log, CameraDepartures(at_ns, at_ns + 3_000_000))
    assert presented.tolist() == [ZERO_NS + 40_000_000, ZERO_NS + 80_000_000]


def test_path_of_an_object_that_nobody_knows_is_empty():
    assert take({1: 5.0}).path(("s", 2), 1.0, 1.0) == {}
