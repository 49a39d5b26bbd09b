"""One session of one camera: its frames from the tick to publication, in order.

A frame is settled when it has been detected or it is certain that it will not be. Settled frames leave in the order in
which they were decoded, through the tracker and the filling; a frame behind one that is still being detected waits for
it, never longer than the fleet's deadline allows.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.clock import NS_PER_S
from pipeline.detections import Detections, Tracks
from pipeline.geometry import Boxes, Letterbox, WidthHeight
from pipeline.link import Tick
from pipeline.look.crop import Crop, of_kept
from pipeline.look.sights import Sights
from pipeline.track.fill import Filled, Filling
from pipeline.worker.account import Account
from pipeline.worker.patience import LATE_S, Patience

_NOTHING: Mapping[str, int] = {}
CLOCK_SLACK_NS = 50_000_000
"""The most that is put down to a frame's way here when it is judged too old. A camera whose clock is a little slow
(they are believed within a second) would otherwise never be detected; its messages tell the age by its clock."""

FillReason = Literal["stride", "replaced", "stale", "overdue", "corrupt", "behind", "unwanted", "ended"]
"""Why a frame was not detected: not its turn; a newer one took its place in the slot; it grew too old there; its
detection was not back in time (it still corrects the tracker); it was damaged; it was not even decoded, because
decoding had fallen behind; nobody had asked for frames yet; its session ended."""
LostCause = Literal["link", "late"]
"""Why a frame was never published: its tick never reached the worker, or reached it seconds late."""


@dataclass(slots=True)
class Frame:
    """A decoded frame on its way out. Times are monotonic ns; 0 where it has not been there.

    Attributes:
        tick: What the camera said of it.
        seen_ns: When the worker read the tick.
        job: The detection it waits for or got.
        reason: Why it is not detected.
        lost_before: Frames lost between this one and the one before, by cause.
    """

    tick: Tick
    seen_ns: int
    lost_before: Mapping[str, int]
    job: Job | None = None
    reason: FillReason | None = None

    @property
    def judged_from_ns(self) -> int:
        """From when on its age counts where something is given up for it."""
        return max(self.tick.captured_ns, self.tick.received_ns - CLOCK_SLACK_NS)

    def stale_at_s(self, patience: Patience) -> float:
        """When it is not worth a detection any more, monotonic s, if it waits in the slot."""
        return patience.stale_at_s(self.judged_from_ns, self.tick.decoded_ns)

    @property
    def settled(self) -> bool:
        """Whether it is certain what becomes of it."""
        return self.reason is not None or (self.job is not None and self.job.detections is not None)


@dataclass(slots=True)
class Job:
    """One detection, from the slot to the boxes.

    Attributes:
        stream: The session whose frame it is.
        frame_id: The frame.
        letterbox: How its picture lies in the model's input.
        taken_ns: When its picture was taken from the slot.
        camera_id: Whose picture it is.
        done_ns: When its boxes were there; 0 until then.
        detections: In source pixels; None until done.
        small: (h, w) uint8 grey, for the camera's motion; None where nobody asks for it.
        overdue_pts_s: Stream time of its frame, if that had to leave without it.
        captured_ns: When its picture was captured, monotonic; 0 while its tick is not here.
        owed: Whether it was begun although it would come too late for its own frame, because the camera had gone
            without a detection for too long.
        crops: What a second look may want to see of what was found.
    """

    stream: Stream
    frame_id: int
    letterbox: Letterbox
    taken_ns: int
    camera_id: str = ""
    done_ns: int = 0
    detections: Detections | None = None
    small: NDArray[np.uint8] | None = None
    overdue_pts_s: float | None = None
    captured_ns: int = 0
    owed: bool = False
    crops: tuple[Crop, ...] = ()


@dataclass(frozen=True, slots=True)
class SessionStart:
    """Where a session begins.

    Attributes:
        session: The camera's own number of it.
        session_id: Its name on the wire.
        first_frame_id: The camera's number of the frame that is frame 0 on the wire.
        frame_wh: Source picture, px; other geometry is another session.
    """

    session: int
    session_id: str
    first_frame_id: int
    frame_wh: WidthHeight


class Motion(Protocol):
    """Learns how a camera moves from the pictures that are detected."""

    def see(self, small: NDArray[np.uint8]) -> None:
        """The (h, w) uint8 grey picture of the next detection."""


class Masked(Protocol):
    """Tells which boxes lie in a camera's masks."""

    def of(self, xyxy: Boxes) -> NDArray[np.bool_]:
        """(N,) bool of (N, 4) boxes in pixels of the camera's picture."""


class Stream:
    """The frames of one session that have not left yet.

    Attributes:
        detected_ns: When its newest frame was captured of which a detection is back, monotonic ns; None before one is.
        sights: What second looks know of its objects.
    """

    def __init__(
        self,
        session: SessionStart,
        filling: Filling[Frame],
        motion: Motion | None = None,
        late_s: float = LATE_S,
        masked: Masked | None = None,
        *,
        sights: Sights | None = None,
    ) -> None:
        """Begin a session.

        Args:
            session: Which.
            filling: Gives boxes to frames, in order.
            motion: Sees the picture of each detection; None where the camera stands still.
            late_s: From which age on a frame is not worth publishing.
            masked: Tells which boxes are neither tracked nor published; None where nothing is masked.
            sights: Sees what the tracker made of each detection; None where nothing is looked at twice.
        """
        self.session = session.session
        self.session_id = session.session_id
        self.first_frame_id = session.first_frame_id
        self.frame_wh = session.frame_wh
        self.account = Account()
        self._filling = filling
        self._motion = motion
        self._late_s = late_s
        self._masked = masked
        self.sights = sights
        self._next_frame_id = session.first_frame_id
        self._frames: deque[Frame] = deque()
        self._jobs: dict[int, Job] = {}
        self._finished: list[Filled[Frame]] = []
        self._lost: Counter[str] = Counter()
        self._learned_pts_s = float("-inf")
        self._slotted: Tick | None = None
        self.detected_ns: int | None = None

    def add(self, tick: Tick, now_ns: int) -> bool:
        """Note a decoded frame; True if its pixels wait in the slot.

        Frames before it that were never heard of are lost (`link`), as is one that comes too late (`late`).
        """
        if gap := tick.frame_id - self._next_frame_id:
            self._lose("link", gap)
        self._next_frame_id = tick.frame_id + 1
        for missed in [frame_id for frame_id in self._jobs if frame_id < tick.frame_id]:
            del self._jobs[missed]
        if now_ns - tick.captured_ns > self._late_s * NS_PER_S:
            self._lose("late", 1)
            self._jobs.pop(tick.frame_id, None)
            return False
        frame = Frame(tick, now_ns, _NOTHING)
        if self._lost:
            frame.lost_before, self._lost = self._lost, Counter()
        self._frames.append(frame)
        if tick.admitted != "slot":
            frame.reason = tick.admitted
            return False
        self._slotted = tick
        self._give_up_waiting(before=tick.frame_id, reason="replaced")
        frame.job = self._jobs.pop(tick.frame_id, None)
        if frame.job is not None:
            self._belongs(frame.job, tick)
        return frame.job is None

    def start(self, frame_id: int, letterbox: Letterbox, now_ns: int) -> Job:
        """Note that this frame's picture was taken from the slot; older ones that wait were replaced by it.

        The slot can be ahead of the ticks: then the job waits for its frame.
        """
        job = Job(self, frame_id, letterbox, now_ns)
        self._give_up_waiting(before=frame_id, reason="replaced")
        frame = next((frame for frame in self._frames if frame.tick.frame_id == frame_id), None)
        if frame is not None and frame.reason is None:
            frame.job = job
            self._belongs(job, frame.tick)
        elif self._slotted is not None and self._slotted.frame_id == frame_id:
            # Its frame did not wait for it, but the tracker is to learn what it shows.
            job.overdue_pts_s, job.owed = self._slotted.pts_s, True
            self._belongs(job, self._slotted)
        else:
            self._jobs[frame_id] = job
        return job

    def finish(self, job: Job, in_model: Detections, now_ns: int) -> None:
        """Note what the detector found on a job's picture, boxes in model pixels.

        If the frame could not wait for it and has left, the tracker still learns from it: what is predicted from then
        on starts at a detection that is late but newer than any before.
        """
        detections = Detections(job.letterbox.to_source(in_model.xyxy), in_model.score, in_model.class_id)
        if self._masked is not None:
            kept = ~self._masked.of(detections.xyxy)
            detections, job.crops = detections[kept], of_kept(job.crops, kept)
        job.done_ns, job.detections = now_ns, detections
        self.detected_ns = max(self.detected_ns or 0, job.captured_ns or job.taken_ns)
        if job.overdue_pts_s is not None and job.overdue_pts_s > self._learned_pts_s:
            self._learned_pts_s = job.overdue_pts_s
            self._see(job)
            self._filling.learn(detections, job.overdue_pts_s)
            self._look_at(job, job.overdue_pts_s)

    def unmasked(self, tracks: Tracks) -> Tracks:
        """Those that may be published; what is carried on may have come to lie in a mask."""
        return tracks if self._masked is None or not len(tracks) else tracks[~self._masked.of(tracks.xyxy)]

    def waiting(self) -> Frame | None:
        """The frame whose picture is in the slot, or None."""
        for frame in reversed(self._frames):
            if frame.job is None and frame.reason is None:
                return frame
        return None

    def give_up(self, frame: Frame, reason: FillReason) -> None:
        """Do not detect this frame."""
        frame.reason = reason

    def refill(self, new: Filling[Frame]) -> None:
        """Fill frames like this from now on; those that are still held leave first."""
        self._finished += self._filling.flush()
        self._filling = new

    def give_up_overdue(self, older_than_s: float) -> None:
        """Let frames go whose age counts from before then, monotonic s, and whose detection is not back."""
        for frame in self._frames:
            if frame.settled or frame.job is None:
                continue
            if frame.judged_from_ns / NS_PER_S >= older_than_s:
                return
            frame.reason = "overdue"
            frame.job.overdue_pts_s = frame.tick.pts_s

    def abandon(self, job: Job) -> None:
        """Let the frame of a detection that will not come back leave without it, if it has not left yet."""
        for frame in self._frames:
            if frame.job is job and frame.reason is None:
                frame.reason = "overdue"

    @property
    def oldest_ns(self) -> int | None:
        """From when the age of the oldest frame in detection counts; None while none is.

        One that waits in the slot may be older than any detection is waited for; it has a time of its own.
        """
        for frame in self._frames:
            if frame.job is not None and not frame.settled:
                return frame.judged_from_ns
        return None

    def leave(self, now_ns: int) -> list[Filled[Frame]]:
        """Frames that can be published now, in order, with their boxes."""
        now_s = now_ns / NS_PER_S
        finished, self._finished = self._finished + self._filling.expire(now_s), []
        while self._frames and self._frames[0].settled:
            frame = self._frames.popleft()
            if frame.reason is None and frame.job is not None and frame.job.detections is not None:
                self._learned_pts_s = frame.tick.pts_s
                self._see(frame.job)
                finished += self._filling.detected(frame, frame.job.detections, frame.tick.pts_s, now_s)
                self._look_at(frame.job, frame.tick.pts_s)
            else:
                finished += self._filling.skipped(frame, frame.tick.pts_s, now_s)
        return finished

    def end(self, now_ns: int) -> list[Filled[Frame]]:
        """All frames that have not left; detections still under way come too late for them."""
        for frame in self._frames:
            if not frame.settled:
                frame.job, frame.reason = None, "ended"
        return self.leave(now_ns) + self._filling.flush()

    @property
    def lost_last(self) -> dict[str, int]:
        """Frames lost since the last that is to be published, by cause: no message will tell of them."""
        return dict(self._lost)

    @property
    def fill_due_s(self) -> float | None:
        """When `leave` has to be asked again even if nothing happens, s of the monotonic clock."""
        return self._filling.due_s

    @property
    def idle(self) -> bool:
        """Whether every frame has left."""
        return not self._frames and self._filling.due_s is None

    @staticmethod
    def _belongs(job: Job, tick: Tick) -> None:
        job.captured_ns = max(tick.captured_ns, tick.received_ns - CLOCK_SLACK_NS)

    def _lose(self, cause: LostCause, frames: int) -> None:
        self._lost[cause] += frames

    def _see(self, job: Job) -> None:
        """Before the tracker learns of a detection: how the camera moved since the one before."""
        if self._motion is not None and job.small is not None:
            self._motion.see(job.small)

    def _look_at(self, job: Job, pts_s: float) -> None:
        """After the tracker has learnt of a detection: what of it is worth a second look."""
        if self.sights is not None and job.detections is not None:
            self.sights.see(job.crops, job.detections, job.letterbox, pts_s)
        job.crops = ()

    def _give_up_waiting(self, before: int, reason: FillReason) -> None:
        for frame in self._frames:
            if frame.tick.frame_id < before and frame.job is None and frame.reason is None:
                frame.reason = reason
