from __future__ import annotations

import pytest

from pipeline.clock import NS_PER_MS, VirtualClock
from pipeline.detections import Detections, Origin, Tracks
from pipeline.geometry import Letterbox
from pipeline.link import Tick
from pipeline.track.fill import Filled, FillMode, filling
from pipeline.track.tracker import Tracker, TrackerConfig
from pipeline.worker.compose import Composer, Leaving, compose
from pipeline.worker.stream import FillReason, Frame, SessionStart, Stream

WH = (640, 360)
CAPTURED_MS, RECEIVED_MS, DECODED_MS, TAKEN_MS, DONE_MS, NOW_MS = 100, 101, 103, 110, 130, 131


def composed(*, job: bool, done: bool, reason: FillReason | None):
    tracker = Tracker(TrackerConfig(), WH)
    stream = Stream(SessionStart(1, "s", 0, WH), filling(FillMode.PREDICT, tracker, 0.3))
    ns = [value * NS_PER_MS for value in (CAPTURED_MS, RECEIVED_MS, DECODED_MS)]
    frame = Frame(Tick(1, 0, 0.0, ns[0], ns[0], "rtcp", ns[1], ns[2], WH, "slot"), ns[2], {"link": 2}, reason=reason)
    if job:
        frame.job = stream.start(0, Letterbox.fit(WH, WH), TAKEN_MS * NS_PER_MS)
        if done:
            stream.finish(frame.job, Detections.empty(), DONE_MS * NS_PER_MS)
    origin = Origin.DETECTED if done else Origin.PREDICTED
    composer = Composer("town", "gate", ("person",), VirtualClock(start_s=NOW_MS / 1000))
    [result] = compose([Leaving(composer, stream, Filled(frame, Tracks.empty(), origin), stride=3)])
    return result


@pytest.mark.parametrize(
    ("job", "done", "reason", "latency_ms"),
    [
        pytest.param(
            True, True, None, {"capture": 1, "decode": 2, "slot": 7, "detect": 20, "publish": 1}, id="detected"
        ),
        pytest.param(False, False, "stride", {"capture": 1, "decode": 2, "publish": 28}, id="not its turn"),
        pytest.param(True, False, "overdue", {"capture": 1, "decode": 2, "publish": 28}, id="left before it was back"),
    ],
)
def test_compose_stages_follow_each_other_and_add_up_to_the_age(job, done, reason, latency_ms):
    result = composed(job=job, done=done, reason=reason)
    assert result.latency_ms == latency_ms
    assert sum(result.latency_ms.values()) == result.age_ms == NOW_MS - CAPTURED_MS


def test_compose_charges_the_account_with_the_frame_and_what_was_lost_before_it():
    result = composed(job=False, done=False, reason="stride")
    assert (result.lost, result.counts.lost, result.counts.filled) == ({"link": 2}, {"link": 2}, {"stride": 1})
    assert (result.origin, result.filled_because, result.stride) == ("predicted", "stride", 3)
