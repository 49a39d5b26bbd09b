"""What must not end a fleet: nobody to talk to, processes that do not start."""

from __future__ import annotations

import errno
import os
import pty
import resource
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import psutil
import pytest

from pipeline import CameraState, Fleet, FrameResult, Subscriber
from pipeline.errors import ControlError, DetectorError
from pipeline.listen import Listener
from pipeline.replay import ReplayOptions, serve_recordings
from pipeline.supervise import child
from pipeline.supervise.control import ask
from tests.waiting import DEADLINE_S, wait_until


def processes() -> dict[str, Any]:
    """By name; empty while the fleet does not answer yet."""
    try:
        return {one["name"]: one for one in ask({"command": "status"})["processes"]}
    except ControlError:
        return {}


def camera_is_live() -> bool:
    """Whether the first of the fleet's cameras to speak now says so."""
    with Subscriber(ask({"command": "status"})["endpoint"], states=True, timeout_s=DEADLINE_S) as messages:
        return next(one.state for one in messages if isinstance(one, CameraState)) == "live"


@contextmanager
def stderr_that_fails(how: str) -> Iterator[tuple[int, Callable[[], None]]]:
    """A descriptor for stderr, and what to call for it to fail."""
    reading, writing = pty.openpty() if how == "terminal" else os.pipe()
    left = [reading, writing]
    if how == "full disk":
        left.append(os.open("/dev/full", os.O_WRONLY))
    try:
        yield left[-1], lambda: os.close(left.pop(0))
    finally:
        for descriptor in left:
            os.close(descriptor)


@pytest.mark.parametrize("how", ["full disk", "pipe without reader", "terminal", "closed"])
def test_fleet_goes_on_when_nobody_can_be_told(
    fleet_file: Callable[..., Path], recording: Path, runtime: Path, within: Callable, how: str
):
    path = fleet_file({"gate": {"url": str(recording), "loop": True}}, slo={"p95_ms": 5000})
    command = f'exec "{sys.executable}" -m pipeline run "{path}" {"2>&-" if how == "closed" else ""}'
    with (
        stderr_that_fails(how) as (stderr, fail),
        subprocess.Popen(["sh", "-c", command], stdout=subprocess.PIPE, stderr=stderr, text=True) as process,
    ):
        try:
            wait_until(within, lambda: processes().get("camera gate", {}).get("pid"))
            fail()
            for name in ("worker", "camera gate"):
                os.kill(processes()[name]["pid"], signal.SIGKILL)
                wait_until(within, lambda name=name: processes()[name]["restarts"] and processes()[name]["pid"])
                wait_until(within, camera_is_live)
        finally:
            process.send_signal(signal.SIGINT)
            told, _ = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0
    assert "frames decoded" in told
    assert not list(runtime.glob("camfleet/[!.]*")), "nothing is left behind"


@pytest.fixture
def fleet(fleet_file: Callable[..., Path], recording: Path, runtime: Path, within: Callable) -> Iterator[Fleet]:
    with Fleet(fleet_file({name: {"url": str(recording), "loop": True} for name in ("a", "b")})) as running:
        wait_until(within, lambda: len(pids(running)) == 4)
        yield running
    assert not list(runtime.glob("camfleet/[!.]*")), "nothing is left behind"


def pids(fleet: Fleet) -> dict[str, int]:
    """Of the processes that run, by name."""
    return {one.name: one.pid for one in fleet.processes if one.pid is not None}


def restarts(fleet: Fleet) -> dict[str, int]:
    return {one.name: one.restarts for one in fleet.processes}


@contextmanager
def no_descriptor_left() -> Iterator[None]:
    """Nothing can be opened in this process meanwhile."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(one.name) for one in Path("/proc/self/fd").iterdir())
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, limits[1]))
    taken = []
    try:
        with pytest.raises(OSError, match="Too many open files"):
            while True:
                taken.append(os.dup(0))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        for descriptor in taken:
            os.close(descriptor)


@pytest.mark.parametrize("name", ["camera a", "worker"])
def test_process_that_cannot_be_started_is_tried_again(fleet: Fleet, within: Callable, name: str):
    before = pids(fleet)
    with no_descriptor_left():
        os.kill(before[name], signal.SIGKILL)
        wait_until(within, lambda: restarts(fleet)[name] >= 1 and name not in pids(fleet))
        assert {one.condition for one in fleet.processes if one.name == name} == {"waiting"}
    wait_until(within, lambda: name in pids(fleet))
    assert pids(fleet)["camera b"] == before["camera b"]
    with fleet.results(["a"], timeout_s=DEADLINE_S) as results:
        assert next(iter(results)).camera_id == "a"


def test_fleet_whose_worker_cannot_be_started_says_so_and_leaves_nothing(
    fleet_file: Callable[..., Path], recording: Path, runtime: Path, monkeypatch: pytest.MonkeyPatch
):
    def start(process: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(child, "_start", start)
    with pytest.raises(DetectorError, match=r"the worker .* before it was ready; the lines above say more"):
        Fleet(fleet_file({"a": str(recording)}))
    assert not list(runtime.glob("camfleet/[!.]*"))


def test_stopped_fork_server_is_told_to_go_on(fleet: Fleet, recording: Path):
    os.kill(forkserver._forkserver._forkserver_pid, signal.SIGSTOP)
    fleet.add_camera("c", url=str(recording), loop=True)
    with fleet.results(["c"], timeout_s=DEADLINE_S) as results:
        assert next(iter(results)).camera_id == "c"
    assert restarts(fleet) == {"worker": 0, "publisher": 0, "camera a": 0, "camera b": 0, "camera c": 0}


def test_camera_that_somebody_terminates_comes_back(fleet: Fleet, within: Callable):
    before = pids(fleet)
    with fleet.results(["a"], timeout_s=DEADLINE_S) as results:
        first = next(iter(results)).session
        os.kill(before["camera a"], signal.SIGTERM)
        wait_until(within, lambda: next(iter(results)).session != first)
    assert restarts(fleet) == {"worker": 0, "publisher": 0, "camera a": 1, "camera b": 0}
    assert not fleet.wait(0)


@pytest.mark.parametrize("address", ["127.0.0.2", "127.0.0.1"])
def test_camera_over_udp_believes_nobody_but_its_server(
    fleet_file: Callable[..., Path], recording: Path, runtime: Path, address: str
):
    def nothing_is_believed() -> bool:
        with (
            serve_recordings(ReplayOptions((recording,))) as server,
            Fleet(fleet_file({"a": {"url": server.urls[0], "transport": "udp"}})) as fleet,
            fleet.results(timeout_s=DEADLINE_S) as results,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger,
        ):
            stranger.bind((address, 0))
            before = results.receive()
            ports = [one.laddr.port for one in psutil.Process(pids(fleet)["camera a"]).net_connections("udp")]
            assert ports
            for number in range(25):
                result = results.receive()
                for port in ports:
                    head = struct.pack("!BBHII", 0x80, 0xE0, 7919 * number % 65536, number, 0xBAD)
                    stranger.sendto(head + b"\x65" + bytes(200), ("127.0.0.1", port))
        assert result.session == before.session
        return result.counts.decoded == before.counts.decoded + 25 and "corrupt" not in result.counts.filled

    # Where the machine pauses, datagrams of the camera itself are lost.
    assert any(nothing_is_believed() for _ in range(5))


def test_killed_fork_server_ends_no_process(fleet: Fleet, recording: Path, within: Callable):
    before = pids(fleet)
    os.kill(forkserver._forkserver._forkserver_pid, signal.SIGKILL)
    fleet.add_camera("c", url=str(recording), loop=True)
    wait_until(within, lambda: "camera c" in pids(fleet))
    assert {name: pid for name, pid in pids(fleet).items() if name != "camera c"} == before
    os.kill(before["camera a"], signal.SIGKILL)
    wait_until(within, lambda: pids(fleet).get("camera a", before["camera a"]) != before["camera a"])
    with fleet.results(["a"], timeout_s=DEADLINE_S) as results:
        assert next(iter(results)).camera_id == "a"


def leftovers() -> set[Path]:
    """What fleets and their libraries leave under /tmp and /dev/shm."""
    places = (
        (Path(tempfile.gettempdir()), "pymp-*"),
        (Path(f"{tempfile.gettempdir()}/camfleet-{os.getuid()}"), ".*-*"),
    )
    return {path for folder, pattern in (*places, (Path("/dev/shm"), "camfleet-*")) for path in folder.glob(pattern)}


HOLD = """
import sys, time
from pathlib import Path
from pipeline.runscope import RunLease, process_folder
lease, folder = RunLease(Path(sys.argv[1])), process_folder()
print(folder, flush=True)
time.sleep(600)
"""


def another_begins(base: Path) -> None:
    """A process that has a run under `base`, for a moment."""
    with subprocess.Popen([sys.executable, "-c", HOLD, str(base)], stdout=subprocess.PIPE) as another:
        assert another.stdout is not None
        another.stdout.readline()
        another.terminate()


@pytest.mark.whole_machine
def test_killed_owner_whose_runtime_folder_has_vanished_leaves_nothing(runtime: Path):
    base, before = runtime / "base", leftovers()
    with subprocess.Popen([sys.executable, "-c", HOLD, str(base)], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        folder = Path(owner.stdout.readline().strip())
        assert len(leftovers() - before) > 1
        shutil.rmtree(base)
        owner.kill()
    another_begins(runtime / "other")
    assert not folder.exists()
    assert not [path for path in leftovers() - before if str(owner.pid) in path.name]


@pytest.mark.whole_machine
def test_stopped_process_of_a_killed_fleet_does_not_keep_the_next_one_from_its_port(
    fleet_file: Callable[..., Path], recording: Path, runtime: Path, within: Callable
):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        endpoint = f"tcp://127.0.0.1:{probe.getsockname()[1]}"
    path = fleet_file({"a": {"url": str(recording), "loop": True}}, publish={"bind": endpoint})
    with subprocess.Popen([sys.executable, "-m", "pipeline", "run", str(path), "-q"]) as run:
        publisher = psutil.Process(waiting_publisher(within))
        publisher.send_signal(signal.SIGSTOP)
        run.kill()
    with Fleet(path) as fleet, fleet.results(["a"], timeout_s=DEADLINE_S) as results:
        assert next(iter(results)).camera_id == "a"
    assert not publisher.is_running()


def waiting_publisher(within: Callable) -> int:
    """Its process id once a fleet runs."""
    for _ in within(DEADLINE_S):
        with suppress(ControlError):
            found = {one["name"]: one["pid"] for one in ask({"command": "status"})["processes"]}
            if found.get("publisher"):
                return int(found["publisher"])
        threading.Event().wait(0.05)
    raise AssertionError("no fleet has come up")


@pytest.mark.whole_machine
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP, signal.SIGTERM])
def test_ended_supervisor_leaves_nothing_that_the_next_does_not_sweep(
    fleet_file: Callable[..., Path], recording: Path, runtime: Path, within: Callable, number: signal.Signals
):
    before = leftovers()
    path = fleet_file({"gate": {"url": str(recording), "loop": True}})
    # A terminal of its own, which is closed with the signal.
    controlling, terminal = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "pipeline", "run", path, "-q"], stdin=terminal, stdout=subprocess.PIPE
    ) as run:
        os.close(terminal)
        wait_until(within, lambda: processes().get("camera gate", {}).get("pid"))
        os.close(controlling)
        run.send_signal(number)
        told, _ = run.communicate(timeout=DEADLINE_S)
    if number is not signal.SIGKILL:
        assert b"frames decoded" in told
        assert leftovers() <= before
    another_begins(runtime / "camfleet")
    assert not [one for one in leftovers() - before if str(run.pid) in one.name]


def test_killed_worker_every_frame_is_published_or_told(fleet: Fleet, within: Callable):
    results: dict[str, list[FrameResult]] = {"a": [], "b": []}

    def hear(message: FrameResult | CameraState) -> None:
        if isinstance(message, FrameResult):
            results[message.camera_id].append(message)

    def sessions_of(camera_id: str) -> list[str]:
        return list(dict.fromkeys(result.session_id for result in results[camera_id]))

    listener = Listener(fleet.endpoint, hear)
    try:
        for life in range(1, 4):
            wait_until(within, lambda life=life: all(len(sessions_of(name)) == life for name in results))
            os.kill(pids(fleet)["worker"], signal.SIGKILL)
        wait_until(within, lambda: all(len(sessions_of(name)) == 4 for name in results))
    finally:
        listener.close()
    for heard in results.values():
        for last, first in pairwise(heard):
            if last.session_id != first.session_id:
                # A session that a worker's successor began is named after the first frame it answers for.
                begins = int(last.session_id.partition(".")[2] or 0)
                assert int(first.session_id.partition(".")[2]) == begins + last.frame_id + 1
                assert sum(first.counts.lost.values()) == first.frame_id
