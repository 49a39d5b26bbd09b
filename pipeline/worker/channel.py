"""One camera as the worker sees it: what it is told, its slot, its running session."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

import msgspec
import structlog

from pipeline.clock import NS_PER_S
from pipeline.geometry import Letterbox, WidthHeight
from pipeline.link import Admission, Tick
from pipeline.look.looks import Looks
from pipeline.look.sights import Sights
from pipeline.plan import CameraPlan
from pipeline.slot import Pixels
from pipeline.track.drift import WatchedTracker
from pipeline.track.fill import Filled, FillMode, filling
from pipeline.track.loss import LossCurve
from pipeline.track.tracker import Tracker, TrackerConfig
from pipeline.wire import name_session
from pipeline.worker.compose import Composer, Leaving
from pipeline.worker.lanes import Picture
from pipeline.worker.patience import Patience, pace
from pipeline.worker.stream import Frame, Job, Masked, Motion, SessionStart, Stream

log = structlog.get_logger()


class Taken(Protocol):
    """A picture out of a slot; `pipeline.slot.SlotFrame` is one."""

    @property
    def session(self) -> int:
        """The camera's session."""

    @property
    def frame_id(self) -> int:
        """Of the session."""

    @property
    def pixels(self) -> Pixels:
        """(H, W, 3) uint8, RGB; not to be written to, nor kept."""

    def release(self) -> None:
        """Give it back; from any thread."""


class Slot(Protocol):
    """Where a camera's pictures come; `pipeline.slot.SlotReader` is one."""

    def take(self) -> Taken | None:
        """The newest picture, to be released by the caller; None if none came since the last."""

    def close(self) -> None:
        """Leave it; may be called again."""


class Ledger(Protocol):
    """Which frame of a camera comes next, remembered across workers; `pipeline.ledger.FileLedger` is one."""

    def next_frame(self, session: int) -> int:
        """The first frame of this session that no worker has accounted for."""

    def hand_over(self, session: int, following: int) -> None:
        """Be done with the session here; `following` is the first frame that has not been sent."""

    def close(self) -> None:
        """Let go of it."""


class Channel:
    """A camera's frames on their way through the worker. Not thread-safe."""

    def __init__(
        self,
        plan: CameraPlan,
        slot: Slot,
        ledger: Ledger,
        composer: Composer,
        admission: Admission,
        *,
        looks: Looks | None = None,
    ) -> None:
        """Begin with no session.

        Args:
            plan: How the camera is to be served.
            slot: Where its pictures come; closed by `close`.
            ledger: What was published last, by whichever worker; closed by `close`.
            composer: Makes its messages.
            admission: What is wanted of it at first.
            looks: Where second looks at its objects are asked for; None where there are none.
        """
        self.plan, self.pace = plan, pace(plan.pace)
        self.admission = admission
        self._slot = slot
        self._ledger = ledger
        self._composer = composer
        self._looks = looks
        self._stream: Stream | None = None
        self._tracker: WatchedTracker | None = None
        self._following = 0
        self._is_judged = False
        self._look_for_blurred()

    def judge_loss(self, judged: bool) -> None:
        """From now on, whether its accuracy is promised, so that its loss has to be known."""
        self._is_judged = judged
        self._watch()

    def replan(self, plan: CameraPlan) -> None:
        """Serve the camera like this from now on; its session, its tracks and their ids go on."""
        before, self.plan, self.pace = self.plan, plan, pace(plan.pace)
        self._look_for_blurred()
        if self._tracker is None or self._stream is None or plan == before:
            return
        self._tracker.reconfigure(tracker_config(plan))
        self._watch()
        if (plan.fill, plan.max_delay_s) != (before.fill, before.max_delay_s):
            self._stream.refill(filling(FillMode(plan.fill), self._tracker, plan.max_delay_s))

    def serve(self, class_names: Sequence[str], input_wh: WidthHeight) -> None:
        """Another model detects from now on; objects of classes that it numbers otherwise are not carried over."""
        if self._tracker is not None and tuple(class_names) != tuple(self._composer.class_names):
            self._tracker.forget()
        self._composer = replace(self._composer, class_names=class_names)
        self.admission = msgspec.structs.replace(self.admission, input_wh=input_wh)
        self._look_for_blurred()

    def set_stride(self, stride: int) -> None:
        """From now on, every how many frames one is wanted; `admission` has to be told to the camera."""
        self.admission = msgspec.structs.replace(self.admission, stride=stride)

    @property
    def wrong_hz(self) -> float | None:
        """Boxes that go wrong a second where nobody looks; None where it is not known."""
        return self._tracker.drift.wrong_hz if self._tracker and self._tracker.watching else None

    @property
    def loss(self) -> float | None:
        """Points of HOTA that it loses at present against every frame at full input; None where it is not known.

        What a smaller input loses is to be added here; nobody measures it yet.
        """
        return self._tracker.loss.points if self._tracker and self._is_judged else None

    @property
    def loss_curve(self) -> LossCurve | None:
        """What each stride would cost; None where it is not known."""
        if self._tracker is None or not self._is_judged:
            return None
        return self._tracker.loss.curve(FillMode(self.plan.fill), self.plan.max_delay_s)

    def hear(self, tick: Tick, now_ns: int) -> tuple[bool, list[Leaving]]:
        """Note a decoded frame; a tick of another session ends the one before.

        Returns:
            Whether the frame's picture waits in the slot, and the last frames of a session that ended here.
        """
        ended: list[Leaving] = []
        if self._stream is None or self._stream.session != tick.session:
            ended = self.end(now_ns)
            self._stream = self._open(tick)
        return self._stream.add(tick, now_ns), ended

    def start(self, now_ns: int, lay: Callable[[Picture], None]) -> Job | None:
        """Hand the newest picture of the slot to `lay`, whose it is then; None if there is none to detect."""
        frame = self._slot.take()
        if frame is None:
            return None
        if self._stream is None or frame.session != self._stream.session:
            frame.release()
            return None
        letterbox = Letterbox.fit(self._stream.frame_wh, self.admission.input_wh)
        if frame.pixels.shape[1::-1] != letterbox.content_wh:
            frame.release()
            return None
        self.admission = msgspec.structs.replace(self.admission, taken=(frame.session, frame.frame_id))
        job = self._stream.start(frame.frame_id, letterbox, now_ns)
        job.camera_id = self.plan.camera_id
        if self.plan.gmc:
            from pipeline.track.gmc import shrink

            job.small = shrink(frame.pixels)
        lay(Picture(frame.pixels, letterbox, frame.release))
        return job

    def give_up(self, now_ns: int, of_fleet: Patience, free_s: float) -> bool:
        """Fill frames that cannot wait any longer, or would in vain; True if the one in the slot is among them.

        Args:
            now_ns: Monotonic time, ns.
            of_fleet: How long frames of cameras may wait.
            free_s: When a lane will presumably take a picture, monotonic s.
        """
        if self._stream is None:
            return False
        patience = self.pace.patience(of_fleet)
        self._stream.give_up_overdue(now_ns / NS_PER_S - patience.overdue_s)
        frame = self._stream.waiting()
        if frame is None or max(now_ns / NS_PER_S, free_s) < frame.stale_at_s(patience):
            return False
        self._stream.give_up(frame, "stale")
        return True

    def leave(self, now_ns: int) -> list[Leaving]:
        """All frames that are settled, in order."""
        return self._leaving(self._stream, self._stream.leave(now_ns)) if self._stream else []

    def end(self, now_ns: int) -> list[Leaving]:
        """All frames that have not left; the session is over."""
        stream, self._stream, self._tracker = self._stream, None, None
        if stream is None:
            return []
        leaving = self._leaving(stream, stream.end(now_ns))
        self._ledger.hand_over(stream.session, self._following)
        if untold := stream.lost_last:
            log.warning("frames lost at the end of a session", camera_id=self.plan.camera_id, lost=untold)
        return leaving

    def due_s(self, of_fleet: Patience) -> float | None:
        """When this camera needs attention even if nothing happens, s of the monotonic clock."""
        if self._stream is None:
            return None
        patience = self.pace.patience(of_fleet)
        waiting, oldest_ns = self._stream.waiting(), self._stream.oldest_ns
        stale_s = math.inf if waiting is None else waiting.stale_at_s(patience)
        overdue_s = math.inf if oldest_ns is None else patience.overdue_at_s(oldest_ns)
        fill_s = self._stream.fill_due_s
        due_s = min(stale_s, overdue_s, math.inf if fill_s is None else fill_s)
        return None if math.isinf(due_s) else due_s

    @property
    def detected_ns(self) -> int | None:
        """When the newest frame was captured that a detection stands behind, monotonic ns; None if there is none."""
        return self._stream.detected_ns if self._stream else None

    @property
    def idle(self) -> bool:
        """Whether every frame has left."""
        return self._stream is None or self._stream.idle

    def close(self) -> None:
        """Leave the slot."""
        self._slot.close()
        self._ledger.close()

    def _open(self, tick: Tick) -> Stream:
        first = self._following = self._ledger.next_frame(tick.session)
        self._tracker = tracker = WatchedTracker(tracker_config(self.plan), tick.frame_wh)
        self._watch()
        return Stream(
            SessionStart(tick.session, name_session(tick.session, first), first, tick.frame_wh),
            filling(FillMode(self.plan.fill), tracker, self.plan.max_delay_s),
            self._motion(tracker, tick.frame_wh[0]),
            late_s=self.pace.late_s,
            masked=self._masked(tick.frame_wh),
            sights=Sights(self._looks, tracker) if self._looks is not None else None,
        )

    def _watch(self) -> None:
        if self._tracker is not None:
            self._tracker.watch(self._is_judged or self.plan.stride.by_content)

    def _look_for_blurred(self) -> None:
        """Which classes the camera is to blur, and will never hear of."""
        unknown = tuple(name for name in self.plan.blur if name not in self._composer.class_names)
        self.admission = msgspec.structs.replace(self.admission, unknown=unknown)

    def _masked(self, frame_wh: WidthHeight) -> Masked | None:
        if not self.plan.masks:
            return None
        from pipeline.privacy import Hidden

        return Hidden(self.plan.masks, frame_wh)

    def _motion(self, tracker: Tracker, source_width: int) -> Motion | None:
        if not self.plan.gmc:
            return None
        from pipeline.track.gmc import CameraMotion

        return CameraMotion(tracker, source_width)

    def _leaving(self, stream: Stream, finished: list[Filled[Frame]]) -> list[Leaving]:
        for filled in finished:
            if self._is_judged and self._tracker is not None:
                self._tracker.loss.show(filled.origin, filled.unseen_s)
            self._following = filled.frame.tick.frame_id + 1
        return [Leaving(self._composer, stream, filled, self.admission.stride) for filled in finished]


def tracker_config(plan: CameraPlan) -> TrackerConfig:
    """What the tracker of a camera believes."""
    return TrackerConfig(high_score=plan.high_score, birth_score=plan.birth_score, max_fill_s=plan.max_fill_s)
