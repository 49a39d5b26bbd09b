"""What is played: recordings and folders of pictures, at their own pace or as fast as it goes, once or for ever."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import av

from pipeline.camera.capture import Arrival, Capture
from pipeline.camera.decode import Decoded, Decoder, stamp_of
from pipeline.camera.hardware import OpenDevice, open_device
from pipeline.camera.opening import Description, describe, open_container, packets, tick_s, video_stream
from pipeline.camera.pace import LoopTimestamps, Pacer, max_gap_s
from pipeline.camera.picture import Picture, Pulse, arrival_now
from pipeline.clock import Clock
from pipeline.config.camera import Camera
from pipeline.errors import SourceError
from pipeline.wire import Assembly

_FPS = 25.0
"""Of what says nothing of it."""


class Reel(Protocol):
    """What can be played from its beginning to its end, and again."""

    @property
    def description(self) -> Description:
        """What was known of it before the first picture."""

    @property
    def tick_s(self) -> float:
        """The unit of its pictures' times, s."""

    @property
    def decoder(self) -> str:
        """What decodes it."""

    @property
    def concern(self) -> str:
        """What a user should know although pictures come; empty if nothing."""

    def play(self, pulse: Pulse) -> Iterator[Decoded]:
        """Every picture from the beginning; ends early when `pulse` says so. May be called again.

        Raises:
            SourceError: It cannot be read on.
        """

    def close(self) -> None:
        """Let it go; may be called again."""


class FileReel:
    """A recording."""

    def __init__(
        self,
        camera: Camera,
        clock: Clock,
        container: av.container.InputContainer,
        stream: av.VideoStream,
        opens: OpenDevice = open_device,
    ) -> None:
        self.description = describe(stream)
        self.tick_s = tick_s(stream)
        self._camera, self._clock, self._opens = camera, clock, opens
        self._container = container
        self._decoder = Decoder(camera, stream, opens)
        self._stream, self._played = stream, False

    @property
    def decoder(self) -> str:
        """What decodes it."""
        return self._decoder.name

    @property
    def concern(self) -> str:
        """Why it is not the device that was asked for."""
        return self._decoder.concern

    def play(self, pulse: Pulse) -> Iterator[Decoded]:
        """Every picture from the beginning.

        Raises:
            SourceError: It is broken.
            SourceLost: The server it lies on answers no more.
        """
        if self._played:
            self._reopen()
        self._played = True
        for packet in packets(self._camera, self._container, self._stream):
            arrival = arrival_now(self._clock)
            if not pulse.go_on():
                return
            yield from self._decoder.decode(packet, stamp_of(packet, arrival), key=packet.is_keyframe)
        yield from self._decoder.flush()

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def _reopen(self) -> None:
        """From the start; seeking back is left alone, since not every format can."""
        self._container.close()
        self._container = open_container(self._camera)
        self._stream = video_stream(self._camera, self._container)
        self._decoder = Decoder(self._camera, self._stream, self._opens)
        self.tick_s = tick_s(self._stream)


class RecordingSource:
    """A reel that is played. Not thread-safe."""

    def __init__(self, camera: Camera, clock: Clock, reel: Reel) -> None:
        self.description = reel.description
        self.blind = ""
        self.assembly: Assembly = ""
        self._max_gap_s = max_gap_s(self.description.fps)
        self._camera, self._clock, self._reel = camera, clock, reel

    @property
    def concern(self) -> str:
        """What a user should know although pictures come; empty if nothing."""
        return self._reel.concern

    @property
    def decoder(self) -> str:
        """What decodes its pictures."""
        return self._reel.decoder

    def pictures(self, pulse: Pulse) -> Iterator[Picture]:
        """Every picture, waiting for its time where the pace is `realtime`.

        Raises:
            SourceError: It is broken, or has no picture that can be decoded.
            SourceLost: The server it lies on answers no more.
        """
        pacer = Pacer(self.description.fps) if self._camera.pace == "realtime" else None
        timestamps = LoopTimestamps(round(1 / ((self.description.fps or _FPS) * self._reel.tick_s)))
        while True:
            seen = False
            for decoded in self._reel.play(pulse):
                seen = seen or decoded.frame is not None
                ticks = timestamps.place(decoded.ticks, decoded.frame.duration if decoded.frame is not None else None)
                picture = self._picture(decoded, ticks * self._reel.tick_s, pacer)
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

    def close(self) -> None:
        """Let it go."""
        self._reel.close()

    def _picture(self, decoded: Decoded, pts_s: float, pacer: Pacer | None) -> Picture:
        arrival = decoded.stamp.arrival
        if pacer is not None:
            now = arrival_now(self._clock)
            due_ns = pacer.due_ns(pts_s, now.ns)
            arrival = Arrival(due_ns, now.at_ns + due_ns - now.ns)
        capture = Capture(arrival.ns, arrival.at_ns, "file")
        return Picture(
            decoded.frame,
            pts_s,
            arrival.ns,
            capture,
            decoded.corrupt,
            self._max_gap_s,
            unit=decoded.stamp.unit,
            coded=decoded.coded,
        )
