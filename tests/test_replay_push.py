"""Publishing to RTSP servers that nobody here wrote: ffmpeg, and GStreamer where its bindings are."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.errors import ReplayError
from pipeline.replay import Playback, ReplayOptions
from pipeline.replay.push import push, push_targets
from tests.camera_media import GST_PYTHON
from tests.rtsp_client import DEADLINE_S

REPOSITORY = Path(__file__).parents[1]
GST_SERVER = REPOSITORY / "tests" / "gst_record_server.py"
Within = Callable[[float], Iterator[None]]


@pytest.mark.whole_machine
@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
def test_command_publishes_to_ffmpeg_and_ends_on_ctrl_c(recording: Path, tmp_path: Path, within: Within) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"rtsp://127.0.0.1:{free.getsockname()[1]}/live"
    out = tmp_path / "out.mkv"
    server = subprocess.Popen(
        ["ffmpeg", "-v", "error", "-nostdin", "-rtsp_flags", "listen", "-i", url, "-frames:v", "20", "-c", "copy", out],
        stderr=subprocess.DEVNULL,
    )
    command = [sys.executable, "-m", "pipeline", "replay", str(recording), "--loop", "--push", url]
    publisher = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    for _ in within(DEADLINE_S):
        if server.poll() is not None:
            break
        if publisher.poll() is not None:  # ffmpeg did not listen yet
            publisher.communicate()
            publisher = subprocess.Popen(
                command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            )
    publisher.send_signal(signal.SIGINT)
    printed, _ = publisher.communicate(timeout=DEADLINE_S)

    assert server.returncode == 0
    assert printed.strip() == url
    assert publisher.returncode == 130
    assert out.stat().st_size > 1000


@pytest.mark.skipif(not GST_PYTHON.exists(), reason="there is no system Python with GStreamer's bindings")
def test_gstreamer_shows_what_is_published(recording: Path) -> None:
    server = subprocess.Popen(
        [str(GST_PYTHON), str(GST_SERVER)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert server.stdin and server.stdout
    stop = threading.Event()
    try:
        port = server.stdout.readline().strip()
        if not port:
            pytest.skip("GStreamer's RTSP server, or its FFmpeg plugin, is not installed")
        options = ReplayOptions((recording,), playback=Playback(loop=True))
        publishing = threading.Thread(target=push, args=(options, f"rtsp://127.0.0.1:{port}/live", stop))
        publishing.start()
        shown = [server.stdout.readline() for _ in range(20)]
        stop.set()
        publishing.join(DEADLINE_S)
    finally:
        stop.set()
        server.stdin.close()
        server.stdout.close()
        server.wait(DEADLINE_S)

    assert shown == ["picture\n"] * 20
    assert not publishing.is_alive()


def test_server_that_is_not_there_is_named_without_its_password(recording: Path) -> None:
    with pytest.raises(ReplayError, match=r"cannot publish to rtsp://\*\*\*@127\.0\.0\.1:9/live") as failed:
        push(ReplayOptions((recording,)), "rtsp://bob:hunter2@127.0.0.1:9/live", threading.Event())

    assert "hunter2" not in str(failed.value)


def test_several_cameras_are_published_below_the_address() -> None:
    options = ReplayOptions((Path("gate.mp4"),), cameras=2)

    assert push_targets(options, "rtsp://h/site/") == ("rtsp://h/site/gate", "rtsp://h/site/gate-2")
