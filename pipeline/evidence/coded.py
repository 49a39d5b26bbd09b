"""Coded pictures as they come, and as a file takes them: with everything in them that a decoder must know.

Recordings carry H.264 and HEVC with a length before each unit and parameter sets in a header (ISO/IEC 14496-15, `avcC`
and `hvcC`); cameras send start codes (Annex B), some of them parameter sets in the SDP only. Muxers take start codes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.errors import WireError
from pipeline.wire import AlignedBy

START = b"\x00\x00\x00\x01"
_AVCC_HEAD, _HVCC_HEAD = 5, 22
"""Bytes before the number of parameter sets, or of arrays of them."""
_SPS = {"h264": 7, "hevc": 33}
"""Types of NAL units that are sequence parameter sets (H.264 table 7-1, H.265 table 7-1)."""


@dataclass(frozen=True, slots=True)
class Stream:
    """What pictures that belong together have in common; another connection or size is another one.

    Attributes:
        codec: As FFmpeg names it.
        session: The camera's number of its session, or of the connection of its second stream.
        frame_wh: Size of the coded picture, px.
        turns: Quarter turns clockwise that make it upright, after mirroring.
        mirrored: Whether left and right change places first.
    """

    codec: str
    session: int
    frame_wh: tuple[int, int]
    turns: int = 0
    mirrored: bool = False


@dataclass(frozen=True, slots=True)
class Moment:
    """When a coded picture is shown.

    Attributes:
        stream: To which it belongs.
        pts_s: The stream's own time, s.
        at_ns: Wall time of its capture by the stream that is detected, ns since 1970-01-01 UTC.
        frame: The camera's numbers of session and frame, of the stream that is detected.
        aligned_by: Of a second stream, what makes its time one with that of the first; None of the first itself.
        error_ms: How far that may be off; None where that is not known.
        zero_ns: See `pipeline.viewing.Kept`.
        blind: See `pipeline.viewing.Shown`.
    """

    stream: Stream
    pts_s: float
    at_ns: int
    frame: tuple[int, int] | None = None
    aligned_by: AlignedBy | None = None
    error_ms: float | None = 0.0
    zero_ns: int = 0
    blind: bool = False


@dataclass(slots=True)
class Coded:
    """A coded picture.

    Attributes:
        number: Counts those of a camera in the order of decoding; a gap is one that was lost on the way here.
        key: Decoding can begin here.
        data: As a file takes it.
        moment: When it is shown; None until that is known.
    """

    number: int
    key: bool
    data: bytes
    moment: Moment | None = None


def complete(codec: str, extradata: bytes, data: bytes, *, key: bool) -> bytes:
    """A picture with start codes, key frames with their parameter sets; other codecs' are as they were.

    Raises:
        WireError: The camera sends parameter sets that end too soon.
    """
    if codec not in _SPS:
        return data
    header = extradata[:1] == b"\x01"
    try:
        if header:
            size = (extradata[4 if codec == "h264" else 21] & 3) + 1
            data = b"".join(START + unit for unit in _units(data, size))
        if key and not _has_sets(codec, data):
            data = (_sets(codec, extradata) if header else extradata) + data
    except IndexError:
        raise WireError(f"the parameter sets of a camera's {codec} stream end too soon") from None
    return data


def _has_sets(codec: str, data: bytes) -> bool:
    at = data.find(START[1:])
    while 0 <= at < len(data) - 3:
        head = data[at + 3]
        if (head & 31 if codec == "h264" else head >> 1 & 63) == _SPS[codec]:
            return True
        at = data.find(START[1:], at + 3)
    return False


def _units(data: bytes, size: int) -> Iterator[bytes]:
    """Units with a length of `size` bytes before each."""
    at = 0
    while at + size <= len(data):
        length = int.from_bytes(data[at : at + size], "big")
        yield data[at + size : at + size + length]
        at += size + length


def _sets(codec: str, header: bytes) -> bytes:
    """The parameter sets of `avcC` or `hvcC`, with start codes."""
    found, at = b"", _AVCC_HEAD if codec == "h264" else _HVCC_HEAD
    if codec == "h264":
        found, at = _some(header, at + 1, header[at] & 31, found)
        return _some(header, at + 1, header[at], found)[0]
    arrays, at = header[at], at + 1
    for _ in range(arrays):
        count = int.from_bytes(header[at + 1 : at + 3], "big")
        found, at = _some(header, at + 3, count, found)
    return found


def _some(header: bytes, at: int, count: int, found: bytes) -> tuple[bytes, int]:
    for _ in range(count):
        length = int.from_bytes(header[at : at + 2], "big")
        found += START + header[at + 2 : at + 2 + length]
        at += 2 + length
    return found, at
