from __future__ import annotations

import itertools
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any

import av
import pytest

from pipeline.camera.capture import Arrival
from pipeline.camera.decode import Decoded, Decoder, stamp_of
from pipeline.camera.picture import Picture
from pipeline.camera.source import open_source
from pipeline.clock import NS_PER_S, SystemClock, VirtualClock
from pipeline.config.camera import Camera
from pipeline.errors import SourceError, SourceLost
from tests.camera_media import CannedServer, Clip, HttpCamera, camera, gst_server

RTSP = "RTSP/1.0 {} \r\nCSeq: {{cseq}}\r\n{}\r\n"


class Watch:
    """A pulse on a virtual clock: waiting takes no time, and ends after `count` packets or waits."""

    def __init__(self, clock: VirtualClock, count: int = 10_000) -> None:
        self._clock, self._left = clock, count
        self.waited_ns: list[int] = []

    def go_on(self) -> bool:
        return self._left > 0

    def wait_until(self, due_ns: int) -> bool:
        self._left -= 1
        self.waited_ns.append(due_ns)
        self._clock.advance(max(0, due_ns - self._clock.monotonic_ns()) / NS_PER_S)
        return self._left > 0


def played(source_camera: Camera, count: int = 10_000) -> list[Picture]:
    clock = VirtualClock(1000.0)
    source = open_source(source_camera, clock)
    try:
        return list(source.pictures(Watch(clock, count)))
    finally:
        source.close()


def steps_s(pictures: list[Picture]) -> list[float]:
    return [later.pts_s - earlier.pts_s for earlier, later in itertools.pairwise(pictures)]


@pytest.mark.parametrize(
    ("clip", "name"),
    [
        pytest.param(Clip(), "a.mp4", id="h264"),
        pytest.param(Clip(codec="libx265", options=(("x265-params", "log-level=none"),)), "a.mp4", id="hevc"),
        pytest.param(Clip(codec="mpeg4", options=()), "a.avi", id="mpeg4"),
        pytest.param(Clip(codec="mjpeg", pix_fmt="yuvj420p", options=()), "a.avi", id="mjpeg"),
        pytest.param(Clip(options=(("bf", "3"), ("g", "25"))), "a.mp4", id="b-frames"),
        pytest.param(Clip(audio=True), "a.mp4", id="with-audio"),
        pytest.param(Clip(audio=True), "a.ts", id="transport-stream"),
        pytest.param(Clip(wh=(96, 128)), "a.mkv", id="portrait"),
        pytest.param(Clip(wh=(129, 97), pix_fmt="yuv444p"), "a.mp4", id="odd"),
        pytest.param(Clip(pix_fmt="yuv420p10le"), "a.mp4", id="ten-bits"),
        pytest.param(Clip(first_pts=1000), "a.mkv", id="begins-at-40-s"),
        pytest.param(Clip(), "100%:strange name.mp4", id="strange-name"),
    ],
)
def test_recording_of_any_kind_gives_every_picture_at_its_time(clip: Clip, name: str, tmp_path: Path) -> None:
    pictures = played(camera(clip.write(tmp_path / name)))
    assert len(pictures) == clip.frames
    assert {(p.frame.width, p.frame.height) for p in pictures if p.frame} == {clip.wh}
    assert not any(p.corrupt for p in pictures)
    assert {p.capture.clock for p in pictures} == {"file"}
    assert steps_s(pictures) == pytest.approx([0.04] * (clip.frames - 1), abs=0.002)
    due_s = [(p.received_ns - pictures[0].received_ns) / NS_PER_S for p in pictures]
    assert due_s == pytest.approx([0.04 * number for number in range(clip.frames)], abs=0.002)
    assert all(p.capture.ns == p.received_ns for p in pictures)


def test_recording_described_before_its_first_picture(tmp_path: Path) -> None:
    source = open_source(camera(Clip().write(tmp_path / "a.mp4")), SystemClock())
    source.close()
    source.close()
    assert (source.description.codec, source.description.frame_wh, source.description.fps) == ("h264", (128, 96), 25.0)


@pytest.mark.parametrize("options", [(("bf", "0"),), (("bf", "3"),)], ids=["no-b-frames", "b-frames"])
@pytest.mark.parametrize("name", ["a.mp4", "a.ts"])
def test_recording_looped_has_no_seam(name: str, options: tuple[tuple[str, str], ...], tmp_path: Path) -> None:
    file = Clip(frames=20, options=options).write(tmp_path / name)
    pictures = played(camera(file, loop=True), count=90)
    assert len(pictures) == 89
    assert steps_s(pictures) == pytest.approx([0.04] * 88, abs=0.002)
    marks = [first_bright_column(p) for p in pictures]
    assert marks[:20] == marks[20:40] == marks[60:80]


def first_bright_column(picture: Picture) -> int:
    assert picture.frame is not None
    return int((picture.frame.to_ndarray(format="gray")[30] > 100).argmax())


def test_recording_as_fast_as_it_goes_never_waits(tmp_path: Path) -> None:
    clock = VirtualClock(1000.0)
    source = open_source(camera(Clip().write(tmp_path / "a.mp4"), pace="fastest"), clock)
    watch = Watch(clock)
    assert len(list(source.pictures(watch))) == 50
    source.close()
    assert watch.waited_ns == []


def test_recording_told_to_end_ends(tmp_path: Path) -> None:
    assert len(played(camera(Clip().write(tmp_path / "a.mp4"), loop=True), count=8)) == 7


def test_recording_named_by_a_file_url_is_played(tmp_path: Path) -> None:
    file = Clip(frames=5).write(tmp_path / "with space.mp4")
    assert len(played(camera(file.as_uri()))) == 5


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(None, "no such file", id="missing"),
        pytest.param(b"", "no video FFmpeg can read", id="empty"),
        pytest.param(b"this is no video at all\n" * 100, "no video FFmpeg can read", id="text"),
        pytest.param(Random(0).randbytes(5000), "no video FFmpeg can read", id="noise"),
    ],
)
def test_recording_that_is_no_video_is_one_clear_error(content: bytes | None, words: str, tmp_path: Path) -> None:
    file = tmp_path / "a.mp4"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SourceError, match=f"cannot open .*a.mp4: .*{words}"):
        open_source(camera(file), SystemClock())


def test_noise_that_looks_like_a_codec_is_one_clear_error(tmp_path: Path) -> None:
    file = tmp_path / "a.mp4"
    file.write_bytes(Random(7847).randbytes(5000))  # To FFmpeg the beginning of H.263.
    with pytest.raises(SourceError, match=r"a.mp4: no picture in it can be decoded"):
        played(camera(file))


def test_folder_without_pictures_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no picture in it"):
        open_source(camera(tmp_path), SystemClock())


def test_recording_with_sound_only_has_no_video_stream(tmp_path: Path) -> None:
    file = tmp_path / "sound.wav"
    with av.open(str(file), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        assert isinstance(stream, av.AudioStream)
        frame = av.AudioFrame(format="s16", layout="mono", samples=800)
        frame.rate = 8000
        container.mux(stream.encode(frame))
    with pytest.raises(SourceError, match="has no video stream"):
        open_source(camera(file), SystemClock())


def test_recording_cut_off_gives_what_is_there_and_ends(tmp_path: Path) -> None:
    file = Clip().write(tmp_path / "a.ts")
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    assert 10 < len(played(camera(file))) < 50


# --- damage -------------------------------------------------------------------------------------------------------


def packets(file: Path) -> tuple[av.VideoStream, list[Any]]:
    container = av.open(str(file))
    stream = container.streams.video[0]
    return stream, [packet for packet in container.demux(stream) if packet.size]


def decoded(stream: av.VideoStream, some: list[Any]) -> Iterator[Decoded]:
    decoder = Decoder(camera("gate.mp4"), stream)
    for number, packet in enumerate(some):
        yield from decoder.decode(packet, stamp_of(packet, Arrival(number, number)), key=packet.is_keyframe)
    yield from decoder.flush()


def with_bytes(packet: Any, content: bytes) -> Any:
    other: Any = av.Packet(content)
    other.pts, other.dts, other.time_base, other.stream = packet.pts, packet.dts, packet.time_base, packet.stream
    other.is_keyframe = packet.is_keyframe
    return other


def test_decoder_begins_with_a_key_frame(tmp_path: Path) -> None:
    stream, some = packets(Clip().write(tmp_path / "a.mp4"))
    assert [packet.is_keyframe for packet in some[:11]] == [True] + [False] * 9 + [True]
    pictures = list(decoded(stream, some[3:]))
    assert [p.ticks for p in pictures] == [packet.pts for packet in some[10:]]
    assert not any(p.corrupt for p in pictures)


def test_decoder_reordering_pictures_keeps_each_ones_own_stamp(tmp_path: Path) -> None:
    stream, some = packets(Clip(options=(("bf", "3"), ("g", "25"))).write(tmp_path / "a.mp4"))
    order = [packet.pts for packet in some]
    assert order != sorted(order)
    pictures = list(decoded(stream, some))
    assert [p.ticks for p in pictures] == sorted(order)
    assert [p.stamp.arrival.ns for p in pictures] == [order.index(p.ticks) for p in pictures]


def test_decoder_packet_it_makes_nothing_of_is_a_corrupt_gap_and_the_rest_goes_on(tmp_path: Path) -> None:
    stream, some = packets(Clip().write(tmp_path / "a.mp4"))
    some[15] = with_bytes(some[15], Random(0).randbytes(200))
    pictures = list(decoded(stream, some))
    gap = next(p for p in pictures if p.frame is None)
    assert gap.corrupt and gap.ticks == some[15].pts
    assert len(pictures) == 50
    assert not any(p.corrupt for p in pictures[20:])


def test_decoder_damaged_picture_is_corrupt_and_the_next_key_frame_is_not(tmp_path: Path) -> None:
    stream, some = packets(Clip(wh=(320, 240)).write(tmp_path / "a.mp4"))
    content = bytearray(bytes(some[10]))
    content[len(content) // 2 :] = bytes(255 - byte for byte in content[len(content) // 2 :])
    some[10] = with_bytes(some[10], bytes(content))
    pictures = list(decoded(stream, some))
    assert [p.corrupt for p in pictures].index(True) == 10
    assert not any(p.corrupt for p in pictures[20:])


def test_decoder_packet_marked_corrupt_gives_a_corrupt_picture(tmp_path: Path) -> None:
    stream, some = packets(Clip().write(tmp_path / "a.mp4"))
    some[7].is_corrupt = True
    assert [number for number, p in enumerate(decoded(stream, some)) if p.corrupt] == [7]


def test_recording_without_a_single_good_picture_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "bad.avi"
    with av.open(str(file), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        for number in range(3):
            packet: Any = av.Packet(Random(number).randbytes(500))
            packet.pts = packet.dts = number
            packet.time_base, packet.stream, packet.is_keyframe = Fraction(1, 25), stream, True
            container.mux(packet)
    with pytest.raises(SourceError, match="no picture in it can be decoded"):
        played(camera(file, loop=True))


# --- cameras ------------------------------------------------------------------------------------------------------


def watched(source_camera: Camera, count: int) -> list[Picture]:
    source = open_source(source_camera, SystemClock())
    try:
        return list(itertools.islice(source.pictures(Watch(VirtualClock())), count))
    finally:
        source.close()


def test_camera_that_hangs_up_is_lost_not_ended(tmp_path: Path) -> None:
    stream = Clip().write(tmp_path / "a.ts").read_bytes()
    with HttpCamera(stream) as server:
        source = open_source(camera(server.url), SystemClock())
        pictures = source.pictures(Watch(VirtualClock()))
        seen = list(itertools.islice(pictures, 45))
        assert {p.capture.clock for p in seen} == {"arrival"}
        with pytest.raises(SourceLost, match=r"ended the stream|the connection broke") as error:
            list(pictures)
        source.close()
    assert "hunter2" not in str(error.value)


def test_camera_that_falls_silent_is_lost_after_its_time_out(tmp_path: Path) -> None:
    stream = Clip().write(tmp_path / "a.ts").read_bytes()
    with HttpCamera(stream, then="fall silent") as server:
        source = open_source(camera(server.url, read_timeout_s=0.5), SystemClock())
        with pytest.raises(SourceLost, match=r"silent for 0.5 s"):
            list(source.pictures(Watch(VirtualClock())))
        source.close()


def test_recording_served_by_http_ends_like_a_file(tmp_path: Path) -> None:
    body = Clip().write(tmp_path / "a.mp4", movflags="faststart").read_bytes()
    head = f"HTTP/1.0 200 OK\r\nContent-Type: video/mp4\r\nContent-Length: {len(body)}\r\n\r\n"
    with CannedServer(head.encode() + body) as server:
        pictures = played(camera(f"http://127.0.0.1:{server.port}/a.mp4"))
    assert len(pictures) == 50 and {p.capture.clock for p in pictures} == {"file"}


@pytest.mark.parametrize(
    ("answer", "scheme", "words"),
    [
        pytest.param(b"\x00\xff garbage \x12" * 50, "rtsp", "no RTSP answer", id="rtsp-garbage"),
        pytest.param(b"\x00\xff garbage \x12\n\n" * 50, "http", "no HTTP answer", id="http-garbage"),
        pytest.param(
            RTSP.format("401 Unauthorized", 'WWW-Authenticate: Basic realm="cam"\r\n').encode(),
            "rtsp",
            r"another user or password \(401\)",
            id="rtsp-401",
        ),
        pytest.param(RTSP.format("404 Not Found", "").encode(), "rtsp", r"no such stream \(404\)", id="rtsp-404"),
        pytest.param(RTSP.format("453 Not Enough Bandwidth", "").encode(), "rtsp", "4xx", id="rtsp-453"),
        pytest.param(b"HTTP/1.0 404 Not Found\r\n\r\n", "http", r"no such stream \(404\)", id="http-404"),
        pytest.param(b"HTTP/1.0 503 Busy\r\n\r\n", "http", "5xx", id="http-503"),
        pytest.param(
            b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n<html", "http", "no video FFmpeg can read", id="http-page"
        ),
    ],
)
def test_camera_that_refuses_says_why_and_keeps_the_secret(answer: bytes, scheme: str, words: str) -> None:
    with CannedServer(answer) as server:
        url = f"{scheme}://viewer:hunter2@127.0.0.1:{server.port}/live"
        with pytest.raises(SourceError, match=words) as error:
            # Garbage is no answer, however long it is waited for.
            wait_s = 2 if b"garbage" in answer else 30
            open_source(camera(url, open_timeout_s=wait_s, read_timeout_s=wait_s), SystemClock())
    assert "hunter2" not in str(error.value) and "viewer:" not in str(error.value)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        pytest.param("rtsp://viewer:hunter2@127.0.0.1:1/live", "nothing listens there", id="refused"),
        pytest.param(
            "rtsp://viewer:hunter2@no-such-host.invalid/live", "no-such-host.invalid is unknown", id="no-host"
        ),
        pytest.param("/dev/video99", "no such file or device", id="no-device"),
    ],
)
def test_camera_that_is_not_there_says_what_to_check(url: str, words: str) -> None:
    with pytest.raises(SourceError, match=words) as error:
        open_source(camera(url, open_timeout_s=30), SystemClock())
    assert "hunter2" not in str(error.value)


def test_camera_that_never_answers_is_given_up_after_its_time_out() -> None:
    with CannedServer(b"") as server, pytest.raises(SourceError, match="no RTSP answer in time"):
        open_source(camera(f"rtsp://127.0.0.1:{server.port}/", open_timeout_s=0.5, read_timeout_s=0.5), SystemClock())


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_gstreamer_server_gives_pictures_with_the_time_of_their_capture(transport: str, tmp_path: Path) -> None:
    file = Clip(frames=250, wh=(320, 240)).write(tmp_path / "gate.mp4")
    with gst_server(file) as port:
        source = open_source(camera(f"rtsp://127.0.0.1:{port}/gate", transport=transport), SystemClock())
        pictures = []
        for picture in source.pictures(Watch(VirtualClock())):
            pictures.append(picture)
            # The first sender report comes within the first seconds; a machine that pauses holds up some pictures.
            is_timed = picture.capture.clock == "rtcp" and picture.received_ns - picture.capture.ns < NS_PER_S
            if len(pictures) >= 25 and is_timed:
                break
        source.close()
    assert pictures[-1].capture.clock == "rtcp" and not any(p.corrupt for p in pictures)
    assert steps_s(pictures) == pytest.approx([0.04] * (len(pictures) - 1), abs=0.005)
    assert 0 <= pictures[-1].received_ns - pictures[-1].capture.ns < NS_PER_S
    assert source.concern == ""


def test_gstreamer_server_wants_a_password_and_gets_the_right_one(tmp_path: Path) -> None:
    file = Clip(frames=250).write(tmp_path / "gate.mp4")
    with gst_server("--auth", "viewer:hunter2", file) as port:
        assert len(watched(camera(f"rtsp://viewer:hunter2@127.0.0.1:{port}/gate"), 5)) == 5
        for user in ("viewer:wrong@", ""):
            with pytest.raises(SourceError, match="401"):
                open_source(camera(f"rtsp://{user}127.0.0.1:{port}/gate"), SystemClock())
