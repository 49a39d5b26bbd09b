"""Recordings: played at their own pace or as fast as it goes, once or for ever."""

from __future__ import annotations

from collections.abc import Iterator

import av

from pipeline.camera.capture import Arrival, Capture
from pipeline.camera.decode import Decoded, Decoder, stamp_of
from pipeline.camera.opening import describe, open_container, packets, tick_s, video_stream
from pipeline.camera.pace import LoopTimestamps, Pacer, max_gap_s
from pipeline.camera.picture import Picture, Pulse, arrival_now
from pipeline.clock import Clock
from pipeline.config.camera import Camera
from pipeline.errors import SourceError
from pipeline.wire import Assembly


class RecordingSource:
    """A file, played at its own pace or as fast as it goes, once or for ever."""

    def __init__(
        self, camera: Camera, clock: Clock, container: av.container.InputContainer, stream: av.VideoStream
    ) -> None:
        self.description = describe(stream)
        self.concern = self.blind = ""
        self.assembly: Assembly = ""
        self._max_gap_s = max_gap_s(self.description.fps)
        self._camera, self._clock = camera, clock
        self._container, self._stream = container, stream
        self._tick_s = tick_s(stream)

    def pictures(self, pulse: Pulse) -> Iterator[Picture]:
        """Every picture, waiting for its time where the pace is `realtime`.

        Raises:
            SourceError: It is broken, or has no picture that can be decoded.
            SourceLost: The server it lies on answers no more.
        """
        pacer = Pacer(self.description.fps) if self._camera.pace == "realtime" else None
        timestamps = LoopTimestamps(_frame_ticks(self._stream, self.description.fps))
        while True:
            seen = False
            for decoded in self._once(pulse):
                seen = seen or decoded.frame is not None
                ticks = timestamps.place(decoded.ticks, decoded.frame.duration if decoded.frame is not None else None)
                picture = self._picture(decoded, ticks * self._tick_s, pacer)
                if pacer is not None and not pulse.wait_until(picture.received_ns):
                    return
                yield picture
            if not pulse.go_on():
                return
            if not seen:
                raise SourceError(f"{self._camera.url}: no picture in it can be decoded")
            if not self._camera.loop:
                return
            timestamps.repeat()
            self._reopen()

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def _once(self, pulse: Pulse) -> Iterator[Decoded]:
        decoder = Decoder(self._camera, self._stream)
        for packet in packets(self._camera, self._container, self._stream):
            arrival = arrival_now(self._clock)
            if not pulse.go_on():
                return
            yield from decoder.decode(packet, stamp_of(packet, arrival), key=packet.is_keyframe)
        yield from decoder.flush()

    def _picture(self, decoded: Decoded, pts_s: float, pacer: Pacer | None) -> Picture:
        arrival = decoded.stamp.arrival
        if pacer is not None:
            now = arrival_now(self._clock)
            due_ns = pacer.due_ns(pts_s, now.ns)
            arrival = Arrival(due_ns, now.at_ns + due_ns - now.ns)
        capture = Capture(arrival.ns, arrival.at_ns, "file")
        return Picture(decoded.frame, pts_s, arrival.ns, capture, decoded.corrupt, self._max_gap_s)

    def _reopen(self) -> None:
        """From the start; seeking back is left alone, since not every format can."""
        self._container.close()
        self._container = open_container(self._camera)
        self._stream = video_stream(self._camera, self._container)
        self._tick_s = tick_s(self._stream)


def _frame_ticks(stream: av.VideoStream, fps: float | None) -> int:
    return round(1 / ((fps or 25.0) * tick_s(stream)))
