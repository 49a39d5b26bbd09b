"""`camfleet bench` with real parts: a recording, the stub detector, a fleet of processes."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import typer

from pipeline.bench import machine
from pipeline.bench.bare import measure_bare, run_bare
from pipeline.bench.decode import measure_camera, measure_decode
from pipeline.bench.figures import Bench
from pipeline.bench.fleet import FrameOutcome, Span, Usage, measure_fleet, percentiles, summarize
from pipeline.bench.service import time_batches
from pipeline.cli.bench import bench
from pipeline.config import load_fleet
from pipeline.detect.stub import ServiceTime, StubDetector
from pipeline.errors import DetectorError, PipelineError
from pipeline.logs import LOG_LEVEL
from tests.conftest import RECORDING_FPS, RECORDING_FRAMES

FleetFile = Callable[..., Path]


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here is about how much is measured; and what is chosen for a command's processes ends with it."""
    monkeypatch.setenv(LOG_LEVEL, "debug")
    for name in ("BARE_S", "DECODE_S", "SETTLE_S"):
        monkeypatch.setattr(f"pipeline.cli.bench.{name}", (0.3, 0.3))


@pytest.mark.timeout(400)
def test_bench_fleet_tells_every_part_as_json(
    fleet_file: FleetFile, recording: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = fleet_file({"gate": {"url": str(recording), "loop": True}, "yard": {"url": str(recording), "loop": True}})
    for seconds in (1.0, 5.0, 20.0):
        bench(file, seconds=seconds, as_json=True)
        printed = capfd.readouterr()
        told = msgspec.json.decode(printed.out, type=Bench)
        if told.run.detected_hz > 0:  # on a busy machine that takes longer
            break
    assert "[info" not in printed.err, "lines of the fleet's processes would be written into the bars"
    assert [camera.camera_id for camera in told.cameras] == ["gate", "yard"]
    assert told.bare.images_hz > 0 and told.bare.input_wh == (640, 640)
    assert told.run.published_hz > 0 and told.run.detected_hz > 0
    assert set(told.run.detected_stages) >= {"decode", "slot", "detect", "publish"}
    assert [process.name for process in told.run.processes] == ["worker", "publisher", "camera gate", "camera yard"]
    assert told.verdict.words


def test_bench_fleet_with_a_camera_that_is_not_there_measures_the_others(
    fleet_file: FleetFile, recording: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = fleet_file({"gate": {"url": str(recording), "loop": True}, "gone": "rtsp://127.0.0.1:1/none"})
    with pytest.raises(typer.Exit) as left:
        bench(file, seconds=1.0, as_json=False)
    printed = capsys.readouterr()
    assert left.value.exit_code == 1
    assert "gate: h264 320×180 at 25 fps" in printed.out and "gone: cannot open" in printed.out
    assert "Bottleneck" in printed.out
    assert "measuring the whole fleet" in printed.err


def test_bench_recordings_that_end_too_soon_say_what_to_do(fleet_file: FleetFile, recording: Path) -> None:
    with pytest.raises(PipelineError, match="loop: true"):
        measure_fleet(load_fleet(fleet_file({"gate": str(recording)})), Span(0.0, 60.0), lambda spent_s: None)


def test_bench_model_that_is_not_there_raises(fleet_file: FleetFile, recording: Path) -> None:
    fleet = load_fleet(
        fleet_file({"gate": str(recording)}, model={"path": str(recording.parent), "backend": "openvino"})
    )
    with pytest.raises(DetectorError):
        measure_bare(fleet, 1.0, lambda spent_s: None)


def test_run_bare_keeps_every_lane_busy() -> None:
    detector = StubDetector(lanes=3, max_batch=2, service=ServiceTime(a_ms=20))
    tries = [run_bare(detector, 0.3)]
    assert tries[0].lanes == 3 and tries[0].batch == 2
    while tries[-1].images_hz <= 2 / 0.020 and len(tries) < 10:
        tries.append(run_bare(detector, 0.3))
    assert tries[-1].images_hz > 2 / 0.020, "one lane alone would do 100 a second"


def test_run_bare_failing_lane_raises() -> None:
    class Broken(StubDetector):
        def detect(self, lane: int, count: int) -> list[object]:  # type: ignore[override]
            raise DetectorError("device lost")

    with pytest.raises(DetectorError, match="device lost"):
        run_bare(Broken(lanes=2), 0.1)


def test_time_batches_knows_each_size_alone_and_together() -> None:
    found = time_batches(StubDetector(lanes=2, max_batch=2, service=ServiceTime(a_ms=10, b_ms=5)), 0.4)
    assert (found.lanes, found.max_batch, found.input_wh) == (2, 2, (640, 640))
    assert [one.batch for one in found.batches] == [1, 2]
    assert found.batches[0].alone_ms >= 15 and found.batches[1].alone_ms >= 20
    assert all(one.together_p95_ms >= one.together_ms for one in found.batches)


def test_time_batches_failing_detector_raises() -> None:
    class Broken(StubDetector):
        def detect(self, lane: int, count: int) -> list[object]:  # type: ignore[override]
            raise DetectorError("device lost")

    with pytest.raises(DetectorError, match="device lost"):
        time_batches(Broken(lanes=2), 0.1)


def test_measure_camera_recording_is_read_as_fast_as_it_goes(fleet_file: FleetFile, recording: Path) -> None:
    camera = load_fleet(fleet_file({"gate": {"url": str(recording), "loop": True}})).cameras["gate"]
    cost = measure_camera(camera, (640, 640), seconds=60.0)
    assert cost.error == ""
    assert cost.frames == RECORDING_FRAMES - 1
    assert cost.fps == pytest.approx(RECORDING_FPS, rel=0.01)
    assert cost.frame_wh == (320, 180)
    assert cost.decode_ms > cost.receive_ms > 0 and cost.scale_ms > 0
    assert cost.decode_cores == pytest.approx(cost.decode_ms * cost.fps / 1000, abs=1e-3)


def test_measure_decode_many_cameras_answers_in_order_and_tells_each(fleet_file: FleetFile, recording: Path) -> None:
    urls = {f"cam{number}": str(recording) for number in range(6)}
    fleet = load_fleet(fleet_file(urls | {"none": "rtsp://127.0.0.1:1/none"}))
    told: list[str] = []
    costs = measure_decode(fleet.cameras.values(), (64, 64), 5.0, lambda cost: told.append(cost.camera_id))
    assert [cost.camera_id for cost in costs] == list(fleet.cameras)
    assert sorted(told) == sorted(fleet.cameras)
    assert [cost.camera_id for cost in costs if cost.error] == ["none"]


def frame(camera_id: str = "gate", age_ms: float = 10.0, detected: bool = True, lost: int = 0) -> FrameOutcome:
    reason = None if detected else "stride"
    return FrameOutcome(
        camera_id, age_ms, detected, reason, {"link": lost} if lost else {}, {"decode": 2.0, "publish": age_ms - 2}
    )


def usage(worker_s: float, pid: int = 7, machine_s: float = 0.0) -> Usage:
    return Usage({"worker": worker_s}, worker_s / 10, machine_s, 0, {"worker": pid}, {"worker": 300.0})


def test_summarize_frames_become_rates_ages_and_stages(fleet_file: FleetFile) -> None:
    fleet = load_fleet(fleet_file({"gate": {"url": "rtsp://cam/1", "stride": 2}, "yard": "rtsp://cam/2"}))
    frames = [frame(), frame(age_ms=30, detected=False, lost=2), frame("yard", 20)]
    run = summarize(fleet, frames, usage(1.0), usage(3.0, machine_s=4.0), seconds=2.0)
    assert (run.published_hz, run.detected_hz) == (1.5, 1.0)
    assert run.wanted_hz == (4 / 2 + 1) / 2
    assert run.age.p50_ms == 20 and run.detected_age.p50_ms == 15
    assert run.detected_stages["publish"].p50_ms == 13 and run.filled_stages["publish"].p50_ms == 28
    assert run.lost == {"link": 2} and run.filled == {"stride": 1}
    assert [(process.name, process.cores) for process in run.processes] == [("worker", 1.0)]
    assert run.other_cores in (None, pytest.approx(2.0 - 1.0 - 0.1))


def test_summarize_wants_no_more_than_the_fleet_file_allows_and_tells_the_mean_stride(fleet_file: FleetFile) -> None:
    fleet = load_fleet(fleet_file({"gate": {"url": "rtsp://cam/1", "max_detect_hz": 10}}))
    frames = [FrameOutcome("gate", 10.0, True, None, {}, {}, stride) for stride in (2, 3) for _ in range(25)]
    run = summarize(fleet, frames, usage(1.0), usage(3.0), seconds=2.0)
    assert run.wanted_hz == pytest.approx(25 / 3, abs=0.1)
    assert run.stride == 2.5


def test_summarize_process_started_anew_counts_from_its_start(fleet_file: FleetFile) -> None:
    fleet = load_fleet(fleet_file({"gate": "rtsp://cam/1"}))
    run = summarize(fleet, [frame()], usage(100.0, pid=7), usage(3.0, pid=8), seconds=2.0)
    assert run.processes[0].cores == 1.5


def test_percentiles_of_nothing_are_zero() -> None:
    assert percentiles([]) == percentiles([0.0])


@pytest.mark.parametrize(
    ("content", "cores"),
    [("150000 100000", 1.5), ("max 100000", None), ("", None), ("9900000 100000", None)],
    ids=["a quota", "no quota", "not a quota", "a quota beyond the machine"],
)
def test_usable_cores_container_quota_bounds_them(tmp_path: Path, content: str, cores: float | None) -> None:
    file = tmp_path / "cpu.max"
    file.write_text(content)
    everything = machine.usable_cores(tmp_path / "none")
    assert machine.usable_cores(file) == (min(cores, everything) if cores else everything)


def test_busy_s_grows_with_work() -> None:
    before = machine.busy_s()
    end_s = time.monotonic() + 10
    while machine.busy_s() <= before and time.monotonic() < end_s:
        sum(range(10_000))
    assert machine.busy_s() > before
