"""Cameras with the habits of real ones, each connected to as a fleet does; and what is said where that cannot work."""

from __future__ import annotations

import functools
import http.server
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from pipeline.camera.even import Playout
from pipeline.camera.opening import has_time_stamps, open_container
from pipeline.camera.picture import Picture
from pipeline.camera.probe import probe
from pipeline.camera.source import Source, open_source
from pipeline.clock import NS_PER_S, SystemClock
from pipeline.config.camera import Camera
from pipeline.errors import SourceError
from pipeline.replay import ReplayOptions, serve_recordings
from tests.camera_media import Clip, HttpCamera, camera
from tests.coded_pictures import TICKS, coded, decoded, sets_apart, stray
from tests.rtsp_camera import Habits, RtspCamera
from tests.waiting import DEADLINE_S


class Pulse:
    """Of a viewer that waits as long as it must."""

    def __init__(self) -> None:
        self._end_s = time.monotonic() + DEADLINE_S

    def go_on(self) -> bool:
        return time.monotonic() < self._end_s

    def wait_until(self, due_ns: int) -> bool:
        time.sleep(max(0.0, (due_ns - time.monotonic_ns()) / NS_PER_S))
        return self.go_on()


@contextmanager
def opened(source_camera: Camera) -> Iterator[Source]:
    """One whose pictures are never too late to be decoded, however little of the machine is free."""
    source = open_source(source_camera, SystemClock(), late_s=DEADLINE_S)
    try:
        yield source
    finally:
        source.close()


def seen(source: Source, count: int) -> list[Picture]:
    return list(itertools.islice((one for one in source.pictures(Pulse()) if one is not None), count))


@pytest.mark.parametrize(
    "habits",
    [
        pytest.param(Habits(sets_told=False), id="no-sets-told"),
        pytest.param(Habits(sets_told=False, begins=7), id="no-sets-told-joined-between-key-frames"),
        pytest.param(Habits(sets_told=False, shape=lambda u: sets_apart(u, "h264", TICKS)), id="sets-with-the-last"),
        pytest.param(Habits(shape=lambda u: sets_apart(u, "h264", TICKS // 2)), id="sets-with-their-own-time"),
        pytest.param(Habits(shape=stray), id="stray-stamps"),
        pytest.param(Habits(fps=40), id="stamps-slower-than-time"),
    ],
)
def test_every_picture_of_an_untidy_camera_is_seen_in_one_session(habits: Habits) -> None:
    pictures = coded("h264", lively_from=50)
    first_key = -(-habits.begins // 30) * 30
    with RtspCamera(pictures, habits) as server, opened(camera(server.url)) as source:
        came = seen(source, len(pictures) - first_key - 12)
    expected = decoded("h264", pictures[first_key:])
    assert not any(one.corrupt or one.behind for one in came)
    frames = [one.frame.to_ndarray() for one in came if one.frame is not None]
    begins = next(at for at, one in enumerate(expected) if (one == frames[0]).all())
    assert begins <= 12, "a camera begins with the present, after its first key frame"
    assert all((one == two).all() for one, two in zip(frames, expected[begins:], strict=False))
    steps = np.diff([one.pts_s for one in came])
    assert (steps > 0).all(), "a stray one lies between its neighbours"
    assert steps.max() < 0.5, "and leads nowhere, though others may hold it up on its way"
    assert np.median(steps) == pytest.approx(TICKS / 90_000, abs=0.005)


def test_a_camera_that_sends_no_key_frame_is_blind_and_says_why() -> None:
    never = Habits(sets_told=True, shape=lambda units: [unit for unit in units[1:] for _ in (0,)])
    with RtspCamera(coded("h264", frames=400, gop=1000), never) as server, opened(camera(server.url)) as source:
        for picture in source.pictures(Pulse()):
            if source.blind:
                break
            assert picture is None or picture.frame is None or picture.corrupt
    assert "no key frame that decoding can begin with" in source.blind or "damaged" in source.blind


def test_a_camera_that_refuses_tcp_names_the_other_transport() -> None:
    with RtspCamera(coded("h264"), Habits(refuses_tcp=True)) as server, pytest.raises(SourceError) as caught:
        open_source(camera(server.url), SystemClock())
    assert "it refuses TCP (461); set transport: udp for this camera, or auto" in str(caught.value)


def test_transport_auto_takes_what_the_camera_offers(tmp_path: Path) -> None:
    recording = Clip().write(tmp_path / "a.mp4")
    options = ReplayOptions((recording,))
    with serve_recordings(options) as server, opened(camera(server.urls[0], transport="auto")) as source:
        assert seen(source, 5)


def test_a_camera_that_does_not_listen_for_rtcp_over_udp_is_waited_for_and_not_asked_again_and_again() -> None:
    def cost_of_50_pictures_s(transport: str) -> float:
        with RtspCamera(coded("h264")) as server, opened(camera(server.url, transport=transport)) as source:
            seen(source, 5)
            began_s = time.thread_time()
            seen(source, 50)
            return time.thread_time() - began_s

    # Of this thread's own time, 0.14 s either way; asking again and again takes all that it gets of 2 s.
    assert any(cost_of_50_pictures_s("udp") < 2 * cost_of_50_pictures_s("tcp") for _ in range(5))


@pytest.mark.parametrize(
    "spelling",
    [
        pytest.param(lambda url: url.replace("rtsp://", "RTSP://"), id="scheme-in-capitals"),
        pytest.param(lambda url: url.replace("viewer:hunter2@", "viewer@"), id="user-without-a-password"),
        pytest.param(lambda url: url.replace("viewer:hunter2@", "viewer:@"), id="empty-password"),
    ],
)
def test_addresses_are_understood_however_they_are_written(spelling: Callable[[str], str]) -> None:
    with RtspCamera(coded("h264")) as server, opened(camera(spelling(server.url))) as source:
        assert seen(source, 3)


def test_probe_goes_the_way_of_run_and_says_which(tmp_path: Path) -> None:
    with RtspCamera(coded("h264", frames=200), Habits(sets_told=False, begins=7)) as server:
        found = probe(camera(server.url), timeout_s=30)
    assert (found.codec, found.frame_wh, found.assembly, found.concern) == ("h264", (128, 96), "early", "")
    assert (found.fps, found.keyframe_interval_s) == (pytest.approx(25, rel=0.1), pytest.approx(1.2, rel=0.1))


def test_probe_of_stray_stamps_is_not_led_astray() -> None:
    with RtspCamera(coded("h264", frames=200), Habits(shape=stray)) as server:
        assert probe(camera(server.url), timeout_s=30).fps == pytest.approx(25, rel=0.1)


class Folder:
    """An http server of the files in a folder; keeps what it was asked for."""

    def __init__(self, folder: Path) -> None:
        asked = self.asked = []

        class Handler(http.server.SimpleHTTPRequestHandler):
            def log_message(self, format: str, *arguments: Any) -> None:
                asked.append(self.path)

        handler = functools.partial(Handler, directory=folder)
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}/live.m3u8"

    def __enter__(self) -> Folder:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def test_hls_is_played_from_the_cameras_own_host_evenly_though_it_comes_a_segment_at_a_time(tmp_path: Path) -> None:
    clip = Clip(frames=150, options=(("preset", "ultrafast"), ("g", "25"), ("bf", "0")))
    clip.write(tmp_path / "live.m3u8", hls_time="1", hls_list_size="0", hls_flags="omit_endlist")

    def longest_apart_s() -> float:
        with Folder(tmp_path) as folder, opened(camera(folder.url)) as source:
            came = seen(source, 60)
            assert folder.asked.count("/live.m3u8") >= 1 and any(name.endswith(".ts") for name in folder.asked)
            assert "it sends in bursts" in source.concern
        assert np.diff([one.pts_s for one in came]) == pytest.approx(np.full(59, 0.04), abs=0.001)
        apart_s = np.diff([one.received_ns for one in came]) / NS_PER_S
        assert np.median(apart_s) == pytest.approx(0.04, abs=0.01)
        return float(apart_s.max())

    # A segment of a second comes at once, and is not shown so; a machine that pauses shifts all that follows.
    assert any(longest_apart_s() < 0.5 for _ in range(5))


@pytest.mark.parametrize("segments", ["mpegts", "fmp4"])
def test_hls_whose_segments_are_parts_of_one_file_is_played(segments: str, tmp_path: Path) -> None:
    clip = Clip(frames=75, options=(("preset", "ultrafast"), ("g", "25"), ("bf", "0")))
    one_file = {"hls_flags": "omit_endlist+single_file", "hls_segment_type": segments}
    clip.write(tmp_path / "live.m3u8", hls_time="1", hls_list_size="0", **one_file)
    assert "#EXT-X-BYTERANGE" in (tmp_path / "live.m3u8").read_text()
    with Folder(tmp_path) as folder, opened(camera(folder.url)) as source:
        came = seen(source, 60)
    assert not any(one.corrupt for one in came)
    assert np.diff([one.pts_s for one in came]) == pytest.approx(np.full(59, 0.04), abs=0.001)


def test_playout_shows_the_slowest_of_each_burst_just_in_time() -> None:
    playout = Playout()
    due_s = []
    for number in range(500):
        came_s = 2 * (number // 50) + 2  # fifty pictures at once, every two seconds
        due_s.append(playout.due_ns(number / 25, round(came_s * NS_PER_S)) / NS_PER_S)
    assert np.diff(due_s) == pytest.approx(np.full(499, 0.04), abs=1e-6)
    assert due_s[0] == 2, "the first picture of a burst is the slowest, and is not delayed"


def test_playout_of_what_comes_evenly_delays_nothing_for_long() -> None:
    playout = Playout()
    waits_s = []
    for number in range(3000):
        late_s = 1.0 if number == 100 else 0.0
        came_ns = round((number / 25 + late_s) * NS_PER_S)
        waits_s.append((playout.due_ns(number / 25, came_ns) - came_ns) / NS_PER_S)
    assert max(waits_s[:100]) == 0 and max(waits_s) < 1.1
    assert max(waits_s[-500:]) == 0, "one pause does not stay in the buffer for ever"


@pytest.mark.parametrize("parts", [True, False], ids=["in-parts", "one-after-another"])
def test_a_stream_without_time_stamps_is_timed_by_arrival(parts: bool) -> None:
    _, jpeg = cv2.imencode(".jpg", np.random.default_rng(1).integers(0, 255, (96, 128, 3), np.uint8))
    head = f"--next\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
    part = head.encode() + jpeg.tobytes() + b"\r\n" if parts else jpeg.tobytes()
    kind = "multipart/x-mixed-replace; boundary=next" if parts else "image/jpeg"
    stream_format = None if parts else "mjpeg"
    with (
        HttpCamera(20 * part, kind=kind, pause_s=0.05) as server,
        opened(camera(server.url, format=stream_format)) as source,
    ):
        came = seen(source, 8)
    assert np.diff([one.pts_s for one in came]).max() > 0.06, "not the 25 a second that FFmpeg believes"
    assert all(one.pts_s == pytest.approx((one.received_ns - came[0].received_ns) / NS_PER_S) for one in came)


@pytest.mark.parametrize("name", [None, "mjpeg"], ids=["jpeg_pipe", "mjpeg"])
def test_pictures_one_after_another_have_no_time_stamps_whatever_their_format_says(name: str | None) -> None:
    _, jpeg = cv2.imencode(".jpg", np.random.default_rng(1).integers(0, 255, (96, 128, 3), np.uint8))
    with HttpCamera(90 * jpeg.tobytes(), kind="image/jpeg", pause_s=0) as server:
        container = open_container(camera(server.url, format=name))
    with closing(container):
        assert not has_time_stamps(container)


def test_a_camera_that_sends_a_codec_that_ffmpeg_does_not_know_is_one_clear_error() -> None:
    class Newer(RtspCamera):
        def _description(self) -> str:
            return super()._description().replace("H264", "X-H267")

    with Newer(coded("h264")) as server, pytest.raises(SourceError, match="set the camera to"):
        open_source(camera(server.url), SystemClock())
