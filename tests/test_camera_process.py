from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from ctypes import c_int64
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import msgspec
import numpy as np
import pytest

from pipeline.camera.process import BROKEN, ENDED, FAILED, TOLD, CameraSpec, run_camera, serve
from pipeline.config.camera import Camera, Reconnect
from pipeline.link import TICK_QUEUE, Admission, Bye, Hello, State, Tick, WorkerLink
from pipeline.runscope import RunLease, RunScope
from pipeline.slot import SlotReader
from pipeline.wire import CameraState
from tests.camera_media import Clip, HttpCamera, camera, gst_server
from tests.waiting import wait_until

DEADLINE_S = 60.0
INPUT_WH = (64, 64)
QUICK = Reconnect(initial_s=0.05, max_s=0.1)


@dataclass
class Worker:
    """Stands in for the worker: admits the camera, and keeps what it says."""

    scope: RunScope
    admission: Admission | None = field(default_factory=lambda: Admission(2, 0, INPUT_WH))
    ticks: list[Tick] = field(default_factory=list)
    states: list[CameraState] = field(default_factory=list)
    said: list[Hello | Bye] = field(default_factory=list)
    pictures: dict[tuple[int, int], Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.endpoint = f"ipc://{self.scope.directory / 'link'}"
        self.link = WorkerLink(self.endpoint)
        self.slot = SlotReader(self.scope, "gate")

    def listen(self, until: Callable[[Worker], object]) -> None:
        """Take in words until `until` is true; fails after a deadline."""
        deadline = time.monotonic() + DEADLINE_S
        while not until(self):
            assert time.monotonic() < deadline, f"heard {len(self.ticks)} ticks, {self.words()}"
            if self.link.socket.poll(50):
                self._hear()

    def _hear(self) -> None:
        heard = self.link.receive()
        if heard is None:
            return
        camera_id, word = heard
        assert camera_id == "gate"
        if isinstance(word, Hello | Bye):
            self.said.append(word)
            return
        if isinstance(word, State):
            self.states.append(word.state)
            if self.admission is not None:
                self.link.send(camera_id, self.admission)
            return
        self.ticks.append(word)
        if word.admitted == "slot" and (frame := self.slot.take()) is not None:
            with frame:
                self.pictures[frame.session, frame.frame_id] = np.array(frame.pixels)
            if self.admission is not None:
                taken = (word.session, word.frame_id)
                self.link.send(camera_id, msgspec.structs.replace(self.admission, taken=taken))

    def words(self) -> list[str]:
        """The states in order, repetitions left out."""
        states = [state.state for state in self.states]
        return [state for number, state in enumerate(states) if number == 0 or states[number - 1] != state]

    def sessions(self) -> list[int]:
        return list(dict.fromkeys(tick.session for tick in self.ticks))

    def close(self) -> None:
        self.slot.close()
        self.link.close()


@pytest.fixture
def worker(short_path: Path) -> Iterator[Worker]:
    with RunLease(short_path) as lease:
        worker = Worker(lease.scope)
        yield worker
        worker.close()
    assert lease.scope.files() == []


class Running:
    """A camera in a thread of the test."""

    def __init__(self, worker: Worker, source_camera: Camera) -> None:
        self.stop = threading.Event()
        self.beat = c_int64(0)
        self.code: int | None = None
        # Its pictures are never too late to be decoded, however little of the machine is free.
        spec = CameraSpec(source_camera, "town", worker.scope, worker.endpoint, late_s=DEADLINE_S)
        self._worker = worker
        self._thread = threading.Thread(target=self._run, args=(spec,))
        self._thread.start()

    def _run(self, spec: CameraSpec) -> None:
        self.code = serve(spec, self.beat, self.stop)

    def join(self) -> int | None:
        """Its exit code, after hearing all it has to say."""
        self._worker.listen(lambda _: not self._thread.is_alive())
        return self.code

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.join()


def test_camera_process_recording_gives_a_tick_for_every_frame_and_pixels_for_the_admitted(
    worker: Worker, tmp_path: Path
) -> None:
    clip = Clip(wh=(128, 64), frames=30)
    worker.admission = Admission(stride=3, phase=1, input_wh=INPUT_WH)
    with Running(worker, camera(clip.write(tmp_path / "a.mp4"))) as running:
        worker.listen(lambda w: "ended" in w.words())
        assert running.join() == ENDED
    assert worker.words() == ["connecting", "live", "ended"]
    assert [tick.frame_id for tick in worker.ticks] == list(range(30))
    assert len(worker.sessions()) == 1 and abs((worker.sessions()[0] >> 16) - time.time()) < 60
    assert [tick.admitted == "slot" for tick in worker.ticks] == [(n + 1) % 3 == 0 for n in range(30)]
    assert {tick.admitted for tick in worker.ticks} == {"slot", "stride"}
    assert {tick.frame_wh for tick in worker.ticks} == {(128, 64)}
    assert all(tick.captured_ns <= tick.received_ns <= tick.decoded_ns for tick in worker.ticks)
    assert {tick.capture_clock for tick in worker.ticks} == {"file"}
    assert worker.pictures
    for (_, frame_id), pixels in worker.pictures.items():
        assert pixels.shape == (32, 64, 3)
        bright = pixels[12, :, 0] > 120
        assert abs(int(bright.argmax()) - 4 * frame_id % 112 / 2) <= 2


def test_camera_process_states_tell_codec_size_and_session(worker: Worker, tmp_path: Path) -> None:
    with Running(worker, camera(Clip(frames=20).write(tmp_path / "a.mp4"))):
        worker.listen(lambda w: "ended" in w.words())
    first, live = worker.states[0], next(s for s in worker.states if s.state == "live")
    assert (first.state, first.session_id, first.codec, first.frame_wh) == ("connecting", "", "", (0, 0))
    assert (live.fleet, live.codec, live.frame_wh, live.reconnects) == ("town", "h264", (128, 96), 0)
    assert int(live.session_id, 16) == worker.sessions()[0]
    assert abs(live.at_ns / 1e9 - time.time()) < 60


def test_camera_process_waits_for_the_worker_before_it_connects(worker: Worker, tmp_path: Path) -> None:
    worker.admission = None
    stream = Clip().write(tmp_path / "a.ts").read_bytes()
    with HttpCamera(stream) as server, Running(worker, camera(server.url)) as running:
        worker.listen(lambda w: len(w.states) >= 2)
        assert worker.words() == ["connecting"] and server.connections == 0
        beat = running.beat.value
        assert beat > 0
        worker.listen(lambda w: running.beat.value > beat)
        worker.admission = Admission(1, 0, INPUT_WH)
        worker.listen(lambda w: len(w.ticks) >= 10)
        assert server.connections == 1


def test_camera_process_follows_a_new_wish_at_once(worker: Worker, tmp_path: Path) -> None:
    with Running(worker, camera(Clip().write(tmp_path / "a.mp4"), loop=True)):
        worker.listen(lambda w: len(w.ticks) >= 10)
        worker.admission = Admission(1, 0, (32, 32))
        worker.link.send("gate", worker.admission)
        worker.listen(lambda w: [t.admitted for t in w.ticks[-5:]] == ["slot"] * 5)
        worker.listen(lambda w: list(w.pictures.values())[-1].shape == (24, 32, 3))


def test_camera_process_as_fast_as_it_goes_loses_no_tick_to_a_slow_worker(
    worker: Worker, tmp_path: Path, within: Callable
) -> None:
    count = 6 * TICK_QUEUE
    clip = Clip(codec="mpeg4", wh=(32, 32), frames=count, options=(("g", "100"),))
    with Running(worker, camera(clip.write(tmp_path / "a.avi"), pace="fastest")) as running:
        worker.listen(lambda w: w.ticks)
        beat = running.beat.value
        worker_is_slow = threading.Event()
        worker_is_slow.wait(0.5)
        wait_until(within, lambda: running.beat.value > beat)
        worker.listen(lambda w: "ended" in w.words())
        assert running.join() == ENDED
    assert [tick.frame_id for tick in worker.ticks] == list(range(count))


def test_camera_process_lost_camera_is_tried_again_in_a_new_session(worker: Worker, tmp_path: Path) -> None:
    stream = Clip().write(tmp_path / "a.ts").read_bytes()
    with HttpCamera(stream) as server, Running(worker, camera(server.url, reconnect=QUICK)):
        worker.listen(lambda w: len(w.sessions()) >= 3)
        worker.listen(lambda w: w.states[-1].state == "live" and w.states[-1].reconnects >= 2)
    assert worker.words()[:5] == ["connecting", "live", "retrying", "live", "retrying"]
    first_ids = [next(t.frame_id for t in worker.ticks if t.session == session) for session in worker.sessions()]
    assert first_ids[:3] == [0, 0, 0]
    details = {state.detail for state in worker.states if state.state == "retrying"}
    assert details and all("***@127.0.0.1" in detail and "hunter2" not in detail for detail in details)
    told = {state.detail for state in worker.states if state.state == "live"}
    assert all(not detail or "it sends in bursts" in detail for detail in told) and len(told) <= 3


@pytest.mark.long
def test_camera_process_frees_the_pictures_of_sessions_that_are_over(worker: Worker, tmp_path: Path) -> None:
    """A picture that was asked which side is up refers to itself, and the garbage collector hardly ever looks."""
    stream = Clip().write(tmp_path / "a.ts").read_bytes()
    gc.collect()
    gc.disable()
    try:
        with HttpCamera(stream) as server, Running(worker, camera(server.url, reconnect=QUICK)):
            worker.listen(lambda w: len(w.sessions()) >= 5)
            held = sum(issubclass(type(one), av.VideoFrame) for one in gc.get_objects())
    finally:
        gc.enable()
    assert held < 4


def test_camera_process_camera_that_is_off_is_tried_for_ever_and_says_why(worker: Worker) -> None:
    with Running(worker, camera("rtsp://viewer:hunter2@127.0.0.1:1/live", reconnect=QUICK)) as running:
        worker.listen(lambda w: len([s for s in w.states if s.state == "retrying"]) >= 2)
        beat = running.beat.value
        worker.listen(lambda w: running.beat.value > beat)
        assert "nothing listens there" in worker.states[-1].detail
        assert worker.states[-1].reconnects == 0 and worker.ticks == []
    assert running.code == TOLD


def test_camera_process_new_size_in_mid_stream_is_a_new_session(worker: Worker, tmp_path: Path) -> None:
    one = Clip(frames=20).write(tmp_path / "one.ts").read_bytes()
    two = Clip(wh=(96, 128), frames=20, first_pts=20).write(tmp_path / "two.ts").read_bytes()
    both = tmp_path / "both.ts"
    both.write_bytes(one + two)
    with Running(worker, camera(both, pace="fastest")):
        worker.listen(lambda w: "ended" in w.words())
    sizes = [[tick.frame_wh for tick in worker.ticks if tick.session == session] for session in worker.sessions()]
    assert [set(found) for found in sizes] == [{(128, 96)}, {(96, 128)}]
    assert [len(found) for found in sizes] == [20, 20]


def test_camera_process_jump_of_the_streams_time_is_a_new_session(worker: Worker, tmp_path: Path) -> None:
    parts = [Clip(frames=15, first_pts=pts).write(tmp_path / f"{pts}.ts").read_bytes() for pts in (1000, 0, 5000)]
    file = tmp_path / "all.ts"
    file.write_bytes(b"".join(parts))
    with Running(worker, camera(file, pace="fastest")):
        worker.listen(lambda w: "ended" in w.words())
    assert len(worker.sessions()) == 3
    assert len(worker.ticks) == 45


def test_camera_process_damaged_frames_are_counted_and_not_admitted(worker: Worker, tmp_path: Path) -> None:
    content = bytearray(Clip(wh=(320, 240), options=(("g", "10"), ("bf", "0"))).write(tmp_path / "a.h264").read_bytes())
    for start in range(len(content) // 3, len(content) // 2, 40):
        content[start] ^= 0xFF
    file = tmp_path / "bad.h264"
    file.write_bytes(content)
    worker.admission = Admission(1, 0, INPUT_WH)
    with Running(worker, camera(file, pace="fastest")) as running:
        worker.listen(lambda w: "ended" in w.words())
        assert running.join() == ENDED
    admitted = [tick.admitted for tick in worker.ticks]
    assert "corrupt" in admitted and admitted[0] == "slot" and admitted[-1] == "slot"
    assert [tick.frame_id for tick in worker.ticks] == list(range(len(worker.ticks)))


@pytest.mark.parametrize("content", [None, b"no video"], ids=["missing", "no-video"])
def test_camera_process_recording_that_cannot_be_played_fails(
    content: bytes | None, worker: Worker, tmp_path: Path
) -> None:
    file = tmp_path / "a.mp4"
    if content is not None:
        file.write_bytes(content)
    with Running(worker, camera(file)) as running:
        worker.listen(lambda w: "failed" in w.words())
        assert running.join() == FAILED
    assert "a.mp4" in worker.states[-1].detail


def test_camera_process_without_room_for_its_slot_ends_to_be_started_again(
    worker: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.statvfs("/")
    monkeypatch.setattr(os, "statvfs", lambda path: os.statvfs_result((*real[:4], 1, *real[5:])))
    with Running(worker, camera(Clip().write(tmp_path / "a.mp4"))) as running:
        worker.listen(lambda w: w.states)
        assert running.join() == BROKEN


def test_camera_process_told_to_end_while_it_waits_ends(worker: Worker) -> None:
    slow = Reconnect(initial_s=3000, max_s=3000)
    with Running(worker, camera("rtsp://127.0.0.1:1/live", reconnect=slow)) as running:
        worker.listen(lambda w: "retrying" in w.words())
        running.stop.set()
        assert running.join() == TOLD


def test_camera_process_on_gstreamer_server_is_live(worker: Worker, tmp_path: Path) -> None:
    file = Clip(frames=250, wh=(320, 240)).write(tmp_path / "gate.mp4")
    with gst_server(file) as port, Running(worker, camera(f"rtsp://127.0.0.1:{port}/gate")):
        worker.listen(lambda w: len(w.ticks) >= 20 and len(w.pictures) >= 5)
    assert worker.words() == ["connecting", "live"]
    assert [tick.frame_id for tick in worker.ticks] == list(range(len(worker.ticks)))


# --- in a process of its own --------------------------------------------------------------------------------------

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["pipeline.camera.process"])


def start(worker: Worker, source_camera: Camera) -> tuple[Any, c_int64]:
    beat: c_int64 = CONTEXT.Value("q", 0, lock=False)
    spec = CameraSpec(source_camera, "town", worker.scope, worker.endpoint)
    process = CONTEXT.Process(target=run_camera, args=(spec, multiprocessing.Pipe(duplex=False)[0], beat), daemon=True)
    process.start()
    return process, beat


def test_camera_process_terminated_ends_by_itself(worker: Worker, tmp_path: Path) -> None:
    process, beat = start(worker, camera(Clip().write(tmp_path / "a.mp4"), loop=True))
    worker.listen(lambda w: len(w.ticks) >= 5)
    assert beat.value > 0
    os.kill(process.pid, signal.SIGINT)
    count = len(worker.ticks)
    worker.listen(lambda w: len(w.ticks) >= count + 5)
    process.terminate()
    process.join(DEADLINE_S)
    assert process.exitcode == TOLD


def test_camera_process_killed_and_started_again_fills_the_same_slot(worker: Worker, tmp_path: Path) -> None:
    file = Clip().write(tmp_path / "a.mp4")
    for life in range(3):
        process, _ = start(worker, camera(file, loop=True))
        worker.listen(lambda w, life=life: len(w.sessions()) == life + 1)  # type: ignore[misc]
        worker.listen(lambda w: any(session == w.sessions()[-1] for session, _ in w.pictures))
        process.kill()
        process.join(DEADLINE_S)
        worker.scope.remove_dead()
    assert len(worker.sessions()) == 3


ORPHAN = """
import sys, multiprocessing, threading
from pathlib import Path
from pipeline.camera.process import CameraSpec, run_camera
from pipeline.runscope import RunScope
from tests.camera_media import camera
if __name__ == "__main__":
    context = multiprocessing.get_context("forkserver")
    spec = CameraSpec(camera(sys.argv[1], loop=True), "town", RunScope(sys.argv[2], Path(sys.argv[3])), sys.argv[4])
    orders, beat = multiprocessing.Pipe(duplex=False)[0], context.Value("q", 0, lock=False)
    process = context.Process(target=run_camera, args=(spec, orders, beat))
    process.start()
    print(process.pid, flush=True)
    threading.Event().wait()
"""


def test_camera_process_whose_supervisor_was_killed_ends(worker: Worker, tmp_path: Path) -> None:
    file, script = Clip().write(tmp_path / "a.mp4"), tmp_path / "supervisor.py"
    script.write_text(ORPHAN)
    arguments = [str(file), worker.scope.run_id, str(worker.scope.directory), worker.endpoint]
    root = Path(__file__).parents[1]
    supervisor = subprocess.Popen(
        [sys.executable, script, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert supervisor.stdout is not None
    pid = int(supervisor.stdout.readline())
    worker.listen(lambda w: w.ticks)
    supervisor.kill()
    supervisor.communicate(timeout=DEADLINE_S)
    worker.listen(lambda w: not Path(f"/proc/{pid}").exists() or _state(pid) == "Z")


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return "Z"


def test_camera_process_module_loads_no_model_library() -> None:
    code = "import sys, pipeline.camera.process as p; print(*{m.partition('.')[0] for m in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert "av" in loaded
    assert not {"torch", "ultralytics", "openvino", "matplotlib", "pandas"} & set(loaded)
