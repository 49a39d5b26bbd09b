"""What one camera may cost: pictures, memory and log lines; each met by a camera that asks for more."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import socket
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from ctypes import c_int64
from fractions import Fraction
from pathlib import Path

import av
import pytest

from pipeline.camera.process import FAILED, CameraSpec, run_camera
from pipeline.camera.source import open_source
from pipeline.clock import NS_PER_S, SystemClock
from pipeline.config.camera import LARGEST_PICTURE_PX, Camera
from pipeline.errors import SourceError
from pipeline.geometry import WidthHeight
from pipeline.runscope import RunLease
from tests.camera_media import Clip, HttpCamera, TcpServer, camera
from tests.test_camera_process import DEADLINE_S, QUICK, Worker

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["pipeline.camera.process"])


@pytest.fixture
def town(short_path: Path) -> Iterator[Worker]:
    """The worker of a fleet called town."""
    with RunLease(short_path) as lease:
        worker = Worker(lease.scope)
        yield worker
        worker.close()


def start(worker: Worker, source_camera: Camera) -> multiprocessing.context.ForkServerProcess:
    """The camera in a process of its own."""
    beat: c_int64 = CONTEXT.Value("q", 0, lock=False)
    spec = CameraSpec(source_camera, "town", worker.scope, worker.endpoint)
    process = CONTEXT.Process(target=run_camera, args=(spec, multiprocessing.Pipe(duplex=False)[0], beat), daemon=True)
    process.start()
    return process


def peak_mb(pid: int | None) -> int:
    """The most memory of its own that a process has had in RAM."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) >> 10


def png(width: int, height: int) -> bytes:
    """A black picture, a thousandth of its size; the rows are not even made here."""
    rows = (width * 3 + 1) * height
    piece, rest = 1 << 20, rows % (1 << 20)
    packer = zlib.compressobj(9, wbits=-15)
    blocks = [packer.compress(bytes(piece)) + packer.flush(zlib.Z_FULL_FLUSH)] * (rows // piece)
    last = zlib.compressobj(9, wbits=-15)
    checksum = struct.pack("!HH", rows % 65521, 1)  # Adler-32 of so many zeros
    pixels = b"\x78\xda" + b"".join(blocks) + last.compress(bytes(rest)) + last.flush() + checksum
    size = struct.pack("!IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", size) + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack("!I", len(content)) + kind + content + struct.pack("!I", zlib.crc32(kind + content))


class Changing(TcpServer):
    """An http camera that sends one stream to who comes first and hangs up, and to all later ones another."""

    def __init__(self, first: bytes, later: bytes) -> None:
        self._streams = itertools.chain([first], itertools.repeat(later))
        super().__init__()

    @property
    def url(self) -> str:
        return f"http://viewer:hunter2@127.0.0.1:{self.port}/live"

    def serve(self, connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + next(self._streams))
        if self.connections > 1:
            self.closing.wait()


def test_png_bomb_of_a_camera_is_refused_by_name_and_the_camera_tried_again(town: Worker, tmp_path: Path) -> None:
    bomb, harmless = png(16_000, 16_000), Clip(frames=100).write(tmp_path / "a.ts").read_bytes()
    assert len(bomb) < 1_000_000
    with Changing(bomb * 2, harmless) as server:
        process = start(town, camera(server.url, reconnect=QUICK, open_timeout_s=DEADLINE_S))
        town.listen(lambda w: "live" in w.words() or any("max_pixels" in state.detail for state in w.states))
        town.listen(lambda w: "live" in w.words())
        assert peak_mb(process.pid) < 600
        process.kill()
        process.join(DEADLINE_S)
    assert town.words() == ["connecting", "retrying", "live"]
    detail = next(state.detail for state in town.states if state.state == "retrying")
    assert f"sends pictures of 16000x16000, more than max_pixels allows ({LARGEST_PICTURE_PX})" in detail
    assert "hunter2" not in detail


def test_pictures_that_need_more_memory_than_a_camera_may_take_are_told(town: Worker, tmp_path: Path) -> None:
    large, small = png(8000, 4000), Clip(frames=100).write(tmp_path / "a.ts").read_bytes()
    with Changing(large * 2, small) as server:
        process = start(town, camera(server.url, reconnect=QUICK, open_timeout_s=DEADLINE_S, memory_mb=64))
        town.listen(lambda w: "live" in w.words())
        process.kill()
        process.join(DEADLINE_S)
    assert town.words() == ["connecting", "retrying", "live"]
    detail = next(state.detail for state in town.states if state.state == "retrying")
    assert "needs more memory than memory_mb allows (64 MB)" in detail


class EndlessDescription(TcpServer):
    """An RTSP camera whose SDP is announced as 2 GB long, and comes."""

    def serve(self, connection: socket.socket) -> None:
        number = 0
        while request := connection.recv(65536):
            number += 1
            answer = f"RTSP/1.0 200 OK\r\nCSeq: {number}\r\n"
            if not request.startswith(b"DESCRIBE"):
                connection.sendall(f"{answer}Public: DESCRIBE, SETUP, PLAY\r\n\r\n".encode())
                continue
            connection.sendall(f"{answer}Content-Type: application/sdp\r\nContent-Length: 2147483000\r\n\r\n".encode())
            while not self.closing.is_set():
                connection.sendall(b"a=x:" + b"y" * 65_000 + b"\r\n")


def test_description_of_two_gigabytes_ends_at_the_camera_s_memory(town: Worker) -> None:
    with EndlessDescription() as server:
        patient = camera(
            f"rtsp://127.0.0.1:{server.port}/live", reconnect=QUICK, memory_mb=256, open_timeout_s=60, read_timeout_s=60
        )
        process = start(town, patient)
        town.listen(lambda w: "retrying" in w.words())
        assert peak_mb(process.pid) < 600
        town.listen(lambda w: server.connections >= 2)
        process.kill()
        process.join(DEADLINE_S)
    assert "or announces a description of more than memory_mb allows (256 MB)" in town.states[-1].detail


def test_recording_of_pictures_too_large_has_failed(town: Worker, tmp_path: Path) -> None:
    process = start(town, camera(Clip(wh=(640, 480)).write(tmp_path / "a.mp4"), max_pixels=100_000))
    town.listen(lambda w: not process.is_alive())
    assert process.exitcode == FAILED
    assert town.words()[-1] == "failed"
    assert "sends pictures of 640x480, more than max_pixels allows (100000)" in town.states[-1].detail


class Pulse:
    """Goes on, and waits for nothing."""

    def go_on(self) -> bool:
        return True

    def wait_until(self, due_ns: int) -> bool:
        return True


CODECS = [
    pytest.param(Clip(wh=(640, 360), frames=3), "a.mp4", id="H.264"),
    pytest.param(Clip("libx265", wh=(640, 360), frames=3, options=()), "a.mp4", id="HEVC"),
    pytest.param(Clip("mjpeg", wh=(640, 360), frames=3, pix_fmt="yuvj420p", options=()), "a.avi", id="MJPEG"),
    pytest.param(Clip("mpeg4", wh=(640, 360), frames=3, options=()), "a.mp4", id="MPEG-4"),
]


@pytest.mark.parametrize(("clip", "name"), CODECS)
def test_every_codec_gives_pictures_at_the_limit_and_none_beyond(clip: Clip, name: str, tmp_path: Path) -> None:
    file = clip.write(tmp_path / name)
    assert decoded(file, clip.wh[0] * clip.wh[1]) == clip.frames
    with pytest.raises(SourceError, match=r"sends pictures of 640x3\d+, more than max_pixels allows"):
        decoded(file, clip.wh[0] * (clip.wh[1] - 16))


def decoded(file: Path, max_pixels: int) -> int:
    """How many pictures come of a recording."""
    source = open_source(camera(file, max_pixels=max_pixels, pace="fastest"), SystemClock())
    try:
        return sum(picture.frame is not None for picture in source.pictures(Pulse()))
    finally:
        source.close()


ALONE = """
import sys, multiprocessing
from ctypes import c_int64
from pathlib import Path
from pipeline.camera.process import CameraSpec, run_camera
from pipeline.runscope import RunScope
from tests.camera_media import camera
spec = CameraSpec(camera(sys.argv[1]), "town", RunScope(sys.argv[2], Path(sys.argv[3])), sys.argv[4])
run_camera(spec, multiprocessing.Pipe(duplex=False)[0], c_int64(0))
"""


def test_camera_whose_time_jumps_with_every_other_picture_has_its_lines_counted_not_written(
    town: Worker, tmp_path: Path
) -> None:
    jumps = 120
    stream = jumping(tmp_path / "jumps.ts", (64, 64), jumps).read_bytes()
    with HttpCamera(stream, then="fall silent") as server:
        arguments = [server.url, town.scope.run_id, str(town.scope.directory), town.endpoint]
        path = str(Path(__file__).parents[1])
        process = subprocess.Popen(
            [sys.executable, "-c", ALONE, *arguments],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
        )
        try:
            town.listen(lambda w: len(w.sessions()) >= jumps - 10)
            began_ns = town.states[-1].at_ns
            town.listen(lambda w: w.states[-1].at_ns - began_ns > 3 * NS_PER_S)
        finally:
            process.terminate()
            _, errors = process.communicate(timeout=DEADLINE_S)
    lines = [line for line in errors.splitlines() if line]
    assert len(lines) < jumps / 2
    left_out = [int(line.partition("lines_left_out=")[2].split()[0]) for line in lines if "lines_left_out" in line]
    assert len(lines) - 1 + sum(left_out) >= jumps - 10


def jumping(file: Path, wh: WidthHeight, jumps: int) -> Path:
    """A stream in which each picture but its second is 100 s after the one before; one alone would not be believed."""
    with av.open(str(file), "w") as container:
        video = container.add_stream("mpeg2video", rate=25, options={"g": "1", "bf": "0"})
        assert isinstance(video, av.VideoStream)
        video.width, video.height, video.pix_fmt = *wh, "yuv420p"
        for number in range(2 * jumps):
            frame = av.VideoFrame(*wh, "yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            for packet in video.encode(frame):
                packet.pts = packet.dts = round((number // 2 * 100 + number % 2 / 25) / packet.time_base)
                container.mux(packet)
    return file
