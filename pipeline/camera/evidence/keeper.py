"""The thread that receives a camera's second stream into a ring, for ever."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import av
import msgspec

from pipeline.camera.backoff import Backoff
from pipeline.camera.evidence.align import Alignment, ContentAligner, thumb_of
from pipeline.camera.evidence.connection import Connection
from pipeline.camera.evidence.door import ClipDoor
from pipeline.camera.evidence.ring import KeptPacket, Ring
from pipeline.camera.evidence.show import KeptView
from pipeline.camera.evidence.steady import SteadyTime
from pipeline.camera.limits import watched
from pipeline.camera.opening import has_time_stamps, open_container, packets, video_stream
from pipeline.camera.picture import Picture
from pipeline.camera.published import Published
from pipeline.camera.resize import luma_view
from pipeline.camera.unauthorized import LoginRefused
from pipeline.child import EVIDENCE_THREAD, name_thread
from pipeline.clock import NS_PER_MS, NS_PER_S, Clock
from pipeline.config.camera import Camera
from pipeline.errors import PipelineError, SourceError
from pipeline.redact import redact
from pipeline.wire import AlignedBy, CaptureClock, EvidenceState

_JOIN_S = 1.0
_KEY_EVERY_S = 10.0
"""Once the streams are aligned, a key frame is looked at so often: it costs as much as decoding it."""


@dataclass(frozen=True, slots=True)
class Clip:
    """What was written.

    Attributes:
        path: Where.
        frames: Coded pictures in it.
        from_ns: Capture of the first by the time of the stream that is detected, ns since 1970-01-01 UTC.
        to_ns: And of the last.
        by: What makes the two times one.
        error_ms: How far they may be off; None where that is not known.
    """

    path: str
    frames: int
    from_ns: int
    to_ns: int
    by: AlignedBy
    error_ms: float | None


class EvidenceKeeper:
    """Keeps the latest seconds of a camera's `evidence_url`; lost, it is tried again as any camera."""

    def __init__(
        self, camera: Camera, clock: Clock, published: Published | None = None, view: KeptView | None = None
    ) -> None:
        """Nothing is connected yet.

        Args:
            camera: Which.
            clock: For arrival times.
            published: Knows what is in the pictures, where objects are to be blurred.
            view: Shows what comes to whoever asks; closed with this.
        """
        assert camera.evidence_url is not None
        self._door = ClipDoor(camera, published)
        self._camera = camera.model_copy(update={"url": camera.evidence_url})
        self._clock = clock
        self._view = view
        self._ring = Ring(camera.evidence.keep_s, camera.evidence.keep_mb << 20)
        self._aligner = ContentAligner()
        self._detected_time = SteadyTime()
        self._clocks: tuple[CaptureClock, CaptureClock] = ("arrival", "arrival")
        self._told = EvidenceState(state="connecting")
        self._frame_s = 0.0
        self._looked_ns = 0
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name=EVIDENCE_THREAD, daemon=True)

    def start(self) -> None:
        """Begin to receive."""
        self._thread.start()

    def close(self) -> None:
        """Hang up as soon as the camera lets go; a daemon thread, so that one that hangs does not keep the process."""
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join(_JOIN_S)
        if self._view is not None and not self._thread.is_alive():
            self._view.close()

    @property
    def alignment(self) -> Alignment:
        """How this stream's time goes together with that of the one that is detected."""
        if self._clocks == ("rtcp", "rtcp"):
            return Alignment("rtcp", 0, self._frame_s / 2 * 1000)
        found = self._aligner.alignment
        if found.error_ms is None:
            return found
        # A single detection is at the time of its own arrival.
        return replace(found, error_ms=found.error_ms + self._detected_time.jitter_s * 1000)

    @property
    def state(self) -> EvidenceState:
        """For subscribers."""
        alignment = self.alignment
        return msgspec.structs.replace(
            self._told,
            seconds=self._ring.span_s,
            size=self._ring.size,
            aligned_by=alignment.by,
            offset_ms=alignment.offset_ns / NS_PER_MS,
            error_ms=alignment.error_ms,
        )

    @property
    def concern(self) -> str:
        """What a user should know; empty if nothing."""
        return f"its evidence_url is not kept now: {self._told.detail}" if self._told.state == "retrying" else ""

    def see_detected(self, picture: Picture) -> None:
        """A picture of the stream that is detected."""
        self._note_clock(0, picture.capture.clock)
        if picture.frame is None or self._clocks == ("rtcp", "rtcp"):
            return
        luma = luma_view(picture.frame)
        if luma is not None:
            self._detected_time.see(picture.pts_s, picture.capture.at_ns)
            self._aligner.see_detected(thumb_of(luma), self._detected_time.at_ns(picture.pts_s))

    def write(self, path: Path, from_ns: int, to_ns: int) -> Clip:
        """Write what was captured from `from_ns` to `to_ns`, from the key frame before, as `privacy` allows; blocks.

        Args:
            path: `.mp4` or `.mkv`; appears when it is whole.
            from_ns: Wall time by the stream that is detected, ns since 1970-01-01 UTC.
            to_ns: The same.

        Raises:
            SourceError: Nothing of that time is kept, it cannot be written, or may not be.
        """
        self._door.require_open()
        alignment = self.alignment
        found = self._ring.between(from_ns - alignment.offset_ns, to_ns - alignment.offset_ns)
        if not found:
            raise SourceError(f"nothing of that time is kept of {self._camera.url}; {self._why_nothing()}")
        half_written = path.with_name(f".{path.name}{path.suffix}")
        try:
            self._door.write(
                half_written, found, found[0].session.time.at_ns(0.0) + alignment.offset_ns, alignment.error_ms
            )
            half_written.replace(path)
        except (PipelineError, av.FFmpegError, OSError, ValueError) as error:
            half_written.unlink(missing_ok=True)
            raise SourceError(f"{path} cannot be written: {getattr(error, 'strerror', None) or error}") from None
        first_ns, last_ns = (at_ns + alignment.offset_ns for at_ns in _span(found))
        return Clip(str(path), len(found), first_ns, last_ns, alignment.by, alignment.error_ms)

    def _why_nothing(self) -> str:
        told = self._told
        if told.state != "live":
            return f"it is {told.state}" + (f": {told.detail}" if told.detail else "")
        return f"there are the last {self._ring.span_s:.1f} s"

    def _run(self) -> None:
        name_thread(EVIDENCE_THREAD)
        reconnect, rng = self._camera.reconnect, random.Random()
        backoff = Backoff(reconnect.initial_s, reconnect.max_s)
        while not self._ending.is_set():
            began_ns = self._clock.monotonic_ns()
            try:
                self._receive()
                return
            except (SourceError, MemoryError) as error:
                why, refused = redact(error) or "there is no memory for it", isinstance(error, LoginRefused)
            live = self._told.state == "live"
            live_s = (self._clock.monotonic_ns() - began_ns) / NS_PER_S if live else 0.0
            backoff = backoff.lost(live_s, refused=refused)
            self._told = EvidenceState(state="retrying", detail=why + backoff.words)
            self._ending.wait(backoff.pause_s(rng))

    def _receive(self) -> None:
        """One connection; returns when it shall end."""
        container = open_container(self._camera)
        try:
            stream = video_stream(self._camera, container)
            self._aligner.forget()
            if self._view is not None:
                self._view.begin()
            connection = Connection(stream, self._clock, stamped=has_time_stamps(container))
            for packet in packets(self._camera, container, stream):
                if self._ending.is_set():
                    return
                kept = connection.kept(packet)
                if kept is not None:
                    self._keep(packet, kept, connection)
            raise SourceError(f"{self._camera.url} ended the stream")
        finally:
            container.close()

    def _keep(self, packet: av.Packet[av.VideoStream], kept: KeptPacket, connection: Connection) -> None:
        self._ring.append(kept)
        self._frame_s = connection.frame_s
        self._note_clock(1, connection.clock)
        if self._told.state != "live":
            session = kept.session
            self._told = EvidenceState(state="live", codec=session.codec, frame_wh=session.frame_wh)
        self._show(kept, connection)
        if kept.key and self._clocks != ("rtcp", "rtcp"):
            self._look_at(packet, kept, connection)

    def _show(self, kept: KeptPacket, connection: Connection) -> None:
        if self._view is None:
            return
        alignment = self.alignment
        by_stamp = alignment.by != "rtcp" and self._detected_time.is_known
        # A frame that is found by its stamp is not led astray by when it came.
        error_ms = alignment.error_ms
        if by_stamp and error_ms is not None:
            error_ms -= self._detected_time.jitter_s * 1000
        zero_ns = self._detected_time.at_ns(0.0) if by_stamp else 0
        self._view.see(kept, connection.extradata, replace(alignment, error_ms=error_ms), zero_ns)

    def _look_at(self, packet: av.Packet[av.VideoStream], kept: KeptPacket, connection: Connection) -> None:
        now_ns = self._clock.monotonic_ns()
        if self._aligner.is_settled and now_ns - self._looked_ns < _KEY_EVERY_S * NS_PER_S:
            return
        self._looked_ns = now_ns
        with watched(self._camera):
            thumb = connection.look_at(packet)
        if thumb is not None:
            self._aligner.see_kept(thumb, kept.session.time.at_ns(kept.pts_s))

    def _note_clock(self, which: int, clock: CaptureClock) -> None:
        """What was found by one pair of clocks does not hold by another."""
        if self._clocks[which] == clock:
            return
        self._clocks = (clock, self._clocks[1]) if which == 0 else (self._clocks[0], clock)
        self._aligner.forget()


def _span(packets: Sequence[KeptPacket]) -> tuple[int, int]:
    """Capture of the first and the last that is shown, ns."""
    shown_s, time = [packet.pts_s for packet in packets], packets[0].session.time
    return time.at_ns(min(shown_s)), time.at_ns(max(shown_s))
