"""One camera as the worker sees it: what it is told, its slot, its running session."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import structlog

from pipeline.clock import NS_PER_S
from pipeline.geometry import Letterbox, WidthHeight
from pipeline.link import Admission, Tick
from pipeline.slot import SlotReader
from pipeline.track.drift import WatchedTracker
from pipeline.track.fill import Filled, FillMode, filling
from pipeline.track.tracker import Tracker, TrackerConfig
from pipeline.wire import FrameResult
from pipeline.worker.compose import Composer
from pipeline.worker.lanes import Picture
from pipeline.worker.ledger import Ledger
from pipeline.worker.stream import LATE_S, Frame, Job, Motion, SessionStart, Stream
from pipeline.worker.stride import StrideBounds

log = structlog.get_logger()

OVERDUE_SHARE = 0.9
"""Of the deadline; the rest is for publishing, so that a frame given up at the last moment is still within it."""
LEAST_SLOT_SHARE = 0.2
"""Of the deadline: how long a frame may wait in the slot at least, however old it is and however slow the device."""


@dataclass(frozen=True, slots=True)
class ChannelPlan:
    """What does not change about a camera while the worker runs.

    Attributes:
        camera_id: Its name in the fleet file.
        index: Its place in the fleet file, from 0, and in the ledger.
        stride: Between which bounds the stride is chosen, and who gives way first.
        fill: What skipped frames get.
        max_delay_s: How long interpolation may hold a frame, s.
        tracker: The tracker's parameters.
        waits: Whether the camera waits for the worker: a recording played as fast as it goes, for which no latency is
            promised and of which no admitted frame is given up.
        gmc: Whether the camera moves and the tracker is told how, by optical flow.
    """

    camera_id: str
    index: int
    stride: StrideBounds
    fill: FillMode
    max_delay_s: float
    tracker: TrackerConfig
    waits: bool = False
    gmc: bool = False


@dataclass(frozen=True, slots=True)
class Patience:
    """How old a frame may grow.

    Attributes:
        stale_s: In the slot: a detection that began later would come too late.
        slot_s: How long it may wait in the slot at least, however old it is.
        queue_s: How long it may wait in the slot at most, if that is more: by then a lane has been free, and another
            frame was more urgent.
        overdue_s: In detection: it leaves without, so that the promised latency is kept.
    """

    stale_s: float
    slot_s: float
    queue_s: float
    overdue_s: float

    @property
    def window_s(self) -> float:
        """How long a frame may wait in the slot that got there as soon as it was captured."""
        return max(min(self.stale_s, self.queue_s), self.slot_s)

    def stale_at_s(self, frame: Frame) -> float:
        """When a frame in the slot is not worth a detection any more, monotonic s."""
        there_s = frame.tick.decoded_ns / NS_PER_S
        too_late_s = frame.judged_from_ns / NS_PER_S + self.stale_s
        return max(min(too_late_s, there_s + self.queue_s), there_s + self.slot_s)

    @classmethod
    def within(cls, deadline_s: float, service_s: float) -> Patience:
        """What a deadline leaves, given how long most detections take.

        A frame that would come back too late is not worth a lane: a newer one is. But where every frame would, because
        the device is too slow for the goal, they are detected all the same, and correct the tracker although their own
        frames have left.
        """
        overdue_s = OVERDUE_SHARE * deadline_s
        return cls(overdue_s - service_s, LEAST_SLOT_SHARE * deadline_s, service_s, overdue_s)


class Channel:
    """A camera's frames on their way through the worker. Not thread-safe."""

    def __init__(
        self,
        plan: ChannelPlan,
        slot: SlotReader,
        ledger: Ledger,
        composer: Composer,
        input_wh: WidthHeight,
        *,
        phase: int,
    ) -> None:
        """Begin with no session.

        Args:
            plan: What does not change.
            slot: Where its pictures come; closed by `close`.
            ledger: What was published last, by whichever worker.
            composer: Makes its messages.
            input_wh: The model's input, px.
            phase: Another one for each camera of a worker, so that they do not all ask for the detector at once.
        """
        self.plan = plan
        self.admission = Admission(stride=plan.stride.least, phase=phase, input_wh=input_wh)
        self._slot = slot
        self._ledger = ledger
        self._composer = composer
        self._stream: Stream | None = None
        self._tracker: Tracker | None = None

    def set_stride(self, stride: int) -> None:
        """From now on, every how many frames one is wanted; `admission` has to be told to the camera."""
        self.admission = msgspec.structs.replace(self.admission, stride=stride)

    @property
    def wrong_hz(self) -> float | None:
        """Boxes that go wrong a second where nobody looks; None where it is not known or not asked for."""
        return self._tracker.drift.wrong_hz if isinstance(self._tracker, WatchedTracker) else None

    def hear(self, tick: Tick, now_ns: int) -> tuple[bool, list[FrameResult]]:
        """Note a decoded frame; a tick of another session ends the one before.

        Returns:
            Whether the frame's picture waits in the slot, and the last messages of a session that ended here.
        """
        ended: list[FrameResult] = []
        if self._stream is None or self._stream.session != tick.session:
            ended = self.end(now_ns)
            self._stream = self._open(tick)
        return self._stream.add(tick, now_ns), ended

    def take(self, now_ns: int, lay: Callable[[Picture], None]) -> Job | None:
        """Hand the newest picture of the slot to `lay`, which copies it; None if there is none to detect."""
        frame = self._slot.take()
        if frame is None:
            return None
        with frame:
            if self._stream is None or frame.session != self._stream.session:
                return None
            letterbox = Letterbox.fit(self._stream.frame_wh, self.admission.input_wh)
            if frame.pixels.shape[1::-1] != letterbox.content_wh:
                return None
            lay(Picture(frame.pixels, letterbox))
            self.admission = msgspec.structs.replace(self.admission, taken=(frame.session, frame.frame_id))
            job = self._stream.start(frame.frame_id, letterbox, now_ns)
            if self.plan.gmc:
                from pipeline.track.gmc import shrink

                job.small = shrink(frame.pixels)
            return job

    def give_up(self, now_ns: int, patience: Patience, free_s: float) -> bool:
        """Fill frames that cannot wait any longer, or would in vain; True if the one in the slot is among them.

        Args:
            now_ns: Monotonic time, ns.
            patience: How long frames may wait.
            free_s: When a lane will presumably take a picture, monotonic s.
        """
        if self._stream is None or self.plan.waits:
            return False
        self._stream.give_up_overdue(now_ns - round(patience.overdue_s * NS_PER_S))
        frame = self._stream.waiting()
        if frame is None or max(now_ns / NS_PER_S, free_s) < patience.stale_at_s(frame):
            return False
        self._stream.give_up(frame, "stale")
        return True

    def leave(self, now_ns: int) -> list[FrameResult]:
        """Messages of all frames that are settled, in order."""
        return self._compose(self._stream, self._stream.leave(now_ns)) if self._stream else []

    def end(self, now_ns: int) -> list[FrameResult]:
        """Messages of all frames that have not left; the session is over."""
        results = self._compose(self._stream, self._stream.end(now_ns)) if self._stream else []
        if self._stream and (untold := self._stream.lost_last):
            log.warning("frames lost at the end of a session", camera_id=self.plan.camera_id, lost=untold)
        self._stream = self._tracker = None
        return results

    def due_s(self, patience: Patience) -> float | None:
        """When this camera needs attention even if nothing happens, s of the monotonic clock."""
        if self._stream is None or self.plan.waits:
            return self._stream.fill_due_s if self._stream else None
        waiting, oldest_ns = self._stream.waiting(), self._stream.oldest_ns
        stale_s = None if waiting is None else patience.stale_at_s(waiting)
        overdue_s = None if oldest_ns is None else oldest_ns / NS_PER_S + patience.overdue_s
        due = (stale_s, overdue_s, self._stream.fill_due_s)
        return min((at_s for at_s in due if at_s is not None), default=None)

    @property
    def idle(self) -> bool:
        """Whether every frame has left."""
        return self._stream is None or self._stream.idle

    def close(self) -> None:
        """Leave the slot."""
        self._slot.close()

    def _open(self, tick: Tick) -> Stream:
        first = self._ledger.next_frame(self.plan.index, tick.session)
        suffix = f".{first}" if first else ""
        watches = WatchedTracker if self.plan.stride.by_content else Tracker
        self._tracker = tracker = watches(self.plan.tracker, tick.frame_wh)
        return Stream(
            SessionStart(tick.session, f"{tick.session:012x}{suffix}", first, tick.frame_wh),
            filling(self.plan.fill, tracker, self.plan.max_delay_s),
            self._motion(tracker, tick.frame_wh[0]),
            late_s=math.inf if self.plan.waits else LATE_S,
        )

    def _motion(self, tracker: Tracker, source_width: int) -> Motion | None:
        if not self.plan.gmc:
            return None
        from pipeline.track.gmc import CameraMotion

        return CameraMotion(tracker, source_width)

    def _compose(self, stream: Stream, finished: list[Filled[Frame]]) -> list[FrameResult]:
        results = []
        for filled in finished:
            results.append(self._composer.compose(filled, stream, self.admission.stride))
            self._ledger.settle(self.plan.index, stream.session, filled.frame.tick.frame_id)
        return results
