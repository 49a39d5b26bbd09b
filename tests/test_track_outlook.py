"""What is foreseen for many frames at once is what is foreseen for each alone."""

from __future__ import annotations

import numpy as np

from pipeline.detections import Detections, Tracks
from pipeline.track.outlook import Ahead, foreseen
from pipeline.track.tracker import Tracker, TrackerConfig

PICTURE_WH = (1000, 400)


def tracker(people: int, speed: float) -> Tracker:
    """People below each other who walk to the right at `speed` px/s and are seen for a second, from x = 100 on."""
    subject = Tracker(TrackerConfig(), PICTURE_WH)
    start = np.array([[100, 10 + 40 * number, 180, 40 + 40 * number] for number in range(people)]).reshape(-1, 4)
    for index in range(26):
        xyxy = (start + np.array([1, 0, 1, 0]) * speed * index / 25).astype(np.float32)
        subject.update(Detections(xyxy, np.full(people, 0.9, np.float32), np.zeros(people, np.int32)), index / 25)
    return subject


def ahead(subject: Tracker, at_s: float) -> Ahead:
    found = subject.ahead(at_s)
    assert isinstance(found, Ahead)
    return found


def assert_same(some: Tracks, others: Tracks) -> None:
    np.testing.assert_array_equal(some.names, others.names)
    np.testing.assert_array_equal(some.figures, others.figures)


def test_foreseen_together_is_what_each_frame_has_alone() -> None:
    cameras = [tracker(4, 50), tracker(0, 0), tracker(9, 700), tracker(1, 600)]
    frames = [ahead(camera, 1 + later_s) for later_s in (0.05, 0.4, 0.9, 1.1) for camera in cameras]
    found = foreseen(frames)
    counts = [len(tracks) for tracks in found]
    assert counts[:4] == [4, 0, 9, 1], "all are shown soon after the detection"
    assert counts[-4:] == [0, 0, 0, 0], "nothing is after boxes have expired"
    assert 0 < sum(counts[4:12]) < 2 * sum(counts[:4]), "some have left the picture by then"
    for frame, tracks in zip(frames, found, strict=True):
        assert_same(tracks, foreseen([frame])[0])


def test_foreseen_of_no_frame_is_nothing() -> None:
    assert foreseen([]) == []


def test_foreseen_is_not_changed_by_what_is_learnt_later() -> None:
    subject, other = tracker(3, 50), tracker(3, 50)
    frame = ahead(subject, 1.2)
    subject.update(Detections.empty(), 1.3)
    assert_same(foreseen([frame])[0], other.predict(1.2))


def test_foreseen_belongs_to_the_caller() -> None:
    subject = tracker(3, 50)
    spoiled = subject.predict(1.2)
    spoiled.names[:], spoiled.figures[:] = -1, -1
    assert_same(subject.predict(1.2), tracker(3, 50).predict(1.2))
