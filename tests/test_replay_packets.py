from __future__ import annotations

import struct
from fractions import Fraction
from itertools import pairwise, takewhile
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.errors import ReplayError
from pipeline.replay.packetize import MAX_PACKET_BYTES, RtpPacketizer, media_format
from pipeline.replay.recording import RecordedUnit, Recording
from pipeline.rtsp.rtcp import SenderState, goodbye, sender_report
from pipeline.rtsp.rtp import CLOCK_HZ
from pipeline.rtsp.sdp import describe, nal_units

FRAMES, FPS = 20, 10
STEP = CLOCK_HZ // FPS
KINDS = {
    "h264": ("libx264", "mp4", {"preset": "ultrafast", "g": "5", "bf": "0"}),
    "h264 with B-frames": ("libx264", "mp4", {"preset": "fast", "g": "10", "bf": "3"}),
    "h264 in Matroska": ("libx264", "mkv", {"preset": "fast", "g": "10", "bf": "3"}),
    "h264 in MPEG-TS": ("libx264", "ts", {"preset": "ultrafast", "g": "5", "bf": "0"}),
    "hevc": ("libx265", "mp4", {"preset": "ultrafast", "x265-params": "keyint=5:bframes=2:log-level=none"}),
    "mpeg4": ("mpeg4", "mp4", {"g": "5"}),
    "mjpeg": ("mjpeg", "avi", {"huffman": "default", "force_duplicated_matrix": "1"}),
}


def record(path: Path, encoder: str, options: dict[str, str], wh: tuple[int, int] = (160, 96)) -> Path:
    """Two seconds of noise that moves, so that pictures fill several packets."""
    noise = np.random.default_rng(7).integers(0, 255, (wh[1], wh[0], 3), np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(encoder, rate=FPS, options=options)
        stream.width, stream.height = wh
        stream.pix_fmt = "yuvj420p" if encoder == "mjpeg" else "yuv420p"
        for number in range(FRAMES):
            picture = av.VideoFrame.from_ndarray(np.roll(noise, 4 * number, axis=1), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    encoder, ending, options = KINDS[request.param]
    return record(tmp_path_factory.mktemp("kinds") / f"{encoder}.{ending}", encoder, options)


def passes(path: Path, count: int) -> list[RecordedUnit]:
    recording = Recording(path)
    units = recording.access_units(loop=True)
    taken = [unit for unit, _ in zip(units, range(count * FRAMES), strict=False)]
    recording.close()
    return taken


def test_recording_looped_goes_on_without_a_jump(kind: Path) -> None:
    units = passes(kind, 3)

    assert [unit.dts for unit in units] == [number * STEP for number in range(3 * FRAMES)]
    shown = sorted(unit.pts for unit in units)
    assert all(later - earlier == STEP for earlier, later in pairwise(shown))
    assert [unit.is_key for unit in units[:FRAMES]] == [unit.is_key for unit in units[FRAMES : 2 * FRAMES]]


def test_recording_without_loop_ends(kind: Path) -> None:
    assert len(list(Recording(kind).access_units())) == FRAMES


def test_recording_started_in_the_middle_begins_with_the_key_frame_before(tmp_path: Path) -> None:
    recording = Recording(record(tmp_path / "x.mp4", *_encoder("h264")))

    start_s = recording.key_frame_before(1.2)
    units = list(takewhile(lambda unit: unit.dts < 2 * CLOCK_HZ, recording.access_units(start_s, loop=True)))

    assert start_s == pytest.approx(1.0)
    assert units[0].is_key and units[0].dts == 0
    assert len(units) == 20, "after the second half it goes on with the first"


def test_recording_cut_short_is_played_as_far_as_it_goes(tmp_path: Path) -> None:
    whole = record(tmp_path / "whole.ts", *_encoder("h264")).read_bytes()
    (tmp_path / "cut.ts").write_bytes(whole[: len(whole) // 2])

    assert 5 <= len(list(Recording(tmp_path / "cut.ts").access_units())) < FRAMES


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        pytest.param("missing.mp4", None, "no such file", id="missing"),
        pytest.param("empty.mp4", b"", "FFmpeg can read", id="empty"),
        pytest.param("noise.mp4", bytes(range(256)) * 64, "FFmpeg can read", id="no recording"),
    ],
)
def test_recording_that_is_none_is_refused_by_name(
    tmp_path: Path, name: str, content: bytes | None, reason: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)

    with pytest.raises(ReplayError, match=reason) as refused:
        Recording(tmp_path / name)

    assert name in str(refused.value)


def test_recording_of_sound_only_is_refused(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "x.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        sound.sample_rate = 8000
        container.mux(stream.encode(sound))

    with pytest.raises(ReplayError, match="no video stream"):
        Recording(tmp_path / "x.wav")


def test_recording_of_another_codec_is_refused_with_the_codecs_that_go(tmp_path: Path) -> None:
    path = record(tmp_path / "x.mkv", "ffv1", {})

    with pytest.raises(ReplayError, match=r"codec ffv1 .* only h264, hevc, mpeg4, mjpeg"):
        Recording(path)


def test_recording_without_timestamps_is_refused(tmp_path: Path) -> None:
    path = record(tmp_path / "x.h264", *_encoder("h264"))

    with pytest.raises(ReplayError, match="no timestamps"):
        Recording(path)


@pytest.mark.parametrize(
    ("changed", "wh"),
    [
        pytest.param({}, (2048, 16), id="too wide"),
        pytest.param({"huffman": "optimal"}, (160, 96), id="own Huffman tables"),
        pytest.param({"force_duplicated_matrix": "0"}, (160, 96), id="one quantization table"),
    ],
)
def test_jpeg_that_rtp_cannot_carry_is_refused_before_serving(
    tmp_path: Path, changed: dict[str, str], wh: tuple[int, int]
) -> None:
    path = record(tmp_path / "x.avi", "mjpeg", {**_encoder("mjpeg")[1], "threads": "1", **changed}, wh)

    with pytest.raises(ReplayError, match="mjpeg pictures cannot be put into RTP packets"):
        media_format(Recording(path))


def test_packets_of_a_camera_follow_each_other(kind: Path) -> None:
    recording = Recording(kind)
    packetizer = RtpPacketizer(recording)

    sent = [packetizer.packetize(unit) for unit in recording.access_units()]

    headers = [struct.unpack_from(">BBHII", packet) for unit in sent for packet in unit.packets]
    assert len(headers) > len(sent)
    assert all((later[2] - earlier[2]) % 65536 == 1 for earlier, later in pairwise(headers))
    assert {header[4] for header in headers} == {packetizer.ssrc}
    assert max(len(packet) for unit in sent for packet in unit.packets) <= MAX_PACKET_BYTES
    for unit in sent:
        assert [packet[1] >> 7 for packet in unit.packets] == [0] * (len(unit.packets) - 1) + [1], "marker bit"
        assert packetizer.timestamp_base is not None
        assert {
            (struct.unpack_from(">I", packet, 4)[0] - packetizer.timestamp_base) % 2**32 for packet in unit.packets
        } == {unit.pts}


def test_interleaved_frames_every_packet_for_its_channel(kind: Path) -> None:
    recording = Recording(kind)
    unit = RtpPacketizer(recording).packetize(next(recording.access_units()))

    framed = unit.interleaved(6)

    packets = []
    while framed:
        mark, channel, length = struct.unpack_from(">cBH", framed)
        assert (mark, channel) == (b"$", 6)
        packets.append(framed[4 : 4 + length])
        framed = framed[4 + length :]
    assert tuple(packets) == unit.packets


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("h264", ["a=rtpmap:96 H264/90000", "packetization-mode=1", "profile-level-id=42", "sprop-parameter-sets=Z"]),
        ("hevc", ["a=rtpmap:96 H265/90000", "sprop-vps=", "sprop-sps=", "sprop-pps="]),
        ("mpeg4", ["a=rtpmap:96 MP4V-ES/90000", "profile-level-id=1;config=000001B0"]),
        ("mjpeg", ["m=video 0 RTP/AVP 26", "a=rtpmap:26 JPEG/90000"]),
    ],
)
def test_describe_tells_what_a_decoder_needs(tmp_path: Path, name: str, lines: list[str]) -> None:
    ending = KINDS[name][1]
    recording = Recording(record(tmp_path / f"x.{ending}", *_encoder(name)))

    sdp = describe("gate", media_format(recording), session=5)

    assert [line for line in lines if line not in sdp] == []
    assert sdp.startswith("v=0\r\n") and sdp.endswith("a=framerate:10\r\na=control:trackID=0\r\n")


def test_nal_units_are_cut_at_both_kinds_of_start_code() -> None:
    assert nal_units(b"\0\0\0\1\x67ab\0\0\1\x68c\0\0\0\1\x65d") == (b"\x67ab", b"\x68c", b"\x65d")
    assert nal_units(b"") == ()


def test_sender_report_pairs_wall_time_and_rtp_time() -> None:
    state = SenderState(
        ssrc=0xCAFE, cname="gate", wall_ns=1_700_000_000_250_000_000, rtp_timestamp=2**32 + 9, packets=3, octets=2**32
    )

    head, kind, words, ssrc, ntp, rtp, packets, octets = struct.unpack_from(">BBHIQIII", sender_report(state))

    assert (head, kind, words, ssrc) == (0x80, 200, 6, 0xCAFE)
    assert Fraction(ntp, 2**32) == 1_700_000_000 + 2_208_988_800 + Fraction(1, 4)
    assert (rtp, packets, octets) == (9, 3, 0)


@pytest.mark.parametrize("cname", ["g", "ga", "gat", "gate"])
def test_goodbye_is_a_compound_of_report_cname_and_bye(cname: str) -> None:
    left = goodbye(SenderState(1, cname, 0, 0, 0, 0))

    kinds = []
    while left:
        kinds.append(left[1])
        left = left[4 * (int.from_bytes(left[2:4], "big") + 1) :]
    assert kinds == [200, 202, 203]


def _encoder(name: str) -> tuple[str, dict[str, str]]:
    encoder, _, options = KINDS[name]
    return encoder, options
