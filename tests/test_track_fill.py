"""Frames in, finished frames out: in order, in time, each once, and with boxes that say how they came to be."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from pipeline.detections import Detections, Origin
from pipeline.track.fill import Filled, Filling, FillMode, filling
from pipeline.track.tracker import Tracker, TrackerConfig

FPS = 25.0


def person(x: float, score: float = 0.9) -> Detections:
    return Detections(
        np.array([[x, 100, x + 40, 220]], np.float32), np.array([score], np.float32), np.zeros(1, np.int32)
    )


def fill_of(mode: FillMode, max_delay_s: float = 1.0) -> Filling[int]:
    return filling(mode, Tracker(TrackerConfig(), (1000, 400)), max_delay_s)


def x_at(frame: int) -> float:
    return 100 + 5.0 * frame


def run(subject: Filling[int], frames: int, stride: int, unseen: tuple[int, ...] = ()) -> list[Filled[int]]:
    """A walking person, detected every `stride` frames but not on `unseen`; ends with a flush."""
    finished: list[Filled[int]] = []
    for frame in range(frames):
        at_s = frame / FPS
        finished += subject.expire(at_s)
        if frame % stride:
            finished += subject.skipped(frame, at_s, at_s)
        else:
            found = Detections.empty() if frame in unseen else person(x_at(frame))
            finished += subject.detected(frame, found, at_s, at_s)
    return finished + subject.flush()


@pytest.mark.parametrize("mode", list(FillMode))
@pytest.mark.parametrize("stride", [1, 2, 5])
@pytest.mark.parametrize("max_delay_s", [0.0, 0.1, 1.0])
def test_filling_every_frame_leaves_once_and_in_order(mode: FillMode, stride: int, max_delay_s: float) -> None:
    finished = run(fill_of(mode, max_delay_s), 42, stride)
    assert [filled.frame for filled in finished] == list(range(42))


def test_predict_skipped_frame_leaves_at_once_with_predicted_boxes() -> None:
    subject = fill_of(FillMode.PREDICT)
    run(subject, 21, 5)
    [filled] = subject.skipped(21, 21 / FPS, 21 / FPS)
    assert (filled.frame, filled.origin) == (21, Origin.PREDICTED)
    assert filled.tracks.origin.tolist() == [Origin.PREDICTED]
    assert filled.tracks.xyxy[0, 0] == pytest.approx(x_at(21), abs=1)
    assert subject.due_s is None


def test_none_skipped_frame_says_skipped_and_has_no_boxes() -> None:
    finished = run(fill_of(FillMode.NONE), 11, 5)
    skipped = [filled for filled in finished if filled.frame % 5]
    assert {filled.origin for filled in skipped} == {Origin.SKIPPED}
    assert sum(len(filled.tracks) for filled in skipped) == 0
    assert all(len(filled.tracks) == 1 for filled in finished if filled.frame % 5 == 0)


def test_interpolate_person_who_turns_round_is_followed_between_detections() -> None:
    """A prediction cannot know that the person stops at frame 10; the next detection does."""
    subject = fill_of(FillMode.INTERPOLATE)
    finished: list[Filled[int]] = []
    for frame in range(16):
        at_s = frame / FPS
        place = person(x_at(min(frame, 10)))
        finished += subject.skipped(frame, at_s, at_s) if frame % 5 else subject.detected(frame, place, at_s, at_s)
    by_frame = {filled.frame: filled for filled in finished}
    assert by_frame[12].origin is Origin.INTERPOLATED
    assert by_frame[12].tracks.origin.tolist() == [Origin.INTERPOLATED]
    assert by_frame[12].tracks.xyxy[0, 0] == pytest.approx(x_at(10), abs=0.1)
    assert by_frame[7].tracks.xyxy[0, 0] == pytest.approx(x_at(7), abs=0.1)
    assert by_frame[7].tracks.since_detected_s[0] == pytest.approx(2 / FPS)
    assert by_frame[10].tracks.origin.tolist() == [Origin.DETECTED]


def test_interpolate_frames_leave_with_the_next_detection() -> None:
    subject = fill_of(FillMode.INTERPOLATE)
    left_with: dict[int, int] = {}
    for frame in range(21):
        at_s = frame / FPS
        place = person(x_at(frame))
        done = subject.skipped(frame, at_s, at_s) if frame % 5 else subject.detected(frame, place, at_s, at_s)
        left_with |= {filled.frame: frame for filled in done}
    assert left_with == {frame: 5 * (frame // 5) + 5 for frame in range(20)}


def test_interpolate_track_confirmed_by_the_second_hit_begins_at_the_first() -> None:
    subject = fill_of(FillMode.INTERPOLATE)
    finished = subject.detected(0, Detections.empty(), 0.0, 0.0)
    for frame in range(1, 16):
        at_s = frame / FPS
        place = person(x_at(frame), score=0.7)
        finished += subject.skipped(frame, at_s, at_s) if frame % 5 else subject.detected(frame, place, at_s, at_s)
    with_boxes = [filled.frame for filled in finished if len(filled.tracks)]
    assert with_boxes == list(range(5, 15))


def test_interpolate_object_that_is_gone_loses_its_unsupported_tail() -> None:
    unseen = tuple(range(20, 60, 5))
    finished = run(fill_of(FillMode.INTERPOLATE), 60, 5, unseen)
    last = max(filled.frame for filled in finished if len(filled.tracks))
    limit = TrackerConfig().max_missed_s * FPS
    assert 15 <= last <= 15 + limit


def test_interpolate_missed_detection_is_bridged_by_the_next_hit() -> None:
    finished = run(fill_of(FillMode.INTERPOLATE), 41, 5, unseen=(20,))
    boxes = {filled.frame: filled.tracks for filled in finished}
    assert all(len(boxes[frame]) == 1 for frame in range(40))
    assert boxes[20].origin.tolist() == [Origin.INTERPOLATED]
    assert boxes[22].xyxy[0, 0] == pytest.approx(x_at(22), abs=0.5)
    assert len({int(tracks.track_id[0]) for tracks in boxes.values()}) == 1


def test_interpolate_detection_too_late_falls_back_to_prediction() -> None:
    subject = fill_of(FillMode.INTERPOLATE, max_delay_s=0.1)
    for frame in range(11):
        at_s = frame / FPS
        if frame % 5:
            subject.skipped(frame, at_s, at_s)
        else:
            subject.detected(frame, person(x_at(frame)), at_s, at_s)
    subject.skipped(11, 11 / FPS, 0.45)
    assert subject.due_s == pytest.approx(0.5)
    assert subject.expire(0.49) == []
    [detected] = subject.expire(0.51)
    assert (detected.frame, detected.origin) == (10, Origin.DETECTED)
    [late] = subject.expire(0.56)
    assert (late.frame, late.origin) == (11, Origin.PREDICTED)
    assert late.tracks.origin.tolist() == [Origin.PREDICTED]
    assert late.tracks.xyxy[0, 0] == pytest.approx(x_at(11), abs=2)
    assert subject.due_s is None


def test_interpolate_session_ends_flush_gives_what_is_held() -> None:
    subject = fill_of(FillMode.INTERPOLATE)
    subject.detected(0, person(100), 0.0, 0.0)
    subject.skipped(1, 0.04, 0.04)
    finished = subject.flush()
    assert [(filled.frame, filled.origin) for filled in finished] == [(0, Origin.DETECTED), (1, Origin.PREDICTED)]
    assert all(len(filled.tracks) == 1 for filled in finished)
    assert subject.flush() == []


def test_interpolate_late_detection_learnt_finishes_the_frames_before_it() -> None:
    """Frame 5 left undetected; its detection comes while frame 6 is already held."""
    subject = fill_of(FillMode.INTERPOLATE)
    subject.detected(0, person(x_at(0)), 0.0, 0.0)
    for frame in range(1, 7):
        assert subject.skipped(frame, frame / FPS, frame / FPS) == []
    subject.learn(person(x_at(5)), 5 / FPS)
    assert subject.due_s == 0.0
    early = subject.expire(6 / FPS)
    assert [filled.frame for filled in early] == [0, 1, 2, 3, 4]
    assert early[3].tracks.xyxy[0, 0] == pytest.approx(x_at(3), abs=0.1)
    rest = subject.detected(10, person(x_at(10)), 10 / FPS, 10 / FPS)
    assert [filled.frame for filled in rest] == [5, 6]
    assert rest[1].tracks.xyxy[0, 0] == pytest.approx(x_at(6), abs=0.1)


@pytest.mark.parametrize("mode", [FillMode.PREDICT, FillMode.INTERPOLATE])
def test_filling_boxes_of_one_walker_move_evenly(mode: FillMode) -> None:
    finished = run(fill_of(mode), 60, 5)
    lefts = [float(filled.tracks.xyxy[0, 0]) for filled in finished[20:]]
    steps = [after - before for before, after in itertools.pairwise(lefts)]
    assert steps == pytest.approx([5.0] * len(steps), abs=0.5)
