from __future__ import annotations

import math

import msgspec
import pytest
from rich.console import Console

from pipeline.observe.table import live_table, summary_lines
from pipeline.observe.tally import Tally
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
    fleet = Tally(["gate"]).fleet({}, now_s=5.0)
    assert (fleet.published_hz, fleet.age_p95_ms, fleet.cameras[0].state) == (0.0, 0.0, "unknown")
    assert summary_lines(fleet, 150)[0].startswith("0 frames decoded = 0 detected")


def test_tally_rates_are_over_the_window_and_count_lost_frames_as_decoded():
    tally = Tally(["gate"], keep_s=2.0)
    for number in range(101):
        tally.add(result("gate", number, detected=number % 2 == 0, lost=1 if number % 10 == 9 else 0), number / 25)
    camera = tally.fleet({}, now_s=4.0).cameras[0]
    assert camera.published_hz == pytest.approx(25, abs=1)
    assert camera.detected_hz == pytest.approx(12.5, abs=1)
    assert camera.decoded_hz == pytest.approx(27.5, abs=1)
    assert camera.decoded == 101


def test_tally_percentiles_are_of_all_frames_together():
    tally = Tally(["a", "b"], keep_s=math.inf)
    for number in range(100):
        tally.add(result("a", number, detected=True, age_ms=10), number / 100)
        tally.add(result("b", number, detected=False, age_ms=110), number / 100)
    fleet = tally.fleet({}, now_s=1.0)
    assert (fleet.age_p50_ms, fleet.age_p95_ms, fleet.detected_age_p95_ms) == (60.0, 110.0, 10.0)
    assert [camera.age_p95_ms for camera in fleet.cameras] == [10.0, 110.0]


def test_tally_sessions_add_up():
    tally = Tally(["gate"])
    tally.add(result("gate", 9, detected=True), 0.0)
    tally.add(msgspec.structs.replace(result("gate", 4, detected=True), session_id="later"), 0.1)
    camera = tally.fleet({}, now_s=1.0).cameras[0]
    assert (camera.decoded, camera.sessions) == (15, 2)


def test_live_table_shows_each_camera_and_the_state_of_a_silent_one():
    tally = Tally(["gate", "yard"])
    tally.add(result("gate", 0, detected=True), 0.0)
    states = {"yard": CameraState(fleet="town", camera_id="yard", session_id="", state="retrying", detail="refused")}
    console = Console(record=True, width=100)
    console.print(live_table(tally.fleet(states, now_s=1.0), "town", 150))
    text = console.export_text()
    assert "fleet town" in text
    assert any("yard" in line and "retrying" in line for line in text.splitlines())
