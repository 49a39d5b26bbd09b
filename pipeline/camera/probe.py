"""What a camera delivers, before a fleet relies on it."""

from __future__ import annotations

import itertools
import statistics
from dataclasses import dataclass

import av

from pipeline.camera.limits import watched
from pipeline.camera.opening import describe, open_container, packets, video_stream
from pipeline.clock import NS_PER_S, Clock, SystemClock
from pipeline.config.camera import Camera
from pipeline.errors import SourceError
from pipeline.geometry import WidthHeight

ENOUGH_KEY_FRAMES = 3


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What a camera delivers.

    Attributes:
        codec: FFmpeg's name.
        frame_wh: Of a decoded picture, px.
        fps: By the camera's own time stamps; None where fewer than two frames came.
        keyframe_interval_s: By its time stamps; None where fewer than two key frames came in the time.
    """

    codec: str
    frame_wh: WidthHeight
    fps: float | None
    keyframe_interval_s: float | None


@dataclass(frozen=True, slots=True)
class _Sample:
    """What was seen of a stream."""

    frame_wh: WidthHeight | None
    times_s: list[float]
    key_times_s: list[float]


def probe(camera: Camera, timeout_s: float, clock: Clock | None = None) -> ProbeResult:
    """Open a camera, decode a picture and watch it for its key frames; blocks up to about `timeout_s`.

    Args:
        camera: Its own time-outs are cut to `timeout_s`.
        timeout_s: For opening it, and again for watching it.
        clock: Tells when that is over.

    Raises:
        SourceError: It cannot be opened, has no video, or sends no picture; the message says what to do.
    """
    hurried = camera.model_copy(
        update={
            "open_timeout_s": min(camera.open_timeout_s, timeout_s),
            "read_timeout_s": min(camera.read_timeout_s, timeout_s),
        }
    )
    container = open_container(hurried)
    try:
        stream = video_stream(hurried, container)
        sample = _watch(hurried, container, stream, timeout_s, clock or SystemClock())
        description = describe(stream)
    finally:
        container.close()
    if sample.frame_wh is None:
        raise SourceError(
            f"{camera.url} sent {len(sample.times_s)} packets of {description.codec} in {timeout_s:g} s and no picture "
            "could be decoded; check that it sends video, and key frames often enough"
        )
    return ProbeResult(
        codec=description.codec,
        frame_wh=sample.frame_wh,
        fps=_rate(sample.times_s) or description.fps,
        keyframe_interval_s=_interval(sample.key_times_s),
    )


def _watch(
    camera: Camera, container: av.container.InputContainer, stream: av.VideoStream, timeout_s: float, clock: Clock
) -> _Sample:
    """Until there are enough key frames, or the time is over."""
    end_ns = clock.monotonic_ns() + round(timeout_s * NS_PER_S)
    stream.codec_context.thread_count = 1
    frame_wh: WidthHeight | None = None
    times_s: list[float] = []
    key_times_s: list[float] = []
    for packet in packets(camera, container, stream):
        ticks = packet.pts if packet.pts is not None else packet.dts
        at_s = float(ticks * stream.time_base) if ticks is not None and stream.time_base else len(times_s) / 25
        times_s.append(at_s)
        if packet.is_keyframe:
            key_times_s.append(at_s)
        if frame_wh is None and key_times_s:
            frame_wh = _picture_wh(camera, stream, packet)
        if clock.monotonic_ns() >= end_ns or (frame_wh is not None and len(key_times_s) >= ENOUGH_KEY_FRAMES):
            break
    if frame_wh is None and key_times_s:
        frame_wh = _picture_wh(camera, stream, None)
    return _Sample(frame_wh, times_s, key_times_s)


def _picture_wh(camera: Camera, stream: av.VideoStream, packet: av.Packet[av.VideoStream] | None) -> WidthHeight | None:
    """Size of the first picture that the packet (None: the end) completes."""
    try:
        with watched(camera):
            frames = stream.codec_context.decode(packet)
    except av.FFmpegError:
        return None
    return (frames[0].width, frames[0].height) if frames else None


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
