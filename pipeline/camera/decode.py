"""Packets into pictures; damage is told, not hidden and not fatal."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import av
import msgspec
import structlog
from msgspec.structs import replace

from pipeline.camera.capture import Arrival
from pipeline.camera.hardware import HardwareError, OpenDevice, Processor, open_device
from pipeline.camera.limits import watched
from pipeline.camera.picture import Coded
from pipeline.clock import NS_PER_S
from pipeline.config.camera import Camera

log = structlog.get_logger()

_PRFT = struct.Struct("<qi")
"""AVProducerReferenceTime: wall clock in µs since 1970-01-01 UTC, and flags."""
_REFERENCE_TIME = "Producer Reference Time"
"""FFmpeg's name of it; PyAV goes through the list of all names where it is asked by its own."""


class Stamp(msgspec.Struct, frozen=True):
    """What is known of a packet before it is decoded; travels through the decoder with it.

    Attributes:
        arrival: When it was received.
        reported_at_ns: Wall time of its capture by RTCP sender reports; None without.
        corrupt: The demuxer says it is damaged.
        pts_s: Its presentation time, made plausible (`pipeline.camera.streamtime`), s; of a camera only.
        unit: Its number among the coded pictures of this connection, given when it is decoded.
    """

    arrival: Arrival
    reported_at_ns: int | None
    corrupt: bool
    pts_s: float = 0.0
    unit: int = 0


class Decoded(msgspec.Struct, frozen=True):
    """A picture, or the gap where one should be.

    Attributes:
        frame: None where the decoder made nothing of the packet.
        ticks: Presentation time in units of the stream's time base; None where the stream tells none.
        stamp: Of the packet it comes from.
        corrupt: Do not show it to a detector. Damage that earlier frames left in this one is not seen by decoders.
        coded: What went through the decoder since the picture before, in its order; most often this one alone.
    """

    frame: av.VideoFrame | None
    ticks: int | None
    stamp: Stamp
    corrupt: bool
    coded: tuple[Coded, ...] = ()


class Decoder:
    """Decodes one video stream in the calling thread, beginning with the first key frame.

    Nothing before a key frame can be decoded right, and some decoders show grey pictures instead of saying so.
    """

    def __init__(self, camera: Camera, stream: av.VideoStream, opens: OpenDevice = open_device) -> None:
        self._camera = camera
        self._processor = Processor(camera, stream, opens)
        self._begun = self._fell_back = False
        self._latest: Stamp | None = None
        self._units = 0
        self._coded: list[Coded] = []

    @property
    def name(self) -> str:
        """What decodes: `cpu`, or a device's kind."""
        return self._processor.name

    @property
    def concern(self) -> str:
        """Why it is not the device that was asked for; empty where it is."""
        return self._processor.concern

    def decode(
        self,
        packet: av.Packet[Any],
        stamp: Stamp,
        *,
        key: bool,
        may_begin: bool = False,
        again: Sequence[bytes] = (),
    ) -> Iterator[Decoded]:
        """The pictures this packet completes, in presentation order; none before the first key frame.

        Args:
            packet: One coded picture.
            stamp: Of the packet.
            key: Decoding can begin here.
            may_begin: It may begin here although nothing says that it can.
            again: Coded pictures from a key frame on that are to be decoded before, anew, and not shown.

        Raises:
            SourceError: The camera has met one of its limits.
        """
        self._begun = self._begun or key or may_begin
        if not self._begun:
            if self._fell_back:
                yield Decoded(None, packet.pts, stamp, corrupt=True)
            return
        if again:
            self._decode_again(again)
        self._units += 1
        self._coded.append(Coded(self._units, key, packet))
        packet.opaque = self._latest = stamp = replace(stamp, unit=self._units)
        try:
            with watched(self._camera):
                frames = self._processor.decode(packet)
        except HardwareError as error:
            log.warning(str(error))
            for _ in range(self._processor.owed):
                yield Decoded(None, None, stamp, corrupt=True)
            self._begun, self._fell_back = False, True
            yield from self.decode(packet, stamp, key=key, may_begin=may_begin)
            return
        except av.FFmpegError:
            # The next packets may be whole: what cannot be decoded is a lost picture, not the end of the stream.
            yield Decoded(None, packet.pts, stamp, corrupt=True, coded=self._take_coded())
            return
        for frame in frames:
            yield self._decoded(frame, stamp)

    def flush(self) -> Iterator[Decoded]:
        """The pictures that waited for their turn when the stream ended. The decoder is done after this.

        Raises:
            SourceError: The camera has met one of its limits.
        """
        if self._latest is None:
            return
        try:
            with watched(self._camera):
                frames = self._processor.decode(None)
        except HardwareError:
            for _ in range(self._processor.owed):
                yield Decoded(None, None, self._latest, corrupt=True)
            return
        except av.FFmpegError:
            return
        for frame in frames:
            yield self._decoded(frame, self._latest)

    def restart(self) -> Iterator[Decoded]:
        """The pictures that wait for their turn; then what was decoded is forgotten, and a key frame comes next.

        Raises:
            SourceError: The camera has met one of its limits.
        """
        yield from self.flush()
        self._processor.flush_buffers()

    def _decode_again(self, pictures: Sequence[bytes]) -> None:
        self._processor.flush_buffers()
        try:
            for data in pictures:
                with suppress(av.FFmpegError), watched(self._camera):
                    self._processor.decode(av.Packet(data))
        except HardwareError as error:
            log.warning(str(error))
            self._decode_again(pictures)

    def _decoded(self, frame: av.VideoFrame, latest: Stamp) -> Decoded:
        # With B-frames, a picture comes out behind packets that came later; its own stamp came through with it.
        own = frame.opaque
        stamp = own if isinstance(own, Stamp) else latest
        corrupt = stamp.corrupt or frame.is_corrupt
        return Decoded(frame, frame.pts, stamp, corrupt=corrupt, coded=self._take_coded())

    def _take_coded(self) -> tuple[Coded, ...]:
        coded = tuple(self._coded)
        self._coded.clear()
        return coded


def stamp_of(packet: av.Packet[Any], arrival: Arrival) -> Stamp:
    """What is known of a packet that has just come."""
    return Stamp(arrival, reported_at_ns(packet), packet.is_corrupt)


def reported_at_ns(packet: av.Packet[Any]) -> int | None:
    """Wall time of its capture by RTCP sender reports, ns since 1970-01-01 UTC; None without."""
    for side in packet.iter_sidedata():
        if side.data_desc == _REFERENCE_TIME:
            wall_us: int = _PRFT.unpack_from(bytes(side))[0]
            return wall_us * (NS_PER_S // 1_000_000)
    return None
