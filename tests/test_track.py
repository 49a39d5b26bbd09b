"""The tracker: what it keeps, what it ends, and what it answers to nonsense."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from pipeline.config.camera import Track
from pipeline.detections import Detections, Origin, Tracks
from pipeline.track.association import assign, common_shift
from pipeline.track.tracker import Tracker, TrackerConfig

PICTURE_WH = (1000, 800)


def seen(*boxes: tuple[float, ...], score: float = 0.9, class_id: int = 0) -> Detections:
    """Detections of ltwh boxes."""
    ltwh = np.array(boxes, np.float32).reshape(-1, 4)
    xyxy = np.concatenate([ltwh[:, :2], ltwh[:, :2] + ltwh[:, 2:]], axis=1)
    return Detections(xyxy, np.full(len(ltwh), score, np.float32), np.full(len(ltwh), class_id, np.int32))


def together(*parts: Detections) -> Detections:
    return Detections(
        np.concatenate([part.xyxy for part in parts]),
        np.concatenate([part.score for part in parts]),
        np.concatenate([part.class_id for part in parts]),
    )


def tracker(**changes: Any) -> Tracker:
    return Tracker(TrackerConfig(**changes), PICTURE_WH)


def ids(tracks: Tracks) -> list[int]:
    return sorted(tracks.track_id.tolist())


def test_tracker_config_defaults_are_those_of_a_fleet_file() -> None:
    """What is measured with the tracker alone must hold for a fleet that says nothing."""
    subject, file = TrackerConfig(), Track()
    assert (subject.high_score, subject.birth_score) == (file.high_score, file.birth_score)
    assert subject.max_fill_s * 1000 == file.max_fill_ms


@pytest.mark.parametrize("rate_hz", [30, 15, 10, 6, 5])
def test_tracker_people_crossing_at_any_rate_keep_their_ids(rate_hz: int) -> None:
    subject = tracker()
    rng = np.random.default_rng(rate_hz)
    start = np.array([[50, 100], [300, 150], [800, 300], [500, 420], [100, 560]], float)
    speed = np.array([[120, 10], [-20, 40], [-150, 0], [60, -25], [140, 5]], float)
    first: dict[int, int] = {}
    for index in range(4 * rate_hz):
        at_s = index / rate_hz
        corner = start + speed * at_s + rng.normal(0, 1, start.shape)
        tracks = subject.update(seen(*((x, y, 60, 160) for x, y in corner)), at_s)
        assert len(tracks) == 5
        for track_id, box in zip(tracks.track_id.tolist(), tracks.xyxy, strict=True):
            person = int(np.abs(corner - box[:2]).sum(axis=1).argmin())
            assert first.setdefault(person, track_id) == track_id


def test_tracker_jumping_camera_keeps_the_ids() -> None:
    """60 px wide people, moved by 70 px at once: no box overlaps its own place before."""
    subject = tracker()
    rng = np.random.default_rng(1)
    corners = np.array([[100, 100], [250, 300], [420, 120], [560, 330], [700, 200]], float)
    for index in range(10):
        jump = (70 if index >= 8 else 0, 0)
        places = corners + jump + rng.normal(0, 0.5, corners.shape)
        tracks = subject.update(seen(*((x, y, 60, 160) for x, y in places)), index / 10)
    assert ids(tracks) == [1, 2, 3, 4, 5]


def test_tracker_panned_camera_told_by_an_affine_keeps_one_object() -> None:
    """One object alone says nothing of the camera; the pictures do."""
    subject = tracker()
    at = np.array([200.0, 300.0])
    for index in range(8):
        step = np.array([0.0, 0.0]) if index < 4 else np.array([80.0, 0.0])
        at = at + step
        affine = np.eye(2, 3, dtype=np.float32)
        affine[:, 2] = step
        subject.compensate(affine)
        tracks = subject.update(seen((*at, 60, 160)), index / 10)
    assert ids(tracks) == [1]
    ahead = subject.predict(0.8)
    assert ahead.xyxy[0, 0] == pytest.approx(at[0] + 80, abs=5), "what the camera does goes on"


def test_predict_between_detections_follows_the_velocity_and_says_so() -> None:
    subject = tracker()
    for index in range(10):
        detected = subject.update(seen((100 + 20 * index, 200, 60, 160)), index / 10)
    predicted = subject.predict(0.95)
    assert predicted.xyxy[0, 0] == pytest.approx(290, abs=2)
    assert predicted.origin.tolist() == [Origin.PREDICTED]
    assert predicted.since_detected_s[0] == pytest.approx(0.05)
    assert predicted.uncertainty_px[0] > detected.uncertainty_px[0] > 0
    assert detected.origin.tolist() == [Origin.DETECTED]
    assert detected.since_detected_s.tolist() == [0]


def test_predict_twice_changes_nothing() -> None:
    subject = tracker()
    subject.update(seen((100, 200, 60, 160)), 0.0)
    once, twice = subject.predict(0.3), subject.predict(0.3)
    np.testing.assert_array_equal(once.xyxy, twice.xyxy)


@pytest.mark.parametrize(
    ("misses_s", "config", "boxes"),
    [
        pytest.param([0.05], {}, 1, id="one miss is bridged"),
        pytest.param([0.1, 0.2, 0.3, 0.4], {"max_missed_s": 0.2}, 0, id="missed too long has no box"),
        pytest.param([0.1, 0.2], {"max_fill_s": 0.1}, 0, id="filled too long has no box"),
    ],
)
def test_tracker_object_not_found_any_more_ends(misses_s: list[float], config: dict[str, float], boxes: int) -> None:
    subject = tracker(**config)
    subject.update(seen((100, 200, 60, 160)), 0.0)
    for at_s in misses_s:
        tracks = subject.update(Detections.empty(), at_s)
    assert len(tracks) == boxes


def test_predict_without_detections_expires_after_max_fill() -> None:
    subject = tracker(max_fill_s=0.5)
    subject.update(seen((100, 200, 60, 160)), 0.0)
    assert len(subject.predict(0.5)) == 1
    assert len(subject.predict(0.51)) == 0


def test_predict_object_walking_out_ends_at_the_edge() -> None:
    subject = tracker()
    for index in range(8):
        subject.update(seen((600 + 40 * index, 200, 100, 200)), index / 10)
    assert len(subject.predict(0.75)) == 1
    assert len(subject.predict(1.2)) == 0


def test_tracker_found_again_within_lost_s_has_the_same_id() -> None:
    subject = tracker(lost_s=1.0)
    for index in range(5):
        subject.update(seen((100, 200, 60, 160)), index / 10)
    for index in range(5, 12):
        subject.update(Detections.empty(), index / 10)
    assert ids(subject.update(seen((102, 200, 60, 160)), 1.2)) == [1]


def test_tracker_found_again_after_lost_s_is_another() -> None:
    subject = tracker(lost_s=1.0)
    subject.update(seen((100, 200, 60, 160)), 0.0)
    subject.update(Detections.empty(), 1.1)
    subject.update(seen((100, 200, 60, 160)), 1.2)
    assert ids(subject.update(seen((100, 200, 60, 160)), 1.3)) == [2]


def test_tracker_weak_detection_continues_a_track_and_starts_none() -> None:
    subject = tracker()
    subject.update(seen((100, 200, 60, 160)), 0.0)
    both = together(seen((101, 200, 60, 160), score=0.3), seen((600, 200, 60, 160), score=0.3))
    for index in range(1, 4):
        tracks = subject.update(both, index / 10)
    assert ids(tracks) == [1]
    assert tracks.score.tolist() == pytest.approx([0.3])
    assert tracks.origin.tolist() == [Origin.DETECTED]


@pytest.mark.parametrize(("score", "gap_s"), [(0.65, 0.1), (0.95, 0.04)], ids=["not sure", "looked at every frame"])
def test_tracker_single_false_alarm_has_no_box(score: float, gap_s: float) -> None:
    subject = tracker()
    subject.update(Detections.empty(), 0.0)
    assert len(subject.update(seen((100, 200, 60, 160), score=score), gap_s)) == 0
    assert len(subject.update(Detections.empty(), 2 * gap_s)) == 0
    assert len(subject.update(Detections.empty(), 3 * gap_s)) == 0


def test_tracker_that_looks_seldom_shows_at_once_what_is_surely_there_until_it_is_missed() -> None:
    subject = tracker()
    subject.update(Detections.empty(), 0.0)
    found = subject.update(seen((100, 200, 60, 160), score=0.75), 0.1)
    assert (ids(found), ids(subject.predict(0.15))) == ([1], [1])
    assert subject.first_seen == 0
    assert len(subject.update(Detections.empty(), 0.2)) == 0
    assert len(subject.predict(0.25)) == 0


def test_tracker_person_and_bicycle_on_one_place_keep_their_classes() -> None:
    """The person is missed while the bicycle is new: the person's track must not become a bicycle."""
    subject = tracker()
    subject.update(seen((100, 200, 60, 160), class_id=0), 0.0)
    for index in range(1, 4):
        tracks = subject.update(seen((95, 230, 80, 130), class_id=1), index / 30)
    assert dict(zip(tracks.track_id.tolist(), tracks.class_id.tolist(), strict=True)) == {1: 0, 2: 1}


def test_tracker_car_once_called_a_truck_stays_a_car() -> None:
    subject = tracker()
    for index in range(5):
        subject.update(seen((100, 200, 160, 90), class_id=2), index / 10)
    tracks = subject.update(seen((100, 200, 160, 90), class_id=7), 0.5)
    assert (ids(tracks), tracks.class_id.tolist()) == ([1], [2])
    for index in range(6, 20):
        tracks = subject.update(seen((100, 200, 160, 90), class_id=7), index / 10)
    assert (ids(tracks), tracks.class_id.tolist()) == ([1], [7]), "evidence that lasts is believed"


NAN = float("nan")


@pytest.mark.parametrize(
    "nonsense",
    [
        pytest.param(Detections.empty(), id="nothing"),
        pytest.param(seen((300, 300, 0, 100)), id="no width"),
        pytest.param(seen((300, 300, 100, -5)), id="negative height"),
        pytest.param(seen((NAN, 300, 50, 50)), id="nan"),
        pytest.param(seen((float("inf"), 300, 50, 50)), id="inf"),
        pytest.param(seen((-1e30, 0, 2e30, 50)), id="absurdly large"),
        pytest.param(seen((1200, 300, 50, 50)), id="right of the picture"),
        pytest.param(seen((300, -90, 50, 50)), id="above the picture"),
        pytest.param(seen((300, 300, 50, 50), score=NAN), id="score nan"),
    ],
)
def test_tracker_nonsense_among_detections_is_ignored(nonsense: Detections) -> None:
    subject = tracker()
    for index in range(3):
        tracks = subject.update(together(seen((100, 200, 60, 160)), nonsense), index / 10)
    assert ids(tracks) == [1]
    assert np.isfinite(tracks.xyxy).all()
    assert np.isfinite(tracks.uncertainty_px).all()


def test_tracker_nothing_ever_detected_answers_with_nothing() -> None:
    subject = tracker()
    assert len(subject.predict(1.0)) == 0
    assert len(subject.interpolate(1.0)) == 0
    assert len(subject.update(Detections.empty(), 1.0)) == 0
    assert len(subject.predict(1.1)) == 0
    assert subject.predict(1.1).xyxy.shape == (0, 4)


def test_tracker_thousand_boxes_each_get_an_id_and_keep_it() -> None:
    subject = Tracker(TrackerConfig(), (4000, 4000))
    grid = [(100.0 * (i % 40), 100.0 * (i // 40), 60.0, 80.0) for i in range(1000)]
    first = subject.update(seen(*grid), 0.0)
    second = subject.update(seen(*grid), 0.1)
    assert ids(first) == ids(second) == list(range(1, 1001))


def test_tracker_time_going_back_counts_as_the_same_moment() -> None:
    subject = tracker()
    for index in range(5):
        subject.update(seen((100 + 10 * index, 200, 60, 160)), index / 10)
    tracks = subject.update(seen((140, 200, 60, 160)), 0.1)
    assert ids(tracks) == [1]
    assert np.isfinite(tracks.xyxy).all()
    assert (subject.predict(0.0).since_detected_s >= 0).all()
    assert ids(subject.update(seen((150, 200, 60, 160)), 0.5)) == [1]


def test_tracker_boxes_beyond_the_edge_are_clipped_unless_asked() -> None:
    outside = seen((-20, 200, 60, 160))
    assert tracker().update(outside, 0.0).xyxy[0].tolist() == [0, 200, 40, 360]
    assert tracker(clip=False).update(outside, 0.0).xyxy[0].tolist() == [-20, 200, 40, 360]


def test_tracker_two_cameras_count_their_ids_apart() -> None:
    one, other = tracker(), tracker()
    one.update(seen((100, 200, 60, 160), (400, 200, 60, 160)), 0.0)
    assert ids(other.update(seen((100, 200, 60, 160)), 0.0)) == [1]


def test_tracker_results_are_not_changed_by_later_updates() -> None:
    subject = tracker()
    tracks = subject.update(seen((100, 200, 60, 160)), 0.0)
    before = tracks.xyxy.copy()
    subject.update(seen((110, 200, 60, 160)), 0.1)
    np.testing.assert_array_equal(tracks.xyxy, before)


def test_assign_random_similarities_is_as_good_as_the_best_there_is() -> None:
    rng = np.random.default_rng(0)
    for _ in range(100):
        rows, columns = rng.integers(1, 25, 2)
        similarity = rng.random((rows, columns)) * (rng.random((rows, columns)) < rng.random())
        r, c = assign(similarity, 0.3)
        gain = np.maximum(similarity - 0.3, 0.0)
        best = gain[linear_sum_assignment(-gain)].sum()
        assert (similarity[r, c] - 0.3).sum() == pytest.approx(best)
        assert len(set(r)) == len(set(c)) == len(r)
        assert (similarity[r, c] >= 0.3).all()


def test_common_shift_most_boxes_moved_alike_is_that_move() -> None:
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 900, (9, 2))
    before = np.concatenate([corner, corner + np.array([40, 90])], axis=1).astype(np.float32)
    after = before + np.array([12, -7, 12, -7], np.float32)
    after[0] += 5
    np.testing.assert_allclose(common_shift(before, after), (12, -7), atol=0.01)


def test_common_shift_two_boxes_tell_nothing() -> None:
    before = seen((100, 100, 40, 90), (300, 100, 40, 90)).xyxy
    assert common_shift(before, before + 5).tolist() == [0, 0]
