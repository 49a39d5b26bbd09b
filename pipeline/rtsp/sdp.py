"""Describes a camera in SDP, as DESCRIBE answers: RFC 4566, with the format parameters of RFC 6184, 7798 and 6416.

PyAV has no way to FFmpeg's own `av_sdp_create`, so the lines are written here from the first key frame.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from fractions import Fraction

from pipeline.rtsp.rtp import CLOCK_HZ, payload_type

TRACK = "trackID=0"

_START_CODE = re.compile(rb"\x00\x00\x01")
_H264_SPS, _H264_PPS = 7, 8
_HEVC_PARAMETERS = {32: "sprop-vps", 33: "sprop-sps", 34: "sprop-pps"}
_MPEG4_SEQUENCE_START = b"\x00\x00\x01\xb0"
_MPEG4_PICTURE_START = b"\x00\x00\x01\xb6"
_MPEG4_SIMPLE_PROFILE = 1


@dataclass(frozen=True, slots=True)
class MediaFormat:
    """What a client must know to depacketize and decode one camera."""

    payload_type: int
    rtpmap: str
    parameters: str
    frame_rate: Fraction

    @classmethod
    def from_key_frame(cls, codec: str, key_frame: bytes, extradata: bytes, frame_rate: Fraction) -> MediaFormat:
        """The format of a video.

        Args:
            codec: FFmpeg's name of it, such as `h264`.
            key_frame: Its first one; Annex B for H.264 and HEVC.
            extradata: The decoder's configuration as its container holds it; may be empty.
            frame_rate: Pictures a second.
        """
        if codec in {"h264", "hevc"}:
            outside = extradata if extradata.startswith(b"\x00\x00") else b""
            units = (*nal_units(key_frame), *nal_units(outside))
            parameters = _h264_parameters(units) if codec == "h264" else _hevc_parameters(units)
            encoding = "H264" if codec == "h264" else "H265"
        elif codec == "mpeg4":
            encoding = "MP4V-ES"
            parameters = _mpeg4_parameters(extradata or key_frame.split(_MPEG4_PICTURE_START)[0])
        else:
            encoding, parameters = "JPEG", ""
        return cls(payload_type(codec), f"{encoding}/{CLOCK_HZ}", parameters, frame_rate)


def describe(name: str, media: MediaFormat, *, session: int) -> str:
    """The SDP text of the camera `name`; `session` distinguishes this run of the server from others."""
    lines = [
        "v=0",
        f"o=- {session} 1 IN IP4 127.0.0.1",
        f"s={name}",
        "c=IN IP4 0.0.0.0",
        "t=0 0",
        "a=tool:camfleet",
        "a=type:broadcast",
        "a=control:*",
        "a=range:npt=now-",
        f"m=video 0 RTP/AVP {media.payload_type}",
        f"a=rtpmap:{media.payload_type} {media.rtpmap}",
    ]
    if media.parameters:
        lines.append(f"a=fmtp:{media.payload_type} {media.parameters}")
    lines += [f"a=framerate:{float(media.frame_rate):.6g}", f"a=control:{TRACK}"]
    return "\r\n".join(lines) + "\r\n"


def nal_units(annex_b: bytes) -> tuple[bytes, ...]:
    """The NAL units of an Annex B byte stream, without start codes and trailing zeros."""
    starts = [match.end() for match in _START_CODE.finditer(annex_b)]
    ends = [*(start - 3 for start in starts[1:]), len(annex_b)]
    units = (annex_b[start:end].rstrip(b"\x00") for start, end in zip(starts, ends, strict=False))
    return tuple(unit for unit in units if unit)


def _h264_parameters(units: tuple[bytes, ...]) -> str:
    sets = [unit for wanted in (_H264_SPS, _H264_PPS) for unit in _distinct(units) if unit[0] & 0x1F == wanted]
    parameters = "packetization-mode=1"
    if sets and sets[0][0] & 0x1F == _H264_SPS:
        parameters += f";profile-level-id={sets[0][1:4].hex().upper()}"
    if sets:
        parameters += ";sprop-parameter-sets=" + ",".join(map(_base64, sets))
    return parameters


def _hevc_parameters(units: tuple[bytes, ...]) -> str:
    """RFC 7798 §7.1: each kind of parameter set in its own field."""
    fields = []
    for kind, name in _HEVC_PARAMETERS.items():
        sets = [_base64(unit) for unit in _distinct(units) if unit[0] >> 1 & 0x3F == kind]
        if sets:
            fields.append(f"{name}={','.join(sets)}")
    return ";".join(fields)


def _mpeg4_parameters(config: bytes) -> str:
    """RFC 6416 §7.1: the visual object sequence and layer headers in hexadecimal."""
    start = config.find(_MPEG4_SEQUENCE_START)
    profile = config[start + 4] if 0 <= start < len(config) - 4 else _MPEG4_SIMPLE_PROFILE
    return f"profile-level-id={profile};config={config.hex().upper()}"


def _distinct(units: tuple[bytes, ...]) -> tuple[bytes, ...]:
    return tuple(dict.fromkeys(units))


def _base64(unit: bytes) -> str:
    return base64.b64encode(unit).decode("ascii")
