"""`camfleet tune` and the use of its profile with real parts: recordings, the stub detector, fleets of processes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import av
import pytest
import yaml

from pipeline.cli.run import _loader, reading_anew
from pipeline.config import Fleet, load_fleet
from pipeline.errors import ConfigError, PipelineError
from pipeline.replay import ReplayOptions, serve_recordings
from pipeline.supervise.requests import Requests
from pipeline.tune.fingerprint import read_fingerprint
from pipeline.tune.goal import Goal
from pipeline.tune.order import Order, Prepared, carry_out, prepare
from pipeline.tune.profile import profile_file, write_profile
from pipeline.tune.recordings import find_footage, record_clips
from pipeline.tune.runs import RealRuns
from pipeline.tune.setting import Setting
from pipeline.tune.tracking import StrideLoss, stride_loss
from pipeline.tune.use import Tuned
from tests.test_tune_profile import section
from tests.tune_runs import Pretence, at

FleetFile = Callable[..., Path]
ROOT = Path(__file__).parents[1]
DEADLINE_S = 60
ONE_AT_ONCE = {"backend": "stub", "options": {"a_ms": 150, "b_ms": 0}}
"""A lane detects 6 pictures a second, one at once; two cameras send 50."""


class Silent:
    def step(self, words: str) -> None: ...

    def ran(self, *arguments: object) -> None: ...

    def turn(self, spent_s: float) -> None: ...


@pytest.fixture
def file(fleet_file: FleetFile, recording: Path) -> Path:
    cameras = {name: {"url": str(recording), "loop": True} for name in ("gate", "yard")}
    return fleet_file(cameras, model=ONE_AT_ONCE, worker={"max_batch": 1, "max_wait_ms": 0})


def prepared(file: Path, **changes: Any) -> Prepared:
    return prepare(Order(fleet_file=file, seconds=1, **changes), lambda line: None)


def test_real_run_measures_what_a_setting_does(file: Path):
    fleet = load_fleet(file)
    footage = find_footage(fleet, None)
    assert footage is not None
    turns: list[float] = []
    runs = RealRuns(file, footage, turns.append, settle_s=0.3)

    def is_measured(seconds: float) -> bool:
        one, three = (runs.run(setting, seconds, Goal(500)) for setting in (Setting(), at(lanes=3)))
        return 0 < one.detected_hz < 8 < three.detected_hz and three.wanted_hz > 25

    # 6 a second of a lane, 20 of three; a machine that stands still lets them detect less.
    assert any(is_measured(seconds) for seconds in (1.0, 3.0, 9.0))
    assert turns


def test_real_run_of_a_wrong_setting_says_why(file: Path):
    footage = find_footage(load_fleet(file), None)
    assert footage is not None
    with pytest.raises(PipelineError, match="lanes"):
        RealRuns(file, footage, lambda spent_s: None).run(Setting().but({"model.lanes": 1000}), 1.0, Goal(150))


def test_tune_whole_search_finds_the_lanes_and_skips_what_the_file_sets(file: Path):
    asked = prepared(file, goal="p95<=500ms", time="15m")
    pretence = Pretence(lambda setting: 16.0 * int(str(setting.get("model.lanes") or 1)))
    outcome = carry_out(asked, Silent(), pretence)
    assert outcome.best == at(lanes=4) and outcome.reached
    notes = {step.name: step.note for step in outcome.steps}
    assert "worker.max_batch: set in the fleet file" in notes["batch"]
    assert asked.journal.exists() and asked.journal.parent == file.parent / "profiles"


def camfleet(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "pipeline", *map(str, arguments)]


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        camfleet(*arguments), check=False, capture_output=True, text=True, timeout=DEADLINE_S, cwd=ROOT
    )


@pytest.mark.long
def test_tune_interrupted_keeps_what_it_measured_and_goes_on(file: Path):
    asked = ("tune", file, "--goal", "p95<=500ms, detect_hz>=1", "--time", "20s", "--seconds", "1", "--json")
    with subprocess.Popen(camfleet(*asked), stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if "left  as the file says" in line:
                process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE_S) == 130
    assert any("the same command goes on from there" in line for line in said)
    again = run(*asked)
    assert "going on after 1 measurements" in again.stderr
    told = json.loads(again.stdout)
    assert again.returncode == 0 and told["reached"], again.stderr
    assert told["best"] == {"keys": {}, "model": ""} and told["runs"] == 3
    body = yaml.safe_load(Path(told["profile"]).read_text())
    assert body["fleets"]["test"]["measured"][0]["detected_hz"] >= 1
    assert body["fleets"]["test"]["conclusions"] == told["conclusions"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"goal": "fast"}, "--goal: found “fast”"),
        ({"time": "soon"}, "--time: found “soon”"),
        ({"models": (Path("gone/away.pt"),)}, "--model gone/away.pt: there is no such model"),
        ({"recordings": Path("nowhere")}, "--recordings nowhere: there is no such folder"),
        ({"data": Path("d.yaml")}, "models of backend stub cannot be judged"),
    ],
)
def test_tune_mistakes_are_told_before_any_run(file: Path, options: dict[str, Any], said: str):
    with pytest.raises(ConfigError, match=said):
        prepared(file, **options)
    assert not (file.parent / "profiles").exists()


def test_tune_without_optuna_says_so_before_any_run(file: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("pipeline.extras.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"tune needs optuna, .* not installed: pip install 'camfleet\[tune\]'"):
        prepared(file)


def test_tune_mistake_is_one_line(file: Path):
    done = run("tune", file, "--goal", "fast")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "camfleet: --goal: found “fast”, expected words such as p95<=150ms\n"


def test_tune_other_model_without_anything_to_judge_by_is_refused(file: Path):
    with pytest.raises(ConfigError, match="--model needs --data"):
        prepare(Order(fleet_file=file, models=(file,)), lambda line: None)


def tuned(file: Path) -> Path:
    machine = read_fingerprint()
    path = profile_file(file, machine)
    write_profile(path, machine, "test", section(settings={"model": {"lanes": 3}}))
    return path


def test_run_uses_the_profile_and_says_so_in_one_line(file: Path):
    path = tuned(file)
    done = run("run", file, "--duration", "2")
    lines = [line for line in done.stderr.splitlines() if line.startswith("profile ")]
    assert lines == [
        f"profile {path}: lanes 3 (tuned 2026-11-29 for p95<=150ms: 58 → 66.5 detections a second, p95 128 ms)"
    ]
    assert "3 lanes of 1" in done.stderr


def test_reload_says_of_the_profile_what_is_new(file: Path):
    fleet, words, told = load_fleet(file), ["one", "one", "two", ""], []
    read = reading_anew(lambda _: Tuned(fleet, words.pop(0)), "one", told.append)
    assert all(read(file) is fleet for _ in range(4))
    assert told == ["profile two", "no profile is used any more"]


def test_run_without_profile_is_as_the_file_says(file: Path):
    tuned(file)
    done = run("run", file, "--duration", "2", "--no-profile")
    assert "profile" not in done.stderr and "1 lanes of 1" in done.stderr


def test_run_broken_profile_is_one_clear_error(file: Path):
    path = tuned(file)
    path.write_text(path.read_text().replace("lanes: 3", "lanes: many"))
    done = run("run", file, "--duration", "2")
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert f"{path}:" in done.stderr and "lanes: found “many”" in done.stderr


def test_reload_reads_the_file_as_it_was_read_at_the_start(file: Path):
    tuned(file)
    applied: list[Fleet] = []

    class Running:
        def submit(self, change: Callable[[Any], Any]) -> Any:
            return change(self)

        def apply(self, fleet: Fleet) -> Any:
            applied.append(fleet)
            done: Future[None] = Future()
            done.set_result(None)
            return done

    for use_profile in (True, False):
        load = _loader(use_profile)
        requests = Requests(Running(), file, lambda path, load=load: load(path).fleet)  # type: ignore[arg-type, misc]
        requests.reload()
    assert [fleet.model.lanes for fleet in applied] == [3, None]


def test_check_tells_of_the_profile(file: Path):
    path = tuned(file)
    done = run("check", file)
    assert f"profile {path}: lanes 3" in done.stderr
    assert yaml.safe_load(done.stdout)["model"]["lanes"] == 3
    assert yaml.safe_load(run("check", file, "--no-profile").stdout)["model"]["lanes"] is None


# What is played


def test_footage_of_network_cameras_is_dealt_from_a_folder(fleet_file: FleetFile, recording: Path, tmp_path: Path):
    folder = tmp_path / "clips"
    folder.mkdir()
    for name in ("a.mp4", "gate.mp4", "notes.txt"):
        (folder / name).write_bytes(recording.read_bytes())
    fleet = load_fleet(fleet_file({name: f"rtsp://127.0.0.1:1/{name}" for name in ("gate", "yard", "park")}))
    footage = find_footage(fleet, folder)
    assert footage is not None
    assert {name: path.name for name, path in footage.files.items()} == {
        "gate": "gate.mp4",
        "park": "a.mp4",
        "yard": "gate.mp4",
    }
    assert "2 of them dealt out in turn" in footage.words
    played = footage.in_place_of(fleet)
    assert all(camera.loop and camera.url.kind == "file" for camera in played.cameras.values())


def test_footage_of_network_cameras_without_a_folder_has_to_be_recorded(fleet_file: FleetFile):
    assert find_footage(load_fleet(fleet_file({"gate": "rtsp://127.0.0.1:1/gate"})), None) is None


def test_footage_of_a_network_camera_is_recorded_once(fleet_file: FleetFile, recording: Path, tmp_path: Path):
    told: list[str] = []
    with serve_recordings(ReplayOptions((recording,))) as server:
        fleet = load_fleet(fleet_file({"gate": server.urls[0], "yard": {"url": str(recording), "loop": True}}))
        footage = record_clips(fleet, tmp_path / "clips", told.append, seconds=5.0)
    again = record_clips(fleet, tmp_path / "clips", told.append, seconds=5.0)
    assert footage == again and len(told) == 1, "the camera is gone, its clip is not"
    assert footage.files["yard"] == recording
    with av.open(str(footage.files["gate"])) as container:
        assert next(container.decode(video=0)).width == 320
    assert [path.name for path in (tmp_path / "clips").iterdir()] == ["gate.mkv"]


def test_footage_of_a_camera_that_is_not_there_says_what_to_do(fleet_file: FleetFile, tmp_path: Path):
    fleet = load_fleet(fleet_file({"gate": "rtsp://bob:hunter2@127.0.0.1:1/gate"}))
    with pytest.raises(ConfigError, match=r"camera gate cannot be recorded.*--recordings DIR") as caught:
        record_clips(fleet, tmp_path, lambda line: None, seconds=2.0)
    assert "hunter2" not in str(caught.value)


def test_footage_of_a_function_needs_a_folder(fleet_file: FleetFile):
    with pytest.raises(ConfigError, match="--recordings DIR"):
        find_footage(load_fleet(fleet_file({"gate": "python:tests.plugin_pictures:pictures"})), None)


def test_footage_folder_without_recordings_is_said(fleet_file: FleetFile, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="there is no recording in it"):
        find_footage(load_fleet(fleet_file({"gate": "rtsp://127.0.0.1:1/gate"})), tmp_path / "empty")


# What strides cost


def test_stride_loss_between_strides_is_by_proportion_and_asked_once():
    asked: list[str] = []

    def known(what: str, find: Callable[[], float]) -> float:
        asked.append(what)
        return find()

    loss = StrideLoss(lambda stride: {2: 2.0, 4: 6.0, 8: 10.0, 16: 30.0}[stride], known)
    assert [loss(1), loss(2), loss(3), loss(4), loss(100)] == [0.0, 2.0, 4.0, 6.0, 30.0]
    assert loss(0.5) == 0.0 and len(asked) == 4
    assert StrideLoss(lambda stride: 1.0, lambda what, find: None)(3) == float("inf")


@pytest.mark.long
def test_stride_loss_by_the_tracker_of_boxes_that_stand_still_is_none(file: Path):
    fleet = load_fleet(file)
    footage = find_footage(fleet, None)
    assert footage is not None
    loss = stride_loss(fleet, footage, lambda what, find: find())
    assert loss is not None
    assert loss(2) == pytest.approx(0.0, abs=0.5)
