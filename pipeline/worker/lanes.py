"""The detector kept busy: one thread a lane, each with a request of its own in flight.

The worker's loop copies pictures into a lane's input and goes on; the lane computes with the GIL released and reports
through an event file descriptor, which the loop waits for together with everything else.

Every thread that the detector's library starts runs at a lower priority than decoding and publishing: when the
processor is short, detections give way, not frames. A lane's own thread does too if it computes itself; otherwise it
must not, since it holds the GIL at times, and the worker's loop would wait with it for a processor (60 cameras that
decode on two cores: detections of a detector at no cost took 560 ms).

From one picture to the next a device waits for Python: a thread wakes, makes boxes, wakes the loop, which lays a
picture and wakes the thread. Where the detector has spare lanes, whose pictures wait in its own queue, one is laid for
each lane that is about to come back, as late as its service time and the spread of that allow, so that it is fresh.
With the demo's model, six cameras and two cores that brought 80 detections a second instead of 74, with twelve 59
instead of 53, at the same ages (medians of 3 and of 11 runs in turns, `scripts/bench_peers.py --streaming`).
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from pipeline.child import LANE_THREADS, name_thread
from pipeline.clock import NS_PER_S, Clock, SystemClock
from pipeline.detect.protocol import PAD_GREY, Detector
from pipeline.detections import Detections
from pipeline.errors import DetectorError
from pipeline.geometry import Letterbox
from pipeline.worker.concurrency import ServiceTime

J = TypeVar("J")


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture for the detector: `content` is (h, w, 3) uint8 RGB of the letterbox's content size."""

    content: NDArray[np.uint8]
    letterbox: Letterbox


@dataclass(frozen=True, slots=True)
class Finished(Generic[J]):
    """What a lane has done: `detections` belongs to `jobs` one by one, boxes in model pixels; or the `error` it met.

    `done_s` is when, monotonic s.
    """

    jobs: list[J]
    detections: list[Detections]
    done_s: float
    error: Exception | None = None


class Lane(Generic[J]):
    """One thread, one request at a time."""

    def __init__(
        self,
        index: int,
        detector: Detector,
        nice: int | None,
        report: Callable[[Lane[J], Finished[J]], None],
        *,
        clock: Clock,
        rebuild: bool = False,
    ) -> None:
        """Prepare; nothing runs yet.

        Args:
            index: Which of the detector's lanes.
            detector: Computes.
            nice: Priority of the thread, as in nice(1); None to keep that of whoever starts it.
            report: Called by the thread with what it has finished.
            clock: Tells when that was.
            rebuild: Take the place of a lane that hangs: renew its request first, and report that with no jobs.
        """
        self.index = index
        self._nice = nice
        self._detector = detector
        self._report, self._clock = report, clock
        self._rebuild = rebuild
        self._inbox: SimpleQueue[list[J] | None] = SimpleQueue()
        self._laid: list[Letterbox | None] = [None] * detector.max_batch
        self._thread = threading.Thread(target=self._run, name=f"lane-{index}", daemon=True)

    def start(self) -> None:
        """Begin to wait for work."""
        self._thread.start()

    def lay(self, row: int, picture: Picture) -> None:
        """Copy a picture into row `row` of the lane's input; only while the lane is idle."""
        target = self._detector.input(self.index)[row]
        if self._laid[row] != picture.letterbox:
            target[:] = PAD_GREY
            self._laid[row] = picture.letterbox
        (left, top), (width, height) = picture.letterbox.pad_xy, picture.letterbox.content_wh
        target[top : top + height, left : left + width] = picture.content

    def submit(self, jobs: list[J]) -> None:
        """Compute on the first rows, one a job; only while the lane is idle."""
        self._inbox.put(jobs)

    def stop(self) -> None:
        """End after what is in flight."""
        self._inbox.put(None)

    def join(self, timeout_s: float) -> bool:
        """Wait for the thread's end; False if it has not ended within `timeout_s`."""
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        name_thread(f"{LANE_THREADS}-{self.index}")
        if self._nice is not None:
            lower_priority(self._nice)
        if self._rebuild:
            self._detector.rebuild(self.index)
            self._report(self, Finished([], [], self._now_s()))
        while (jobs := self._inbox.get()) is not None:
            try:
                found = self._detector.detect(self.index, len(jobs))
                finished = Finished(jobs, found, self._now_s())
            except Exception as error:  # noqa: BLE001  a lane's outermost loop: the worker's loop raises it
                finished = Finished(jobs, [], self._now_s(), error)
            self._report(self, finished)

    def _now_s(self) -> float:
        return self._clock.monotonic_ns() / NS_PER_S


@dataclass(slots=True)
class _Run(Generic[J]):
    """What a lane was given. Times are monotonic s.

    Attributes:
        jobs: Of the pictures laid into it; none while it is being rebuilt.
        given_s: When.
        began_s: When it presumably began to compute; None while it waits behind others.
    """

    jobs: list[J]
    given_s: float
    began_s: float | None


class Lanes(Generic[J]):
    """All lanes of a detector.

    Attributes:
        limit: How many may compute at once.
        ahead_s: How long before a lane may be back the picture is laid that waits behind it, s.
    """

    def __init__(self, detector: Detector, nice: int = 0, clock: Clock | None = None) -> None:
        """Nothing runs yet.

        Args:
            detector: Computes.
            nice: Priority of the threads, where they compute themselves.
            clock: Tells when lanes come back; the machine's, if left out.
        """
        self._clock = clock or SystemClock()
        # Left out by plug-ins that are older or do not care.
        self._detector, self._nice = detector, nice if getattr(detector, "computes_in_caller", True) else None
        self.count = self.limit = detector.lanes
        self.ahead_s = 0.0
        spare_lanes = getattr(detector, "spare_lanes", 0)
        self._lanes: list[Lane[J]] = [
            Lane(index, detector, self._nice, self._finish, clock=self._clock)
            for index in range(detector.lanes + spare_lanes)
        ]
        self._idle = list(self._lanes)
        self._running: dict[int, _Run[J]] = {}
        self._service = ServiceTime()
        self._finished: SimpleQueue[tuple[Lane[J], Finished[J]]] = SimpleQueue()
        self._event_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def start(self) -> None:
        """Start every lane's thread."""
        for lane in self._lanes:
            lane.start()

    def fileno(self) -> int:
        """Readable while `collect` has something to give."""
        return self._event_fd

    def idle(self, now_s: float) -> Lane[J] | None:
        """A lane that is to be given a picture now; None while as many compute, or lie ready, as should."""
        return self._idle[-1] if self.takes_s() <= now_s else None

    def takes_s(self) -> float:
        """From when on a lane is to be given a picture, monotonic s; infinite until another has come back."""
        if not self._idle:
            return math.inf
        if len(self._running) < self.limit:
            return -math.inf
        return self._spare_s() if self.limit == self.count else math.inf

    @property
    def supplied(self) -> bool:
        """Whether a picture lies ready for the next lane that comes back, so that there is no hurry."""
        return len(self._running) > self.count

    def free_s(self, service_s: float, now_s: float) -> float:
        """When a lane will presumably take a picture, monotonic s, if a detection takes `service_s`."""
        began_s = self._computing_since_s()
        if len(self._running) < self.limit or not began_s:
            return now_s
        return max(now_s, began_s[0] + service_s)

    @property
    def busy(self) -> int:
        """How many lanes compute."""
        return min(len(self._running), self.count)

    def submit(self, lane: Lane[J], jobs: list[J], now_s: float) -> None:
        """Let an idle lane compute on what was laid into it, at once or behind those that do."""
        self._idle.remove(lane)
        self._running[lane.index] = _Run(jobs, now_s, now_s if len(self._running) < self.count else None)
        lane.submit(jobs)

    def abandon(self, given_before_s: float, now_s: float) -> list[J]:
        """The jobs of lanes that were given them before then and have not come back; new lanes take their places.

        Raises:
            DetectorError: A lane that was to be rebuilt has not come back either: the device hangs.
        """
        abandoned: list[J] = []
        for index, run in list(self._running.items()):
            if run.given_s >= given_before_s:
                continue
            if not run.jobs:
                raise DetectorError(f"lane {index} of the detector cannot be rebuilt; the device or its driver hangs")
            abandoned += run.jobs
            lane = Lane(index, self._detector, self._nice, self._finish, clock=self._clock, rebuild=True)
            self._lanes[index] = lane
            self._running[index] = _Run([], now_s, now_s)
            lane.start()
        return abandoned

    def collect(self) -> list[Finished[J]]:
        """What has been finished since the last call; never blocks."""
        try:
            os.eventfd_read(self._event_fd)
        except BlockingIOError:
            return []
        results = []
        while not self._finished.empty():
            lane, finished = self._finished.get()
            if self._lanes[lane.index] is not lane:
                continue  # abandoned; what it brings now is too late
            self._idle.append(lane)
            self._come_back(self._running.pop(lane.index), finished.done_s)
            results.append(finished)
        return results

    def close(self, timeout_s: float = 1.0) -> bool:
        """End the threads; False if one is still computing after `timeout_s`."""
        for lane in self._lanes:
            lane.stop()
        ended = all(lane.join(timeout_s) for lane in self._lanes)
        if ended:
            os.close(self._event_fd)
        return ended

    def _come_back(self, run: _Run[J], done_s: float) -> None:
        """Learn from a lane that has; the first that waits, if one does, computes in its place."""
        if run.jobs and run.began_s is not None:
            self._service.learn(done_s - run.began_s)
        waiting = next((other for other in self._running.values() if other.began_s is None), None)
        if waiting is not None:
            waiting.began_s = done_s

    def _computing_since_s(self) -> list[float]:
        """When those that compute began, the earliest first."""
        return sorted(run.began_s for run in self._running.values() if run.began_s is not None)

    def _spare_s(self) -> float:
        """When to lay a picture that is to wait for the next lane which has none behind it yet."""
        began_s = self._computing_since_s()
        waiting = len(self._running) - len(began_s)
        return began_s[waiting] + self._service.least_s - self.ahead_s if waiting < len(began_s) else math.inf

    def _finish(self, lane: Lane[J], finished: Finished[J]) -> None:
        self._finished.put((lane, finished))
        os.eventfd_write(self._event_fd, 1)


def lower_priority(nice: int) -> None:
    """Lower the calling thread's priority, and that of threads it starts from now on (Linux: per thread)."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), nice)
