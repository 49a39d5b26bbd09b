"""Recordings made for replay: in each codec that goes over RTP, as cameras send it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import av
from av.container import OutputContainer

_QUANTIZER_UNIT = 118
"""FFmpeg's FF_QP2LAMBDA: what one step of a fixed quantizer counts as `global_quality`."""


@dataclass(frozen=True, slots=True)
class _Encoder:
    name: str
    options: dict[str, str]
    pix_fmt: str = "yuv420p"


def _fixed(quantizer: int) -> dict[str, str]:
    return {"flags": "+qscale", "global_quality": str(quantizer * _QUANTIZER_UNIT)}


_ENCODERS = {
    "h264": _Encoder("libx264", {"preset": "ultrafast", "g": "50", "bf": "0"}),
    "hevc": _Encoder("libx265", {"preset": "ultrafast", "x265-params": "keyint=50:bframes=0:log-level=none"}),
    "mpeg4": _Encoder("mpeg4", {"g": "50", **_fixed(5)}),
    # RFC 2435 carries the standard Huffman tables only, and two quantization tables; 20 kB a picture of 640×360.
    "mjpeg": _Encoder("mjpeg", {"huffman": "default", "force_duplicated_matrix": "1", **_fixed(8)}, "yuvj420p"),
}
CODECS = tuple(_ENCODERS)
"""FFmpeg's names of the codecs that can be written."""


def add_stream(container: OutputContainer, codec: str, size_wh: tuple[int, int], rate: Fraction) -> av.VideoStream:
    """A stream of `container` that takes pictures of this size in its `pix_fmt`, and that the replay server can serve.

    Raises:
        KeyError: It is none of `CODECS`.
    """
    encoder = _ENCODERS[codec]
    stream = container.add_stream(encoder.name, rate=rate, options=encoder.options)
    assert isinstance(stream, av.VideoStream)
    stream.width, stream.height = size_wh
    stream.pix_fmt = encoder.pix_fmt
    return stream
