"""Sinks of running fleets: real processes, the stub detector."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import psutil
import pytest
import yaml

from pipeline import ConfigError, Fleet, FleetState, FrameResult, Subscriber
from pipeline.listen import Listener
from pipeline.supervise.changes import compare
from pipeline.supervise.status import ProcessStatus
from tests.waiting import wait_until


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "camfleet" / "test" / "sinks"


def lines(path: str = "seen.txt", kind: str = "Lines", **settings) -> dict:
    return {"kind": f"tests.plugin_sink:{kind}", "options": {"path": path}, **settings}


@pytest.fixture
def write(fleet_file: Callable[..., Path], recording: Path) -> Callable[..., Path]:
    def write(**sinks: dict) -> Path:
        cameras = {name: {"url": str(recording), "loop": True} for name in ("a", "b")}
        return fleet_file(cameras, sinks=sinks, model={"backend": "stub", "options": {"a_ms": 2, "boxes": 1}})

    return write


def sink_of(fleet: Fleet, name: str) -> ProcessStatus:
    return next(process for process in fleet.processes if process.name == f"sink {name}")


def test_sink_of_a_fleet_gets_its_results_and_tells_how_it_does(
    write: Callable[..., Path], runtime: Path, tmp_path: Path, within: Callable
):
    with Fleet(write(seen=lines())) as fleet:
        wait_until(within, lambda: (one := sink_of(fleet, "seen").sink) and one.written > 50)
        found = sink_of(fleet, "seen")
        assert (found.role, found.condition, found.sink.lost) == ("sink", "running", 0)
        assert found.detail == found.sink.words
        with Subscriber(fleet.endpoint, states="all", timeout_s=10) as messages:
            told = (one for state in messages if isinstance(state, FleetState) for one in state.processes)
            assert next(one.name for one in told if one.sink is not None and one.sink.written > 50) == "sink seen"
        asked = [sys.executable, "-m", "pipeline", "status"]
        told = json.loads(subprocess.run([*asked, "--json"], capture_output=True, check=True, timeout=60).stdout)
        (process,) = [one for one in told["processes"] if one["role"] == "sink"]
        assert process["sink"]["written"] > 50
        shown = subprocess.run(asked, capture_output=True, check=True, timeout=60, text=True).stdout
        assert "sink seen: running, pid" in shown
        assert "waiting" in shown
    assert (tmp_path / "seen.txt").read_text().startswith(("a ", "b "))


def test_sinks_join_change_and_leave_with_the_file_and_others_are_not_touched(
    write: Callable[..., Path], runtime: Path, tmp_path: Path, within: Callable
):
    file = write(one=lines("one.txt"), two=lines("two.txt"))
    with Fleet(file) as fleet:
        wait_until(within, lambda: (tmp_path / "one.txt").exists() and (tmp_path / "two.txt").exists())
        wait_until(within, lambda: all(process.condition == "running" for process in fleet.processes))
        before = {process.name: process.pid for process in fleet.processes}
        body = yaml.safe_load(file.read_text())
        body["sinks"] = {"one": lines("one.txt"), "two": lines("other.txt"), "three": lines("three.txt")}
        file.write_text(yaml.safe_dump(body))
        changes = fleet.reload()
        assert (changes.sinks_added, changes.sinks_restarted, changes.sinks_removed) == (("three",), ("two",), ())
        assert changes.words == "added sink three; started anew sink two"
        wait_until(within, lambda: (tmp_path / "other.txt").exists() and (tmp_path / "three.txt").exists())
        after = {process.name: process.pid for process in fleet.processes}
        assert {name for name in before if before[name] != after[name]} == {"sink two"}
        body["sinks"] = {"one": lines("one.txt")}
        file.write_text(yaml.safe_dump(body))
        assert set(fleet.reload().sinks_removed) == {"two", "three"}
        gone = [after["sink two"], after["sink three"]]
        wait_until(within, lambda: not any(psutil.pid_exists(pid) for pid in gone))
        assert [process.name for process in fleet.processes if process.role == "sink"] == ["sink one"]


@pytest.mark.parametrize("kind", ["Stuck", "NoSuch"])
def test_sink_that_takes_nothing_costs_the_fleet_nothing_and_keeps_everything(
    kind: str, write: Callable[..., Path], runtime: Path, state: Path, within: Callable
):
    with Fleet(write(bad=lines(kind=kind))) as fleet:
        pid = None

        def has_kept() -> bool:
            nonlocal pid
            pid = sink_of(fleet, "bad").pid
            return (one := sink_of(fleet, "bad").sink) is not None and one.waiting > 100

        wait_until(within, has_kept)
        assert sink_of(fleet, "bad").restarts == 0
        with fleet.results(timeout_s=10) as results:
            frames = [results.receive() for _ in range(50)]
        assert {cause for frame in frames for cause in frame.lost} <= {"late"}, "of a machine that stands still alone"
    assert pid is not None
    assert not psutil.pid_exists(pid)
    assert sum(file.stat().st_size for file in (state / "bad").iterdir()) > 10_000


def test_sink_that_dies_again_and_again_is_given_up_and_the_fleet_goes_on(
    write: Callable[..., Path], runtime: Path, within: Callable
):
    with Fleet(write(ill=lines(kind="Dying"))) as fleet:
        fleet._supervisor._members.get("sink ill").child.budget.most = 2
        wait_until(within, lambda: sink_of(fleet, "ill").condition == "given up")
        with fleet.results(timeout_s=10) as results:
            assert [results.receive() for _ in range(20)]
        assert {process.condition for process in fleet.processes if process.role != "sink"} == {"running"}


def test_sink_of_a_fleet_that_is_killed_has_every_frame_from_the_first_to_the_last(
    write: Callable[..., Path], runtime: Path, tmp_path: Path, within: Callable
):
    heard: list[FrameResult] = []

    def hear(message: object) -> None:
        if isinstance(message, FrameResult):
            heard.append(message)

    with Fleet(write(keep={"kind": "file", "path": "kept"})) as fleet, Listener(fleet.endpoint, hear, drain_s=0.5):
        for kills in (1, 2):
            wait_until(within, lambda: (one := sink_of(fleet, "keep").sink) and one.written > 20)
            pid = sink_of(fleet, "keep").pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            wait_until(within, lambda kills=kills: sink_of(fleet, "keep").restarts == kills)
        known = len(heard)
        wait_until(within, lambda: len(heard) > known + 50)
        fleet.close()
    kept = [json.loads(line) for file in (tmp_path / "kept").glob("*.jsonl") for line in file.read_text().splitlines()]
    sessions = {(line["camera_id"], line["session_id"]) for line in kept}
    for session in sessions:
        numbers = sorted(line["frame_id"] for line in kept if (line["camera_id"], line["session_id"]) == session)
        assert numbers == list(range(len(numbers)))
    keys = {(line["camera_id"], line["session_id"], line["frame_id"]) for line in kept}
    assert {(one.camera_id, one.session_id, one.frame_id) for one in heard} <= keys


def test_sink_whose_place_is_away_tells_no_secret_anywhere(
    write: Callable[..., Path], runtime: Path, state: Path, tmp_path: Path, within: Callable
):
    planted = "hunter2-is-secret"
    away = {"kind": "webhook", "url": f"http://127.0.0.1:9/{planted}", "secret": planted, "token": planted}
    command = [sys.executable, "-m", "pipeline", "run", str(write(away=away)), "--quiet"]
    log = tmp_path / "log"
    with log.open("w") as file, subprocess.Popen(command, stdout=file, stderr=file) as running:
        asked = [sys.executable, "-m", "pipeline", "status", "--json"]
        told = ""
        titles: set[str] = set()

        def tells() -> bool:
            nonlocal told
            told = subprocess.run(asked, check=False, capture_output=True, text=True, timeout=60).stdout
            titles.update(" ".join(one.cmdline()) for one in psutil.Process(running.pid).children(recursive=True))
            return "cannot be reached: [Errno 111]" in told

        wait_until(within, tells)
        running.send_signal(signal.SIGTERM)
        running.wait(30)
    shown = log.read_text() + told + " ".join(titles)
    assert "results wait on disk: 127.0.0.1 cannot be reached" in shown
    assert planted not in shown
    assert not [file for file in state.rglob("*") if file.is_file() and planted.encode() in file.read_bytes()]


def test_sink_whose_library_is_missing_is_told_before_anything_starts(write: Callable[..., Path], runtime: Path):
    from importlib.util import find_spec

    from pipeline.config import load_fleet

    fleet = load_fleet(write(keep={"kind": "file", "path": "out", "format": "parquet"}))
    with (
        patch("pipeline.extras.find_spec", lambda name: None if name == "pyarrow" else find_spec(name)),
        pytest.raises(ConfigError, match=r"sink “keep”: “file” needs pyarrow.* pip install 'camfleet\[sinks\]'"),
    ):
        Fleet(fleet)


def test_compare_sees_a_secret_that_is_all_that_differs(write: Callable[..., Path]):
    from pipeline.config import load_fleet

    one, two = (load_fleet(write(w={"kind": "webhook", "url": f"https://h/{key}"})) for key in "ab")
    assert compare(one, two).sinks_restarted == ("w",)
    assert compare(one, one).nothing
