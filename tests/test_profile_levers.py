"""What a profile concludes from its figures, and the order of its levers."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from pipeline.bench.figures import Percentiles
from pipeline.profile.levers import find
from tests.profiles import DETECTED, FILLED, LATE, STAGES, camera, facts, process, run

BROKEN = Percentiles(p50_ms=100, p95_ms=180, p99_ms=200)
DECODES = {**STAGES, "decode": 1.15, "inference": 0.4}
OWN = {**STAGES, "decide": 0.9, "inference": 0.4}
ROOM: dict[str, Any] = {"idle": 1.2, "lanes_busy": 0.9}
WAITS = replace(LATE, age_ms=180.0, steps={**LATE.steps, "wait": 120.0})
SLOW = replace(LATE, age_ms=180.0, steps={**LATE.steps, "inference": 130.0})
HELD = replace(LATE, age_ms=180.0, steps={**LATE.steps, "turn": 130.0})
FAR = replace(LATE, age_ms=280.0, steps={**LATE.steps, "capture": 200.0})


@pytest.mark.parametrize(
    ("changes", "kinds"),
    [
        pytest.param({}, ["detector"], id="a full machine, most of it the detector"),
        pytest.param({"stages": DECODES}, ["decode", "detector"], id="decoding before the model"),
        pytest.param(
            {"stages": {**DECODES, "inference": 0.1}}, ["decode"], id="decoding, and a model that costs nothing"
        ),
        pytest.param({"stages": OWN}, ["pipeline"], id="the worker's loop"),
        pytest.param({"idle": 1.2}, ["detector"], id="a device whose lanes are never free"),
        pytest.param({"ways": [DETECTED, SLOW], **ROOM}, ["deadline"], id="one detection takes most of the goal"),
        pytest.param({"ways": [DETECTED, WAITS], **ROOM}, ["wait"], id="frames wait in the slot, cores idle"),
        pytest.param({"ways": [DETECTED, HELD], **ROOM}, ["wait"], id="frames wait for the next detection"),
        pytest.param({"loop": 0.95, **ROOM}, ["pipeline"], id="one loop is a core"),
        pytest.param({"run": run(detected_hz=150.0)}, ["none"], id="all is detected and in time"),
        pytest.param(
            {"run": run(detected_hz=150.0, age=BROKEN), "ways": [DETECTED, FAR], **ROOM},
            ["network", "pipeline"],
            id="late when they come",
        ),
        pytest.param({"run": run(other_cores=0.8)}, ["others", "detector"], id="other programs first"),
        pytest.param({"run": run(other_cores=None), "idle": None}, ["detector"], id="a part of a machine, full"),
        pytest.param(
            {"run": run(detected_hz=150.0), "cameras": [camera(), camera("a"), camera("dear", 0.5, (3840, 2160))]},
            ["camera"],
            id="one camera much dearer",
        ),
        pytest.param(
            {"run": run(detected_hz=150.0), "processes": [process("sink home", detail="9 waiting, 8.0 s behind")]},
            ["sink"],
            id="a slow sink",
        ),
    ],
)
def test_find_names_what_holds_back_and_its_lever_in_order(changes: dict[str, Any], kinds: list[str]):
    found = find(facts(**changes))
    assert [finding.kind for finding in found] == kinds
    assert all(bool(finding.lever) is (finding.kind != "none") for finding in found)


def test_find_decoding_says_its_share_and_what_the_sub_stream_saves():
    decode = find(facts(DECODES))[0]
    assert decode.words.startswith("Decoding takes 65 % of the fleet's cores (1.22 of 1.88")
    assert "Take the cameras' sub-stream before touching the model" in decode.lever
    assert "1280×720 is 4.0 times the pixels that the model looks at (640×360)" in decode.lever


def test_find_decoding_of_small_pictures_proposes_no_sub_stream():
    decode = find(facts(DECODES, cameras=[camera(frame_wh=(640, 360))]))[0]
    assert "sub-stream" not in decode.lever and "hardware" in decode.lever


def test_find_decoding_that_matters_is_told_behind_the_detector():
    kinds = [finding.kind for finding in find(facts({**STAGES, "decode": 0.6}))]
    assert kinds == ["detector", "decode"]


def test_find_dear_camera_is_told_with_its_figures():
    dear = camera("north", 0.5, (3840, 2160))
    words = find(facts(cameras=[camera(), camera("yard"), dear], run=run(detected_hz=150.0)))[0].words
    assert words.startswith("Camera north takes 0.50 cores, 10.0 times what the median camera does (h264 3840×2160")


def test_find_nothing_says_where_most_goes():
    words = find(facts(run=run(detected_hz=150.0)))[0].words
    assert words.startswith("Nothing holds it back: 150.0 of 150.0") and "the detector: 74 %" in words


def test_find_wait_names_where_late_frames_wait():
    assert "wait in the slot" in find(facts(ways=[DETECTED, WAITS, FILLED], **ROOM))[0].words


def test_find_fleet_that_took_nothing_divides_by_nothing():
    nothing = facts({}, run=run(published_hz=0.0, detected_hz=0.0), ways=[], cameras=[], processes=[], **ROOM)
    assert [finding.kind for finding in find(nothing)] == ["pipeline"]
