"""What a camera delivers, before a fleet relies on it."""

from __future__ import annotations

import itertools
import statistics
from dataclasses import dataclass, field

from pipeline.camera.hardware import CPU, devices
from pipeline.camera.picture import Picture
from pipeline.camera.source import Source, open_source
from pipeline.clock import NS_PER_S, Clock, SystemClock
from pipeline.config.camera import Camera
from pipeline.errors import SourceError
from pipeline.geometry import WidthHeight
from pipeline.wire import Assembly, CaptureClock

ENOUGH_KEY_FRAMES = 3
WATCHED_S = 5.0
"""A camera is watched for so long at least; what it does in its first second says little."""


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What a camera delivers.

    Attributes:
        codec: FFmpeg's name.
        frame_wh: Of a decoded picture, px.
        fps: By the camera's own time stamps, or arrival where they cannot be believed; None of a single frame.
        keyframe_interval_s: By the same; None where fewer than two key frames came in the time.
        assembly: How its pictures are put together.
        concern: What a user should know although pictures come; empty if nothing.
        decoder: What decoded them.
        devices: Of each kind of device that decodes, why it cannot be used for this camera; empty where it can.
        clock: What tells when its pictures were captured: `rtcp` is the camera's own clock, and that it is believed.
        delay_s: How long the quickest picture was on its way by that clock, which so agrees with this machine's to
            less than a second; None where the clock is not the camera's.
    """

    codec: str
    frame_wh: WidthHeight
    fps: float | None
    keyframe_interval_s: float | None
    assembly: Assembly = ""
    concern: str = ""
    decoder: str = CPU
    devices: dict[str, str] = field(default_factory=dict)
    clock: CaptureClock = "arrival"
    delay_s: float | None = None


@dataclass(slots=True)
class _Sample:
    """What was seen of a stream, and until when to look."""

    clock: Clock
    end_ns: int
    enough_ns: int
    packets: int = 0
    frame_wh: WidthHeight | None = None
    times_s: list[float] = field(default_factory=list)
    key_times_s: list[float] = field(default_factory=list)
    capture_clock: CaptureClock = "arrival"
    delays_ns: list[int] = field(default_factory=list)

    def go_on(self) -> bool:
        """Called for every packet; False when the time is over."""
        self.packets += 1
        return self.clock.monotonic_ns() < self.end_ns

    def wait_until(self, due_ns: int) -> bool:
        """A picture is not waited for: it is not shown to anybody."""
        return True

    def see(self, picture: Picture) -> bool:
        """Note a picture; True when enough was seen."""
        self.times_s.append(picture.pts_s)
        self.capture_clock = picture.capture.clock
        if picture.capture.clock == "rtcp":
            self.delays_ns.append(picture.received_ns - picture.capture.ns)
        if picture.frame is not None:
            self.frame_wh = (picture.frame.width, picture.frame.height)
            if picture.frame.key_frame:
                self.key_times_s.append(picture.pts_s)
        return len(self.key_times_s) >= ENOUGH_KEY_FRAMES and self.clock.monotonic_ns() >= self.enough_ns


def probe(camera: Camera, timeout_s: float, clock: Clock | None = None) -> ProbeResult:
    """Open a camera as a fleet does, and watch it for its key frames; blocks up to about twice `timeout_s`.

    Args:
        camera: Its own time-outs are cut to `timeout_s`; a recording is read as fast as it goes.
        timeout_s: For opening it, and again for watching it; a camera is watched for 5 s at least if that allows it.
        clock: Tells when that is over.

    Raises:
        SourceError: It cannot be opened, has no video, or sends no picture; the message says what to do.
    """
    clock = clock or SystemClock()
    hurried = camera.model_copy(
        update={
            "open_timeout_s": min(camera.open_timeout_s, timeout_s),
            "read_timeout_s": min(camera.read_timeout_s, timeout_s),
            "loop": False,
            "pace": "fastest",
        }
    )
    source = open_source(hurried, clock)
    try:
        now_ns = clock.monotonic_ns()
        watched_ns = 0 if camera.url.kind in ("file", "python") else round(WATCHED_S * NS_PER_S)
        sample = _Sample(clock, now_ns + round(timeout_s * NS_PER_S), now_ns + watched_ns)
        _watch(source, sample)
        return _result(camera, source, sample, timeout_s)
    finally:
        source.close()


def _watch(source: Source, sample: _Sample) -> None:
    """Until there are enough key frames, or the time is over; what breaks after the first picture is not told."""
    try:
        for picture in source.pictures(sample):
            if picture is not None and sample.see(picture):
                return
    except SourceError:
        if sample.frame_wh is None and not sample.packets:
            raise


def _result(camera: Camera, source: Source, sample: _Sample, timeout_s: float) -> ProbeResult:
    if sample.frame_wh is None:
        raise SourceError(
            f"{camera.url} sent {sample.packets} packets of {source.description.codec} in {timeout_s:g} s and no "
            f"picture could be decoded; {source.blind or 'check that it sends video, and key frames often enough'}"
        )
    return ProbeResult(
        codec=source.description.codec,
        frame_wh=sample.frame_wh,
        fps=_rate(sample.times_s) or source.description.fps,
        keyframe_interval_s=_interval(sample.key_times_s),
        assembly=source.assembly,
        concern=source.concern,
        decoder=source.decoder,
        devices=devices(source.description.codec) if camera.url.kind != "python" else {},
        clock=sample.capture_clock,
        delay_s=min(sample.delays_ns) / NS_PER_S if sample.delays_ns and sample.capture_clock == "rtcp" else None,
    )


def _rate(times_s: list[float]) -> float | None:
    """Frames a second over everything seen."""
    ordered = sorted(times_s)
    if len(ordered) < 2 or ordered[-1] == ordered[0]:
        return None
    return (len(ordered) - 1) / (ordered[-1] - ordered[0])


def _interval(key_times_s: list[float]) -> float | None:
    if len(key_times_s) < 2:
        return None
    return statistics.median(later - earlier for earlier, later in itertools.pairwise(key_times_s))
