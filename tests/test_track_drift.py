from __future__ import annotations

import numpy as np
import pytest

from pipeline.detections import Detections, Tracks
from pipeline.track.correction import TREMBLE, Correction
from pipeline.track.drift import Drift, WatchedTracker
from pipeline.track.tracker import TrackerConfig

GAP_S = 0.2
BOX = (100.0, 100.0, 140.0, 200.0)


def tracks(boxes: dict[int, tuple[float, float, float, float]], since_s: float = 0.0) -> Tracks:
    count = len(boxes)
    return Tracks.of(
        track_id=np.array(list(boxes), np.int64),
        xyxy=np.array(list(boxes.values()), np.float32).reshape(-1, 4),
        score=np.ones(count, np.float32),
        class_id=np.zeros(count, np.int32),
        origin=np.zeros(count, np.uint8),
        since_detected_s=np.full(count, since_s, np.float32),
        uncertainty_px=np.ones(count, np.float32),
        velocity_px_s=np.zeros((count, 4), np.float32),
        uncertainty_px_s=np.ones(count, np.float32),
    )


def right_by(share: float) -> tuple[float, float, float, float]:
    """The box, moved by this share of its width."""
    left, top, right, bottom = BOX
    return left + share * 40, top, right + share * 40, bottom


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        pytest.param({}, {}, 0.0, id="empty"),
        pytest.param({1: BOX}, {1: BOX}, -TREMBLE, id="still"),
        pytest.param({}, {1: BOX}, 1.0, id="birth"),
        pytest.param({1: BOX}, {}, 1.0, id="ghost"),
        pytest.param({1: BOX}, {2: BOX}, 2.0, id="another id"),
        pytest.param({1: BOX}, {1: right_by(0.5)}, 2 / 3 - TREMBLE, id="half beside it"),
        pytest.param({1: BOX}, {1: right_by(2)}, 1 - TREMBLE, id="elsewhere"),
        pytest.param({1: BOX, 3: BOX}, {2: BOX, 3: right_by(0.5)}, 2 + 2 / 3 - TREMBLE, id="one of each"),
        pytest.param({1: BOX, 2: BOX}, {2: BOX, 3: BOX, 4: BOX}, 3 - TREMBLE, id="the last ids are new"),
    ],
)
def test_wrong_boxes_table(before: dict[int, tuple[float, ...]], after: dict[int, tuple[float, ...]], expected: float):
    assert Correction.between(tracks(before), tracks(after)).wrong == pytest.approx(expected, abs=1e-5)


def test_wrong_boxes_what_was_not_seen_says_nothing():
    assert Correction.between(tracks({1: BOX}), tracks({1: BOX}, since_s=0.1)).wrong == 0.0


def test_drift_is_unknown_before_the_second_detection():
    drift = Drift()
    assert drift.wrong_hz is None
    born = Correction.between(Tracks.empty(), tracks({1: BOX}))
    drift.note(born, 0.0)
    assert drift.wrong_hz is None
    drift.note(born, GAP_S)
    assert drift.wrong_hz == pytest.approx(1 / GAP_S)


def test_drift_same_moment_twice_is_no_time():
    drift = Drift()
    for _ in range(2):
        drift.note(Correction.between(Tracks.empty(), tracks({1: BOX})), 1.0)
    assert drift.wrong_hz is None


def seen_hz(boxes_at: list[list[tuple[float, float]]], gap_s: float = GAP_S) -> list[float | None]:
    """What a tracker tells after each detection; boxes of 40 × 100 px with these left top corners."""
    tracker, told = WatchedTracker(TrackerConfig(), (1280, 720)), []
    for index, corners in enumerate(boxes_at):
        xyxy = np.array([(x, y, x + 40, y + 100) for x, y in corners], np.float32).reshape(-1, 4)
        count = len(corners)
        tracker.update(Detections(xyxy, np.full(count, 0.9, np.float32), np.zeros(count, np.int32)), index * gap_s)
        told.append(tracker.drift.wrong_hz)
    return told


def test_drift_empty_and_still_scenes_have_none():
    assert seen_hz([[]] * 20)[-1] == 0
    assert (seen_hz([[(100, 100), (300, 100)]] * 20)[-1] or 0) <= 0


def test_drift_unforeseen_motion_counts_and_foreseen_does_not():
    steady = seen_hz([[(100 + 10 * index, 100)] for index in range(40)])[-1]
    turning = seen_hz([[(100 + 10 * (index % 4 in {1, 2}), 100)] for index in range(40)])[-1]
    assert steady is not None and turning is not None
    assert steady < 0.2
    assert turning > 0.5


def test_drift_somebody_who_walks_in_counts_at_once_and_is_forgotten_slowly():
    told = seen_hz([[]] * 50 + [[(100, 100)]] * 2 + [[(100, 100)]] * 50)
    assert told[49] == 0
    assert (told[51] or 0) > 0.5
    assert 0 < (told[60] or 0) < (told[51] or 0)
    assert (told[-1] or 0) <= 0


def test_drift_people_who_are_never_confirmed_count():
    everybody_new = [[(60 + 150 * (index % 8), 100)] for index in range(40)]
    assert (seen_hz(everybody_new, 0.8)[-1] or 0) > 1


def test_drift_does_not_depend_on_how_often_is_looked():
    rng = np.random.default_rng(0)
    corners = np.cumsum(rng.normal(0, 3, (600, 8, 2)), axis=0) + 300
    often = seen_hz([list(map(tuple, frame)) for frame in corners[::2]], 2 / 25)[-1]
    seldom = seen_hz([list(map(tuple, frame)) for frame in corners[::5]], 5 / 25)[-1]
    assert often is not None and seldom is not None
    assert 0.5 < often / seldom < 2
