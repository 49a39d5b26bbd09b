"""With which packets decoding can begin, for codecs whose RTP packets do not say so."""

from __future__ import annotations

from typing import Any

import av

from pipeline.camera.access_unit import PADDING

_UNMARKED = ("vp8", "vp9", "av1")
"""FFmpeg's RTP depacketizers of these mark no packet as a key frame; its parsers do."""


class KeyFrames:
    """Looks into the packets of one stream."""

    def __init__(self, stream: av.VideoStream) -> None:
        codec = stream.codec_context.codec
        self._intra_only = codec.intra_only
        self._parser = av.CodecContext.create(codec.canonical_name, "r") if codec.canonical_name in _UNMARKED else None

    def is_key(self, packet: av.Packet[Any]) -> bool:
        """Whether decoding can begin with this packet, which holds a whole picture and is not marked."""
        if self._parser is None:
            return self._intra_only
        data = bytes(packet)
        try:
            found = self._parser.parse(memoryview(data + PADDING)[: len(data)])
        except av.FFmpegError:
            return False
        return any(parsed.is_keyframe for parsed in found)
