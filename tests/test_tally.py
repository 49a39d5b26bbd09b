from __future__ import annotations

import msgspec
import pytest
from rich.console import Console

from pipeline.observe.table import live_table, summary_lines
from pipeline.observe.tally import Tally, jain_index
from pipeline.wire import CameraState, Counts, FrameResult
from tests.test_wire import frame


def result(camera_id: str, frame_id: int, *, detected: bool, age_ms: float = 50.0, lost: int = 0) -> FrameResult:
    counts = Counts(decoded=frame_id + 1, detected=1, filled={"stride": frame_id}, lost={})
    return msgspec.structs.replace(
        frame(camera_id, frame_id),
        origin="detected" if detected else "predicted",
        filled_because=None if detected else "stride",
        age_ms=age_ms,
        lost={"link": lost} if lost else {},
        counts=counts,
    )


def test_tally_without_a_frame_is_all_zeros():
    fleet = Tally(["gate"]).live({}, now_s=5.0)
    assert (fleet.published_hz, fleet.age_p95_ms, fleet.cameras[0].state) == (0.0, 0.0, "unknown")
    assert summary_lines(fleet, 150)[0].startswith("0 frames decoded = 0 detected")


def test_tally_rates_are_over_the_window_and_count_lost_frames_as_decoded():
    tally = Tally(["gate"])
    for number in range(101):
        tally.add(result("gate", number, detected=number % 2 == 0, lost=1 if number % 10 == 9 else 0), number / 25)
    camera = tally.live({}, now_s=4.0).cameras[0]
    assert camera.published_hz == pytest.approx(25, abs=1)
    assert camera.detected_hz == pytest.approx(12.5, abs=1)
    assert camera.decoded_hz == pytest.approx(27.5, abs=1)
    assert camera.decoded == 101


def test_tally_percentiles_are_of_all_frames_together():
    tally = Tally(["a", "b"])
    for number in range(100):
        tally.add(result("a", number, detected=True, age_ms=10), number / 100)
        tally.add(result("b", number, detected=False, age_ms=110), number / 100)
    fleet = tally.whole({})
    assert [fleet.age_p95_ms, fleet.detected_age_p95_ms] == pytest.approx([110, 10], rel=0.01)
    assert [camera.age_p95_ms for camera in fleet.cameras] == pytest.approx([10, 110], rel=0.01)
    assert fleet.stages_ms["decode"]["p50"] == pytest.approx(1.0, rel=0.01)


def test_tally_sessions_add_up():
    tally = Tally(["gate"])
    tally.add(result("gate", 9, detected=True), 0.0)
    tally.add(msgspec.structs.replace(result("gate", 4, detected=True), session_id="later"), 0.1)
    camera = tally.whole({}).cameras[0]
    assert (camera.decoded, camera.sessions) == (15, 2)


def test_live_table_shows_each_camera_and_the_state_of_a_silent_one():
    tally = Tally(["gate", "yard"])
    tally.add(result("gate", 0, detected=True), 0.0)
    states = {"yard": CameraState(fleet="town", camera_id="yard", session_id="", state="retrying", detail="refused")}
    console = Console(record=True, width=100)
    console.print(live_table(tally.live(states, now_s=1.0), "town", 150))
    text = console.export_text()
    assert "fleet town" in text
    assert any("yard" in line and "retrying" in line for line in text.splitlines())


def test_tally_old_frames_leave_the_live_figures_and_stay_in_the_whole():
    tally = Tally(["gate"])
    for number in range(500):
        tally.add(result("gate", number, detected=True, age_ms=500 if number < 250 else 20), number / 25)
    assert tally.live({}, now_s=20.0).age_p99_ms == pytest.approx(20, rel=0.01)
    assert tally.whole({}).age_p99_ms == pytest.approx(500, rel=0.01)


def test_tally_longest_time_without_a_detection_is_kept():
    tally = Tally(["gate"])
    for at_s, detected in ((0.0, True), (0.5, False), (2.0, True), (2.1, True)):
        tally.add(result("gate", 1, detected=detected), at_s)
    assert tally.whole({}).cameras[0].longest_undetected_s == 2.0


@pytest.mark.parametrize(
    ("shares", "index"),
    [
        pytest.param([], 1.0, id="nobody"),
        pytest.param([0, 0], 1.0, id="nobody has anything"),
        pytest.param([5, 5, 5], 1.0, id="all the same"),
        pytest.param([9, 0, 0], 0.333, id="one has everything"),
    ],
)
def test_jain_index(shares: list[float], index: float):
    assert jain_index(shares) == index
