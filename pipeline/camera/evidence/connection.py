"""One connection to a camera's second stream: what of each packet is kept, and when it was."""

from __future__ import annotations

import av

from pipeline.camera.capture import CaptureTimes
from pipeline.camera.decode import stamp_of
from pipeline.camera.evidence.align import Thumb, thumb_of
from pipeline.camera.evidence.clip import head_of
from pipeline.camera.evidence.ring import KeptPacket, Session
from pipeline.camera.evidence.steady import SteadyTime
from pipeline.camera.keys import KeyFrames
from pipeline.camera.opening import describe, tick_s
from pipeline.camera.pace import max_gap_s
from pipeline.camera.picture import arrival_now
from pipeline.camera.resize import luma_view
from pipeline.camera.streamtime import StreamTime
from pipeline.clock import Clock
from pipeline.wire import CaptureClock


class Connection:
    """Packets of one connection, with their times. Not thread-safe.

    Attributes:
        clock: What their capture is told by.
    """

    def __init__(self, stream: av.VideoStream, clock: Clock, *, stamped: bool) -> None:
        """Nothing came yet.

        Args:
            stream: Of the container.
            clock: For arrival times.
            stamped: Whether its packets have times of their own.
        """
        self._stream, self._clock = stream, clock
        self._description = describe(stream)
        self._tick_s = tick_s(stream)
        self._stamps = StreamTime(max_gap_s(self._description.fps), believed=stamped)
        self._capture_times = CaptureTimes()
        self._keys = KeyFrames(stream)
        self._session: Session | None = None
        self._time = SteadyTime()
        self.clock: CaptureClock = "arrival"
        stream.codec_context.thread_count = 1

    @property
    def extradata(self) -> bytes:
        """What the container tells of the codec."""
        return self._description.extradata

    @property
    def frame_s(self) -> float:
        """Between two pictures, s."""
        return 1 / (self._description.fps or 25.0)

    def kept(self, packet: av.Packet[av.VideoStream]) -> KeptPacket | None:
        """What is to be kept of it; None before the first key frame."""
        key = packet.is_keyframe or self._keys.is_key(packet)
        if self._session is None and not key:
            return None
        stamp = stamp_of(packet, arrival_now(self._clock))
        placed = self._stamps.place(None if packet.pts is None else packet.pts * self._tick_s, stamp.arrival.ns)
        capture = self._capture_times.capture(stamp.arrival, stamp.reported_at_ns if placed.believed else None)
        self.clock = capture.clock
        self._time.see(placed.pts_s, capture.at_ns)
        if self._session is None:
            codec, frame_wh = self._description.codec, self._description.frame_wh
            self._session = Session(codec, frame_wh, head_of(self._stream, packet), self._time)
        return KeptPacket(bytes(packet), key, placed.pts_s, capture.at_ns, self._session)

    def look_at(self, key: av.Packet[av.VideoStream]) -> Thumb | None:
        """A key frame's few pixels; None where it cannot be decoded."""
        context = self._stream.codec_context
        try:
            frames = [*context.decode(key), *context.decode(None)]
        except av.FFmpegError:
            frames = []
        context.flush_buffers()
        luma = luma_view(frames[0]) if frames else None
        return None if luma is None else thumb_of(luma)
