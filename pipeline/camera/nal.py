"""NAL units in a byte stream that comes in pieces (ITU-T H.264 Annex B and §7.4.1, H.265 Annex B and §7.4.2)."""

from __future__ import annotations

from typing import Literal

import msgspec

Codec = Literal["h264", "hevc"]

HEADER_BYTES: dict[Codec, int] = {"h264": 1, "hevc": 2}
"""Of a NAL unit's header (H.264 §7.3.1, H.265 §7.3.1.2)."""

_START = b"\x00\x00\x01"
STARTS = (_START, b"\x00" + _START)
"""Start codes (H.264 Annex B.1.1)."""
_CARRIED = len(_START)
"""Bytes of the piece before that may belong to a start code and the header behind it."""
_RECOVERY_POINT = 6
"""Payload type of the SEI message: from here on, pictures become whole though none is an IDR picture."""


class NalUnit(msgspec.Struct, frozen=True, gc=False):
    """Where a NAL unit begins.

    Attributes:
        begins: Offset of its start code in the stream, bytes.
        is_slice: It holds a part of a picture.
        is_key: Decoding can begin with its picture.
        is_sequence: It says how the pictures from here on are coded: a sequence parameter set.
    """

    begins: int
    is_slice: bool
    is_key: bool
    is_sequence: bool


class NalScanner:
    """Tells where NAL units begin, wherever the stream was cut. Not thread-safe."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._carried = b""
        self._length = 0

    def scan(self, piece: bytes) -> list[NalUnit]:
        """The NAL units whose headers end in this piece, which continues the stream."""
        units: list[NalUnit] = []
        data = self._carried + piece
        offset = self._length - len(self._carried)
        at = data.find(_START)
        while 0 <= at < len(data) - len(_START):
            header = at + len(_START)
            long = at > 0 and data[at - 1] == 0
            units.append(NalUnit(offset + at - long, *_kind(self._codec, data[header : header + 3])))
            at = data.find(_START, header)
        self._length += len(piece)
        self._carried = data[-_CARRIED:]
        return units


def _kind(codec: Codec, header: bytes) -> tuple[bool, bool, bool]:
    """A NAL unit's `is_slice`, `is_key` and `is_sequence` by its first bytes.

    A picture with a recovery point counts as a key frame: some cameras refresh step by step and send no IDR picture.
    """
    if codec == "h264":
        kind = header[0] & 0x1F
        is_key = kind == 5 or (kind == 6 and header[1:2] == bytes([_RECOVERY_POINT]))
        return kind in (1, 2, 5), is_key, kind == 7
    kind = header[0] >> 1 & 0x3F
    is_key = 16 <= kind <= 21 or (kind == 39 and header[2:3] == bytes([_RECOVERY_POINT]))
    return kind < 32, is_key, kind == 33
