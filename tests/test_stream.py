from __future__ import annotations

import msgspec
import numpy as np
import pytest

from pipeline.clock import NS_PER_S
from pipeline.detections import Detections
from pipeline.geometry import Letterbox
from pipeline.link import Admitted, Tick
from pipeline.track.fill import Filled, FillMode, filling
from pipeline.track.tracker import Tracker, TrackerConfig
from pipeline.worker.stream import Frame, SessionStart, Stream

WH = (640, 360)
BOX = Letterbox.fit(WH, WH)
SEEN = Detections(np.array([[10, 10, 50, 90]], np.float32), np.array([0.9], np.float32), np.zeros(1, np.int32))


def tick(frame_id: int, admitted: Admitted = "slot") -> Tick:
    at_ns = frame_id * NS_PER_S // 25
    return Tick(1, frame_id, frame_id / 25, at_ns, at_ns, "arrival", at_ns, at_ns, WH, admitted)


def stream(mode: FillMode = FillMode.PREDICT) -> Stream:
    return Stream(SessionStart(1, "s", 0, WH), filling(mode, Tracker(TrackerConfig(), WH), max_delay_s=0.3))


def hear(into: Stream, *ticks: Tick) -> None:
    for word in ticks:
        into.add(word, word.decoded_ns)


def left(finished: list[Filled[Frame]]) -> list[tuple[int, str]]:
    return [(done.frame.tick.frame_id, done.frame.reason or done.origin.label) for done in finished]


def test_stream_frame_behind_one_in_detection_waits_its_turn():
    frames = stream()
    hear(frames, tick(0), tick(1, "stride"))
    job = frames.start(0, BOX, 0)
    assert left(frames.leave(0)) == []
    frames.finish(job, SEEN, 5)
    assert left(frames.leave(5)) == [(0, "detected"), (1, "stride")]
    assert frames.idle


def test_stream_newer_frame_replaces_the_one_that_waits():
    frames = stream()
    hear(frames, tick(0), tick(1, "stride"), tick(2))
    assert left(frames.leave(0)) == [(0, "replaced"), (1, "stride")]
    waiting = frames.waiting()
    assert waiting is not None
    assert waiting.tick.frame_id == 2


def test_stream_slot_ahead_of_the_ticks_keeps_the_job_for_its_frame():
    frames = stream()
    hear(frames, tick(0))
    job = frames.start(2, BOX, 0)
    assert left(frames.leave(0)) == [(0, "replaced")]
    assert frames.add(tick(1, "stride"), 0) is False
    assert frames.add(tick(2), 0) is False, "its picture has left the slot: nothing to offer"
    frames.finish(job, SEEN, 9)
    assert left(frames.leave(9)) == [(1, "stride"), (2, "detected")]


def test_stream_stale_frame_is_filled_and_lets_the_others_go():
    frames = stream()
    hear(frames, tick(0), tick(1, "stride"))
    waiting = frames.waiting()
    assert waiting is not None
    frames.give_up(waiting, "stale")
    assert left(frames.leave(0)) == [(0, "stale"), (1, "stride")]


def test_stream_detection_that_comes_after_its_frame_has_left_still_corrects_the_boxes():
    frames = stream()
    hear(frames, tick(0), tick(1, "stride"))
    job = frames.start(0, BOX, 0)
    frames.give_up_overdue(older_than_s=tick(1).captured_ns / NS_PER_S)
    finished = frames.leave(0)
    assert left(finished) == [(0, "overdue"), (1, "stride")]
    assert [len(filled.tracks) for filled in finished] == [0, 0]
    frames.finish(job, SEEN, 9)
    hear(frames, tick(2, "stride"))
    (after,) = frames.leave(9)
    assert (after.tracks.origin.tolist(), len(after.tracks)) == ([1], 1)


def test_stream_detection_older_than_the_last_one_is_not_learned_from():
    frames = stream()
    hear(frames, tick(0))
    slow = frames.start(0, BOX, 0)
    hear(frames, tick(1))
    frames.give_up_overdue(older_than_s=tick(1).captured_ns / NS_PER_S)
    frames.finish(frames.start(1, BOX, 0), Detections.empty(), 1)
    assert left(frames.leave(1)) == [(0, "overdue"), (1, "detected")]
    frames.finish(slow, SEEN, 2)
    hear(frames, tick(2, "stride"))
    assert len(frames.leave(2)[0].tracks) == 0


def test_stream_camera_with_a_slow_clock_is_not_judged_by_it():
    frames = stream()
    slow = msgspec.structs.replace(tick(0), captured_ns=-NS_PER_S // 2)
    frames.add(slow, 0)
    waiting = frames.waiting()
    assert waiting is not None
    assert waiting.judged_from_ns == -50_000_000


@pytest.mark.parametrize(
    ("ticks", "now_ns", "lost"),
    [
        pytest.param([tick(0, "stride"), tick(1, "stride")], 0, {}, id="none missing"),
        pytest.param([tick(3, "stride")], 0, {"link": 3}, id="the first three never heard of"),
        pytest.param([tick(0, "stride"), tick(5, "stride")], 0, {"link": 4}, id="a gap"),
    ],
)
def test_stream_missing_ticks_are_lost_before_the_next_frame(ticks: list[Tick], now_ns: int, lost: dict[str, int]):
    frames = stream()
    hear(frames, *ticks)
    assert dict(frames.leave(now_ns)[-1].frame.lost_before) == lost


def test_stream_tick_that_comes_too_late_is_lost():
    frames = stream()
    assert frames.add(tick(0, "stride"), 3 * NS_PER_S) is False
    frames.add(tick(1, "stride"), tick(1).decoded_ns)
    (only,) = frames.leave(0)
    assert (only.frame.tick.frame_id, dict(only.frame.lost_before)) == (1, {"late": 1})


def test_stream_end_publishes_all_and_ignores_late_detections():
    frames = stream()
    hear(frames, tick(0))
    job = frames.start(0, BOX, 0)
    hear(frames, tick(1, "stride"), tick(2))
    assert left(frames.end(0)) == [(0, "ended"), (1, "stride"), (2, "ended")]
    frames.finish(job, SEEN, 1)
    assert left(frames.leave(1)) == []


def test_stream_interpolating_ends_in_order_with_every_frame_once():
    frames = stream(FillMode.INTERPOLATE)
    done: list[Filled[Frame]] = []
    for frame_id in range(7):
        hear(frames, tick(frame_id, "slot" if frame_id % 3 == 0 else "stride"))
        if frame_id % 3 == 0:
            frames.finish(frames.start(frame_id, BOX, 0), SEEN, 0)
        done += frames.leave(tick(frame_id).decoded_ns)
    done += frames.end(0)
    assert [filled.frame.tick.frame_id for filled in done] == list(range(7))
    assert {filled.origin.label for filled in done if filled.frame.tick.frame_id in (1, 2, 4, 5)} == {"interpolated"}
