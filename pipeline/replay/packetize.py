"""Turns access units into RTP packets with FFmpeg's own `rtp` muxer, once per camera, whatever the number of clients.

The muxer calls `write` once per RTP packet, so the payload formats (RFC 6184, 7798, 6416, 2435) need no code here.
Its RTCP sender reports are switched off: it pairs the wall clock with the RTP timestamp of pts 0, which is wrong for a
recording whose first picture is not at 0. `pipeline.rtsp.rtcp` makes them from the camera's own timeline.
"""

from __future__ import annotations

import secrets
from fractions import Fraction

import av
from av.bitstream import BitStreamFilterContext

from pipeline.errors import ReplayError
from pipeline.replay.recording import RecordedUnit, Recording
from pipeline.rtsp.rtp import CLOCK_HZ, RTP_HEADER_BYTES, RtpUnit, payload_type
from pipeline.rtsp.sdp import MediaFormat

# An Ethernet frame of 1500 bytes less IPv6 (40), UDP (8) and room for SRTP: what cameras send, and what UDP will need.
MAX_PACKET_BYTES = 1440

# MP4 stores NAL units with their length in front and the parameter sets apart. As Annex B every key frame brings its
# parameter sets along, as a camera's does, so a client that joins late needs nothing from before.
_TO_ANNEX_B = {"h264": "h264_mp4toannexb", "hevc": "hevc_mp4toannexb"}
# RFC 2435 §3.1.5: width and height are sent in units of 8 in one byte.
_MAX_JPEG_SIDE_PX = 255 * 8
_FITTING_JPEG = (
    "MJPEG must be baseline, 4:2:0 or 4:2:2, with standard Huffman tables, two quantization tables, "
    f"up to {_MAX_JPEG_SIDE_PX} pixels a side"
)
_TICK = Fraction(1, CLOCK_HZ)
_TIMESTAMPS = 1 << 32


class _PacketSink:
    """The file that the muxer believes to write: keeps each write as one packet."""

    def __init__(self) -> None:
        self._packets: list[bytes] = []

    def write(self, packet: bytes) -> int:
        """Take one RTP packet; the muxer reuses its buffer, so it is copied."""
        self._packets.append(bytes(packet))
        return len(packet)

    def take(self) -> tuple[bytes, ...]:
        """The packets since the last call."""
        taken = tuple(self._packets)
        self._packets.clear()
        return taken


class RtpPacketizer:
    """The RTP sender of one camera: its SSRC, its sequence numbers, its timestamp base."""

    def __init__(self, recording: Recording, ssrc: int | None = None) -> None:
        """`ssrc` has up to 31 bits; None takes a random one."""
        self._path = recording.path
        # 31 bits: FFmpeg's option is a signed number in some versions and an unsigned one in others.
        self.ssrc = secrets.randbits(31) if ssrc is None else ssrc
        # rtpenc takes a random timestamp base and tells nobody: it is read from the first packet.
        self.timestamp_base: int | None = None
        self._sink = _PacketSink()
        options = {
            "ssrc": str(self.ssrc),
            "seq": str(secrets.randbits(15)),
            "payload_type": str(payload_type(recording.codec)),
            "rtpflags": "skip_rtcp",
        }
        self._muxer = av.open(self._sink, "w", format="rtp", options=options, buffer_size=MAX_PACKET_BYTES)
        self._stream = self._muxer.add_stream_from_template(recording.stream)
        self._filter = to_annex_b(recording, self._stream)

    def packetize(self, unit: RecordedUnit) -> RtpUnit:
        """The RTP packets of `unit`, which must follow the last one in dts; its packet is used up.

        Raises:
            ReplayError: FFmpeg refused the picture.
        """
        try:
            for packet in self._filter.filter(unit.packet):
                packet.stream = self._stream
                packet.time_base, packet.pts, packet.dts = _TICK, unit.pts, unit.dts
                self._muxer.mux_one(packet)
        except av.FFmpegError as error:
            raise ReplayError(f"{self._path}: a picture cannot be sent over RTP ({error.strerror})") from error
        sent = RtpUnit(self._sink.take(), unit.pts, unit.dts, unit.duration, unit.is_key, unit.due)
        if self.timestamp_base is None and sent.packets:
            self.timestamp_base = (sent.timestamp - unit.pts) % _TIMESTAMPS
        return sent

    def as_sent(self, unit: RecordedUnit) -> bytes:
        """The picture as it goes into the packets: Annex B with parameter sets for H.264 and HEVC; uses it up."""
        return b"".join(map(bytes, self._filter.filter(unit.packet)))

    def close(self) -> None:
        """Free the muxer; harmless when repeated."""
        self._muxer.close()


def to_annex_b(recording: Recording, stream: av.VideoStream) -> BitStreamFilterContext:
    """Turns the recording's packets into those that a camera would send; sets `stream`, which they go to, right."""
    return BitStreamFilterContext(_TO_ANNEX_B.get(recording.codec, "null"), recording.stream, stream)


def media_format(recording: Recording) -> MediaFormat:
    """What SDP must tell of `recording`; packetizes its first picture on trial, to know before serving that it goes.

    Raises:
        ReplayError: the pictures do not fit the RTP format of their codec.
    """
    trial = RtpPacketizer(recording)
    try:
        key_frame = trial.as_sent(next(recording.access_units()))
        packets = trial.packetize(next(recording.access_units())).packets
        if not packets or (recording.codec == "mjpeg" and not _is_decodable_jpeg(packets[0], recording.size_wh)):
            raise ReplayError(
                f"{recording.path}: its {recording.codec} pictures cannot be put into RTP packets ({_FITTING_JPEG}); "
                "convert it first, e.g. ffmpeg -i IN -c:v libx264 OUT.mp4"
            )
    finally:
        trial.close()
    return MediaFormat.from_key_frame(recording.codec, key_frame, recording.extradata, recording.rate)


def _is_decodable_jpeg(packet: bytes, size_wh: tuple[int, int]) -> bool:
    """Whether the size fits the RTP/JPEG header and both quantization tables came along (RFC 2435 §3.1.8).

    The muxer lets larger sizes overflow, and sends a single table, too, which receivers refuse.
    """
    kind = packet[RTP_HEADER_BYTES + 4]
    restart_header_bytes = 4 if kind & 0x40 else 0
    tables_at = RTP_HEADER_BYTES + 8 + restart_header_bytes
    tables_bytes = int.from_bytes(packet[tables_at + 2 : tables_at + 4], "big")
    return max(size_wh) <= _MAX_JPEG_SIDE_PX and tables_bytes == 2 * 64
