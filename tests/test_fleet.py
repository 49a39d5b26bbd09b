"""Whole fleets: real processes, shared memory, sockets; the stub detector where its speed must be known."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from pipeline import FrameResult, Subscriber, SubscriberTimeout
from pipeline.config import load_fleet
from pipeline.supervise.supervisor import Supervisor
from tests.camera_media import gst_server
from tests.conftest import RECORDING_FRAMES

CAMFLEET = Path(sys.executable).parent / "camfleet"
DEADLINE_S = 60.0


class Run:
    """A fleet that runs in this process's supervisor, and everything it has published."""

    def __init__(self, supervisor: Supervisor, endpoint: str) -> None:
        self.supervisor = supervisor
        self.results: list[FrameResult] = []
        self._stop = threading.Event()
        self._subscriber = Subscriber(endpoint, timeout_s=0.1, queue=0)
        self._threads = [threading.Thread(target=self._listen), threading.Thread(target=supervisor.run)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def _listen(self) -> None:
        while not self._stop.is_set():
            try:
                self.results.append(self._subscriber.receive())
            except SubscriberTimeout:
                continue
        self._subscriber.close()

    def close(self) -> None:
        self.supervisor.stop()
        self._threads[1].join(DEADLINE_S)
        self._stop.set()
        self._threads[0].join(DEADLINE_S)

    def of(self, camera_id: str) -> list[FrameResult]:
        return [result for result in self.results if result.camera_id == camera_id]

    def has_all_of(self, camera_id: str) -> bool:
        """Whether the last frame of a recording is there."""
        return any(result.frame_id == RECORDING_FRAMES - 1 for result in self.of(camera_id))

    def pid(self, name: str) -> int | None:
        return next(status.pid for status in self.supervisor.status() if status.name == name)

    def restarts(self, name: str) -> int:
        return next(status.restarts for status in self.supervisor.status() if status.name == name)


@contextmanager
def running(fleet_file: Path) -> Iterator[Run]:
    with Supervisor(load_fleet(fleet_file)) as supervisor:
        run = Run(supervisor, supervisor.open().endpoint)
        run.start()
        try:
            yield run
        finally:
            run.close()


def assert_books_are_right(results: list[FrameResult]) -> None:
    """Every frame once, in order, and decoded = detected + filled + lost in every message.

    A subscriber finds a new worker after a moment, so the first message it sees need not be the session's first.
    """
    next_frame: dict[str, int] = {}
    for result in results:
        expected = next_frame.get(result.session_id, result.frame_id - sum(result.lost.values()))
        assert result.frame_id == expected + sum(result.lost.values()), (result.camera_id, result.session_id)
        next_frame[result.session_id] = result.frame_id + 1
        counts = result.counts
        assert counts.decoded == result.frame_id + 1
        assert counts.decoded == counts.detected + sum(counts.filled.values()) + sum(counts.lost.values())
        assert (result.origin == "detected") is (result.filled_because is None)


@pytest.mark.parametrize("fill", ["predict", "interpolate", "none"])
def test_fleet_with_a_detector_too_slow_accounts_for_every_frame(
    fleet_file: Callable[..., Path], recording: Path, within: Callable, fill: str
):
    cameras = {f"cam{number}": str(recording) for number in range(3)}
    path = fleet_file(
        cameras,
        model={"backend": "stub", "options": {"a_ms": 60}},
        worker={"max_batch": 1},
        defaults={"stride": 2, "track": {"fill": fill}},
    )
    with running(path) as run:
        for _ in within(DEADLINE_S):
            if all(run.has_all_of(camera_id) for camera_id in cameras):
                break
            threading.Event().wait(0.05)
    for camera_id in cameras:
        results = run.of(camera_id)
        assert_books_are_right(results)
        last = results[-1].counts
        assert results[0].frame_id == sum(results[0].lost.values())
        assert last.decoded == RECORDING_FRAMES
        assert last.lost.keys() <= {"late"}, "and of a machine that stands still for seconds alone"
        assert last.detected > 0
        assert last.filled["stride"] + last.lost.get("late", 0) >= RECORDING_FRAMES // 2
        assert last.filled.get("replaced", 0) + last.filled.get("stale", 0) > 0, (
            "the stub is slow: frames must give way"
        )
    filled = {"predict": {"predicted"}, "interpolate": {"predicted", "interpolated"}, "none": {"skipped"}}[fill]
    # Before a camera's first detection nothing stands behind its frames, whatever they are to be filled with.
    # And boxes die after a second.
    ages = [(result, result.detection_age_ms) for result in run.results]
    known = [result for result, age_ms in ages if fill == "none" or (age_ms is not None and age_ms < 1000)]
    assert {result.origin for result in known} <= {"detected", *filled}
    assert all(result.origin == "skipped" for result in run.results if result.detection_age_ms is None)


def test_fleet_detection_that_never_comes_back_costs_its_frame_and_no_worker(
    fleet_file: Callable[..., Path], recording: Path, within: Callable
):
    path = fleet_file(
        {"a": {"url": str(recording), "loop": True}},
        model={"backend": "stub", "lanes": 2, "options": {"a_ms": 5, "hang_at": 4}},
        defaults={"stride": 2},
    )
    with running(path) as run:
        for _ in within(DEADLINE_S):
            overdue = [result for result in run.results if result.filled_because == "overdue"]
            if overdue and run.results[-1].frame_id > overdue[0].frame_id + 8 * 25:
                break
            threading.Event().wait(0.05)
        assert run.restarts("worker") == 0
    assert_books_are_right(run.results)
    later = [result for result in run.results if result.frame_id > overdue[0].frame_id + 7 * 25]
    origins = {result.origin for result in later}
    assert {"detected", "predicted"} <= origins <= {"detected", "predicted", "skipped"}


def test_fleet_detector_that_is_away_for_a_while_has_frames_filled_none_lost_and_keeps_its_worker(
    fleet_file: Callable[..., Path], recording: Path, within: Callable
):
    path = fleet_file(
        {"a": {"url": str(recording), "loop": True}},
        model={"backend": "tests.plugin_away:make", "path": "-"},
        defaults={"stride": 1},
    )
    with running(path) as run:
        for _ in within(DEADLINE_S):
            origins = [result.origin for result in run.results]
            # Boxes die after a second without a detection: then frames are skipped, until it is back.
            away = origins.index("predicted") if "predicted" in origins else len(origins)
            if "skipped" in origins[away:] and "detected" in origins[origins.index("skipped", away) :]:
                break
            threading.Event().wait(0.05)
        assert run.restarts("worker") == 0
    assert_books_are_right(run.results)
    assert run.results[-1].counts.lost.keys() <= {"late"}, "and of a machine that stands still for seconds alone"


def test_fleet_recordings_as_fast_as_they_go_wait_for_the_detector(
    fleet_file: Callable[..., Path], recording: Path, within: Callable
):
    path = fleet_file(
        {f"cam{number}": str(recording) for number in range(2)},
        model={"backend": "stub", "options": {"a_ms": 30}},
        worker={"max_batch": 1},
        slo={"p95_ms": 10},
        defaults={"stride": 3, "pace": "fastest", "track": {"gmc": "sparse"}},
    )
    with running(path) as run:
        for _ in within(DEADLINE_S):
            if len(run.results) == 2 * RECORDING_FRAMES:
                break
            threading.Event().wait(0.05)
    for camera_id in ("cam0", "cam1"):
        results = run.of(camera_id)
        assert_books_are_right(results)
        last = results[-1].counts
        assert (last.decoded, last.detected, last.filled) == (75, 25, {"stride": 50})


def test_fleet_boxes_say_how_they_came_to_be(fleet_file: Callable[..., Path], recording: Path, within: Callable):
    with running(fleet_file({"a": str(recording)}, defaults={"stride": 3})) as run:
        for _ in within(DEADLINE_S):
            if len(run.results) == RECORDING_FRAMES:
                break
            threading.Event().wait(0.05)
    for result in run.results:
        for box in result.tracks:
            assert (box.origin == "detected") is (box.since_detected_ms == 0)
            assert result.origin == "detected" or box.origin == "predicted"
    assert {box.class_name for result in run.results for box in result.tracks} == {"object"}


def test_fleet_on_a_server_nobody_here_wrote_publishes_every_frame_with_the_cameras_own_time(
    fleet_file: Callable[..., Path], recording: Path, within: Callable
):
    with gst_server("--auth", "viewer:hunter2", recording) as port:
        path = fleet_file({"gate": f"rtsp://viewer:hunter2@127.0.0.1:{port}/{recording.stem}"})
        with running(path) as run:
            for _ in within(DEADLINE_S):
                if any(result.capture_clock == "rtcp" and result.origin == "detected" for result in run.results):
                    break
                threading.Event().wait(0.05)
    assert_books_are_right(run.results)
    assert {result.frame_wh for result in run.results} == {(320, 180)}


def test_fleet_killed_camera_comes_back_and_the_other_goes_on(
    fleet_file: Callable[..., Path], recording: Path, within: Callable
):
    path = fleet_file({name: {"url": str(recording), "loop": True} for name in ("victim", "other")})
    with running(path) as run:
        for _ in within(DEADLINE_S):
            if len({result.camera_id for result in run.results}) == 2:
                break
            threading.Event().wait(0.05)
        pid = run.pid("camera victim")
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        first_session = run.of("victim")[0].session_id
        for _ in within(DEADLINE_S):
            if run.of("victim")[-1].session_id != first_session:
                break
            threading.Event().wait(0.05)
        assert run.restarts("camera victim") == 1
        assert run.restarts("camera other") == 0
    assert len({result.session_id for result in run.of("other")}) == 1
    for camera_id in ("victim", "other"):
        assert_books_are_right(run.of(camera_id))


def test_fleet_killed_worker_comes_back_and_says_what_was_lost(
    fleet_file: Callable[..., Path], recording: Path, within: Callable
):
    path = fleet_file({name: {"url": str(recording), "loop": True} for name in ("a", "b")})
    with running(path) as run:
        for _ in within(DEADLINE_S):
            if len({result.camera_id for result in run.results}) == 2:
                break
            threading.Event().wait(0.05)
        pid = run.pid("worker")
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        for _ in within(DEADLINE_S):
            if all(len({result.session_id for result in run.of(camera_id)}) == 2 for camera_id in ("a", "b")):
                break
            threading.Event().wait(0.05)
        assert run.restarts("worker") == 1
        assert run.restarts("camera a") == 0
    for camera_id in ("a", "b"):
        results = run.of(camera_id)
        assert_books_are_right(results)
        sessions = list(dict.fromkeys(result.session_id for result in results))
        assert sessions[1].startswith(sessions[0]), "the camera's session goes on, the worker's begins anew"
        accounted = int(sessions[1].rpartition(".")[2])
        seen = sum(result.session_id == sessions[0] for result in results)
        assert accounted >= seen - 1, "nothing that was published is counted twice"


def camfleet(*arguments: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [CAMFLEET, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_run_when_told_to_stop_leaves_nothing_behind(
    fleet_file: Callable[..., Path], recording: Path, short_path: Path, within: Callable, number: signal.Signals
):
    path = fleet_file(
        {name: {"url": str(recording), "loop": True} for name in ("a", "b")},
        publish={"bind": f"ipc://{short_path}/stop.sock"},
    )
    endpoint = load_fleet(path).publish.bind
    with camfleet("run", path) as process:
        with Subscriber(endpoint, timeout_s=DEADLINE_S) as results:
            while {"a", "b"} - {camera for camera, state in results.states.items() if state.state == "live"}:
                results.receive()
        family = psutil.Process(process.pid).children(recursive=True)
        assert len(family) >= 4, "a fork server, a worker and two cameras"
        process.send_signal(number)
        output, errors = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, errors
    assert "frames decoded" in output
    for _ in within(DEADLINE_S):
        if not any(child.is_running() for child in family):
            break
        threading.Event().wait(0.05)
    assert not list(Path("/dev/shm").glob(f"camfleet-{process.pid}-*"))


def test_run_whose_temporary_files_have_a_long_path_needs_no_other(
    fleet_file: Callable[..., Path], recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    place = tmp_path / ("of-a-batch-system-" + "x" * 80)
    place.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    with camfleet("run", fleet_file({"a": str(recording)})) as process:
        output, errors = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, errors
    assert "frames decoded" in output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_run_ended_while_the_model_loads_has_made_no_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
):
    (tmp_path / "slow_model.py").write_text("import time\ndef load(model):\n    time.sleep(600)\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    path = tmp_path / "fleet.yaml"
    path.write_text("model: {backend: 'slow_model:load', path: any}\ncameras: {a: {url: 'rtsp://127.0.0.1:9/a'}}\n")
    with camfleet("run", path) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("loading ")
        process.send_signal(number)
        _, errors = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 128 + number
    assert errors.endswith("stopped before the worker was ready\n")


def test_run_with_killed_supervisor_leaves_no_orphan(
    fleet_file: Callable[..., Path], recording: Path, within: Callable
):
    path = fleet_file({"a": {"url": str(recording), "loop": True}})
    with camfleet("run", path) as process:
        for _ in within(DEADLINE_S):
            family = psutil.Process(process.pid).children(recursive=True)
            if len(family) >= 4:
                break
            threading.Event().wait(0.05)
        process.kill()
    for _ in within(DEADLINE_S):
        if not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in family):
            break
        threading.Event().wait(0.05)


def test_run_one_bad_camera_does_not_stop_the_good_one(
    fleet_file: Callable[..., Path], recording: Path, tmp_path: Path
):
    secret = "hunter2"
    path = fleet_file({"good": str(recording), "bad": f"rtsp://bob:{secret}@127.0.0.1:9/none"})
    summary = tmp_path / "summary.json"

    def decodes_all(seconds: int) -> bool:
        with camfleet("run", path, "--duration", str(seconds), "--summary", summary) as process:
            output, errors = process.communicate(timeout=seconds + DEADLINE_S)
        assert process.returncode == 1
        assert "camera bad never delivered a frame" in errors
        assert secret not in output + errors
        return f'"decoded": {RECORDING_FRAMES}' in summary.read_text()

    # A machine under load may need longer to begin.
    assert any(decodes_all(seconds) for seconds in (6, 20))


@pytest.mark.parametrize(
    ("model", "words"),
    [
        pytest.param({"path": "absent.xml"}, "absent.xml", id="a model that does not exist"),
        pytest.param({"backend": "stub", "options": {"speed": 3}}, "speed", id="an option the detector does not have"),
    ],
)
def test_run_with_a_model_that_cannot_serve_says_so_before_the_first_frame(
    fleet_file: Callable[..., Path], recording: Path, model: dict, words: str
):
    with camfleet("run", fleet_file({"a": str(recording)}, model=model)) as process:
        output, errors = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 2
    assert words in errors
    assert "Traceback" not in errors
    assert output == ""


def test_fleet_successor_of_a_killed_worker_that_is_killed_while_it_loads_has_a_successor(
    fleet_file: Callable[..., Path], recording: Path, within: Callable
):
    with running(fleet_file({"a": {"url": str(recording), "loop": True}})) as run:
        for lives in range(2):
            for _ in within(DEADLINE_S):
                if run.restarts("worker") == lives and (pid := run.pid("worker")) is not None:
                    break
                threading.Event().wait(0.002)
            os.kill(pid, signal.SIGKILL)
        heard = len(run.results)
        for _ in within(DEADLINE_S):
            if len(run.results) > heard + 10:
                break
            threading.Event().wait(0.05)
        assert run.restarts("worker") == 2
