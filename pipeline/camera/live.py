"""A camera: its pictures come when it sends them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import av
from msgspec.structs import replace

from pipeline.camera.access_unit import AccessUnit, assembler, whole
from pipeline.camera.backlog import EMPTY_S, Backlog, waits_of_this_thread
from pipeline.camera.capture import Arrival, CaptureTimes
from pipeline.camera.decode import Decoded, Decoder
from pipeline.camera.hardware import OpenDevice, open_device
from pipeline.camera.keys import KeyFrames
from pipeline.camera.opening import describe, gives_pieces, has_time_stamps, is_assembled, packets, sends_pieces, tick_s
from pipeline.camera.pace import max_gap_s
from pipeline.camera.picture import Picture, Pulse, arrival_now
from pipeline.camera.runqueue import RunQueue
from pipeline.camera.sight import Sight
from pipeline.camera.streamtime import StreamTime
from pipeline.clock import NS_PER_MS, NS_PER_S, Clock
from pipeline.config.camera import Camera
from pipeline.errors import SourceLost
from pipeline.wire import Assembly

KEY_FRAME_S = 60.0
"""How long a camera may let its viewers wait for a key frame; those that save bandwidth send one in ten seconds."""
UNMARKED_S = 3.0
"""After so long without one, FFmpeg's H.264 decoder may look for a beginning itself: it shows only what is whole."""

WAITED_MS = 2
"""A packet that was waited for so long is news. Before the first one, packets lie there that came while the connection
was being opened, up to a second of them; their pictures are decoded and not shown: a camera begins with the present."""
CATCH_UP_S = 3.0
"""After so long, what comes is taken for the present whatever it is."""


class LiveSource:
    """One connection to a camera. Not thread-safe."""

    def __init__(
        self,
        camera: Camera,
        clock: Clock,
        container: av.container.InputContainer,
        stream: av.VideoStream,
        *,
        late_s: float | None,
        opens: OpenDevice = open_device,
    ) -> None:
        """A connection that was just made; with `late_s` None, pictures are never left out for being late."""
        self.description = describe(stream)
        self._camera, self._clock = camera, clock
        self._container, self._stream = container, stream
        self._tick_s = tick_s(stream)
        self._max_gap_s = max_gap_s(self.description.fps)
        self._has_stamps = has_time_stamps(container)
        self._time = StreamTime(self._max_gap_s, believed=self._has_stamps)
        self._backlog = None if late_s is None else Backlog(late_s)
        self._run_queue = RunQueue()
        self._capture_times = CaptureTimes()
        self._assembler = assembler(self.description.codec) if gives_pieces(container) else None
        self._keys = KeyFrames(stream)
        self._began = arrival_now(clock)
        self._waits = _Waits(self._began.ns)
        self._decoder = Decoder(camera, stream, opens)
        self._begun, self._current = False, not sends_pieces(camera)
        self._left_out = False
        self._sight = Sight(self._began.ns)
        self._clock_concern = ""

    @property
    def concern(self) -> str:
        """What a user should know although pictures come; empty if nothing."""
        if self._clock_concern:
            return self._clock_concern
        if not self._time.believed and self._has_stamps:
            return "the camera's time stamps are far too fast or too slow; pictures are timed by their arrival"
        if self._assembler is not None and self._assembler.early.doubt:
            return f"{self._assembler.early.doubt}, so that each is waited for until the next one begins"
        return self._decoder.concern

    @property
    def decoder(self) -> str:
        """What decodes its pictures."""
        return self._decoder.name

    @property
    def blind(self) -> str:
        """Why packets come and no pictures worth showing; empty while that is not so."""
        return self._sight.blind(self._clock.monotonic_ns())

    @property
    def assembly(self) -> Assembly:
        """How its pictures are put together now."""
        if self._assembler is not None:
            return "early" if self._assembler.early.believed else "next"
        return "next" if sends_pieces(self._camera) and is_assembled(self.description.codec) else ""

    def pictures(self, pulse: Pulse) -> Iterator[Picture | None]:
        """Every picture from the first key frame on; returns only when `pulse` says so.

        Raises:
            SourceLost: It ended, broke, fell silent, or sends no key frame.
        """
        for packet in packets(self._camera, self._container, self._stream):
            arrival = arrival_now(self._clock)
            waited_ns = self._waits.packet(arrival.ns)
            self._current = self._current or _is_current(waited_ns, arrival.ns - self._began.ns)
            if not pulse.go_on():
                return
            self._sight.packet()
            for unit in map(self._timed, self._units(packet, arrival)):
                yield from self._seen(unit)
            now_ns = self._clock.monotonic_ns()
            self._waits.ask(now_ns)
            if self._sight.is_time_to_look(now_ns):
                yield None
            if not self._begun and now_ns - self._began.ns > KEY_FRAME_S * NS_PER_S:
                raise SourceLost(f"{self._camera.url} showed nothing in {KEY_FRAME_S:g} s: {self.blind}")
        raise SourceLost(f"{self._camera.url} ended the stream")

    @property
    def waited_ns(self) -> int:
        """Monotonic time at which a packet came that had to be waited for; those since then lay there already."""
        return self._waits.last_ns

    def close(self) -> None:
        """Hang up."""
        self._container.close()
        self._run_queue.close()

    def _units(self, packet: av.Packet[Any], arrival: Arrival) -> Iterable[AccessUnit]:
        """The pictures that are complete with this packet: itself, unless it is a piece of one."""
        if self._assembler is not None:
            return self._assembler.assemble(packet, arrival)
        unit = whole(packet, arrival)
        return (unit if unit.key else replace(unit, key=self._keys.is_key(packet)),)

    def _seen(self, unit: AccessUnit) -> Iterator[Picture]:
        """The pictures that this one completes, or that it was left out."""
        self._sight.unit(key=unit.key)
        left_out, self._left_out = self._left_out, self._falls_behind(unit)
        if self._left_out:
            yield self._picture(Decoded(None, None, unit.stamp, corrupt=False), behind=True)
        else:
            if left_out and unit.key and unit.marked:
                # What was left out is no picture that others may refer to, whatever they do before a refresh is over.
                yield from map(self._picture, self._decoder.restart())
            may_begin = self._may_begin(unit.stamp.arrival.ns)
            for decoded in self._decoder.decode(
                unit.packet, unit.stamp, key=unit.key, may_begin=may_begin, again=unit.again
            ):
                self._begun = self._begun or decoded.frame is not None
                if self._current:
                    yield self._picture(decoded)
        self._waits.picture_done()

    def _timed(self, unit: AccessUnit) -> AccessUnit:
        """With its time; what the camera says of a picture's capture is as believable as its time stamp."""
        stamp, pts = unit.stamp, unit.packet.pts
        placed = self._time.place(None if pts is None else pts * self._tick_s, stamp.arrival.ns)
        reported_at_ns = stamp.reported_at_ns if placed.believed else None
        return replace(unit, stamp=replace(stamp, pts_s=placed.pts_s, reported_at_ns=reported_at_ns))

    def _may_begin(self, now_ns: int) -> bool:
        """Whether decoding may begin without a key frame: some cameras refresh step by step, and mark nothing."""
        return self.description.codec == "h264" and now_ns - self._began.ns > UNMARKED_S * NS_PER_S

    def _falls_behind(self, unit: AccessUnit) -> bool:
        if self._backlog is None:
            return False
        if (waited_ns := self._waits.longest_ns) is not None:
            self._backlog.waited(waited_ns)
        if not (self._begun and self._current) or unit.packet.pts is None:
            return False
        starved_ns = self._run_queue.since_last_ns()
        return self._backlog.skips(unit.stamp.pts_s, unit.stamp.arrival.ns, starved_ns, key=unit.key)

    def _picture(self, decoded: Decoded, *, behind: bool = False) -> Picture:
        stamp = decoded.stamp
        capture = self._capture_times.capture(stamp.arrival, stamp.reported_at_ns)
        self._judge_clock()
        self._sight.picture(stamp.arrival.ns, corrupt=decoded.corrupt or decoded.frame is None, behind=behind)
        return Picture(
            decoded.frame,
            stamp.pts_s,
            stamp.arrival.ns,
            capture,
            decoded.corrupt,
            self._max_gap_s,
            behind=behind,
            unit=stamp.unit,
            coded=decoded.coded,
        )

    def _judge_clock(self) -> None:
        """Say once, not with every change of a second, that the camera's clock is wrong."""
        error_s = self._capture_times.clock_error_s
        if (error_s is None) != bool(self._clock_concern):
            return
        direction = "behind" if error_s is not None and error_s > 0 else "ahead"
        self._clock_concern = (
            f"the camera's clock is {abs(error_s):.0f} s {direction}; capture times are those of arrival"
            if error_s is not None
            else ""
        )


class _Waits:
    """How long packets were waited for, by the thread that reads them, decodes, and asks for the next."""

    def __init__(self, began_ns: int) -> None:
        self.last_ns = self._asked_ns = began_ns
        self._longest_ns, self._switches = 0, waits_of_this_thread()

    @property
    def longest_ns(self) -> int | None:
        """The longest wait since the picture before; None where nothing was waited for."""
        return self._longest_ns if waits_of_this_thread() > self._switches else None

    def packet(self, at_ns: int) -> int:
        """How long the packet was waited for that came at the monotonic time `at_ns`, ns."""
        waited_ns = at_ns - self._asked_ns
        self._longest_ns = max(self._longest_ns, waited_ns)
        if waited_ns >= EMPTY_S * NS_PER_S:
            self.last_ns = at_ns
        return waited_ns

    def picture_done(self) -> None:
        """What is waited for from now on is waited for by the next picture."""
        self._switches, self._longest_ns = waits_of_this_thread(), 0

    def ask(self, now_ns: int) -> None:
        """The next packet is asked for."""
        self._asked_ns = now_ns


def _is_current(waited_ns: int, since_began_ns: int) -> bool:
    return waited_ns > WAITED_MS * NS_PER_MS or since_began_ns > CATCH_UP_S * NS_PER_S
