from __future__ import annotations

import msgspec
import pytest

from pipeline.observe.tally import CameraTally, Tally, jain_index
from tests.fleet_tallies import result, state


def only(tally: Tally, now_s: float) -> CameraTally:
    return tally.live(now_s).cameras[0]


def test_tally_without_a_message_knows_nothing_and_says_so():
    fleet = Tally(["gate"]).live(5.0)
    camera = fleet.cameras[0]
    assert (fleet.published_hz, fleet.age_p95_ms, fleet.attainment_percent, fleet.jain_index) == (0.0, None, None, None)
    assert (camera.state, camera.age_p95_ms, camera.detection_age_ms) == ("connecting", None, None)


def test_tally_rates_are_over_the_window_and_count_lost_frames_as_decoded():
    tally = Tally(["gate"])
    for number in range(101):
        tally.add(result("gate", number, detected=number % 2 == 0, lost=1 if number % 10 == 9 else 0), number / 25)
    camera = only(tally, 4.0)
    assert camera.published_hz == pytest.approx(25, abs=1)
    assert camera.detected_hz == pytest.approx(12.5, abs=1)
    assert camera.decoded_hz == pytest.approx(27.5, abs=1)
    assert camera.decoded == 101


def test_tally_percentiles_are_of_all_frames_together():
    tally = Tally(["a", "b"])
    for number in range(100):
        tally.add(result("a", number, age_ms=10), number / 100)
        tally.add(result("b", number, detected=False, age_ms=110), number / 100)
    fleet = tally.whole()
    assert [fleet.age_p95_ms, fleet.detected_age_p95_ms] == pytest.approx([110, 10], rel=0.01)
    assert [camera.age_p95_ms for camera in fleet.cameras] == pytest.approx([10, 110], rel=0.01)
    assert fleet.stages_ms["decode"]["p50"] == pytest.approx(1.0, rel=0.01)


def test_tally_sessions_add_up():
    tally = Tally(["gate"])
    tally.add(result("gate", 9), 0.0)
    tally.add(msgspec.structs.replace(result("gate", 4), session_id="later"), 0.1)
    camera = tally.whole().cameras[0]
    assert (camera.decoded, camera.sessions) == (15, 2)


def test_tally_old_frames_leave_the_live_figures_and_stay_in_the_whole():
    tally = Tally(["gate"])
    for number in range(500):
        tally.add(result("gate", number, age_ms=500 if number < 250 else 20), number / 25)
    assert tally.live(20.0).age_p99_ms == pytest.approx(20, rel=0.01)
    assert tally.whole().age_p99_ms == pytest.approx(500, rel=0.01)


def test_tally_tells_since_when_why_and_when_it_is_tried_again():
    tally = Tally(["gate"])
    tally.hear(state("gate", "retrying", for_s=60, detail="refused", retry_s=5), 100.0)
    camera = only(tally, 102.0)
    assert (camera.state, camera.detail, camera.since_ns > 0, camera.retry_at_ns > 0) == (
        "retrying",
        "refused",
        True,
        True,
    )
    assert (camera.state_for_s, camera.retry_in_s, camera.silent_s) == (62.0, 3.0, 2.0)


def test_tally_camera_that_joins_is_added_behind_the_others():
    tally = Tally(["gate"])
    tally.hear(state("yard", "live"), 0.0)
    assert [camera.camera_id for camera in tally.live(1.0).cameras] == ["gate", "yard"]


def test_tally_removed_camera_leaves_the_live_figures_at_once_and_is_told_at_the_end():
    tally = Tally(["gate", "yard"])
    for number in range(25):
        tally.add(result("gate", number), number / 25)
        tally.add(result("yard", number), number / 25)
    tally.hear(state("yard", "removed"), 1.0)
    live = tally.live(1.0)
    assert ([camera.camera_id for camera in live.cameras], live.published_hz) == (["gate"], 25)
    assert [camera.state for camera in tally.whole().cameras] == ["connecting", "removed"]
    assert tally.whole().cameras[1].decoded == 25


@pytest.mark.parametrize(
    ("frames", "now_s", "longest_s"),
    [
        pytest.param(((0.0, True), (0.5, False), (2.0, True), (2.1, True)), 2.1, 2.0, id="between two"),
        pytest.param(((0.0, False), (3.0, True)), 3.0, 3.0, id="before the first"),
        pytest.param(((0.0, True), (0.1, True)), 7.1, 7.0, id="up to now"),
        pytest.param(((1.0, False), (9.0, False)), 11.0, 10.0, id="never detected"),
    ],
)
def test_tally_longest_time_without_a_detection(frames: tuple[tuple[float, bool], ...], now_s: float, longest_s: float):
    tally = Tally(["gate"])
    tally.hear(state("gate", "connecting"), 0.0)
    for at_s, detected in frames:
        tally.add(result("gate", 1, detected=detected), at_s)
    assert only(tally, now_s).longest_undetected_s == pytest.approx(longest_s)


def test_tally_nobody_waits_for_a_recording_that_has_ended():
    tally = Tally(["gate"])
    tally.add(result("gate", 1), 0.0)
    tally.hear(state("gate", "ended"), 2.0)
    assert only(tally, 60.0).longest_undetected_s == 2.0


def test_tally_age_of_the_last_detection_grows_while_nothing_comes():
    tally = Tally(["gate"])
    tally.add(result("gate", 1, age_ms=50), 1.0)
    assert [only(tally, at_s).detection_age_ms for at_s in (1.0, 3.0, 61.0)] == [50, 2050, 60050]


def test_tally_age_of_the_last_detection_is_the_newest_that_anybody_tells():
    tally = Tally(["gate"])
    tally.add(msgspec.structs.replace(result("gate", 1, detected=False), detection_age_ms=400.0), 1.0)
    tally.hear(msgspec.structs.replace(state("gate", "live"), detection_age_ms=100.0), 2.0)
    tally.hear(msgspec.structs.replace(state("gate", "live"), detection_age_ms=9000.0), 2.5)
    assert only(tally, 3.0).detection_age_ms == 1100


def test_tally_frames_that_were_never_detected_count_with_the_time_they_waited():
    tally = Tally(["gate"], slo_ms=150)
    for number in range(101):
        tally.add(result("gate", number, detected=False, ever=False), number / 10)
    camera = tally.whole().cameras[0]
    assert camera.detection_age_p95_ms == pytest.approx(9500, rel=0.02)
    assert (camera.attainment_percent, camera.detection_age_ms) == (0.0, None)


@pytest.mark.parametrize(
    ("options", "attainment"),
    [
        pytest.param({"detected": True}, 100.0, id="detected in time"),
        pytest.param({"detected": False}, 100.0, id="predicted from a detection"),
        pytest.param({"detected": True, "age_ms": 151.0}, 0.0, id="late"),
        pytest.param({"detected": False, "ever": False}, 0.0, id="skipped"),
    ],
)
def test_tally_attainment_needs_a_frame_in_time_with_a_detection_behind_it(options: dict, attainment: float):
    tally = Tally(["gate"], slo_ms=150)
    tally.add(result("gate", 0, **options), 0.0)
    assert tally.live(0.5).attainment_percent == attainment


def test_tally_fairness_is_among_cameras_that_deliver():
    tally = Tally(["gate", "yard", "dead"])
    for number in range(25):
        tally.add(result("gate", number), number / 25)
        tally.add(result("yard", number), number / 25)
    assert tally.live(1.0).jain_index == 1.0


@pytest.mark.parametrize(
    ("shares", "index"),
    [
        pytest.param([], None, id="nobody"),
        pytest.param([0, 0], None, id="nobody has anything"),
        pytest.param([5, 5, 5], 1.0, id="all the same"),
        pytest.param([9, 0, 0], 0.333, id="one has everything"),
    ],
)
def test_jain_index(shares: list[float], index: float | None):
    assert jain_index(shares) == index
