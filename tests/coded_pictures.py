"""Coded pictures as an RTP depacketizer hands them on, of real encoders and in the ways of many cameras."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache

import av
import numpy as np
import numpy.typing as npt

START = b"\x00\x00\x00\x01"
MTU = 200
"""Largest payload of a packet, bytes: small, so that small pictures are cut, too."""
TICKS = 3600
"""Of 90 kHz, between two pictures."""
_ENCODERS = {"h264": "libx264", "hevc": "libx265"}


@dataclass(frozen=True)
class Nal:
    """A NAL unit without its start code, and the time stamp it is sent with."""

    data: bytes
    pts: int

    def is_set(self, codec: str) -> bool:
        """Whether it holds parameters."""
        return self.data[0] & 0x1F in (7, 8) if codec == "h264" else self.data[0] >> 1 & 0x3F in (32, 33, 34)


@cache
def coded(
    codec: str,
    options: str = "",
    *,
    frames: int = 90,
    lively_from: int = 0,
    gop: int = 30,
    wh: tuple[int, int] = (128, 96),
) -> tuple[bytes, ...]:
    """Coded pictures, Annex B; a square moves over stripes, which is covered with noise from `lively_from` on.

    Args:
        codec: `h264` or `hevc`.
        options: For x264 or x265, as `slices=4`.
        frames: How many.
        lively_from: Frame number.
        gop: A key frame every so many pictures.
        wh: Size, px.
    """
    encoder = av.CodecContext.create(_ENCODERS[codec], "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = *wh, "yuv420p"
    encoder.time_base = Fraction(1, 25)
    common = f"keyint={gop}:min-keyint={gop}:scenecut=0:bframes=0:repeat-headers=1:log-level=none"
    parameters = f"{common}:{options}" if options else common
    name = "x264-params" if codec == "h264" else "x265-params"
    encoder.options = {"preset": "ultrafast", "tune": "zerolatency", name: parameters}
    packets: list[av.Packet] = []
    for number in range(frames):
        frame = av.VideoFrame.from_ndarray(_picture(number, wh, lively=number >= lively_from), format="rgb24")
        frame.pts = number
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    return tuple(bytes(packet) for packet in packets)


def nal_units(pictures: Sequence[bytes]) -> list[list[Nal]]:
    """The NAL units of each coded picture, sent with its time."""
    return [
        [Nal(data, TICKS * number) for data in re.split(rb"\x00?\x00\x00\x01", picture)[1:]]
        for number, picture in enumerate(pictures, start=1)
    ]


def sets_apart(units: list[list[Nal]], codec: str, ticks: int) -> list[list[Nal]]:
    """The same, parameter sets with a time stamp so many ticks before that of their picture."""
    return [[replace(one, pts=one.pts - ticks) if one.is_set(codec) else one for one in unit] for unit in units]


def joined(units: list[list[Nal]], code: bytes) -> list[list[Nal]]:
    """All NAL units of a picture in one RTP unit, Annex B codes between them."""
    return [[Nal(code.join(one.data for one in unit), unit[0].pts)] for unit in units]


def one_stamp_for_two(units: list[list[Nal]]) -> list[list[Nal]]:
    """Two pictures after each other with one time stamp."""
    return [[Nal(one.data, one.pts // (2 * TICKS) * 2 * TICKS) for one in unit] for unit in units]


def one_stamp_for_all(units: list[list[Nal]]) -> list[list[Nal]]:
    """A clock that stands still."""
    return [[Nal(one.data, TICKS) for one in unit] for unit in units]


def stray(units: list[list[Nal]]) -> list[list[Nal]]:
    """One time stamp of twenty is hours off."""
    return [
        [Nal(one.data, one.pts + (9000 * 90_000 if number % 20 == 19 else 0)) for one in unit]
        for number, unit in enumerate(units)
    ]


def without_sets(units: list[list[Nal]], codec: str) -> list[list[Nal]]:
    """No parameter sets among the pictures."""
    return [[one for one in unit if not one.is_set(codec)] for unit in units]


def pieces(
    units: Iterable[Iterable[Nal]], codec: str = "h264", mtu: int = MTU, *, whole: int = 0
) -> Iterator[av.Packet]:
    """Each NAL unit as FFmpeg's depacketizer hands it on: whole with a start code, or a fragment at a time.

    Args:
        units: NAL units of each picture.
        codec: `h264` or `hevc`.
        mtu: Largest payload of a packet that holds a fragment, bytes.
        whole: Largest NAL unit that is sent whole, bytes; by default as large as a fragment's packet.
    """
    for nal in (nal for unit in units for nal in unit):
        header = 1 if codec == "h264" else 2
        room = mtu - header - 1
        cut = [nal.data] if len(nal.data) <= (whole or mtu) else [nal.data[: header + room]]
        cut += [nal.data[at : at + room] for at in range(len(cut[0]), len(nal.data), room)]
        for number, data in enumerate(cut):
            packet = av.Packet(data if number else START + data)
            packet.pts = nal.pts
            yield packet


def decoded(codec: str, pictures: Iterable[bytes]) -> list[npt.NDArray[np.uint8]]:
    """What FFmpeg alone makes of coded pictures: (H * 3 / 2, W) uint8, YUV 4:2:0 planes."""
    context = av.CodecContext.create(codec, "r")
    assert isinstance(context, av.VideoCodecContext)
    context.thread_count = 1
    frames = [frame for data in pictures for frame in context.decode(av.Packet(data))]
    return [frame.to_ndarray() for frame in [*frames, *context.decode(None)]]


def _picture(number: int, wh: tuple[int, int], *, lively: bool) -> npt.NDArray[np.uint8]:
    width, height = wh
    noise = np.random.default_rng(number).integers(0, 255, (height, width, 3), np.uint8)
    ground = (np.add.outer(np.arange(height) * 3, np.arange(width) * 2) % 200).astype(np.uint8)
    picture = noise if lively else np.repeat(ground[..., None], 3, axis=2)
    picture[20:40, (2 * number) % 100 : (2 * number) % 100 + 20] = 220
    return picture
