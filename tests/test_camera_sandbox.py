"""What a camera's process can still do behind its sandbox; asked of real processes."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from pipeline.camera.landlock import IOCTL_ABI, NETWORK_ABI, SCOPE_ABI, abi
from pipeline.camera.process import BROKEN, FAILED
from pipeline.camera.sandbox import missing, ports, tell_missing
from pipeline.replay import ReplayOptions, serve_recordings
from pipeline.runscope import RunLease
from tests.camera_media import CannedServer, Clip, HttpCamera, TcpServer, camera
from tests.coded_pictures import coded
from tests.rtsp_camera import Habits, RtspCamera
from tests.test_camera_limits import start
from tests.test_camera_process import DEADLINE_S, QUICK, Worker

needs_landlock = pytest.mark.skipif(abi() < SCOPE_ABI, reason=f"this kernel has version {abi()} of Landlock")

ATTEMPTS = """
import ctypes, json, os, signal, socket, subprocess, sys, threading
from pathlib import Path
from pipeline.camera.sandbox import confine
from pipeline.replay import ReplayOptions, serve_recordings
from pipeline.runscope import RunScope
from tests.camera_media import camera

url, run_id, folder, home, own_port, other_port = sys.argv[1:]
confine(camera(url), RunScope(run_id, Path(folder)))

def connect(port):
    socket.create_connection(("127.0.0.1", int(port)), 5).close()

def bind(kind):
    with socket.socket(socket.AF_INET, kind) as server:
        server.bind(("127.0.0.1", 0))

def write(path):
    Path(path).write_text("owned")
    Path(path).unlink()

def rename():
    os.rename(home + "/diary", home + "/read")

def unshare():
    if ctypes.CDLL(None, use_errno=True).mount(b"none", home.encode(), b"tmpfs", 0, None):
        raise PermissionError(ctypes.get_errno(), "mount")

def in_a_thread():
    told = []
    def write_there():
        try:
            write(home + "/new")
        except PermissionError as error:
            told.append(error)
    thread = threading.Thread(target=write_there)
    thread.start()
    thread.join()
    raise told[0]

attempts = {
    "write home": lambda: write(home + "/new"),
    "write home from a thread": in_a_thread,
    "append to a file": lambda: open(home + "/diary", "a"),
    "shorten a file": lambda: os.truncate(home + "/diary", 0),
    "read home": lambda: Path(home, "diary").read_text(),
    "list home": lambda: os.listdir(home),
    "rename in home": rename,
    "write tmp": lambda: write("/tmp/camfleet-sandbox-test"),
    "write beside the run": lambda: write(folder + "/../new"),
    "mount": unshare,
    "start a program": lambda: subprocess.run(["/bin/true"], check=True),
    "signal the parent": lambda: os.kill(os.getppid(), 0),
    "read the parent's environment": lambda: Path(f"/proc/{os.getppid()}/environ").read_bytes(),
    "connect elsewhere": lambda: connect(other_port),
    "listen": lambda: bind(socket.SOCK_STREAM),
    "connect to the camera": lambda: connect(own_port),
    "bind UDP": lambda: bind(socket.SOCK_DGRAM),
    "write to the run": lambda: write(folder + "/new"),
    "write shared memory": lambda: write(f"/dev/shm/camfleet-{run_id}-new"),
    "read libraries": lambda: Path(json.__file__).read_text(),
    "read own recording": lambda: Path(url).read_bytes() if "://" not in url else None,
}
allowed = []
for name, attempt in attempts.items():
    try:
        attempt()
    except PermissionError:
        continue
    allowed.append(name)
status = Path("/proc/self/status").read_text()
print(json.dumps({"allowed": allowed, "no_new_privs": "NoNewPrivs:\\t1" in status}))
"""

ALWAYS = ["bind UDP", "write to the run", "write shared memory", "read libraries", "read own recording"]


@pytest.fixture
def lease(short_path: Path) -> Iterator[RunLease]:
    with RunLease(short_path) as lease:
        yield lease


def attempt(lease: RunLease, url: str, home: Path, own_port: int, other_port: int) -> dict[str, Any]:
    """What a process in the sandbox of a camera could do."""
    home.mkdir()
    (home / "diary").write_text("private")
    arguments = [url, lease.scope.run_id, str(lease.scope.directory), str(home), str(own_port), str(other_port)]
    process = subprocess.run(
        [sys.executable, "-c", ATTEMPTS, *arguments],
        # NumPy's OpenBLAS has threads by the number of cores, from the start; in a forked process it has none.
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    assert (home / "diary").read_text() == "private"
    told: dict[str, Any] = json.loads(process.stdout)  # and nothing of threads outside the sandbox
    return told


class Listening(TcpServer):
    """A service on this machine that no camera has business with; `reached` is set if one comes."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        super().__init__()

    def serve(self, connection: socket.socket) -> None:
        self.reached.set()


@needs_landlock
def test_sandbox_of_a_network_camera_leaves_the_run_and_the_camera_s_port(lease: RunLease, tmp_path: Path) -> None:
    with Listening() as own, Listening() as other:
        url = f"rtsp://127.0.0.1:{own.port}/live"
        told = attempt(lease, url, tmp_path / "home", own.port, other.port)
        assert not other.reached.is_set()
    assert told == {"allowed": ["connect to the camera", *ALWAYS], "no_new_privs": True}


@needs_landlock
def test_sandbox_of_a_recording_leaves_the_run_and_that_file_and_no_network(lease: RunLease, tmp_path: Path) -> None:
    with Listening() as own, Listening() as other:
        file = Clip().write(tmp_path / "a.mp4")
        told = attempt(lease, str(file), tmp_path / "home", own.port, other.port)
    assert told == {"allowed": ALWAYS, "no_new_privs": True}


EARLY = """
import sys, threading
from pathlib import Path
from pipeline.camera.sandbox import confine
from pipeline.replay import ReplayOptions, serve_recordings
from pipeline.runscope import RunScope
from tests.camera_media import camera

threading.Thread(target=threading.Event().wait, daemon=True).start()
confine(camera("/a.mp4"), RunScope(sys.argv[1], Path(sys.argv[2])))
"""


def test_sandbox_closed_after_a_thread_was_started_names_it(lease: RunLease) -> None:
    process = subprocess.run(
        [sys.executable, "-c", EARLY, lease.scope.run_id, str(lease.scope.directory)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=True,
    )
    assert "threads that were started before the sandbox are outside it" in process.stdout + process.stderr
    assert "threads=python" in process.stdout + process.stderr


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        pytest.param("rtsp://10.0.0.1/live", {554}, id="RTSP's own port"),
        pytest.param("rtsps://10.0.0.1/live", {322}, id="that of RTSPS"),
        pytest.param("rtsp://u:p@[fe80::1]:8554/live", {8554}, id="the address's port"),
        pytest.param("http://cam.example/live", {80, 53, 3128}, id="http by name, through a proxy"),
        pytest.param("https://10.0.0.1/live", {443, 3128}, id="https by number"),
        pytest.param("/a.mp4", set(), id="recording"),
        pytest.param("/dev/video0", set(), id="device"),
    ],
)
def test_ports_are_those_of_the_address(url: str, expected: set[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy.example:3128")
    monkeypatch.delenv("https_proxy", raising=False)
    assert ports(camera(url)) == expected


@pytest.mark.parametrize(
    ("version", "words"),
    [
        pytest.param(0, ["reading and writing files"], id="no Landlock"),
        pytest.param(1, ["shortening", "other ports", "devices", "signals"], id="Linux 5.13"),
        pytest.param(NETWORK_ABI, ["devices", "signals"], id="Linux 6.7"),
        pytest.param(IOCTL_ABI, ["signals"], id="Linux 6.10"),
        pytest.param(SCOPE_ABI, [], id="Linux 6.12"),
        pytest.param(99, [], id="to come"),
    ],
)
def test_missing_names_what_an_older_kernel_cannot_forbid(version: int, words: list[str]) -> None:
    told = missing(version)
    assert len(told) == len(words)
    assert all(word in line for word, line in zip(words, told, strict=True))


def test_tell_missing_says_it_where_the_kernel_is_old_and_nothing_where_it_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = []
    for version in (NETWORK_ABI, SCOPE_ABI):
        monkeypatch.setattr("pipeline.camera.sandbox.abi", lambda version=version: version)
        with structlog.testing.capture_logs() as lines:
            tell_missing()
        told.append([line["free"] for line in lines])
    assert told == [["commands to devices (Linux 6.10), signals to other processes (Linux 6.12)"], []]


def test_confine_where_there_is_no_landlock_still_forbids_new_privileges(lease: RunLease) -> None:
    script = f"import pipeline.camera.sandbox\npipeline.camera.sandbox.abi = lambda: 0\n{EARLY}"
    script += "print(Path('/proc/self/status').read_text())"
    process = subprocess.run(
        [sys.executable, "-c", script, lease.scope.run_id, str(lease.scope.directory)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=True,
    )
    assert "NoNewPrivs:\t1" in process.stdout
    assert int(process.stdout.partition("CapEff:")[2].split()[0], 16) & ~0b110 == 0


def test_ports_of_a_camera_that_may_send_on_are_any() -> None:
    assert ports(camera("http://10.0.0.1/live.m3u8", allow_redirects=True)) is None


# --- the camera's own process -------------------------------------------------------------------------------------


@pytest.fixture
def town(lease: RunLease) -> Iterator[Worker]:
    worker = Worker(lease.scope)
    yield worker
    worker.close()


def confined(pid: int | None) -> list[bool]:
    """Whether each thread of a process has given up new privileges, which nothing but the sandbox asks for."""
    threads = Path(f"/proc/{pid}/task").glob("*/status")
    return ["NoNewPrivs:\t1" in status.read_text() for status in threads]


def test_camera_process_is_in_the_sandbox_with_all_its_threads(town: Worker, tmp_path: Path) -> None:
    process = start(town, camera(Clip().write(tmp_path / "a.mp4"), loop=True))
    town.listen(lambda w: len(w.ticks) >= 5)
    threads = confined(process.pid)
    process.kill()
    process.join(DEADLINE_S)
    assert len(threads) >= 3 and all(threads)


def test_camera_process_without_sandbox_is_free(town: Worker, tmp_path: Path) -> None:
    process = start(town, camera(Clip().write(tmp_path / "a.mp4"), loop=True, sandbox=False))
    town.listen(lambda w: len(w.ticks) >= 5)
    threads = confined(process.pid)
    process.kill()
    process.join(DEADLINE_S)
    assert not any(threads)


@needs_landlock
def test_rtsp_camera_that_sends_on_to_another_service_of_the_machine_does_not_reach_it(town: Worker) -> None:
    with Listening() as service:
        moved = f"RTSP/1.0 302 Moved\r\nCSeq: {{cseq}}\r\nLocation: rtsp://127.0.0.1:{service.port}/a\r\n\r\n"
        with CannedServer(moved.encode()) as server:
            process = start(town, camera(f"rtsp://127.0.0.1:{server.port}/live", reconnect=QUICK))
            town.listen(lambda w: "retrying" in w.words())
            process.kill()
            process.join(DEADLINE_S)
        assert not service.reached.is_set()
    assert f"sends on to rtsp://127.0.0.1:{service.port}; write that address" in town.states[-1].detail


def test_camera_in_the_sandbox_is_served_by_a_worker_that_was_started_again(town: Worker, tmp_path: Path) -> None:
    stream = Clip(frames=100).write(tmp_path / "a.ts").read_bytes()
    with HttpCamera(stream) as server:
        process = start(town, camera(server.url, reconnect=QUICK))
        town.listen(lambda w: len(w.pictures) >= 3)
        town.close()
        again = Worker(town.scope)
        again.listen(lambda w: len(w.pictures) >= 3)
        reached = server.connections
        again.listen(lambda w: server.connections > reached and w.words()[-1] == "live" and len(w.sessions()) >= 2)
        process.kill()
        process.join(DEADLINE_S)
        again.close()


@needs_landlock
def test_recording_that_is_replaced_while_it_loops_begins_anew_in_another_process(town: Worker, tmp_path: Path) -> None:
    file = Clip(frames=10).write(tmp_path / "a.mp4")
    process = start(town, camera(file, loop=True))
    town.listen(lambda w: len(w.ticks) >= 15)
    Clip(frames=10, wh=(64, 64)).write(tmp_path / "new.mp4").rename(file)
    process.join(DEADLINE_S)
    assert process.exitcode == BROKEN
    process = start(town, camera(file, loop=True))
    town.listen(lambda w: w.ticks[-1].frame_wh == (64, 64))
    process.kill()
    process.join(DEADLINE_S)


def test_recording_that_is_not_there_has_failed_as_before(town: Worker, tmp_path: Path) -> None:
    process = start(town, camera(tmp_path / "none.mp4"))
    town.listen(lambda w: w.words()[-1:] == ["failed"] and not process.is_alive())
    assert process.exitcode == FAILED
    assert "there is no such file" in town.states[-1].detail


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_rtsp_camera_in_the_sandbox_is_live_over_either_transport(town: Worker, tmp_path: Path, transport: str) -> None:
    file = Clip(frames=250, wh=(320, 240)).write(tmp_path / "gate.mp4")
    with serve_recordings(ReplayOptions((file,), port=0)) as served:
        process = start(town, camera(served.urls[0], transport=transport))
        town.listen(lambda w: len(w.ticks) >= 10 and len(w.pictures) >= 3)
        process.kill()
        process.join(DEADLINE_S)
    assert town.words() == ["connecting", "live"]


@needs_landlock
def test_rtsp_camera_that_is_logged_in_to_for_ffmpeg_is_live_in_the_sandbox(town: Worker) -> None:
    asks = Habits(challenges=('Digest realm="cam", nonce="{nonce}", algorithm=SHA-256',), password="hunter2")
    with RtspCamera(coded("h264", frames=250), asks) as server:
        process = start(town, camera(server.url, reconnect=QUICK))
        town.listen(lambda w: len(w.ticks) >= 10 and len(w.pictures) >= 3)
        threads = confined(process.pid)
        process.kill()
        process.join(DEADLINE_S)
    assert town.words() == ["connecting", "live"] and all(threads)
