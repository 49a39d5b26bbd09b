"""Where pictures come from: cameras, which send when they like, and recordings, which are played.

Both give the same pictures. They differ in how they end: a recording comes to its end, and `pictures` returns; a camera
has none, so whatever ends it is `SourceLost`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol

import av

from pipeline.camera.access_unit import AccessUnit, assembler, is_assembled, whole
from pipeline.camera.backlog import LATE_S, Backlog, waits_of_this_thread
from pipeline.camera.capture import Arrival, Capture, CaptureTimes
from pipeline.camera.decode import Decoded, Decoder, stamp_of
from pipeline.camera.opening import (
    Description,
    describe,
    is_recording,
    open_container,
    packets,
    sends_pieces,
    video_stream,
)
from pipeline.camera.pace import LoopTimestamps, Pacer, max_gap_s
from pipeline.camera.runqueue import RunQueue
from pipeline.clock import NS_PER_MS, NS_PER_S, Clock
from pipeline.config.camera import Camera
from pipeline.errors import SourceError, SourceLost

KEY_FRAME_S = 60.0
"""How long a camera may let its viewers wait for a key frame; those that save bandwidth send one in ten seconds."""

WAITED_MS = 2
"""A packet that was waited for so long is news. Before the first one, packets lie there that came while the connection
was being opened, up to a second of them; their pictures are decoded and not shown: a camera begins with the present."""
CATCH_UP_S = 3.0
"""After so long, what comes is taken for the present whatever it is."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded frame, or the gap where one should be.

    Attributes:
        frame: None where the decoder made nothing of its packet, or was not asked to.
        pts_s: The stream's own time, seconds; goes on when a recording is played again.
        received_ns: Monotonic time its packet came, before decoding; of a recording in real time, when it was due.
        capture: When it was captured.
        corrupt: Not to be shown to a detector.
        max_gap_s: How far `pts_s` may run ahead of the time that passes before it counts as a jump.
        behind: Not decoded, because decoding has fallen behind.
    """

    frame: av.VideoFrame | None
    pts_s: float
    received_ns: int
    capture: Capture
    corrupt: bool
    max_gap_s: float
    behind: bool = False


class Pulse(Protocol):
    """How a source shows that it lives, and learns that it shall end."""

    def go_on(self) -> bool:
        """Called for every packet; False ends `pictures`."""

    def wait_until(self, due_ns: int) -> bool:
        """Block until the monotonic time `due_ns`; False, at once, when it shall end."""


class Source(Protocol):
    """A source that is open.

    Attributes:
        description: What was known of it before the first picture.
        concern: What a user should know although pictures come; empty if nothing.
    """

    description: Description
    concern: str

    def pictures(self, pulse: Pulse) -> Iterator[Picture]:
        """Every picture in order; returns at the end of a recording, or when `pulse` says so.

        Raises:
            SourceLost: It answers no more.
            SourceError: A recording is broken.
        """

    def close(self) -> None:
        """Let it go; may be called again."""


def open_source(camera: Camera, clock: Clock, late_s: float = LATE_S) -> Source:
    """Connect to a camera, or open a recording; blocks, up to the camera's `open_timeout_s` if FFmpeg keeps to it.

    Args:
        camera: Which.
        clock: For arrival times.
        late_s: How late a camera's pictures may come for want of a processor before some are left out.

    Raises:
        SourceError: It cannot be opened, and why; trying again may help unless it is a file.
    """
    container = open_container(camera, parse=not sends_pieces(camera))
    try:
        stream = video_stream(camera, container)
        if sends_pieces(camera) and not is_assembled(stream.codec_context.name):
            container.close()
            container = open_container(camera)
            stream = video_stream(camera, container)
        if is_recording(camera, container):
            return RecordingSource(camera, clock, container, stream)
        return LiveSource(camera, clock, container, stream, late_s)
    except BaseException:
        container.close()
        raise


class LiveSource:
    """A camera: its pictures come when it sends them."""

    def __init__(
        self,
        camera: Camera,
        clock: Clock,
        container: av.container.InputContainer,
        stream: av.VideoStream,
        late_s: float,
    ) -> None:
        self.description = describe(stream)
        self._max_gap_s = max_gap_s(self.description.fps)
        self.concern = ""
        self._backlog, self._run_queue = Backlog(late_s), RunQueue()
        self._capture_times = CaptureTimes()
        self._assembler = assembler(self.description.codec) if sends_pieces(camera) else None
        self._camera, self._clock = camera, clock
        self._container, self._stream = container, stream
        self._tick_s = _tick_s(stream)

    def pictures(self, pulse: Pulse) -> Iterator[Picture]:
        """Every picture from the first key frame on; returns only when `pulse` says so.

        Raises:
            SourceLost: It ended, broke, fell silent, or sends no key frame.
        """
        decoder = Decoder(self._camera, self._stream)
        began = _arrival(self._clock)
        asked_ns, waits = began.ns, waits_of_this_thread()
        begun, current = False, not sends_pieces(self._camera)
        for packet in packets(self._camera, self._container, self._stream):
            arrival = _arrival(self._clock)
            current = current or _is_current(arrival.ns - asked_ns, arrival.ns - began.ns)
            if not pulse.go_on():
                return
            for unit in self._units(packet, arrival):
                if waits_of_this_thread() > waits:
                    self._backlog.waited()
                if begun and current and self._falls_behind(unit, self._run_queue.since_last_ns()):
                    yield self._left_out(unit, began)
                else:
                    for decoded in decoder.decode(unit.packet, unit.stamp, key=unit.key):
                        begun = True
                        if current:
                            yield self._picture(decoded, began)
                waits = waits_of_this_thread()
            asked_ns = self._clock.monotonic_ns()
            if not begun and arrival.ns - began.ns > KEY_FRAME_S * NS_PER_S:
                raise SourceLost(
                    f"{self._camera.url} sent no key frame in {KEY_FRAME_S:g} s; set a shorter key-frame interval in it"
                )
        raise SourceLost(f"{self._camera.url} ended the stream")

    def close(self) -> None:
        """Hang up."""
        self._container.close()
        self._run_queue.close()

    def _units(self, packet: av.Packet[Any], arrival: Arrival) -> Iterable[AccessUnit]:
        """The pictures that are complete with this packet: itself, unless it is a piece of one."""
        return self._assembler.assemble(packet, arrival) if self._assembler else (whole(packet, arrival),)

    def _falls_behind(self, unit: AccessUnit, starved_ns: int) -> bool:
        pts, arrived_ns = unit.packet.pts, unit.stamp.arrival.ns
        return pts is not None and self._backlog.skips(pts * self._tick_s, arrived_ns, starved_ns, key=unit.key)

    def _left_out(self, unit: AccessUnit, began: Arrival) -> Picture:
        return replace(self._picture(Decoded(None, unit.packet.pts, unit.stamp, corrupt=False), began), behind=True)

    def _picture(self, decoded: Decoded, began: Arrival) -> Picture:
        arrival = decoded.stamp.arrival
        since_began_s = (arrival.ns - began.ns) / NS_PER_S
        pts_s = since_began_s if decoded.ticks is None else decoded.ticks * self._tick_s
        capture = self._capture_times.capture(arrival, decoded.stamp.reported_at_ns)
        self._judge_clock()
        return Picture(decoded.frame, pts_s, arrival.ns, capture, decoded.corrupt, self._max_gap_s)

    def _judge_clock(self) -> None:
        """Say once, not with every change of a second, that the camera's clock is wrong."""
        error_s = self._capture_times.clock_error_s
        if (error_s is None) != bool(self.concern):
            return
        direction = "behind" if error_s is not None and error_s > 0 else "ahead"
        self.concern = (
            f"the camera's clock is {abs(error_s):.0f} s {direction}; capture times are those of arrival"
            if error_s is not None
            else ""
        )


class RecordingSource:
    """A file, played at its own pace or as fast as it goes, once or for ever."""

    def __init__(
        self, camera: Camera, clock: Clock, container: av.container.InputContainer, stream: av.VideoStream
    ) -> None:
        self.description = describe(stream)
        self.concern = ""
        self._max_gap_s = max_gap_s(self.description.fps)
        self._camera, self._clock = camera, clock
        self._container, self._stream = container, stream
        self._tick_s = _tick_s(stream)

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
            arrival = _arrival(self._clock)
            if not pulse.go_on():
                return
            yield from decoder.decode(packet, stamp_of(packet, arrival), key=packet.is_keyframe)
        yield from decoder.flush()

    def _picture(self, decoded: Decoded, pts_s: float, pacer: Pacer | None) -> Picture:
        arrival = decoded.stamp.arrival
        if pacer is not None:
            now = _arrival(self._clock)
            due_ns = pacer.due_ns(pts_s, now.ns)
            arrival = Arrival(due_ns, now.at_ns + due_ns - now.ns)
        capture = Capture(arrival.ns, arrival.at_ns, "file")
        return Picture(decoded.frame, pts_s, arrival.ns, capture, decoded.corrupt, self._max_gap_s)

    def _reopen(self) -> None:
        """From the start; seeking back is left alone, since not every format can."""
        self._container.close()
        self._container = open_container(self._camera)
        self._stream = video_stream(self._camera, self._container)
        self._tick_s = _tick_s(self._stream)


def _frame_ticks(stream: av.VideoStream, fps: float | None) -> int:
    return round(1 / ((fps or 25.0) * _tick_s(stream)))


def _tick_s(stream: av.VideoStream) -> float:
    """Its time base, s; asked once, since fractions are slow."""
    return float(stream.time_base or 1 / 90_000)


def _arrival(clock: Clock) -> Arrival:
    return Arrival(clock.monotonic_ns(), clock.wall_ns())


def _is_current(waited_ns: int, since_began_ns: int) -> bool:
    return waited_ns > WAITED_MS * NS_PER_MS or since_began_ns > CATCH_UP_S * NS_PER_S
