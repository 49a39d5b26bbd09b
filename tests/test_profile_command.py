"""`camfleet profile` with real fleets: one that it starts, one that runs already, and those that cannot be measured."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from pipeline import Fleet
from pipeline.cli.profile import profile
from pipeline.config import Fleet as FleetConfig
from pipeline.errors import PipelineError, ProfileError
from pipeline.profile.figures import Profile
from pipeline.profile.way import within_age
from pipeline.tune.fingerprint import read_fingerprint
from pipeline.tune.profile import profile_file, write_profile

FleetFile = Callable[..., Path]
SAMPLES = Path(__file__).parent.parent / "samples"
SECONDS = 3.0
"""How long to measure, so that frames come even of a machine that pauses for two."""


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch, runtime: Path) -> None:
    """Nothing here is about how much is measured; and no other fleet is found."""
    monkeypatch.setattr("pipeline.profile.measure.SETTLE_S", (0.2, 0.2))
    monkeypatch.setattr("pipeline.profile.measure.STEP_S", (0.3, 0.3))
    monkeypatch.setattr("pipeline.profile.measure.FIRST_S", 1.0)
    # These would stay with the process that runs the tests.
    monkeypatch.setattr("pipeline.profile.priority.lower", lambda: None)


def told(capsys: pytest.CaptureFixture[str]) -> Profile:
    return msgspec.json.decode(capsys.readouterr().out, type=Profile)


def test_profile_fleet_of_its_own_tells_every_part_as_json(
    fleet_file: FleetFile, recording: Path, capsys: pytest.CaptureFixture[str]
):
    file = fleet_file(
        {"gate": {"url": str(recording), "loop": True}, "yard": {"url": str(recording), "loop": True}},
        sinks={"archive": {"kind": "file", "path": "results", "format": "jsonl"}},
    )
    profile(file, seconds=SECONDS, as_json=True)
    found = told(capsys)
    assert found.ours and found.published_hz > 0 and found.detected_hz > 0
    assert {one.name for one in found.processes} == {
        "worker", "publisher", "camera gate", "camera yard", "sink archive", "supervisor",
    }  # fmt: skip
    assert {"receive", "decode", "resize", "slot", "decide", "track", "encode", "publish", "sinks", "supervisor"} <= {
        share.stage for share in found.shares
    }
    assert [camera.camera_id for camera in found.cameras if camera.decode_ms and not camera.like] == ["gate", "yard"]
    for way in found.ways:
        assert within_age(way.steps) == pytest.approx(way.age_ms, abs=0.5)
    assert found.findings
    assert (file.parent / "results").is_dir(), "kept as the file says, beside it"


def test_profile_running_fleet_is_looked_at_and_goes_on(
    fleet_file: FleetFile, recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    file = fleet_file({"gate": {"url": str(recording), "loop": True}})
    out = tmp_path / "town.html"
    with Fleet(file) as fleet:
        with fleet.results(timeout_s=20) as results:
            next(iter(results))
        before = {process.name: process.pid for process in fleet.processes}
        profile(file, seconds=SECONDS, out=out, without_sinks=True)
        assert {process.name: process.pid for process in fleet.processes} == before
        with fleet.results(timeout_s=20) as results:
            assert next(iter(results)).camera_id == "gate"
    printed = capsys.readouterr()
    assert "where the milliseconds go" in printed.out and "where the cores go" in printed.out
    assert "The fleet ran already" in out.read_text()
    assert str(out) in printed.err


def test_profile_with_a_model_splits_inference_from_after_work(
    fleet_file: FleetFile, capsys: pytest.CaptureFixture[str]
):
    file = fleet_file(
        {"gate": {"url": str(SAMPLES / "gate.mp4"), "loop": True}},
        model={"path": str(SAMPLES / "model" / "demo_openvino_model")},
    )
    profile(file, seconds=SECONDS, as_json=True)
    found = told(capsys)
    shares = {share.stage: share.cores for share in found.shares}
    assert shares["inference"] > shares["after"] > 0
    worker = next(one for one in found.processes if one.name == "worker")
    assert worker.stages["inference"] == shares["inference"]
    assert found.alone.boxes > 0 and found.alone.update_ms > 0
    assert {"inference", "after", "wait"} <= set(found.steps)


@pytest.mark.parametrize("tuned", [True, False])
def test_profile_measures_a_fleet_with_what_tune_found_unless_told_otherwise(
    fleet_file: FleetFile, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tuned: bool
):
    file, here = fleet_file({"gate": "rtsp://cam/1"}), read_fingerprint()
    section = {"model": "", "goal": "p95<=150ms", "date": "2026-11-29", "settings": {"model": {"lanes": 3}}}
    write_profile(profile_file(file, here), here, "test", section)
    measured: list[FleetConfig] = []

    def keep(fleet: FleetConfig, *rest: object) -> None:
        measured.append(fleet)
        raise ProfileError("enough")

    monkeypatch.setattr("pipeline.profile.measure.profile", keep)
    with pytest.raises(ProfileError, match="enough"):
        profile(file, as_json=True, tuned=tuned)
    assert (measured[0].model.lanes == 3) is tuned
    assert ("lanes 3" in capsys.readouterr().err) is tuned


def test_profile_samples_every_process(
    fleet_file: FleetFile, recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    file = fleet_file({"gate": {"url": str(recording), "loop": True}})
    profile(file, seconds=SECONDS, out=tmp_path / "p.html", as_json=True, sample=True)
    found = told(capsys)
    assert {one.name for one in found.sampled} == {one.name for one in found.processes}
    camera = next(one for one in found.sampled if one.name == "camera gate")
    assert camera.error == "" and Path(camera.file).parent == tmp_path / "p"
    assert "shared" in msgspec.json.decode(Path(camera.file).read_bytes())


def test_profile_without_a_camera_that_delivers_says_why(fleet_file: FleetFile):
    file = fleet_file({"gone": {"url": "rtsp://127.0.0.1:1/none", "open_timeout_s": 1}})
    with pytest.raises(ProfileError, match=r"no camera delivers within 2 s.*(gone is|none has said)"):
        profile(file, seconds=1.0, as_json=True)


def test_profile_fleet_that_ends_says_what_to_do(fleet_file: FleetFile, recording: Path):
    with pytest.raises(ProfileError, match="loop: true"):
        profile(fleet_file({"gate": str(recording)}), seconds=60.0, as_json=True)


def test_profile_running_fleet_with_other_cameras_is_refused(fleet_file: FleetFile, recording: Path):
    running = fleet_file({"gate": {"url": str(recording), "loop": True}})
    with Fleet(running), pytest.raises(ProfileError, match="other cameras than the file"):
        profile(fleet_file({"yard": str(recording)}), seconds=1.0, as_json=True)


def test_profile_fleet_that_cannot_start_says_its_own_error(fleet_file: FleetFile, recording: Path):
    file = fleet_file({"gate": str(recording)}, model={"path": str(recording.parent), "backend": "openvino"})
    with pytest.raises(PipelineError, match="model"):
        profile(file, seconds=1.0, as_json=True)


def test_profile_sampler_that_is_missing_is_told_before_anything_runs(
    fleet_file: FleetFile, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setattr("pipeline.profile.sampler.sysconfig.get_path", lambda name: str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ProfileError, match="--sample needs py-spy"):
        profile(fleet_file({"gate": "rtsp://127.0.0.1:1/none"}), seconds=1.0, sample=True, as_json=True)


def test_profile_page_that_cannot_be_written_is_told_before_anything_runs(fleet_file: FleetFile, tmp_path: Path):
    file = fleet_file({"gate": "rtsp://127.0.0.1:1/none"})
    with pytest.raises(ProfileError, match="no folder"):
        profile(file, seconds=1.0, out=tmp_path / "none" / "p.html")
    with pytest.raises(ProfileError, match="cannot be written"):
        profile(file, seconds=1.0, out=tmp_path)
