"""Records a camera without re-encoding, with the time at which each packet came.

One thread reads from the camera and reconnects; the caller's thread writes, so that a camera that hangs keeps nobody
from ending the recording. Files are Matroska in clusters of a second, each written whole: a recorder that is killed
leaves a file that plays up to its last second.
"""

from __future__ import annotations

import os
import queue
import random
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

import av
import structlog
from pydantic_core import PydanticCustomError

from pipeline.camera.backoff import Backoff
from pipeline.camera.opening import (
    describe,
    has_time_stamps,
    is_recording,
    open_container,
    packets,
    tick_s,
    video_stream,
)
from pipeline.camera.unauthorized import LoginRefused
from pipeline.clock import NS_PER_S, Clock, SystemClock
from pipeline.config.camera import Camera
from pipeline.config.url import CameraUrl
from pipeline.errors import ConfigError, ReplayError, SourceError
from pipeline.record.container import RecordingFile

# Enough for a disk that stalls for some seconds; after that the camera waits, and its packets come late.
_MAX_WAITING = 500
# FFmpeg cuts these out of a stream: a picture is complete for it when the first packet of the next one has come.
_CUT_BY_PARSER = frozenset({"h264", "hevc", "mpeg4"})
_JOIN_S = 0.5
_FALLBACK_FPS = 25
_WAKE_S = 0.2
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a recorder has written.

    Attributes:
        files: In order; more than one where the camera came back with another codec, size or decoder configuration.
        pictures: Packets in all of them.
        sessions: How often the camera was connected.
        seconds: How long it took.
    """

    files: tuple[Path, ...]
    pictures: int
    sessions: int
    seconds: float


@dataclass(frozen=True, slots=True)
class _Opened:
    """The camera is connected; the reader waits until `taken`, as its stream is looked at meanwhile."""

    stream: av.VideoStream
    taken: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True, slots=True)
class _Received:
    """One packet; `arrival_ns` is monotonic and None where it is not known, `read_ns` is when it was handed out."""

    packet: av.Packet[av.VideoStream]
    arrival_ns: int | None
    read_ns: int


@dataclass(frozen=True, slots=True)
class _Ended:
    """No more packets; `error` where that is a failure."""

    error: SourceError | None


_Event: TypeAlias = _Opened | _Received | _Ended


def recorded_camera(url: str, transport: Literal["tcp", "udp"] = "tcp") -> Camera:
    """The camera at `url`, in which `${NAME}` stands for an environment variable.

    Raises:
        ConfigError: The address is none of a camera, or a variable is not set.
    """
    try:
        address = CameraUrl.parse(_VARIABLE.sub(lambda found: os.environ[found[1]], url))
    except KeyError as missing:
        raise ConfigError(f"environment variable {missing.args[0]} is not set; the address needs it") from None
    except PydanticCustomError as error:
        raise ConfigError(f"no camera's address: {error.message()}") from None
    if address.kind == "file":
        raise ConfigError(f"{address} is no camera; give an address such as rtsp://10.0.0.7/stream1")
    return Camera(camera_id="recorded", url=address, transport=transport)


def record(
    camera: Camera, out: Path, *, duration_s: float | None, stop: threading.Event, clock: Clock | None = None
) -> Recorded:
    """Record `camera` into `out` until `stop` is set, `duration_s` has passed, or a recording ends; blocks.

    A camera that is lost is connected again, for ever, and goes on in the same file, with a gap. If it comes back with
    another codec, size or decoder configuration, it goes on in `out` with -2, -3… in its name.

    Raises:
        SourceError: The camera could not be opened in the first place.
        ReplayError: `out` cannot be written, or exists.
    """
    clock = clock or SystemClock()
    reader = _Reader(camera, clock)
    writer = _Writer(out, clock)
    began_s = time.monotonic()
    try:
        for event in reader.events(stop, None if duration_s is None else began_s + duration_s):
            if isinstance(event, _Opened):
                writer.begin(event.stream)
                event.taken.set()
            elif isinstance(event, _Received):
                writer.write(event)
            elif event.error is not None:
                raise event.error
    finally:
        reader.close()
        writer.close()
    return Recorded(tuple(writer.files), writer.pictures, writer.sessions, time.monotonic() - began_s)


class _Reader:
    """The thread that reads from the camera."""

    def __init__(self, camera: Camera, clock: Clock) -> None:
        self._camera, self._clock = camera, clock
        self._events: queue.Queue[_Event] = queue.Queue(_MAX_WAITING)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="read-camera", daemon=True)
        self._thread.start()

    def events(self, stop: threading.Event, end_s: float | None) -> Iterator[_Event]:
        """What comes, until `stop` is set or the monotonic time `end_s`; blocks."""
        while not stop.is_set() and (end_s is None or time.monotonic() < end_s):
            try:
                event = self._events.get(timeout=_WAKE_S)
            except queue.Empty:
                continue
            yield event
            if isinstance(event, _Ended):
                return

    def close(self) -> None:
        """Hang up as soon as the camera lets go; a daemon thread, so that one that hangs does not keep the process."""
        self._ending.set()
        self._thread.join(_JOIN_S)

    def _run(self) -> None:
        backoff = Backoff(self._camera.reconnect.initial_s, self._camera.reconnect.max_s)
        connected_before, rng = False, random.Random()
        while not self._ending.is_set():
            began_s = time.monotonic()
            live_s = 0.0
            try:
                for _ in self._session():
                    connected_before, live_s = True, time.monotonic() - began_s
                self._put(_Ended(None))
                return
            except SourceError as error:
                if not connected_before:
                    self._put(_Ended(error))
                    return
                backoff = backoff.lost(live_s, refused=isinstance(error, LoginRefused))
                pause_s = backoff.pause_s(rng)
                _log.warning("camera lost", reason=str(error), again_in_s=round(pause_s, 1))
            self._ending.wait(pause_s)

    def _session(self) -> Iterator[None]:
        """Queues one connection's packets, and yields after each; returns when a file has been read to its end."""
        container = open_container(self._camera)
        try:
            stream = video_stream(self._camera, container)
            opened = _Opened(stream)
            self._put(opened)
            while not opened.taken.wait(_WAKE_S):
                if self._ending.is_set():
                    return
            demuxed = packets(self._camera, container, stream)
            if not has_time_stamps(container) and not is_recording(self._camera, container):
                demuxed = _stamped_by_arrival(demuxed, stream, self._clock)
            timed = _timed(demuxed, stream, self._is_cut_by_parser(stream), self._clock)
            for received in timed:
                if not self._put(received):
                    return
                yield
            if not is_recording(self._camera, container):
                raise SourceError(f"{self._camera.url} ended the stream")
        finally:
            container.close()

    def _is_cut_by_parser(self, stream: av.VideoStream) -> bool:
        scheme = urlsplit(self._camera.url.reveal()).scheme.lower()
        return scheme in {"rtsp", "rtsps"} and stream.codec_context.name in _CUT_BY_PARSER

    def _put(self, event: _Event) -> bool:
        """Queue `event`; False if nobody wants it any more."""
        while not self._ending.is_set():
            try:
                self._events.put(event, timeout=_WAKE_S)
            except queue.Full:
                continue
            return True
        return False


def _stamped_by_arrival(
    demuxed: Iterator[av.Packet[av.VideoStream]], stream: av.VideoStream, clock: Clock
) -> Iterator[av.Packet[av.VideoStream]]:
    """Each packet with the time of its arrival instead of one that FFmpeg made up."""
    ticks_a_ns, began_ns = 1 / (tick_s(stream) * NS_PER_S), clock.monotonic_ns()
    for packet in demuxed:
        packet.pts = packet.dts = round((clock.monotonic_ns() - began_ns) * ticks_a_ns)
        yield packet


def _timed(
    demuxed: Iterator[av.Packet[av.VideoStream]], stream: av.VideoStream, is_cut_by_parser: bool, clock: Clock
) -> Iterator[_Received]:
    """Each packet with the time of its arrival, from the first key frame on.

    Where FFmpeg's parser cuts the pictures, one is handed out when the next one begins to arrive, so the arrival of a
    packet is when the one before it was handed out. What was read while the stream was being identified is handed out
    without waiting; when that came is not known.
    """
    waited_ns = NS_PER_S / (stream.average_rate or stream.guessed_rate or _FALLBACK_FPS) / 2
    asked_ns = clock.monotonic_ns()
    before_ns: int | None = None
    is_live = begun = False
    for packet in demuxed:
        read_ns = clock.monotonic_ns()
        is_live = is_live or read_ns - asked_ns > waited_ns
        arrival_ns = before_ns if is_cut_by_parser else read_ns
        begun = begun or packet.is_keyframe
        if begun:
            yield _Received(packet, arrival_ns if is_live else None, read_ns)
        before_ns = read_ns if is_live else None
        asked_ns = clock.monotonic_ns()


class _Writer:
    """The files: one after the other, each with one codec, size and decoder configuration."""

    def __init__(self, out: Path, clock: Clock) -> None:
        if out.exists():
            raise ReplayError(f"{out}: exists already; give another name, or remove it")
        self._out = out
        self._clock = clock
        self._file: RecordingFile | None = None
        self.files: list[Path] = []
        self.sessions = 0
        self.pictures = 0

    def begin(self, stream: av.VideoStream) -> None:
        """Go on with another connection, in the same file if its decoder needs nothing new."""
        self.sessions += 1
        if self._file is not None and self._file.fits(stream):
            self._file.begin_session(stream)
            return
        if self._file is not None:
            self._file.close()
        path = self._name()
        if self.files:
            _log.warning("the camera has changed; a new file begins", file=str(path), **_format(stream))
        self._file = RecordingFile(path, stream, self._clock)
        self.files.append(path)

    def write(self, received: _Received) -> None:
        """Append one packet."""
        assert self._file is not None
        self._file.write(received.packet, received.arrival_ns, received.read_ns)
        self.pictures += 1

    def close(self) -> None:
        """Finish the last file; harmless when repeated."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _name(self) -> Path:
        """`out`, and after it the next numbered name that nobody has taken."""
        if not self.files:
            return self._out
        numbered = (self._out.with_name(f"{self._out.stem}-{number}{self._out.suffix}") for number in count(2))
        return next(path for path in numbered if not path.exists())


def _format(stream: av.VideoStream) -> dict[str, str]:
    description = describe(stream)
    return {"codec": description.codec, "size": "x".join(map(str, description.frame_wh))}
