from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.camera.probe import ProbeResult, probe
from pipeline.errors import SourceError
from tests.camera_media import CannedServer, Clip, HttpCamera, camera, gst_server


@pytest.mark.parametrize(
    ("clip", "name", "expected"),
    [
        pytest.param(Clip(), "a.mp4", ProbeResult("h264", (128, 96), 25.0, 0.4), id="h264"),
        pytest.param(Clip(fps=10), "a.mkv", ProbeResult("h264", (128, 96), 10.0, 1.0), id="slow"),
        pytest.param(
            Clip(options=(("bf", "3"), ("g", "20"))), "a.mp4", ProbeResult("h264", (128, 96), 25, 0.8), id="b"
        ),
        pytest.param(Clip(wh=(96, 128), audio=True), "a.ts", ProbeResult("h264", (96, 128), 25, 0.4), id="portrait"),
        pytest.param(Clip(frames=8), "a.mp4", ProbeResult("h264", (128, 96), 25.0, None), id="one-key-frame"),
        pytest.param(Clip(frames=1), "a.mp4", ProbeResult("h264", (128, 96), 25.0, None), id="one-frame"),
    ],
)
def test_probe_recording_tells_what_it_is(clip: Clip, name: str, expected: ProbeResult, tmp_path: Path) -> None:
    found = probe(camera(clip.write(tmp_path / name)), timeout_s=60)
    assert (found.codec, found.frame_wh) == (expected.codec, expected.frame_wh)
    assert found.fps == pytest.approx(expected.fps, rel=0.02)
    assert found.keyframe_interval_s == (
        None if expected.keyframe_interval_s is None else pytest.approx(expected.keyframe_interval_s, abs=0.01)
    )


def test_probe_camera_with_rare_key_frames_ends_in_time(tmp_path: Path) -> None:
    stream = Clip(frames=800, options=(("g", "800"), ("bf", "0"), ("preset", "ultrafast"))).write(tmp_path / "a.ts")
    with HttpCamera(stream.read_bytes(), then="fall silent", pause_s=0.1) as server:
        found = probe(camera(server.url), timeout_s=4)
    assert found.frame_wh == (128, 96) and found.keyframe_interval_s is None


def test_probe_camera_without_a_key_frame_says_so(tmp_path: Path) -> None:
    content = Clip(frames=100, options=(("g", "100"), ("bf", "0"), ("sc_threshold", "0"))).write(
        tmp_path / "a.mp4", movflags="faststart"
    )
    stream = bytearray(content.read_bytes())
    start = stream.index(b"mdat") + 4
    stream[start:] = bytes(len(stream) - start)
    content.write_bytes(stream)
    with pytest.raises(SourceError, match=r"a\.mp4 .*no picture could be decoded"):
        probe(camera(content), timeout_s=60)


def test_probe_camera_that_answers_with_garbage_is_one_clear_error() -> None:
    with CannedServer(b"\x00\xff nonsense\r\n\r\n" * 20) as server:
        url = f"rtsp://viewer:hunter2@127.0.0.1:{server.port}/live"
        with pytest.raises(SourceError, match=r"cannot open rtsp://\*\*\*@127") as error:
            probe(camera(url), timeout_s=0.5)
    assert "hunter2" not in str(error.value)


def test_probe_gstreamer_server_tells_what_it_sends(tmp_path: Path) -> None:
    file = Clip(frames=200, wh=(320, 240), options=(("g", "25"), ("preset", "ultrafast"), ("bf", "0")))
    with gst_server(file.write(tmp_path / "gate.mp4")) as port:
        found = probe(camera(f"rtsp://127.0.0.1:{port}/gate"), timeout_s=30)
    assert (found.codec, found.frame_wh) == ("h264", (320, 240))
    assert found.fps == pytest.approx(25, rel=0.1) and found.keyframe_interval_s == pytest.approx(1.0, abs=0.05)
