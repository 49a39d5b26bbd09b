"""Where the ways of all cameras meet: ticks and slots in, one detector, one message a frame out.

One loop, woken by a tick, by a finished detection, by a request to stop, or by the next deadline; it never polls. Ticks
that come close together are heard together: among many cameras that decode, what is cold in the processor's caches
costs a frame more than all work on it.
"""

from __future__ import annotations

import math
import os
from ctypes import c_int64
from dataclasses import dataclass
from functools import partial

import structlog
import zmq

from pipeline.clock import NS_PER_S, Clock
from pipeline.errors import DetectorError
from pipeline.link import State, Tick, WorkerLink
from pipeline.publish import Publisher
from pipeline.wire import FrameResult
from pipeline.worker.channel import Channel, Patience
from pipeline.worker.channels import Channels
from pipeline.worker.concurrency import LaneLimit, ServiceTime
from pipeline.worker.lanes import Lanes
from pipeline.worker.meter import Meter
from pipeline.worker.scheduler import Scheduler
from pipeline.worker.stream import Job
from pipeline.worker.stride import INTERVAL_S, StrideController

log = structlog.get_logger()

CAMERAS_A_MS, LONGEST_TURN_MS = 6, 8
"""Ticks wake the loop again after a millisecond for each six cameras, a detection at once. With sixty cameras on two
cores the worker took 0.34 and 0.35 of one without, 0.30 and 0.30 with it, in turns."""
DRAIN_S = 1.0
"""How long a worker that was told to stop waits for detections that are under way."""
STUCK_S = 5.0
"""A detection that takes longer is abandoned and its lane rebuilt. If that takes as long, the device hangs: a thread in
a driver cannot be ended, its process can, and the successor of this worker begins anew."""


@dataclass(frozen=True, slots=True)
class WorkerParts:
    """What a worker joins."""

    channels: Channels
    lanes: Lanes[Job]
    scheduler: Scheduler
    controller: StrideController
    link: WorkerLink
    publisher: Publisher
    clock: Clock


class Worker:
    """The worker's loop over parts that are already open."""

    def __init__(self, parts: WorkerParts, deadline_s: float, beat: c_int64) -> None:
        """Join the parts.

        Args:
            parts: Opened by the caller, and closed by it.
            deadline_s: The age a published detection may have at most, s: the fleet's goal.
            beat: Set to the monotonic time, ns, whenever the loop turns.
        """
        self._channels = parts.channels
        self._lanes = parts.lanes
        self._scheduler = parts.scheduler
        self._controller = parts.controller
        self._link = parts.link
        self._publisher = parts.publisher
        self._clock = parts.clock
        self._deadline_s = deadline_s
        self._beat = beat
        self._service = ServiceTime()
        self._limit = LaneLimit(parts.lanes.count, Patience.within(deadline_s, 0.0).overdue_s)
        self._stop_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._stopping = False
        self._active: set[Channel] = set()
        self._meter = Meter(self._now_s(), deadline_s)
        self._reconsider_s = self._now_s() + INTERVAL_S
        self._turned_s = 0.0
        self._urgent, self._any = zmq.Poller(), zmq.Poller()
        for readable in (self._lanes.fileno(), self._stop_fd):
            self._urgent.register(readable, zmq.POLLIN)
            self._any.register(readable, zmq.POLLIN)
        self._any.register(self._link.socket, zmq.POLLIN)

    def stop(self) -> None:
        """End the loop soon; safe from a signal handler and from any thread."""
        self._stopping = True
        os.eventfd_write(self._stop_fd, 1)

    def run(self) -> None:
        """Work until `stop`, then let what is under way finish and publish what is left.

        Raises:
            DetectorError: A lane failed or hangs.
        """
        while not self._stopping:
            self.step()
        os.eventfd_read(self._stop_fd)
        give_up_ns = self._clock.monotonic_ns() + round(DRAIN_S * NS_PER_S)
        while self._lanes.busy and self._clock.monotonic_ns() < give_up_ns:
            self.step()
        for channel in self._channels:
            self._publish(channel.end(self._clock.monotonic_ns()))

    def step(self) -> None:
        """Wait for something to happen, and act on all that has."""
        self._any.poll(self._timeout_ms())
        self._gather()
        self._beat.value = self._clock.monotonic_ns()
        self._hear_cameras()
        self._collect_detections()
        self._give_up_late()
        self._fill_lanes()
        self._publish_settled()
        self._reconsider_strides()

    def _gather(self) -> None:
        """Let more ticks come in if the last turn was just now."""
        turn_ms = min(LONGEST_TURN_MS, len(self._channels) // CAMERAS_A_MS)
        left_ms = turn_ms - round((self._now_s() - self._turned_s) * 1000)
        if left_ms > 0:
            self._urgent.poll(left_ms)
        self._turned_s = self._now_s()

    def _timeout_ms(self) -> int:
        now_s = self._now_s()
        patience = self._patience()
        due = [channel.due_s(patience) for channel in self._active]
        if self._lanes.idle is not None:
            due.append(self._scheduler.due_s())
        next_s = min((at_s for at_s in due if at_s is not None), default=self._reconsider_s)
        return max(0, math.ceil((min(next_s, self._reconsider_s) - now_s) * 1000))

    def _hear_cameras(self) -> None:
        while (heard := self._link.receive()) is not None:
            camera_id, word = heard
            channel = self._channels.get(camera_id) or self._adopt(camera_id)
            if channel is None:
                log.warning("unknown camera", camera_id=camera_id)
            elif isinstance(word, Tick):
                self._hear_tick(channel, word)
            else:
                self._hear_state(channel, word)

    def _adopt(self, camera_id: str) -> Channel | None:
        """Serve a camera whose own worker was given up; None if it is none of this fleet."""
        channel = self._channels.open(camera_id)
        if channel is not None:
            log.info("serves this camera from now on", camera_id=camera_id)
            self._link.admit(camera_id, channel.admission)
        return channel

    def _hear_tick(self, channel: Channel, tick: Tick) -> None:
        now_ns = self._clock.monotonic_ns()
        waits, ended = channel.hear(tick, now_ns)
        self._active.add(channel)
        if not channel.plan.waits:
            self._meter.heard(tick)
        self._publish(ended)
        if waits:
            self._scheduler.offer(channel.plan.camera_id, now_ns / NS_PER_S)

    def _hear_state(self, channel: Channel, word: State) -> None:
        # Answered every time, once a second: so a camera or a worker that was started again knows within that time.
        self._link.admit(channel.plan.camera_id, channel.admission)
        self._publisher.publish(word.state)

    def _collect_detections(self) -> None:
        for finished in self._lanes.collect():
            if finished.error is not None:
                raise DetectorError(f"the detector failed on a batch of {len(finished.jobs)}: {finished.error}")
            now_ns = self._clock.monotonic_ns()
            self._meter.lanes_busy(self._lanes.busy, now_ns / NS_PER_S)
            if not finished.jobs:
                log.info("a lane of the detector was rebuilt")
                continue
            for job, detections in zip(finished.jobs, finished.detections, strict=True):
                job.stream.finish(job, detections, now_ns)
                self._limit.note(late=job.overdue_pts_s is not None)
            self._service.learn((now_ns - finished.jobs[0].taken_ns) / NS_PER_S)
            self._meter.detections(len(finished.jobs))

    def _give_up_late(self) -> None:
        now_ns, patience = self._clock.monotonic_ns(), self._patience()
        free_s = self._lanes.free_s(self._service.mean_s, now_ns / NS_PER_S)
        for channel in self._active:
            if channel.give_up(now_ns, patience, free_s):
                self._scheduler.withdraw(channel.plan.camera_id)

    def _patience(self) -> Patience:
        return Patience.within(self._deadline_s, self._service.expected_s)

    def _fill_lanes(self) -> None:
        while (lane := self._lanes.idle) is not None:
            now_ns = self._clock.monotonic_ns()
            cameras = self._scheduler.next_batch(now_ns / NS_PER_S)
            if not cameras:
                return
            jobs: list[Job] = []
            for camera_id in cameras:
                channel = self._channels[camera_id]
                job = channel.take(now_ns, partial(lane.lay, len(jobs)))
                if job is not None:
                    jobs.append(job)
                if channel.plan.waits:
                    self._link.admit(camera_id, channel.admission)
            if jobs:
                self._lanes.submit(lane, jobs, now_ns / NS_PER_S)
                self._meter.lanes_busy(self._lanes.busy, now_ns / NS_PER_S)

    def _publish_settled(self) -> None:
        now_ns = self._clock.monotonic_ns()
        for channel in self._active:
            self._publish(channel.leave(now_ns))
        self._active = {channel for channel in self._active if not channel.idle}

    def _publish(self, results: list[FrameResult]) -> None:
        for result in results:
            self._publisher.publish(result)
            if not self._channels[result.camera_id].plan.waits:
                self._meter.published(result)

    def _reconsider_strides(self) -> None:
        """Four times a second: what the load allows, told to the cameras it concerns."""
        now_s = self._now_s()
        if now_s < self._reconsider_s:
            return
        self._reconsider_s = now_s + INTERVAL_S
        self._abandon_stuck(now_s)
        measured, fps = self._meter.read(self._lanes.limit, self._patience().window_s, now_s)
        self._limit_lanes(now_s)
        wrong_hz = {name: hz for name in fps if (hz := self._channels[name].wrong_hz) is not None}
        for camera_id, stride in self._controller.update(measured, fps, now_s, wrong_hz).items():
            channel = self._channels[camera_id]
            channel.set_stride(stride)
            self._link.admit(camera_id, channel.admission)
        self._scheduler.share(self._controller.due)

    def _limit_lanes(self, now_s: float) -> None:
        if self._limit.update(self._service.mean_s, now_s):
            self._lanes.limit = self._limit.lanes
            log.info("lanes that compute at once", lanes=self._limit.lanes, of=self._lanes.count)

    def _abandon_stuck(self, now_s: float) -> None:
        abandoned = self._lanes.abandon(now_s - STUCK_S, now_s)
        if abandoned:
            log.error("a detection has not come back and is abandoned", frames=len(abandoned), after_s=STUCK_S)
        for job in abandoned:
            job.stream.abandon(job)

    def _now_s(self) -> float:
        return self._clock.monotonic_ns() / NS_PER_S
