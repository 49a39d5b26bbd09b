"""A worker on a virtual clock: the real core between virtual cameras, slots, ledgers and lanes.

Cameras send the messages that real ones do and follow the admissions they get; lanes need time and find what they are
told to. Time goes from event to event, so that a minute of trouble takes a second and every run is the same.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol

import numpy as np

from pipeline.clock import NS_PER_MS, NS_PER_S, VirtualClock
from pipeline.detections import Detections
from pipeline.geometry import Letterbox, WidthHeight
from pipeline.link import Admission, Admitted, Bye, FromWorker, Hello, Introduce, Settings, State, Tick
from pipeline.look.crop import Crop
from pipeline.look.looks import Looks
from pipeline.plan import CameraPlan
from pipeline.slot import Pixels
from pipeline.wire import CameraState, Message, name_session
from pipeline.worker.channel import Ledger, Slot
from pipeline.worker.core import Core, Serving
from pipeline.worker.loop import turn_ms
from pipeline.worker.stream import Job
from pipeline.worker.stride import StrideController

FRAME_WH = (640, 360)
SERVING = Serving(("thing",), (64, 64), max_batch=1, lanes=2)
LEAST_WAIT_NS = NS_PER_MS
"""Between two turns of which the first left something due; the loop's poll counts in ms, too."""
NEVER_NS = 1 << 62
OFF_S, REPORT_S = 0.02, 1.0
"""How often a camera that is off looks whether it is on, and how often its process says how it is."""
STALL_STEP_S, LONGEST_STALL_S = 0.001, 60.0
"""How exactly the end of a stall is found; a detection that would wait longer never comes back."""


@dataclass(frozen=True, slots=True)
class VirtualFrame:
    """A picture without content."""

    session: int
    frame_id: int
    pixels: Pixels

    def release(self) -> None:
        """Nothing is held."""


class VirtualSlot:
    """One picture; a newer one replaces it."""

    def __init__(self) -> None:
        self._frame: VirtualFrame | None = None

    def put(self, frame: VirtualFrame) -> None:
        """Replace what is in it."""
        self._frame = frame

    def take(self) -> VirtualFrame | None:
        """The newest picture; None if none came since the last."""
        frame, self._frame = self._frame, None
        return frame

    def close(self) -> None:
        """Nothing is held."""


class MemoryLedger:
    """A ledger that ends with its process."""

    def __init__(self) -> None:
        self._session, self._following = 0, 0

    def next_frame(self, session: int) -> int:
        """The first frame of this session that is not accounted for."""
        return self._following if self._session == session else 0

    def hand_over(self, session: int, following: int) -> None:
        """Be done with the session here; `following` is the first frame that has not been sent."""
        self._session, self._following = session, following

    def close(self) -> None:
        """Nothing is held."""


@dataclass(slots=True)
class VirtualCamera:
    """What a camera's process does, as far as a worker can tell; a test may change anything at any time.

    Attributes:
        plan: How it is to be served; tell the worker with `VirtualWorker.greet`.
        fps: Its frame rate by the time in s; 0 while it is off.
        session: Its session; a new number begins another.
        due_s: When its next picture is due.
        age_s: How old pictures are when they are decoded.
        lag_s: How long after its capture the worker hears of the picture that is due at this time in s; None: at once,
            `age_s` old.
        starved_ms: How long it waits for a processor before a picture, by the time in s.
        spoiled: What becomes of every picture instead of what the worker wants; None while all is well.
        cut_off: Whether what it says does not reach the worker.
        hangs: Whether its process is stopped: no pictures, no messages.
        admission: What the worker wants; None before it has said so.
        frames: How many pictures it has decoded in this session.
    """

    plan: CameraPlan
    fps: Callable[[float], float]
    session: int
    due_s: float
    slot: VirtualSlot = field(default_factory=VirtualSlot)
    age_s: float = 0.0
    lag_s: Callable[[float], float] | None = None
    starved_ms: Callable[[float], float] = lambda at_s: 0.0
    spoiled: Admitted | None = None
    cut_off: bool = False
    hangs: bool = False
    gone: bool = False
    admission: Admission | None = None
    awaits: tuple[int, int] | None = None
    frames: int = 0

    def take_picture(self, clock: VirtualClock) -> Tick:
        """The tick of its next picture, which is in the slot if the worker wants it."""
        now_ns, frame_id = clock.monotonic_ns(), self.frames
        admitted = self.spoiled or self._decide(frame_id)
        if admitted == "slot" and self.admission is not None:
            pixels = blank(Letterbox.fit(FRAME_WH, self.admission.input_wh).content_wh)
            self.slot.put(VirtualFrame(self.session, frame_id, pixels))
            self.awaits = (self.session, frame_id) if self.plan.pace == "archive" else None
        self.frames += 1
        captured_ns = now_ns - round(self.age_s * NS_PER_S)
        return Tick(
            session=self.session,
            frame_id=frame_id,
            pts_s=captured_ns / NS_PER_S,
            captured_ns=captured_ns,
            captured_at_ns=clock.wall_ns() - now_ns + captured_ns,
            capture_clock="arrival",
            received_ns=captured_ns,
            decoded_ns=now_ns,
            frame_wh=FRAME_WH,
            admitted=admitted,
            starved_ns=round(self.starved_ms(now_ns / NS_PER_S) * NS_PER_MS),
        )

    def state(self, fleet: str, now_s: float) -> State:
        """How it is, in the words of its process."""
        on = self.fps(now_s) > 0
        return State(
            CameraState(
                fleet=fleet,
                camera_id=self.plan.camera_id,
                session_id=name_session(self.session),
                session=self.session,
                state="live" if on else "retrying",
                frame_wh=FRAME_WH,
            )
        )

    def hear(self, message: FromWorker) -> Hello | None:
        """Follow what the worker has said; its answer, if it has to be answered."""
        if isinstance(message, Introduce):
            return Hello(self.plan)
        if isinstance(message, Admission):
            self.admission = message
            if self.awaits is not None and message.taken >= self.awaits:
                self.awaits = None
        return None

    def _decide(self, frame_id: int) -> Admitted:
        if self.admission is None:
            return "unwanted"
        return "slot" if self.admission.wants(frame_id) else "stride"


class AnyLanes(Protocol):
    """What computes, as far as the worker can tell; times are monotonic s, or ns where the name says so."""

    count: int
    limit: int

    @property
    def busy(self) -> int:
        """How many compute."""

    @property
    def is_free(self) -> bool:
        """Whether one more may compute."""

    @property
    def due_ns(self) -> int | None:
        """When the next comes back; None while none will."""

    def free_s(self, service_s: float, now_s: float) -> float:
        """When one will presumably take a picture."""

    def submit(self, jobs: list[Job], now_s: float) -> None:
        """Let one compute."""

    def collect(self, now_ns: int) -> list[list[Job]]:
        """The jobs of those that have come back."""


class VirtualLanes:
    """A detector's lanes, of which only the time they need is real.

    Attributes:
        count: How many there are.
        limit: How many may compute at once.
        service_s: How long one needs for a batch, by the time in s; infinite while the device stalls.
    """

    def __init__(self, count: int, service_s: Callable[[float], float], contention: float = 0.0) -> None:
        """All of them idle; `contention` is how much longer one needs for each other at work, as a share."""
        self.count = self.limit = count
        self.service_s = service_s
        self._contention = contention
        self._running: list[tuple[int, int, float, list[Job]]] = []
        self._order = itertools.count()

    @property
    def busy(self) -> int:
        """How many compute."""
        return len(self._running)

    @property
    def is_free(self) -> bool:
        """Whether one more may compute."""
        return self.busy < min(self.limit, self.count)

    @property
    def due_ns(self) -> int | None:
        """When the next comes back, monotonic ns; None while none will."""
        return self._running[0][0] if self._running and self._running[0][0] < NEVER_NS else None

    def free_s(self, service_s: float, now_s: float) -> float:
        """When one will presumably take a picture, monotonic s; as `Lanes.free_s`."""
        if self.is_free or not self._running:
            return now_s
        return max(now_s, min(started_s for _, _, started_s, _ in self._running) + service_s)

    def submit(self, jobs: list[Job], now_s: float) -> None:
        """Let one compute."""
        needs_s = self.service_s(now_s) * (1 + self._contention * self.busy)
        end_s = now_s + needs_s if math.isfinite(needs_s) else self._stall_end_s(now_s)
        end_ns = round(end_s * NS_PER_S) if math.isfinite(end_s) else NEVER_NS
        heapq.heappush(self._running, (end_ns, next(self._order), now_s, jobs))

    def collect(self, now_ns: int) -> list[list[Job]]:
        """The jobs of those that have come back."""
        done = []
        while self._running and self._running[0][0] <= now_ns:
            done.append(heapq.heappop(self._running)[-1])
        return done

    def _stall_end_s(self, now_s: float) -> float:
        at_s = now_s
        while math.isinf(self.service_s(at_s)):
            at_s += STALL_STEP_S
            if at_s - now_s > LONGEST_STALL_S:
                return math.inf
        return at_s + self.service_s(at_s)


class VirtualWorker:
    """The core, and all that it is joined to.

    Attributes:
        clock: Its time, from 0.
        core: Decides.
        lanes: Compute.
        cameras: That it was told of, by name.
        messages: Published since this was last emptied, in order.
        detected: Detections that came back since this was last emptied, by camera, in time or not.
        late: How many of them came after their frame had left; reset by whoever reads it.
    """

    def __init__(
        self,
        lanes: AnyLanes,
        settings: Settings,
        *,
        serving: Serving = SERVING,
        controller: StrideController | None = None,
        detect: Callable[[str, int], Detections] | None = None,
        turns: bool = False,
        looks: Callable[[VirtualClock], Looks] | None = None,
    ) -> None:
        """Begin without a camera.

        Args:
            lanes: Their number counts, not that of `serving`.
            settings: What is promised.
            serving: The detector.
            controller: Decides on strides.
            detect: What is found on a frame, by camera and number, boxes in model pixels; nothing, if left out.
            turns: Whether it hears ticks together and wakes by whole milliseconds, as the worker's loop does; otherwise
                everything happens at once.
            looks: Makes what asks for second looks, by its clock; None where nothing is looked at twice.
        """
        self.clock, self.lanes = VirtualClock(), lanes
        self.cameras: dict[str, VirtualCamera] = {}
        self.messages: list[Message] = []
        self.detected: Counter[str] = Counter()
        self.late = 0
        self._turns, self._turned_ns = turns, 0
        self._detect = detect or (lambda camera_id, frame_id: Detections.empty())
        self._ledgers: dict[str, MemoryLedger] = {}
        self._owners: dict[int, str] = {}
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._order, self._sessions = itertools.count(), itertools.count(1)
        at_work = Serving(serving.class_names, serving.input_wh, serving.max_batch, lanes.count)
        self.core = Core(
            "virtual",
            at_work,
            settings,
            clock=self.clock,
            open_slot=self._open_slot,
            controller=controller,
            looks=None if looks is None else looks(self.clock),
        )

    @property
    def now_s(self) -> float:
        """The time, s."""
        return self.clock.monotonic_ns() / NS_PER_S

    def at(self, at_s: float, action: Callable[[], None]) -> None:
        """Do this then, or in the next turn if that is past."""
        at_ns = max(round(at_s * NS_PER_S), self.clock.monotonic_ns())
        heapq.heappush(self._events, (at_ns, next(self._order), action))

    def join(self, plan: CameraPlan, fps: Callable[[float], float], *, starts_s: float | None = None) -> VirtualCamera:
        """A camera comes, introduces itself, and shows its first picture at `starts_s`: at once, if left out."""
        due_s = self.now_s if starts_s is None else starts_s
        camera = VirtualCamera(plan, fps, self.new_session(plan.camera_id), due_s)
        self.cameras[plan.camera_id] = camera
        self.greet(camera)
        self.at(camera.due_s, lambda: self._film(camera))
        self.at(camera.due_s, lambda: self._report(camera))
        return camera

    def new_session(self, camera_id: str) -> int:
        """A number for a session of this camera."""
        session = next(self._sessions)
        self._owners[session] = camera_id
        return session

    def greet(self, camera: VirtualCamera) -> None:
        """The camera says how it is to be served."""
        self.core.hear(camera.plan.camera_id, Hello(camera.plan))
        self._deliver()

    def leave(self, camera: VirtualCamera) -> None:
        """The camera says good-bye."""
        camera.gone = True
        self.core.hear(camera.plan.camera_id, Bye())

    def run(self, until_s: float) -> None:
        """Let happen what happens until then."""
        until_ns = round(until_s * NS_PER_S)
        while (next_ns := self._next_ns()) <= until_ns:
            self._go(next_ns)
            self._turn()
            self._turned_ns = self.clock.monotonic_ns()
        self._go(until_ns)

    def _next_ns(self) -> int:
        now_ns = self.clock.monotonic_ns()
        due_ns = math.ceil(self.core.due_s(lane_is_free=self.lanes.is_free) * NS_PER_S)
        due_ns = due_ns if due_ns > now_ns else now_ns + LEAST_WAIT_NS
        if self._turns:
            due_ns = self._turned_ns + math.ceil((due_ns - self._turned_ns) / NS_PER_MS) * NS_PER_MS
        due_ns = min(due_ns, self._events[0][0]) if self._events else due_ns
        if self._turns:
            due_ns = max(due_ns, self._turned_ns + turn_ms(self.core.cameras) * NS_PER_MS)
        return due_ns if self.lanes.due_ns is None else min(due_ns, self.lanes.due_ns)

    def _go(self, to_ns: int) -> None:
        self.clock.advance(max(0, to_ns - self.clock.monotonic_ns()) / NS_PER_S)

    def _turn(self) -> None:
        """As the worker's loop: hear, collect, give up, fill the lanes, decide, send."""
        while self._events and self._events[0][0] <= self.clock.monotonic_ns():
            heapq.heappop(self._events)[-1]()
        self._collect()
        core, lanes = self.core, self.lanes
        core.give_up_late(lanes.free_s(core.service_s, self.now_s))
        lanes.limit = core.lanes
        self._fill_lanes()
        core.decide()
        self._look_in_gaps()
        self._deliver()

    def _fill_lanes(self) -> None:
        while self.lanes.is_free and (jobs := self.core.next_batch(lambda row, picture: None)):
            self.lanes.submit(jobs, self.now_s)
            self.core.lanes_busy(self.lanes.busy)

    def _look_in_gaps(self) -> None:
        """Nothing is looked at twice here; see `virtual_looks`."""

    def _collect(self) -> None:
        for jobs in self.lanes.collect(self.clock.monotonic_ns()):
            self.core.lanes_busy(self.lanes.busy)
            self._finish(jobs)

    def _finish(self, jobs: list[Job]) -> None:
        owners = [self._owners[job.stream.session] for job in jobs]
        found = [self._detect(name, job.frame_id) for name, job in zip(owners, jobs, strict=True)]
        self.core.finish(jobs, found, self._cut(found))
        self.detected.update(owners)
        self.late += sum(job.overdue_pts_s is not None for job in jobs)

    def _cut(self, found: list[Detections]) -> list[tuple[Crop, ...]]:
        """Crops for second looks, a tuple for each picture; none here."""
        return []

    def _deliver(self) -> None:
        """All that the core has to say, and what cameras answer."""
        outbox = self.core.outbox
        while outbox.messages or outbox.replies:
            self.messages += outbox.messages
            replies = outbox.replies[:]
            outbox.messages.clear()
            outbox.replies.clear()
            for name, reply in replies:
                self._tell(name, reply)

    def _tell(self, name: str, reply: FromWorker) -> None:
        camera = self.cameras.get(name)
        if camera is None or camera.hangs or camera.gone:
            return
        waited = camera.awaits is not None
        answer = camera.hear(reply)
        if answer is not None and not camera.cut_off:
            self.core.hear(name, answer)
        if waited and camera.awaits is None:
            self.at(camera.due_s, lambda: self._film(camera))

    def _film(self, camera: VirtualCamera) -> None:
        """A picture, and when the next is due; one that waits for the worker goes on when that has taken it."""
        fps = 0.0 if camera.hangs else camera.fps(self.now_s)
        if camera.gone:
            return
        if fps <= 0:
            camera.due_s = self.now_s + OFF_S
        else:
            due_s = max(camera.due_s, self.now_s - 1 / fps)
            if camera.lag_s is not None:
                due_s, camera.age_s = camera.due_s, self.now_s - camera.due_s
            camera.due_s = due_s + 1 / fps
            tick = camera.take_picture(self.clock)
            if not camera.cut_off:
                self.core.hear(camera.plan.camera_id, tick)
        if camera.awaits is None:
            lag_s = 0.0 if camera.lag_s is None else camera.lag_s(camera.due_s)
            self.at(camera.due_s + lag_s, lambda: self._film(camera))

    def _report(self, camera: VirtualCamera) -> None:
        if camera.gone:
            return
        if not camera.hangs and not camera.cut_off:
            self.core.hear(camera.plan.camera_id, camera.state("virtual", self.now_s))
        self.at(self.now_s + REPORT_S, lambda: self._report(camera))

    def _open_slot(self, camera_id: str) -> tuple[Slot, Ledger]:
        return self.cameras[camera_id].slot, self._ledgers.setdefault(camera_id, MemoryLedger())


@lru_cache
def blank(wh: WidthHeight) -> Pixels:
    """A picture of this size that takes no memory."""
    return np.broadcast_to(np.uint8(0), (wh[1], wh[0], 3))
