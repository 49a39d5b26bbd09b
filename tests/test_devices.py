"""Fleets on several devices: a worker for each, cameras spread over them, one endpoint; the stub plays the devices."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ctypes import c_int64
from itertools import pairwise
from pathlib import Path

import msgspec
import psutil
import pytest
import zmq
from structlog.testing import capture_logs

from pipeline import DetectorError, FrameResult, PublishError, Subscriber
from pipeline.bench.bare import measure_bare
from pipeline.bench.figures import Bench
from pipeline.cli.bench import bench
from pipeline.clock import SystemClock
from pipeline.config import load_fleet
from pipeline.config.camera import Camera
from pipeline.plan import CameraPlan, StrideBounds
from pipeline.publish import Publisher
from pipeline.relay.outlet import Outlet
from pipeline.relay.process import Relay, RelaySpec
from pipeline.supervise import child, workers
from pipeline.supervise.budget import RestartBudget
from pipeline.supervise.spread import spread
from pipeline.supervise.status import role_of
from pipeline.supervise.supervisor import Supervisor
from pipeline.wire import first_frame_of
from pipeline.worker.channels import Channels
from tests.conftest import RECORDING_FRAMES
from tests.test_fleet import DEADLINE_S, Run, assert_books_are_right, camfleet, running
from tests.test_wire import frame
from tests.waiting import wait_until

TWO = {"backend": "stub", "devices": ["cuda:0", "cuda:1"], "options": {"a_ms": 2}}
FOUR_CAMERAS = ("a", "b", "c", "d")
"""Spread in file order: a and c are the first worker's, b and d the second's."""


def looped(recording: Path) -> dict[str, dict]:
    return {name: {"url": str(recording), "loop": True} for name in FOUR_CAMERAS}


@pytest.fixture
def devices(tmp_path: Path) -> Path:
    """A folder that stands for /dev, with two devices in it."""
    folder = tmp_path / "dev"
    folder.mkdir()
    for name in TWO["devices"]:
        (folder / name).touch()
    return folder


def on(devices: Path) -> dict:
    return {**TWO, "options": {"a_ms": 2, "dev": str(devices)}}


def heard_all(run: Run) -> bool:
    return {result.camera_id for result in run.results} == set(FOUR_CAMERAS)


def sessions(results: list[FrameResult]) -> list[str]:
    return list(dict.fromkeys(result.session_id for result in results))


def camera(words: str) -> Camera:
    """Such as `a`, `b high` or `c normal 2`: name, priority, weight."""
    given = words.split()
    name, priority, weight = [*given, *("", "normal", "1")[len(given) :]]
    return Camera(camera_id=name, url="rtsp://cam/1", priority=priority, weight=float(weight))


@pytest.mark.parametrize(
    ("cameras", "served", "expected"),
    [
        pytest.param(["a", "b", "c"], [[]], ["abc"], id="one worker takes all"),
        pytest.param(["a", "b", "c", "d", "e"], [[], []], ["ace", "bd"], id="round robin in file order"),
        pytest.param(["a"], [[], []], ["a", ""], id="a worker more than cameras"),
        pytest.param(["a high", "b", "c high", "d"], [[], []], ["ab", "cd"], id="high priority not on one device"),
        pytest.param(["a high", "b", "c", "d"], [[], []], ["ac", "bd"], id="one of high priority counts as a camera"),
        pytest.param(["a low", "b normal 1", "c high"], [[], [], []], ["c", "b", "a"], id="high is dealt out first"),
        pytest.param(["a", "b normal 4", "c", "d"], [[], []], ["bd", "ac"], id="the heaviest are dealt out first"),
        pytest.param(
            ["a normal 4", "b normal 2", "c", "d"], [[], []], ["ad", "bc"], id="as many cameras before as much weight"
        ),
        pytest.param(["x", "y"], [["a", "b"], ["c"], ["d"]], ["", "x", "y"], id="to those that serve fewest"),
        pytest.param(["x high"], [["a high", "b"], ["c", "d"]], ["", "x"], id="to those with fewest of its priority"),
    ],
)
def test_spread_deals_cameras_out_evenly(cameras: list[str], served: list[list[str]], expected: list[str]):
    already = {number: [camera(words) for words in group] for number, group in enumerate(served)}
    found = spread([camera(words) for words in cameras], already)
    groups = ["".join(sorted(name for name, at in found.items() if at == number)) for number in already]
    assert groups == expected


def test_spread_of_many_differs_by_one_camera_at_most_in_all_and_in_each_priority():
    cameras = [camera(f"c{n:02} {('high', 'normal', 'low', 'normal')[n % 4]} {1 + n % 3}") for n in range(47)]
    found = spread(cameras, {number: [] for number in range(5)})
    for kind in ("high", "normal", "low", None):
        each = [
            sum(found[one.camera_id] == number for one in cameras if kind in (None, one.priority))
            for number in range(5)
        ]
        assert max(each) - min(each) <= 1, (kind, each)


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("worker", "worker"),
        ("worker cuda:1", "worker"),
        ("publisher", "publisher"),
        ("camera worker", "camera"),
        ("replay server", None),
    ],
)
def test_role_of_a_process_is_told_by_its_name(name: str, role: str | None):
    assert role_of(name) == role


def test_channels_have_phases_of_their_own_and_a_newcomer_takes_one_that_is_free():
    class Opened:
        def __init__(self, plan: CameraPlan, phase: int) -> None:
            self.name, self.phase = plan.camera_id, phase

        def close(self) -> None:
            closed.append(self.name)

    closed: list[str] = []
    channels = Channels(Opened)
    plans = {name: CameraPlan(camera_id=name, stride=StrideBounds(1, 8)) for name in FOUR_CAMERAS}
    assert [channels.open(plans[name]).phase for name in ("b", "d", "a")] == [0, 1, 2]
    channels.close("d")
    assert (closed, channels.get("d"), len(channels)) == (["d"], None, 2)
    assert [channels.open(plans[name]).phase for name in ("c", "d")] == [1, 3]
    assert [channel.name for channel in channels] == ["b", "a", "c", "d"]


@contextmanager
def relaying(folder: Path, queue: int = 1000) -> Iterator[tuple[Relay, str]]:
    inbox = f"ipc://{folder}/inbox"
    relay = Relay(RelaySpec("publisher", "tcp://127.0.0.1:0", False, inbox, queue, folder), SystemClock())
    thread = threading.Thread(target=relay.run, args=(c_int64(),))
    thread.start()
    try:
        yield relay, inbox
    finally:
        relay.stop()
        thread.join(DEADLINE_S)
        assert not thread.is_alive()


def publishing(inbox: str, camera_id: str, stop: threading.Event) -> threading.Thread:
    def run() -> None:
        publisher = Publisher(inbox)
        while not stop.wait(0.001):
            publisher.publish(frame(camera_id))
        publisher.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_relay_brings_publishers_together_and_a_deaf_subscriber_stops_nobody(short_path: Path):
    stop = threading.Event()
    with relaying(short_path, queue=10) as (relay, inbox):
        deaf = zmq.Context.instance().socket(zmq.SUB)
        for option, value in ((zmq.RCVHWM, 1), (zmq.RCVBUF, 4096), (zmq.LINGER, 0)):
            deaf.set(option, value)
        deaf.subscribe(b"")
        deaf.connect(relay.endpoint)
        threads = [publishing(inbox, name, stop) for name in ("gate", "yard", "hall")]
        try:
            with Subscriber(relay.endpoint, ["gate", "yard"], timeout_s=DEADLINE_S) as results:
                heard = [results.receive().camera_id for _ in range(500)]
        finally:
            stop.set()
            for thread in threads:
                thread.join(DEADLINE_S)
            deaf.close()
    assert set(heard) == {"gate", "yard"}


def test_fleet_on_two_devices_publishes_every_frame_of_all_cameras_at_one_endpoint(
    fleet_file: Callable[..., Path], recording: Path, within: Callable
):
    # As fast as it goes: of what is played in real time, a worker that is paused gives up what is older than 2 s.
    cameras = {name: {"url": str(recording), "pace": "fastest"} for name in FOUR_CAMERAS}
    path = fleet_file(cameras, model=TWO)
    with running(path) as run:
        names = [status.name for status in run.supervisor.status()]
        assert names == ["worker cuda:0", "worker cuda:1", "publisher", *(f"camera {name}" for name in FOUR_CAMERAS)]
        wait_until(within, lambda: len(run.results) == 4 * RECORDING_FRAMES)
    for camera_id in FOUR_CAMERAS:
        results = run.of(camera_id)
        assert_books_are_right(results)
        assert [result.frame_id for result in results] == list(range(RECORDING_FRAMES))
        assert results[-1].counts.detected > 0


def test_fleet_killed_worker_of_two_costs_the_other_ones_cameras_nothing(
    fleet_file: Callable[..., Path], recording: Path, within: Callable
):
    with running(fleet_file(looped(recording), model=TWO)) as run:
        wait_until(within, lambda: heard_all(run))
        pid = run.pid("worker cuda:0")
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        wait_until(within, lambda: all(len(sessions(run.of(camera_id))) == 2 for camera_id in ("a", "c")))
        assert [run.restarts(name) for name in ("worker cuda:0", "worker cuda:1", "publisher")] == [1, 0, 0]
        assert [run.restarts(f"camera {camera_id}") for camera_id in FOUR_CAMERAS] == [0, 0, 0, 0]
    for camera_id in FOUR_CAMERAS:
        assert_books_are_right(run.of(camera_id))
    for camera_id in ("a", "c"):
        first, second = sessions(run.of(camera_id))
        assert second.startswith(f"{first}."), "the camera's session goes on, the worker's begins anew"
    assert [len(sessions(run.of(camera_id))) for camera_id in ("b", "d")] == [1, 1]


def test_fleet_worker_killed_again_and_again_counts_no_frame_twice(
    fleet_file: Callable[..., Path], recording: Path, within: Callable
):
    with running(fleet_file(looped(recording), model=TWO)) as run:
        wait_until(within, lambda: heard_all(run))
        for kills in (1, 2, 3):
            heard = len(run.of("a"))
            wait_until(within, lambda heard=heard: len(run.of("a")) > heard + 20)
            pid = run.pid("worker cuda:0")
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            wait_until(within, lambda kills=kills: len(sessions(run.of("a"))) == kills + 1)
    results = run.of("a")
    assert_books_are_right(results)
    begins = [first_frame_of(session_id) for session_id in sessions(results)]
    for session_id, following in zip(sessions(results), begins[1:], strict=False):
        heard = [result.frame_id for result in results if result.session_id == session_id]
        assert first_frame_of(session_id) + heard[-1] < following, "no frame belongs to two sessions"


def test_fleet_killed_publisher_comes_back_at_the_same_endpoint_and_nobody_else_notices(
    fleet_file: Callable[..., Path], recording: Path, within: Callable
):
    with running(fleet_file(looped(recording), model=TWO)) as run:
        wait_until(within, lambda: heard_all(run))
        pid = run.pid("publisher")
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        wait_until(within, lambda: run.restarts("publisher") == 1)
        heard = len(run.results)
        wait_until(within, lambda: {result.camera_id for result in run.results[heard + 100 :]} == set(FOUR_CAMERAS))
        assert [run.restarts(name) for name in ("worker cuda:0", "worker cuda:1")] == [0, 0]
    for camera_id in FOUR_CAMERAS:
        results = run.of(camera_id)
        assert len(sessions(results)) == 1
        assert all(one.frame_id < two.frame_id for one, two in pairwise(results))
        # A worker that is paused gives up what is older than 2 s.
        lost = {cause for result in results for cause in result.lost} - {"late"}
        assert not lost, "what is lost on the way to subscribers no camera has lost"


def test_fleet_worker_whose_device_is_gone_is_given_up_and_the_other_serves_its_cameras(
    fleet_file: Callable[..., Path], recording: Path, devices: Path, within: Callable
):
    path = fleet_file(looped(recording), model=on(devices), slo={"p95_ms": 5000})
    with capture_logs() as logs, running(path) as run:
        wait_until(within, lambda: heard_all(run))
        (devices / "cuda:1").unlink()
        wait_until(within, lambda: all(len(sessions(run.of(camera_id))) == 2 for camera_id in ("b", "d")))
        heard = {camera_id: len(run.of(camera_id)) for camera_id in FOUR_CAMERAS}
        for camera_id in FOUR_CAMERAS:
            wait_until(
                within,
                lambda camera_id=camera_id: (
                    "detected" in {result.origin for result in run.of(camera_id)[heard[camera_id] :]}
                ),
            )
        conditions = {status.name: status.condition for status in run.supervisor.status()}
        assert (conditions["worker cuda:0"], conditions["worker cuda:1"]) == ("running", "given up")
        assert run.restarts("worker cuda:0") == 0
        assert [run.restarts(f"camera {camera_id}") for camera_id in FOUR_CAMERAS] == [0, 0, 0, 0]
    for camera_id in FOUR_CAMERAS:
        results = run.of(camera_id)
        assert_books_are_right(results)
    for camera_id in ("b", "d"):
        first, second = sessions(run.of(camera_id))
        went_on_at = int(second.removeprefix(f"{first}."))
        seen = [result.frame_id for result in run.of(camera_id) if result.session_id == first]
        assert went_on_at >= seen[-1], "nothing that was published is counted twice"
    assert [len(sessions(run.of(camera_id))) for camera_id in ("a", "c")] == [1, 1]
    told = [line["event"] for line in logs if "others serve its cameras" in line["event"]]
    assert told == ["worker cuda:1 is gone, others serve its cameras: b → worker cuda:0, d → worker cuda:0"]


def test_fleet_whose_last_worker_is_given_up_ends(
    fleet_file: Callable[..., Path], recording: Path, devices: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(workers, "RestartBudget", lambda most=1: RestartBudget(most=1, first_delay_s=0.05))
    with Supervisor(load_fleet(fleet_file(looped(recording), model=on(devices)))) as supervisor:
        supervisor.open()
        for name in TWO["devices"]:
            (devices / name).unlink()
        with pytest.raises(DetectorError, match="again and again"):
            supervisor.run(DEADLINE_S)
        conditions = {status.condition for status in supervisor.status() if status.role == "worker"}
        assert conditions == {"given up"}


def test_fleet_whose_publisher_is_given_up_ends(
    fleet_file: Callable[..., Path], recording: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(child, "RestartBudget", lambda: RestartBudget(most=0))
    with Supervisor(load_fleet(fleet_file(looped(recording), model=TWO))) as supervisor:
        supervisor.open()
        pid = next(status.pid for status in supervisor.status() if status.role == "publisher")
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(PublishError, match="again and again"):
            supervisor.run(DEADLINE_S)


def test_fleet_on_two_devices_whose_address_is_taken_says_so(fleet_file: Callable[..., Path], recording: Path):
    taken = Outlet("tcp://127.0.0.1:0", 10)
    path = fleet_file({"a": str(recording)}, model=TWO, publish={"bind": taken.endpoint})
    with Supervisor(load_fleet(path)) as supervisor, pytest.raises(PublishError, match=r"publish\.bind"):
        supervisor.open()
    taken.close()


def test_run_with_a_device_that_is_not_there_names_it_before_the_first_frame(
    fleet_file: Callable[..., Path], recording: Path, devices: Path
):
    (devices / "cuda:1").unlink()
    with camfleet("run", fleet_file({"a": str(recording)}, model=on(devices))) as process:
        output, errors = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 2
    assert "worker cuda:1: there is no device" in errors
    assert "Traceback" not in errors
    assert output == ""


def test_run_on_two_devices_says_what_each_does_and_leaves_nothing_behind(
    fleet_file: Callable[..., Path], recording: Path, within: Callable
):
    with camfleet("run", fleet_file(looped(recording), model=TWO)) as process:
        seen: list[psutil.Process] = []
        for _ in within(DEADLINE_S):
            seen = psutil.Process(process.pid).children(recursive=True)
            if len(seen) >= 8:  # a fork server, two workers, a publisher, four cameras
                break
            threading.Event().wait(0.05)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=DEADLINE_S)
    assert process.returncode in (0, 1), errors  # 1: no camera had the time to deliver a frame
    assert "worker cuda:0: 640×640, 1 lanes of 8; worker cuda:1: 640×640, 1 lanes of 8 → tcp://" in errors
    assert "frames decoded" in output
    wait_until(within, lambda: not any(child.is_running() for child in seen))
    assert not list(Path("/dev/shm").glob(f"camfleet-{process.pid}-*"))


@pytest.mark.timeout(400)
def test_bench_measures_all_devices_at_once_and_each_worker(
    fleet_file: Callable[..., Path],
    recording: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    for name in ("BARE_S", "DECODE_S", "SETTLE_S"):
        monkeypatch.setattr(f"pipeline.cli.bench.{name}", (0.3, 0.3))
    model = {**TWO, "options": {"a_ms": 50}}
    file = fleet_file({"a": {"url": str(recording), "loop": True}}, model=model, worker={"max_batch": 1})
    for seconds in (1.0, 5.0, 20.0):
        bench(file, seconds=seconds, as_json=True)
        told = msgspec.json.decode(capsys.readouterr().out, type=Bench)
        if told.run.detected_hz > 0:  # on a busy machine that takes longer
            break
    assert (told.bare.devices, told.bare.lanes) == (2, 2)
    hz, fleet = [told.bare.images_hz], load_fleet(file)
    while hz[-1] <= 20 and len(hz) < 10:
        hz.append(measure_bare(fleet, 0.3, lambda spent_s: None).images_hz)
    assert hz[-1] > 20, "what one device alone would do at most"
    names = [process.name for process in told.run.processes]
    assert names == ["worker cuda:0", "worker cuda:1", "publisher", "camera a"]
    assert told.run.detected_hz > 0


def test_bench_with_a_device_that_is_not_there_raises(fleet_file: Callable[..., Path], recording: Path, devices: Path):
    (devices / "cuda:1").unlink()
    with pytest.raises(DetectorError, match=r"^cuda:1: there is no device"):
        measure_bare(load_fleet(fleet_file({"a": str(recording)}, model=on(devices))), 0.1, lambda spent_s: None)
