"""The detector kept busy: one thread a lane, each with a request of its own in flight.

The worker's loop hands a lane its pictures and goes on; the lane copies them into its input and computes, both with the
GIL released, and reports through an event file descriptor, which the loop waits for together with everything else.
Copying is the lane's work because it is long: a picture of 640×360 took the loop 130 µs, a twelfth of its time.

Every thread that the detector's library starts runs at a lower priority than decoding and publishing: when the
processor is short, detections give way, not frames. A lane's own thread does too if it computes itself; otherwise it
must not, since it holds the GIL at times, and the worker's loop would wait with it for a processor (60 cameras that
decode on two cores: detections of a detector at no cost took 560 ms).

Not here: a further request in the device's own queue behind each lane, so that none waits for Python, laid when that
lane may be done (by the mean of its service time, and by one and two deviations less). With twelve cameras and the
demo's model two cores idled 3 to 5 % instead of 8 to 13, which brought 2 % more detections, each 4 % dearer; but what
idled had served frames at once: p95 58 instead of 50 ms, and half a point of streaming accuracy less.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from pipeline.child import LANE_THREADS, name_thread
from pipeline.detect.protocol import PAD_GREY, Detector
from pipeline.detections import Detections
from pipeline.errors import DetectorError
from pipeline.geometry import Letterbox
from pipeline.look.crop import Crop, Cutter

J = TypeVar("J")
Compute = Callable[[int], list[Detections]]
"""Other work for a lane than its detector's, given the lane's number."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture for the detector.

    Attributes:
        content: (h, w, 3) uint8 RGB of the letterbox's content size.
        letterbox: How it lies in the model's input.
        release: To be called once, from any thread, when it has been copied.
    """

    content: NDArray[np.uint8]
    letterbox: Letterbox
    release: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Finished(Generic[J]):
    """What a lane has done, or the `error` it met.

    Attributes:
        jobs: What was asked of it.
        detections: One for each job, boxes in model pixels; or what other work has found.
        error: Why there are none.
        crops: What was cut out of the picture of each job for a second look; none where nobody looks.
    """

    jobs: list[J]
    detections: list[Detections]
    error: Exception | None = None
    crops: list[tuple[Crop, ...]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Beside:
    """What lanes do beside detecting.

    Attributes:
        cutter: Cuts out of each picture what a second look may want to see.
        detectors: That look, in the same lanes; renewed with a lane that hangs.
    """

    cutter: Cutter
    detectors: Sequence[Detector]


class Lane(Generic[J]):
    """One thread, one request at a time."""

    def __init__(
        self,
        index: int,
        detector: Detector,
        nice: int | None,
        report: Callable[[Lane[J], Finished[J]], None],
        *,
        rebuild: bool = False,
        beside: Beside | None = None,
    ) -> None:
        """Prepare; nothing runs yet.

        Args:
            index: Which of the detector's lanes.
            detector: Computes.
            nice: Priority of the thread, as in nice(1); None to keep that of whoever starts it.
            report: Called by the thread with what it has finished.
            rebuild: Take the place of a lane that hangs: renew its request first, and report that with no jobs.
            beside: What it does beside detecting; None where that is all.
        """
        self.index = index
        self._nice = nice
        self._detector = detector
        self._report = report
        self._rebuild = rebuild
        self._beside = beside
        self._inbox: SimpleQueue[tuple[list[J], Compute | None] | None] = SimpleQueue()
        self._pictures: list[tuple[int, Picture]] = []
        self._painted: list[Letterbox | None] = [None] * detector.max_batch
        self._thread = threading.Thread(target=self._run, name=f"lane-{index}", daemon=True)

    def start(self) -> None:
        """Begin to wait for work."""
        self._thread.start()

    def lay(self, row: int, picture: Picture) -> None:
        """Let a picture come into row `row` of the lane's input with the next `submit`; only while the lane is idle."""
        self._pictures.append((row, picture))

    def submit(self, jobs: list[J], compute: Compute | None = None) -> None:
        """Detect on the first rows, one a job, or compute something else for them; only while the lane is idle."""
        self._inbox.put((jobs, compute))

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
            for detector in (self._detector, *(self._beside.detectors if self._beside is not None else ())):
                if self.index < detector.lanes:
                    detector.rebuild(self.index)
            self._report(self, Finished([], []))
        while (asked := self._inbox.get()) is not None:
            try:
                finished = self._compute(*asked)
            except Exception as error:  # noqa: BLE001  a lane's outermost loop: the worker's loop raises it
                finished = Finished(asked[0], [], error)
            self._report(self, finished)

    def _compute(self, jobs: list[J], compute: Compute | None) -> Finished[J]:
        if compute is not None:
            return Finished(jobs, compute(self.index))
        self._copy_pictures()
        found = self._detector.detect(self.index, len(jobs))
        crops = [] if self._beside is None else self._cut(self._beside.cutter, found)
        return Finished(jobs, found, crops=crops)

    def _cut(self, cutter: Cutter, found: list[Detections]) -> list[tuple[Crop, ...]]:
        """Before other pictures are laid where these are."""
        pictures, letterboxes = self._detector.input(self.index), self._painted
        return [
            cutter.cut(pictures[row], letterbox, each) if (letterbox := letterboxes[row]) is not None else ()
            for row, each in enumerate(found)
        ]

    def _copy_pictures(self) -> None:
        pictures, self._pictures = self._pictures, []
        for row, picture in pictures:
            target = self._detector.input(self.index)[row]
            if self._painted[row] != picture.letterbox:
                target[:] = PAD_GREY
                self._painted[row] = picture.letterbox
            (left, top), (width, height) = picture.letterbox.pad_xy, picture.letterbox.content_wh
            target[top : top + height, left : left + width] = picture.content
            picture.release()


class Lanes(Generic[J]):
    """All lanes of a detector.

    Attributes:
        limit: How many may compute at once.
    """

    def __init__(self, detector: Detector, nice: int = 0, beside: Beside | None = None) -> None:
        # Left out by plug-ins that are older or do not care.
        self._detector, self._nice = detector, nice if getattr(detector, "computes_in_caller", True) else None
        self._beside = beside
        self._lanes: list[Lane[J]] = [
            Lane(index, detector, self._nice, self._finish, beside=beside) for index in range(detector.lanes)
        ]
        self.limit = detector.lanes
        self._idle = list(self._lanes)
        self._running: dict[int, tuple[float, list[J]]] = {}
        self._finished: SimpleQueue[tuple[Lane[J], Finished[J]]] = SimpleQueue()
        self._event_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def start(self) -> None:
        """Start every lane's thread."""
        for lane in self._lanes:
            lane.start()

    def fileno(self) -> int:
        """Readable while `collect` has something to give."""
        return self._event_fd

    @property
    def idle(self) -> Lane[J] | None:
        """The first lane that waits for work, as second models may have fewer; None while as many compute as may."""
        return min(self._idle, key=lambda lane: lane.index) if self._idle and self.busy < self.limit else None

    def free_s(self, service_s: float, now_s: float) -> float:
        """When a lane will presumably take a picture, monotonic s, if a detection takes `service_s`."""
        if self.idle is not None or not self._running:
            return now_s
        return max(now_s, min(started_s for started_s, _ in self._running.values()) + service_s)

    @property
    def count(self) -> int:
        """How many lanes there are."""
        return len(self._lanes)

    @property
    def busy(self) -> int:
        """How many lanes compute."""
        return len(self._lanes) - len(self._idle)

    def submit(self, lane: Lane[J], jobs: list[J], now_s: float, compute: Compute | None = None) -> None:
        """Let an idle lane detect on what was laid into it, or compute something else."""
        self._idle.remove(lane)
        self._running[lane.index] = (now_s, jobs)
        lane.submit(jobs, compute)

    def abandon(self, started_before_s: float, now_s: float) -> list[J]:
        """The jobs of lanes that began before then and have not come back; new lanes take their places.

        Raises:
            DetectorError: A lane that was to be rebuilt has not come back either: the device hangs.
        """
        abandoned: list[J] = []
        for index, (started_s, jobs) in list(self._running.items()):
            if started_s >= started_before_s:
                continue
            if not jobs:
                raise DetectorError(f"lane {index} of the detector cannot be rebuilt; the device or its driver hangs")
            abandoned += jobs
            lane = Lane(index, self._detector, self._nice, self._finish, rebuild=True, beside=self._beside)
            self._lanes[index] = lane
            self._running[index] = (now_s, [])
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
            del self._running[lane.index]
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

    def _finish(self, lane: Lane[J], finished: Finished[J]) -> None:
        self._finished.put((lane, finished))
        os.eventfd_write(self._event_fd, 1)


def lower_priority(nice: int) -> None:
    """Lower the calling thread's priority, and that of threads it starts from now on (Linux: per thread)."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), nice)
