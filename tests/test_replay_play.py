"""What players make of a replay: PyAV here, ffprobe, ffmpeg and GStreamer where they are installed."""

from __future__ import annotations

import os
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import pytest

from pipeline.replay import Playback, ReplayOptions, serve_recordings
from tests.test_replay_packets import FRAMES, KINDS, STEP, record

DEADLINE_S = 60.0
PLAYED = FRAMES + 6
CODECS = ("h264", "h264 with B-frames", "hevc", "mpeg4", "mjpeg")
REPOSITORY = Path(__file__).parents[1]
FOOTAGE = Path(os.environ.get("CAMFLEET_DATA", REPOSITORY.parent / "shared" / "data")) / "videos"


def decoded_pts(url: str, count: int) -> list[int]:
    """Presentation times of the first pictures; the very first one is left out, as FFmpeg gives it none over RTSP."""
    with av.open(url, options={"rtsp_transport": "tcp"}, timeout=DEADLINE_S) as container:
        shown: list[int] = []
        for picture in container.decode(video=0):
            if picture.pts is not None:
                shown.append(picture.pts)
            if len(shown) == count:
                break
    return shown


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """One looping camera per codec: URL by codec."""
    folder = tmp_path_factory.mktemp("served")
    files = [record(folder / f"{number}.{KINDS[name][1]}", *_encoder(name)) for number, name in enumerate(CODECS)]
    with serve_recordings(ReplayOptions(tuple(files))) as server:
        yield dict(zip(CODECS, server.urls, strict=True))


def capture_time_s(url: str) -> float:
    """Unix time at which the first picture was taken, as FFmpeg reads it from the sender report."""
    with av.open(url, options={"rtsp_transport": "tcp"}, timeout=DEADLINE_S) as container:
        packet = next(container.demux(video=0))
        return float(struct.unpack_from("q", bytes(packet.get_sidedata("prft")))[0]) / 1e6


def run_player(command: str, url: str) -> subprocess.CompletedProcess[str] | None:
    """The player's end; None where it is not installed."""
    words = command.replace("URL", url).split()
    if shutil.which(words[0]) is None:
        return None
    return subprocess.run(words, capture_output=True, text=True, timeout=DEADLINE_S, check=False)


COMMANDS = {
    "ffprobe": "ffprobe -v error -rtsp_transport tcp -show_entries stream=codec_name,width,height -of csv=p=0 URL",
    "ffmpeg": "ffmpeg -v warning -nostdin -xerror -rtsp_transport tcp -i URL -frames:v 25 -f null -",
    "ffmpeg over UDP": "ffmpeg -v warning -nostdin -xerror -rtsp_transport udp -i URL -frames:v 25 -f null -",
    "gst-launch-1.0": (
        "gst-launch-1.0 -q rtspsrc location=URL protocols=tcp latency=0 ! rtph264depay ! h264parse ! avdec_h264"
        " ! identity eos-after=15 ! fakesink"
    ),
    "gst-launch-1.0 over UDP": (
        "gst-launch-1.0 -q rtspsrc location=URL protocols=udp latency=0 ! rtph264depay ! h264parse ! avdec_h264"
        " ! identity eos-after=15 ! fakesink"
    ),
}


@pytest.fixture(scope="module")
def play(served: dict[str, str]) -> Iterator[Callable[[str], Any]]:
    """Gives what a player made of it; all play at once, since all must wait for pictures in real time."""
    with ThreadPoolExecutor() as pool:
        results: dict[str, Future[Any]] = {
            **{name: pool.submit(decoded_pts, url, PLAYED) for name, url in served.items()},
            **{name: pool.submit(run_player, command, served["h264"]) for name, command in COMMANDS.items()},
            "capture time": pool.submit(capture_time_s, served["h264"]),
        }
        yield lambda name: results[name].result(DEADLINE_S) or pytest.skip(f"{name} is not installed")


@pytest.mark.parametrize("name", CODECS)
def test_player_sees_time_go_on_evenly_across_the_loop(play: Callable[[str], Any], name: str) -> None:
    shown = play(name)

    assert {later - earlier for earlier, later in pairwise(shown)} == {STEP}
    assert len(shown) == PLAYED


def test_player_learns_the_capture_time_from_the_sender_report(play: Callable[[str], Any]) -> None:
    assert abs(time.time() - play("capture time")) < 2 * DEADLINE_S


def test_ffprobe_reads_codec_and_size(play: Callable[[str], Any]) -> None:
    probed = play("ffprobe")

    assert (probed.returncode, probed.stdout.strip(), probed.stderr) == (0, "h264,160,96", "")


@pytest.mark.parametrize("command", ["ffmpeg", "ffmpeg over UDP"])
def test_ffmpeg_decodes_without_an_error(play: Callable[[str], Any], command: str) -> None:
    decoded = play(command)

    assert (decoded.returncode, decoded.stderr) == (0, "")


@pytest.mark.parametrize("command", ["gst-launch-1.0", "gst-launch-1.0 over UDP"])
def test_gstreamer_plays(play: Callable[[str], Any], command: str) -> None:
    played = play(command)
    if "no element" in played.stderr:
        pytest.skip(f"GStreamer lacks a part here: {played.stderr}")

    assert played.returncode == 0, played.stderr


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_command_prints_the_addresses_and_ends_on_a_signal(recording: Path, ending: signal.Signals) -> None:
    command = [sys.executable, "-m", "pipeline", "replay", str(recording), "--port", "0", "--cameras", "2", "--loop"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=REPOSITORY)
    assert process.stdout is not None
    with process.stdout:
        addresses = [process.stdout.readline().strip() for _ in range(2)]
        process.send_signal(ending)

        status = process.wait(DEADLINE_S)

    assert [address.rpartition("/")[2] for address in addresses] == ["square", "square-2"]
    assert all(address.startswith("rtsp://127.0.0.1:") for address in addresses)
    assert status == (0 if ending is signal.SIGTERM else 130)


@pytest.mark.parametrize(
    ("file", "content", "reason"),
    [
        pytest.param("gone.mp4", None, "no such file", id="missing"),
        pytest.param("text.mp4", "not a film", "FFmpeg can read", id="no recording"),
    ],
)
def test_command_tells_in_one_line_what_is_wrong(tmp_path: Path, file: str, content: str | None, reason: str) -> None:
    if content is not None:
        (tmp_path / file).write_text(content)

    command = [sys.executable, "-m", "pipeline", "replay", str(tmp_path / file), "--port", "0"]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, timeout=DEADLINE_S, check=False)

    assert ended.returncode == 2
    assert reason in ended.stderr and file in ended.stderr
    assert ended.stderr.count("\n") == 1 and ended.stdout == ""


@pytest.mark.skipif(not FOOTAGE.is_dir(), reason=f"real footage is not at {FOOTAGE}")
def test_real_footage_plays_all_at_once_hevc_with_sound_too() -> None:
    files = sorted(FOOTAGE.glob("*.mp4"))
    with (
        serve_recordings(ReplayOptions(tuple(files), playback=Playback(loop=False))) as server,
        ThreadPoolExecutor(len(files)) as pool,
    ):
        shown = list(pool.map(lambda url: decoded_pts(url, 6), server.urls))

    assert all(later > earlier for pts in shown for earlier, later in pairwise(pts))
    assert [len(pts) for pts in shown] == [6] * len(files)


def _encoder(name: str) -> tuple[str, dict[str, str]]:
    encoder, _, options = KINDS[name]
    return encoder, options
