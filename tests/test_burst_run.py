"""Whole runs of small scenarios by the command: real servers, a real fleet with the stub detector, real faults."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import yaml

from pipeline.burst.result import read_report

CAMFLEET = Path(sys.executable).parent / "camfleet"
DEADLINE_S = 60.0

SCENARIO = {
    "cameras": 2,
    "model": {"backend": "stub", "input_wh": [320, 192], "options": {"a_ms": 1}},
    "slo": {"p95_ms": 1000},
    "defaults": {"open_timeout_s": 3, "read_timeout_s": 2, "reconnect": {"initial_s": 0.1, "max_s": 0.2}},
    "phases": [
        {
            "name": "calm",
            "seconds": 1.5,
            "expect": {"p95_ms": 900, "p99_ms": 0.001, "max_lost": 0, "max_clock_difference_ms": 500},
        },
        {
            "name": "hangs up",
            "seconds": 6,
            "fault": {"name": "disconnect", "camera": "square-2", "at_s": 0.2},
            "expect": {"max_recovery_s": 5, "min_cameras": 1},
        },
    ],
}


@pytest.fixture
def scenario(tmp_path: Path, recording: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump({"recordings": [str(recording)], **SCENARIO}))
    return path


@pytest.mark.timeout(400)
def test_burst_runs_a_scenario_judges_it_and_leaves_nothing(scenario: Path, tmp_path: Path):
    # A machine that stands still for a while breaks more than is meant to be broken.
    for number in range(3):
        out = tmp_path / f"out-{number}"
        done = subprocess.run(
            [CAMFLEET, "burst", scenario, "--report", out, "--json"],
            capture_output=True,
            text=True,
            timeout=2 * DEADLINE_S,
            check=False,
        )
        assert done.returncode == 1, done.stderr
        told = json.loads(done.stdout)
        assert (told["passed"], told["phases"][0]["name"]) == (False, "calm")
        assert "series" not in told
        report = read_report(out)
        if len(report.failures()) == 1 and all(one.published > 20 for one in report.phases[0].cameras):
            break
    assert [f"{name} {check.what}" for name, check in report.failures()] == ["calm p99_ms"], (
        "no frame is younger than a microsecond; all else holds"
    )
    calm, fault = report.phases
    assert [camera.camera_id for camera in calm.cameras] == ["square", "square-2"]
    assert all(camera.published > 20 and camera.detected > 0 for camera in calm.cameras)
    assert fault.target == "square-2" and fault.recovery_s is not None
    assert report.truth.matched > 0.8 * report.truth.published > 0
    assert report.truth.age.p50 is not None and report.truth.age.p50 > 0
    assert [(mark.name, mark.camera, mark.error) for mark in report.faults] == [("disconnect", "square-2", "")]
    assert any(event.subject == "camera square-2" and "retrying" in event.text for event in report.events)
    assert {"worker", "supervisor", "replay server", "camera square", "burst lab"} <= {
        process.name for process in report.processes
    }
    assert sorted(path.name for path in out.iterdir()) == ["fleet.log", "report.html", "report.json"]
    assert "FAILED" in (out / "report.html").read_text()


@pytest.mark.long
def test_burst_of_cameras_joins_the_running_fleet_and_leaves_it(scenario: Path, tmp_path: Path):
    body = yaml.safe_load(scenario.read_text())
    body["phases"] = [
        {"name": "calm", "seconds": 1.5},
        {"name": "twice", "seconds": 8, "settle_s": 1, "burst": {"cameras": 4}},
        {"name": "calm again", "seconds": 1.5},
    ]
    scenario.write_text(yaml.safe_dump(body))
    out = tmp_path / "out"
    done = subprocess.run(
        [CAMFLEET, "burst", scenario, "--report", out],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = read_report(out)
    calm, twice, again = report.phases
    assert [len(phase.cameras) for phase in report.phases] == [2, 4, 2]
    assert all(camera.published > 20 and camera.detected > 0 for camera in twice.cameras), done.stderr
    told = [event for event in report.events if event.subject == "fleet"]
    assert [event.text for event in told] == [
        "cameras joined: square-3, square-4",
        "cameras left: square-3, square-4",
    ]
    assert calm.end_s <= told[0].at_s < twice.end_s <= told[1].at_s
    of_newcomer = [event for event in report.events if event.subject == "camera square-3"]
    assert all(event.at_s >= calm.end_s for event in of_newcomer), "it was no part of the fleet before"
    assert "removed" in of_newcomer[-1].text
    assert not any("retrying" in event.text for event in of_newcomer), "it is served before it joins, until it has left"
    assert again.end_s > told[1].at_s


@pytest.mark.long
def test_burst_of_troubles_names_each_camera_with_its_reason(scenario: Path, tmp_path: Path):
    body = yaml.safe_load(scenario.read_text())
    body["cameras"] = 4
    body["settings"] = {"square-4": {"min_detect_hz": 900}}
    body["phases"] = [
        {
            "name": "one blind, one offline, one starved",
            "seconds": 12,
            "faults": [
                {"name": "freeze", "camera": "square-2", "seconds": 8},
                {"name": "refuse", "camera": "square-3", "seconds": 8},
            ],
            "expect": {
                "states": {"square-2": "blind", "square-3": "retrying", "square-4": "degraded"},
                "max_state_s": 8,
            },
        },
    ]
    scenario.write_text(yaml.safe_dump(body))
    out = tmp_path / "out"
    done = subprocess.run(
        [CAMFLEET, "burst", scenario, "--report", out],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (phase,) = read_report(out).phases
    assert {check.what for check in phase.checks} == {f"state of square-{number}" for number in (2, 3, 4)}
    reasons = {check.what[-1]: check.found for check in phase.checks}
    assert "its pictures do not change" in reasons["2"]
    assert "below its floor" in reasons["4"]
    assert phase.detail == "freeze at square-2, for 8 s; refuse at square-3, for 8 s"
    assert phase.target is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_burst_that_is_interrupted_ends_everything(scenario: Path, within: Callable, number: signal.Signals):
    with subprocess.Popen([CAMFLEET, "burst", scenario], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.strip().endswith("waiting for the cameras"):
                break
        for _ in within(DEADLINE_S):
            family = psutil.Process(process.pid).children(recursive=True)
            if len(family) >= 5:  # a replay server, a supervisor, a worker, two cameras
                break
            threading.Event().wait(0.05)
        process.send_signal(number)
        process.communicate(timeout=DEADLINE_S)
    assert process.returncode in (130, 128 + number)
    for _ in within(DEADLINE_S):
        if not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in family):
            break
        threading.Event().wait(0.05)


def test_burst_with_a_model_that_cannot_be_loaded_says_so(scenario: Path):
    body = yaml.safe_load(scenario.read_text())
    body["model"]["options"] = {"speed": 1}
    scenario.write_text(yaml.safe_dump(body))
    done = subprocess.run(
        [CAMFLEET, "burst", scenario], capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )
    assert done.returncode == 2
    assert "speed" in done.stderr and "Traceback" not in done.stderr
