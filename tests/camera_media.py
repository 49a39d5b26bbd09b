"""Recordings and cameras made for tests: files of any codec, and servers that behave badly in one way each."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from pipeline.config.camera import Camera
from pipeline.config.url import CameraUrl

GST_PYTHON = Path("/usr/bin/python3")
GST_SERVER = Path(__file__).parent / "gst_rtsp_server.py"


def camera(url: str | Path, **settings: Any) -> Camera:
    return Camera(camera_id="gate", url=CameraUrl.parse(str(url)), **settings)


@dataclass(frozen=True)
class Clip:
    """A recording to be made: frame n is a grey picture with a bright square at x = 4n."""

    codec: str = "libx264"
    wh: tuple[int, int] = (128, 96)
    frames: int = 50
    pix_fmt: str = "yuv420p"
    fps: int = 25
    first_pts: int = 0
    options: tuple[tuple[str, str], ...] = (("preset", "ultrafast"), ("g", "10"), ("bf", "0"))
    audio: bool = False

    def write(self, path: Path, **muxer: str) -> Path:
        with av.open(str(path), "w", options=muxer) as container:
            video = container.add_stream(self.codec, rate=self.fps, options=dict(self.options))
            assert isinstance(video, av.VideoStream)
            video.width, video.height, video.pix_fmt = *self.wh, self.pix_fmt
            audio = container.add_stream("aac", rate=8000) if self.audio else None
            for number in range(self.frames):
                frame = av.VideoFrame.from_ndarray(self.picture(number), format="rgb24")
                frame.pts, frame.time_base = self.first_pts + number, Fraction(1, self.fps)
                container.mux(video.encode(frame))
            container.mux(video.encode(None))
            if isinstance(audio, av.AudioStream):
                silence = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), "fltp", "mono")
                silence.rate = 8000
                container.mux(audio.encode(silence))
                container.mux(audio.encode(None))
        return path

    def picture(self, number: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
        width, height = self.wh
        picture = np.full((height, width, 3), 60, np.uint8)
        left = 4 * number % max(1, width - 16)
        picture[height // 4 : height // 2, left : left + 16] = (230, 120, 20)
        return picture


class TcpServer:
    """Listens on a free port, and gives every connection to `serve` in a thread of its own."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        self.closing = threading.Event()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def serve(self, connection: socket.socket) -> None:
        raise NotImplementedError

    def close(self) -> None:
        self.closing.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(5)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                self._threads.append(threading.Thread(target=self._run, args=(connection,), daemon=True))
                self._threads[-1].start()

    def _run(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            self.serve(connection)


class CannedServer(TcpServer):
    """Answers anything with the same bytes; `{cseq}` in them becomes the request's number."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        super().__init__()

    def serve(self, connection: socket.socket) -> None:
        number = 0
        while connection.recv(65536):
            number += 1
            connection.sendall(self._answer.replace(b"{cseq}", str(number).encode()))


class HttpCamera(TcpServer):
    """Sends a recording over HTTP as a stream without length, then hangs up, or falls silent."""

    def __init__(self, stream: bytes, then: str = "hang up", kind: str = "video/mp2t", pause_s: float = 0.005) -> None:
        self._stream, self._then = stream, then
        self._kind, self._pause_s = kind, pause_s
        super().__init__()

    @property
    def url(self) -> str:
        return f"http://viewer:hunter2@127.0.0.1:{self.port}/live"

    def serve(self, connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(f"HTTP/1.0 200 OK\r\nContent-Type: {self._kind}\r\n\r\n".encode())
        for start in range(0, len(self._stream), 4096):
            connection.sendall(self._stream[start : start + 4096])
            if self.closing.wait(self._pause_s):
                return
        if self._then == "fall silent":
            self.closing.wait()


@contextmanager
def gst_server(*arguments: str | Path) -> Iterator[int]:
    """GStreamer's RTSP server over recordings; yields its port. Skips where it is not installed."""
    probe = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"
    if (
        not GST_PYTHON.exists()
        or subprocess.run([GST_PYTHON, "-c", probe], check=False, capture_output=True).returncode
    ):
        pytest.skip("GStreamer's RTSP server is not installed (python3-gi gir1.2-gst-rtsp-server-1.0)")
    process = subprocess.Popen(
        [GST_PYTHON, GST_SERVER, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.terminate()
        process.communicate(timeout=10)
