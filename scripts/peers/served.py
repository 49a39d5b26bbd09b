"""The cameras of a comparison: recordings over RTSP by a server that notes when each frame left.

`gstreamer` is GStreamer's RTSP server, which nobody here wrote; `replay` is ours, for machines without it. Either way
each client gets the recording from its first frame on, and times are CLOCK_MONOTONIC, which all processes of a machine
share.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.replay import Playback, ReplayOptions, read_departures, serve_recordings

HERE = Path(__file__).resolve().parent
SYSTEM_PYTHON = "/usr/bin/python3"
"""Where distributions put the bindings (Debian: python3-gi, gir1.2-gst-rtsp-server-1.0)."""
END_S = 5.0


@dataclass(frozen=True, slots=True)
class Served:
    """Cameras that run.

    Attributes:
        urls: Their addresses.
        kind: `gstreamer` or `replay`.
        log: Where departures are noted; complete once the cameras have ended.
    """

    urls: list[str]
    kind: str
    log: Path

    def departures(self) -> Any:
        """(N, 3) int64: camera, frame number, monotonic ns; in the order of departure."""
        if self.kind == "gstreamer":
            return np.loadtxt(self.log, np.int64, ndmin=2).reshape(-1, 3)
        left = read_departures(self.log)
        cameras = left["camera"].astype(np.int64)
        numbers = np.zeros_like(cameras)
        for camera in np.unique(cameras):
            numbers[cameras == camera] = np.arange(np.count_nonzero(cameras == camera))
        return np.stack((cameras, numbers, left["left_ns"].astype(np.int64)), axis=1)


def best_kind() -> str:
    """`gstreamer` where its RTSP server can be started, else `replay`."""
    asked = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"
    if not shutil.which(SYSTEM_PYTHON):
        return "replay"
    tried = subprocess.run([SYSTEM_PYTHON, "-c", asked], capture_output=True, check=False)
    return "replay" if tried.returncode else "gstreamer"


@contextmanager
def serve(recordings: list[Path], kind: str, folder: Path) -> Iterator[Served]:
    """A camera for each recording, which may repeat, while the `with` lasts."""
    log = folder / "departures"
    if kind == "gstreamer":
        with _gstreamer(recordings, log) as urls:
            yield Served(urls, kind, log)
        return
    with tempfile.TemporaryDirectory() as links:
        files = [Path(links) / f"cam{number}.mp4" for number in range(len(recordings))]
        for file, recording in zip(files, recordings, strict=True):
            file.symlink_to(recording.resolve())
        options = ReplayOptions(tuple(files), playback=Playback(loop=False), departures=log)
        with serve_recordings(options) as server:
            yield Served(list(server.urls), kind, log)


@contextmanager
def _gstreamer(recordings: list[Path], log: Path) -> Iterator[list[str]]:
    command = [SYSTEM_PYTHON, str(HERE / "gst_server.py"), str(log), *map(str, recordings)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            port = int(process.stdout.readline())
            yield [f"rtsp://127.0.0.1:{port}/{number}" for number in range(len(recordings))]
        finally:
            process.stdin.close()
            try:
                process.wait(END_S)
            except subprocess.TimeoutExpired:
                process.kill()
