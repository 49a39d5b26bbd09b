"""What a worker decides, without a socket, a thread or a clock of its own.

Messages of cameras, detections and the time go in; jobs, admissions and messages for subscribers come out. The loop
(`loop.py`) joins it to sockets and lanes, the simulator (`simulate.py`) and tests to a virtual clock: they all drive
the same decisions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import structlog
from msgspec.structs import replace

from pipeline.clock import NS_PER_S, Clock
from pipeline.detections import Detections
from pipeline.geometry import WidthHeight
from pipeline.link import Admission, Announce, FromCamera, FromWorker, Hello, Introduce, Settings, State, Tick
from pipeline.look.crop import Crop
from pipeline.look.looks import Batch, Looks
from pipeline.plan import CameraPlan
from pipeline.wire import SEEING, CameraState, Message
from pipeline.worker.channel import Channel, Ledger, Slot
from pipeline.worker.channels import Channels
from pipeline.worker.compose import Composer, Leaving, compose
from pipeline.worker.concurrency import LaneLimit, ServiceTime
from pipeline.worker.health import Health, Limits
from pipeline.worker.lanes import Picture
from pipeline.worker.meter import Meter
from pipeline.worker.patience import Patience
from pipeline.worker.scheduler import BatchPolicy, Scheduler
from pipeline.worker.stream import Job
from pipeline.worker.stride import INTERVAL_S, StrideController

log = structlog.get_logger()

FLOOR_SHARE = 0.5
"""Of the time that boxes live: a camera that has gone so long without a detection goes before all others."""
TELL_EVERY_S = 1.5
"""A camera's process says how it is once a second; where it does not, that is said for it."""
MOST_UNKNOWN = 256
"""Ticks kept of a camera that has not introduced itself yet; it is asked to, which takes a millisecond."""


@dataclass(frozen=True, slots=True)
class Serving:
    """The detector as the core needs to know it.

    Attributes:
        class_names: By class id.
        input_wh: The model's input, px.
        max_batch: Frames in one inference at most.
        lanes: Inferences in flight at once.
    """

    class_names: Sequence[str]
    input_wh: WidthHeight
    max_batch: int
    lanes: int


@dataclass(slots=True)
class Outbox:
    """What the core has to say, in order; the loop sends it and empties the box.

    Attributes:
        messages: For the subscribers.
        replies: For cameras, by name.
    """

    messages: list[Message] = field(default_factory=list)
    replies: list[tuple[str, FromWorker]] = field(default_factory=list)


class Core:
    """All decisions of one worker. Not thread-safe.

    Attributes:
        outbox: What it has to say.
        looks: The second looks that are to be done; None where there are none.
    """

    def __init__(
        self,
        fleet: str,
        serving: Serving,
        settings: Settings,
        *,
        clock: Clock,
        open_slot: Callable[[str], tuple[Slot, Ledger]],
        controller: StrideController | None = None,
        looks: Looks | None = None,
    ) -> None:
        """Begin without a camera.

        Args:
            fleet: Named in every message.
            serving: The detector.
            settings: What is promised.
            clock: Tells the time of each decision.
            open_slot: Opens a camera's slot and ledger, by its name.
            controller: Decides on strides; another one in simulations only.
            looks: Where second looks are asked for; None where nothing is looked at twice.
        """
        self.outbox = Outbox()
        self.looks = looks
        self._fleet, self._serving, self._settings = fleet, serving, settings
        self._clock, self._open_slot = clock, open_slot
        self._channels = Channels(self._open)
        self._health: dict[str, Health] = {}
        self._unknown: dict[str, list[Tick | State]] = {}
        self._departed: dict[str, CameraState] = {}
        self._active: set[Channel] = set()
        self._leaving: set[str] = set()
        self._limit = self._new_limit()
        self._scheduler = Scheduler(self._batches())
        self._controller = controller or StrideController()
        self._controller.promise(settings.max_loss, saves=settings.saves)
        self._service = ServiceTime()
        self._meter = Meter(self._now_s(), settings.deadline_s)
        self._reconsider_s = self._now_s() + INTERVAL_S
        self._judges = False
        self._away = ""

    @property
    def cameras(self) -> int:
        """How many are served."""
        return len(self._channels)

    @property
    def lanes(self) -> int:
        """How many lanes may compute at once."""
        return self._limit.lanes

    @property
    def service_s(self) -> float:
        """How long a detection takes at present, s."""
        return self._service.mean_s

    def due_s(self, *, lane_is_free: bool) -> float:
        """When `decide` has to be called even if nothing happens, monotonic s."""
        patience = self._patience()
        due = [self._reconsider_s, *(channel.due_s(patience) for channel in self._active)]
        if lane_is_free:
            due.append(self._scheduler.due_s())
        return min(at_s for at_s in due if at_s is not None)

    def hear(self, camera_id: str, message: FromCamera) -> None:
        """A camera has said something; one that is not known is asked who it is, and what it says is kept."""
        if isinstance(message, Hello):
            self._welcome(message.plan)
            return
        channel = self._channels.get(camera_id)
        if channel is None:
            self._ask(camera_id, message)
        elif isinstance(message, Tick):
            self._hear_tick(channel, message)
        elif isinstance(message, State):
            self._hear_state(channel, message)
        else:
            self._leaving.add(camera_id)

    def announce(self, message: Announce) -> None:
        """The supervisor speaks for a camera whose process does not run."""
        camera_id = message.state.camera_id
        if message.gone and self._channels.get(camera_id) is not None:
            self._leaving.add(camera_id)
        if message.state.state == "removed":
            self._departed.pop(camera_id, None)
        self.outbox.messages.append(self._in_its_own_words(message.state))

    def promise(self, settings: Settings) -> None:
        """Promise this from now on."""
        self._settings = settings
        self._limit = self._new_limit()
        self._scheduler.policy = self._batches()
        self._meter.deadline_s = settings.deadline_s
        self._controller.promise(settings.max_loss, saves=settings.saves)
        for channel in self._channels:
            channel.judge_loss(settings.max_loss is not None)
            self._health[channel.plan.camera_id].limits = self._limits(channel)

    def serve(self, serving: Serving) -> None:
        """Another detector computes from now on; nothing of the one before is in flight any more."""
        self._serving, self._service = serving, ServiceTime()
        self._limit = self._new_limit()
        self._scheduler.policy = self._batches()
        for channel in self._channels:
            channel.serve(serving.class_names, serving.input_wh)
            self._admit(channel)
        if self.looks is not None:
            self.looks.serve(serving.class_names)

    def finish(
        self, jobs: Sequence[Job], detections: Sequence[Detections], crops: Sequence[tuple[Crop, ...]] = ()
    ) -> None:
        """A lane has come back with what it found on the pictures of these jobs, boxes in model pixels.

        `crops` are what it has cut out of each for a second look, if it has.
        """
        now_ns, self._away = self._clock.monotonic_ns(), ""
        for job, cut in zip(jobs, crops, strict=False):
            job.crops = cut
        for job, found in zip(jobs, detections, strict=True):
            job.stream.finish(job, found, now_ns)
            self._scheduler.served(job.camera_id, now_ns / NS_PER_S)
            self._limit.note(late=job.overdue_pts_s is not None, owed=job.owed)
        self._service.learn((now_ns - jobs[0].taken_ns) / NS_PER_S)
        self._meter.detections(len(jobs))

    def abandon(self, jobs: Sequence[Job]) -> None:
        """These detections will not come back."""
        for job in jobs:
            job.stream.abandon(job)

    def do_without(self, jobs: Sequence[Job], why: str) -> None:
        """The detector is away, and nothing is known of these pictures; until it finishes some, cameras say why."""
        self._away = why
        self.abandon(jobs)

    def lanes_busy(self, busy: int) -> None:
        """From now on so many lanes compute.

        Those that look a second time while no frame wants them do not count: frames would have them at once.
        """
        self._meter.lanes_busy(busy - (self.looks.in_gaps if self.looks is not None else 0), self._now_s())

    def give_up_late(self, free_s: float) -> None:
        """Fill frames that cannot wait any longer; `free_s` is when a lane will presumably take one, monotonic s."""
        now_ns, patience = self._clock.monotonic_ns(), self._patience()
        for channel in self._active:
            camera_id = channel.plan.camera_id
            if channel.give_up(now_ns, patience, free_s) and not self._scheduler.starves(camera_id, now_ns / NS_PER_S):
                self._scheduler.withdraw(camera_id)

    def next_batch(self, lay: Callable[[int, Picture], None]) -> list[Job]:
        """The frames that the lane which is free is to detect; `lay` brings each picture into a row of its input."""
        while cameras := self._scheduler.next_batch(self._now_s()):
            jobs: list[Job] = []
            for camera_id in cameras:
                channel = self._channels[camera_id]
                job = channel.start(self._clock.monotonic_ns(), partial(lay, len(jobs)))
                if job is not None:
                    jobs.append(job)
                if channel.pace.confirms:
                    self._admit(channel)
            if jobs:
                return jobs
        return []

    def next_looks(self, lane: int, lanes: int, *, pressing: bool) -> Batch | None:
        """The second looks that the lane which is free is to take; None where there are none, or frames go first.

        Args:
            lane: Which lane.
            lanes: How many may compute at once.
            pressing: Whether this is asked before frames are given to lanes, and not after.
        """
        waits = self._scheduler.due_s() is not None
        if self.looks is None or (pressing and not (waits and self.looks.due(lanes))):
            return None
        return self.looks.take(lane, pressing=pressing)

    def decide(self) -> None:
        """Publish what is settled; four times a second reconsider what the load allows, and twice how cameras are."""
        now_ns = self._clock.monotonic_ns()
        self._publish([frame for channel in self._active for frame in channel.leave(now_ns)])
        self._active = {channel for channel in self._active if not channel.idle}
        for camera_id in [name for name in self._leaving if self._channels[name].idle]:
            self._farewell(camera_id)
        if now_ns / NS_PER_S >= self._reconsider_s:
            self._reconsider_s = now_ns / NS_PER_S + INTERVAL_S
            self._reconsider_strides(now_ns / NS_PER_S)
            self._judges = not self._judges
            if self._judges:
                self._tell_changed_states(now_ns)

    def end(self) -> None:
        """Publish everything that is left."""
        now_ns = self._clock.monotonic_ns()
        self._publish([frame for channel in self._channels for frame in channel.end(now_ns)])

    def close(self) -> None:
        """Leave every slot."""
        self._channels.close_all()

    def _welcome(self, plan: CameraPlan) -> None:
        """Serve a camera that has introduced itself, or serve it otherwise from now on."""
        camera_id = plan.camera_id
        self._leaving.discard(camera_id)
        self._departed.pop(camera_id, None)
        channel = self._channels.get(camera_id)
        if channel is None:
            channel = self._channels.open(plan)
            channel.judge_loss(self._settings.max_loss is not None)
            self._health[camera_id] = Health(self._limits(channel), self._clock.monotonic_ns())
        channel.replan(plan)
        self._health[camera_id].limits = self._limits(channel)
        self._scheduler.add(camera_id, FLOOR_SHARE * plan.max_fill_s if channel.pace.promised else math.inf)
        channel.set_stride(self._controller.add(camera_id, plan.stride))
        self._admit(channel)
        for message in self._unknown.pop(camera_id, []):
            self.hear(camera_id, message)

    def _ask(self, camera_id: str, message: FromCamera) -> None:
        if isinstance(message, Tick | State):
            waiting = self._unknown.setdefault(camera_id, [])
            if len(waiting) < MOST_UNKNOWN:
                waiting.append(message)
            self.outbox.replies.append((camera_id, Introduce()))
        else:
            self._unknown.pop(camera_id, None)

    def _farewell(self, camera_id: str) -> None:
        """Forget a camera that has left, once its last frame has."""
        channel = self._channels[camera_id]
        self._publish(channel.end(self._clock.monotonic_ns()))
        self._active.discard(channel)
        self._leaving.discard(camera_id)
        self._channels.close(camera_id)
        self._scheduler.remove(camera_id)
        self._controller.remove(camera_id)
        self._meter.remove(camera_id)
        if (last := self._health.pop(camera_id).last) is not None:
            self._departed[camera_id] = last

    def _in_its_own_words(self, announced: CameraState) -> CameraState:
        """What a camera itself said last, if that is what the supervisor says of it: it knew why."""
        known = self._departed.get(announced.camera_id)
        if known is None or known.state != announced.state:
            return announced
        return replace(known, at_ns=announced.at_ns)

    def _hear_tick(self, channel: Channel, tick: Tick) -> None:
        now_ns = self._clock.monotonic_ns()
        waits, ended = channel.hear(tick, now_ns)
        self._active.add(channel)
        if channel.pace.promised:
            self._meter.heard(channel.plan.camera_id, tick)
        self._publish(ended)
        if waits:
            self._scheduler.offer(channel.plan.camera_id, now_ns / NS_PER_S)

    def _hear_state(self, channel: Channel, message: State) -> None:
        # Answered every time, once a second: so a camera or a worker that was started again knows within that time.
        self._admit(channel)
        self._health[channel.plan.camera_id].hear(message.state, self._clock.monotonic_ns())
        self._tell_state(channel)

    def _tell_state(self, channel: Channel) -> None:
        if channel.plan.camera_id in self._leaving:
            return
        health, now_ns = self._health[channel.plan.camera_id], self._clock.monotonic_ns()
        if (state := self._state_of(channel, now_ns)) is not None:
            health.told, health.told_ns = state.state, now_ns
            loss = channel.loss if state.state in SEEING else None
            self.outbox.messages.append(replace(state, loss=None if loss is None else round(loss, 2)))

    def _state_of(self, channel: Channel, now_ns: int) -> CameraState | None:
        health = self._health[channel.plan.camera_id]
        return health.state(channel.detected_ns, now_ns, self._clock.wall_ns(), away=self._away)

    def _tell_changed_states(self, now_ns: int) -> None:
        """Of cameras whose state has become another, or whose processes do not speak, between the words of these."""
        for channel in self._channels:
            health = self._health[channel.plan.camera_id]
            state = self._state_of(channel, now_ns)
            overdue = now_ns - health.told_ns > TELL_EVERY_S * NS_PER_S
            if state is not None and (state.state != health.told or overdue):
                self._tell_state(channel)

    def _publish(self, leaving: list[Leaving]) -> None:
        now_ns = self._clock.monotonic_ns()
        for result in compose(leaving):
            self.outbox.messages.append(result)
            self._health[result.camera_id].note(result, now_ns)

    def _reconsider_strides(self, now_s: float) -> None:
        measured, fps = self._meter.read(self._limit.lanes, self._patience().window_s, now_s)
        if self._limit.update(self._service.mean_s, now_s):
            self._scheduler.policy = self._batches()
            limit = self._limit
            log.info("lanes that compute at once", lanes=limit.lanes, of=self._serving.lanes, batch=limit.batch)
        wrong_hz = {name: hz for name in fps if (hz := self._channels[name].wrong_hz) is not None}
        losses = {name: curve for name in fps if (curve := self._channels[name].loss_curve) is not None}
        for camera_id, stride in self._controller.update(measured, fps, now_s, wrong_hz, losses).items():
            self._channels[camera_id].set_stride(stride)
            self._admit(self._channels[camera_id])
        self._scheduler.share(self._controller.due)

    def _admit(self, channel: Channel) -> None:
        self.outbox.replies.append((channel.plan.camera_id, channel.admission))

    def _open(self, plan: CameraPlan, phase: int) -> Channel:
        slot, ledger = self._open_slot(plan.camera_id)
        composer = Composer(self._fleet, plan.camera_id, self._serving.class_names, self._clock)
        admission = Admission(stride=plan.stride.least, phase=phase, input_wh=self._serving.input_wh)
        return Channel(plan, slot, ledger, composer, admission, looks=self.looks)

    def _limits(self, channel: Channel) -> Limits:
        deadline_s = self._settings.deadline_s if channel.pace.promised else math.inf
        return Limits(deadline_s, channel.plan.max_fill_s, channel.plan.stride.min_detect_hz)

    def _batches(self) -> BatchPolicy:
        return BatchPolicy(self._limit.batch, self._settings.max_wait_s)

    def _new_limit(self) -> LaneLimit:
        overdue_s = Patience.within(self._settings.deadline_s, 0.0).overdue_s
        return LaneLimit(self._serving.lanes, overdue_s, self._serving.max_batch)

    def _patience(self) -> Patience:
        return Patience.within(self._settings.deadline_s, self._service.expected_s)

    def _now_s(self) -> float:
        return self._clock.monotonic_ns() / NS_PER_S
