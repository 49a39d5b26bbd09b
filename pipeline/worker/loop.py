"""Where the ways of all cameras meet: the worker's decisions joined to sockets, lanes and time.

One loop, woken by a tick, by a finished detection, by a request to stop, or by the next deadline; it never polls. Ticks
that come close together are heard together: among many cameras that decode, what is cold in the processor's caches
costs a frame more than all work on it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from ctypes import c_int64
from dataclasses import dataclass

import structlog
import zmq

from pipeline.clock import NS_PER_S, Clock
from pipeline.detect import Detector, DetectorAway
from pipeline.errors import DetectorError
from pipeline.link import Announce, DropModel, FromCamera, FromSupervisor, LoadModel, Settings, UseModel, WorkerLink
from pipeline.look.looks import Batch
from pipeline.publish import LanesInUse, Publisher
from pipeline.worker.core import Core, Serving
from pipeline.worker.lanes import Finished, Lane, Lanes
from pipeline.worker.second import SecondModel
from pipeline.worker.stream import Job
from pipeline.worker.swap import Swap
from pipeline.worker.use import LaneUse

log = structlog.get_logger()

MS_A_CAMERA, LONGEST_TURN_MS = 0.4, 8
"""Ticks wake the loop again after so long for each camera, a detection at once. What is woken for three frames at once
costs each of them less, here and in whoever hears of them: beside a model, with cold caches, 0.66 ms of a processor
where turns of 3 ms instead of 7 took 0.85 (18 cameras on two cores, in turns; `scripts/bench_roles.py`)."""
DRAIN_S = 1.0
"""How long a worker that was told to stop waits for detections that are under way."""
STUCK_S = 5.0
"""A detection that takes longer is abandoned and its lane rebuilt. If that takes as long, the device hangs: a thread in
a driver cannot be ended, its process can, and the successor of this worker begins anew."""


@dataclass(frozen=True, slots=True)
class WorkerParts:
    """What a worker joins.

    Attributes:
        core: Decides.
        detector: Computes, in its lanes.
        link: Cameras and the supervisor.
        publisher: Subscribers.
        clock: Time.
        load: Loads and warms a model, given the fleet file's `model` as JSON; may be called in any thread.
        open_lanes: Lanes of a detector, not started.
        name: What the process is called.
        seconds: What takes second looks, by the numbers that the core's `looks` have.
    """

    core: Core
    detector: Detector
    link: WorkerLink
    publisher: Publisher
    clock: Clock
    load: Callable[[str], Detector]
    open_lanes: Callable[[Detector], Lanes[Job | Batch]]
    name: str = "worker"
    seconds: Sequence[SecondModel] = ()


def serving(detector: Detector) -> Serving:
    """What the core needs to know of a detector."""
    return Serving(detector.class_names, detector.input_wh, detector.max_batch, detector.lanes)


def turn_ms(cameras: int) -> int:
    """How long after the last turn ticks wake the loop again, at the earliest."""
    return min(LONGEST_TURN_MS, int(cameras * MS_A_CAMERA))


class Worker:
    """The worker's loop over parts that are already open."""

    def __init__(self, parts: WorkerParts, beat: c_int64) -> None:
        """Join the parts.

        Args:
            parts: Opened by the caller, and closed by it; the detector is closed by `close`.
            beat: Set to the monotonic time, ns, whenever the loop turns.
        """
        self._core, self._detector = parts.core, parts.detector
        self._link, self._publisher = parts.link, parts.publisher
        self._clock, self._beat = parts.clock, beat
        self._name, self._open_lanes, self._seconds = parts.name, parts.open_lanes, parts.seconds
        self._lanes = parts.open_lanes(parts.detector)
        self._swap = Swap(parts.load)
        self._stop_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._stopping = self._away = False
        self._turned_s = 0.0
        self._use = LaneUse(self._now_s())
        self._urgent, self._any = zmq.Poller(), zmq.Poller()
        for readable in (self._lanes.fileno(), self._stop_fd, self._swap.fileno()):
            self._register(readable)
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
        self._lanes.start()
        while not self._stopping:
            self.step()
        os.eventfd_read(self._stop_fd)
        give_up_ns = self._clock.monotonic_ns() + round(DRAIN_S * NS_PER_S)
        while self._lanes.busy and self._clock.monotonic_ns() < give_up_ns:
            self.step()
        self._core.end()
        self._send()

    def step(self) -> None:
        """Wait for something to happen, and act on all that has."""
        self._any.poll(self._timeout_ms())
        self._gather()
        self._beat.value = self._clock.monotonic_ns()
        self._hear()
        self._collect_detections()
        self._change_model()
        self._core.give_up_late(self._lanes.free_s(self._core.service_s, self._now_s()))
        self._fill_lanes()
        self._core.decide()
        self._look_in_gaps()
        self._abandon_stuck()
        self._send()
        self._tell_use()

    def close(self) -> None:
        """End the lanes and the detector, one that is held, and what takes second looks."""
        self._swap.close()
        self._close_detector()
        for second in self._seconds:
            second.detector.close()

    def _close_detector(self) -> None:
        self._lanes.close()
        self._detector.close()

    def _gather(self) -> None:
        """Let more ticks come in if the last turn was just now."""
        left_ms = turn_ms(self._core.cameras) - round((self._now_s() - self._turned_s) * 1000)
        if left_ms > 0:
            self._urgent.poll(left_ms)
        self._turned_s = self._now_s()

    def _timeout_ms(self) -> int:
        due_s = self._core.due_s(lane_is_free=self._lanes.idle is not None)
        return max(0, math.ceil((due_s - self._now_s()) * 1000))

    def _hear(self) -> None:
        while (heard := self._link.receive()) is not None:
            self._obey(*heard)

    def _obey(self, sender: str, message: FromCamera | FromSupervisor) -> None:
        if isinstance(message, Announce):
            self._core.announce(message)
        elif isinstance(message, Settings):
            self._publisher.resize(message.queue)
            self._core.promise(message)
        elif isinstance(message, LoadModel):
            self._swap.begin(sender, message)
        elif isinstance(message, UseModel):
            self._swap.use(message.number)
        elif isinstance(message, DropModel):
            self._swap.drop(message.number)
        else:
            self._core.hear(sender, message)

    def _collect_detections(self) -> None:
        for finished in self._lanes.collect():
            jobs = [job for job in finished.jobs if isinstance(job, Job)]
            for batch in (job for job in finished.jobs if isinstance(job, Batch)):
                self._finish_looks(batch, finished)
            if len(jobs) < len(finished.jobs):
                continue
            if isinstance(finished.error, DetectorAway):
                self._do_without(jobs, str(finished.error))
                continue
            if finished.error is not None:
                raise DetectorError(f"the detector failed on a batch of {len(jobs)}: {finished.error}")
            self._note_busy()
            if not jobs:
                log.info("a lane of the detector was rebuilt")
                continue
            self._core.finish(jobs, finished.detections, finished.crops)
            if self._away:
                self._away = False
                log.info("the detector is back")

    def _finish_looks(self, batch: Batch, finished: Finished[Job | Batch]) -> None:
        """A second model that fails costs what it would have told, and no frame."""
        assert self._core.looks is not None
        if finished.error is None:
            self._core.looks.finish(batch, finished.detections)
        else:
            name = self._core.looks.fail(batch)
            log.error(f"the second look “{name}” failed and is left alone for a while: {finished.error}")
        self._note_busy()

    def _do_without(self, jobs: list[Job], why: str) -> None:
        """Fill the frames of pictures of which nothing is known, because what computes is away for now."""
        self._note_busy()
        self._core.do_without(jobs, why)
        if not self._away:
            self._away = True
            log.error(f"the detector is away, and frames are filled: {why}")

    def _change_model(self) -> None:
        """Tell of a model that is loaded; let it take over when it is to and nothing of the other is in flight."""
        if (word := self._swap.word()) is not None:
            self._link.send(self._swap.asked_by, word)
        if (detector := self._swap.detector) is not None and not self._lanes.busy:
            self._take_over(detector)
            self._link.send(self._swap.asked_by, self._swap.took_over())

    def _take_over(self, detector: Detector) -> None:
        for poller in (self._urgent, self._any):
            poller.unregister(self._lanes.fileno())
        self._close_detector()
        self._detector, self._lanes = detector, self._open_lanes(detector)
        self._register(self._lanes.fileno())
        self._lanes.start()
        self._core.serve(serving(detector))
        log.info("another model has taken over", classes=len(detector.class_names), input_wh=detector.input_wh)

    def _fill_lanes(self) -> None:
        self._lanes.limit = 0 if self._swap.detector is not None else min(self._core.lanes, self._lanes.count)
        while (lane := self._lanes.idle) is not None:
            if self._look(lane, pressing=True):
                continue
            if not (jobs := self._core.next_batch(lane.lay)):
                return
            self._lanes.submit(lane, [*jobs], self._now_s())
            self._note_busy()

    def _look_in_gaps(self) -> None:
        """Let lanes that no frame wants take second looks."""
        while (lane := self._lanes.idle) is not None and self._look(lane, pressing=False):
            pass

    def _look(self, lane: Lane[Job | Batch], *, pressing: bool) -> bool:
        """Let this lane take second looks, if there are any; while frames wait, only if that is due."""
        batch = self._core.next_looks(lane.index, self._lanes.limit, pressing=pressing)
        if batch is None:
            return False
        second, crops = self._seconds[batch.second], [look.crop for look in batch.looks]
        self._lanes.submit(lane, [batch], self._now_s(), lambda index: second.look(index, crops))
        self._note_busy()
        return True

    def _note_busy(self) -> None:
        self._core.lanes_busy(self._lanes.busy)
        self._use.note(self._lanes.busy, self._now_s())

    def _tell_use(self) -> None:
        """Once a second: how much of the detector is used."""
        busy = self._use.take(self._now_s())
        if busy is not None:
            looks = {} if self._core.looks is None else self._core.looks.figures()
            self._publisher.tell_lanes(LanesInUse(process=self._name, lanes=self._lanes.limit, busy=busy, looks=looks))

    def _abandon_stuck(self) -> None:
        abandoned = self._lanes.abandon(self._now_s() - STUCK_S, self._now_s())
        if jobs := [job for job in abandoned if isinstance(job, Job)]:
            log.error("a detection has not come back and is abandoned", frames=len(jobs), after_s=STUCK_S)
            self._core.abandon(jobs)
        for batch in abandoned:
            if isinstance(batch, Batch) and self._core.looks is not None:
                name = self._core.looks.fail(batch)
                log.error(f"the second look “{name}” has not come back and is abandoned", after_s=STUCK_S)

    def _send(self) -> None:
        """Everything that the core has to say."""
        outbox = self._core.outbox
        if outbox.messages:
            self._publisher.publish(*outbox.messages)
        for name, reply in outbox.replies:
            self._link.send(name, reply)
        outbox.messages.clear()
        outbox.replies.clear()

    def _register(self, readable: int) -> None:
        for poller in (self._urgent, self._any):
            poller.register(readable, zmq.POLLIN)

    def _now_s(self) -> float:
        return self._clock.monotonic_ns() / NS_PER_S
