"""Cores on a virtual clock, on which short work goes before detections, and lanes that share what it leaves.

The problem: on a CPU a detection takes as long as decoding leaves it, and that depends on when pictures come. A mean
share would give a mean age; the promise is about the oldest. So every decoded frame takes a core for the CPU time that
was measured, first come first served, and detections share the other cores evenly, as the kernel has it where they run
at a lower priority (`worker.nice`).

Pure arithmetic: the time is an argument and only grows.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from pipeline.bench.figures import MeasuredService, Percentiles
from pipeline.capacity.service import ServiceTimes
from pipeline.clock import NS_PER_S
from pipeline.worker.stream import Job

LONGEST_QUEUE_S = 1.0
"""Of work that waits for a core; what comes on top is left out, as cameras leave out pictures (`camera/backlog.py`)."""
EVER_S = 1e9


class Processor:
    """Cores that short work occupies. Times in s."""

    def __init__(self, cores: float) -> None:
        self.cores = cores
        self._at_once = max(1, int(cores))
        self._spans: list[tuple[float, float]] = []

    def take(self, at_s: float, work_s: float) -> float:
        """Occupy a core for so long as soon as one is free; how long that has to be waited for.

        Work of later times may be known already, since cameras know when their next picture is due.
        """
        ends_s = sorted(end_s for _, end_s in self._spans if end_s > at_s)
        begin_s = next((free_s for free_s in (at_s, *ends_s) if self._busy(free_s) < self._at_once), at_s)
        if begin_s - at_s > LONGEST_QUEUE_S:
            return LONGEST_QUEUE_S
        self._spans.append((begin_s, begin_s + work_s))
        return begin_s - at_s

    def forget(self, before_s: float) -> None:
        """Nobody asks for times before this any more."""
        self._spans = [span for span in self._spans if span[1] > before_s]

    def left(self, at_s: float) -> tuple[float, float]:
        """Cores that short work leaves at this time, and until when that is so."""
        changes = (edge_s for span in self._spans for edge_s in span if edge_s > at_s)
        return max(0.0, self.cores - self._busy(at_s)), min(changes, default=EVER_S)

    def _busy(self, at_s: float) -> int:
        return sum(begin_s <= at_s < end_s for begin_s, end_s in self._spans)


@dataclass(frozen=True, slots=True)
class Device:
    """What computes detections.

    Attributes:
        service: Of one lane that has what it needs.
        lanes: How many.
        lane_cores: That one lane keeps busy; 0 where the work is done elsewhere, as on a GPU.
        contention: How much longer one takes for each other at work although there are cores for both, as a share.
    """

    service: ServiceTimes
    lanes: int
    lane_cores: float = 0.0
    contention: float = 0.0

    @classmethod
    def measured(cls, found: MeasuredService, cores: float, in_place: float = 1.0) -> Device:
        """A device as it was measured, alone and together, and `in_place` times as slow where it is not alone.

        What lanes take from each other beyond the cores that they share (memory, caches, one GPU behind all) is what
        is left of the difference; the largest batch tells it, since it counts under load.
        """
        last = found.batches[-1]
        others = found.lanes - 1
        shared = max(1.0, found.lanes * last.cores / cores)
        slower = last.together_ms / last.alone_ms / shared - 1
        service = ServiceTimes.of({one.batch: in_place * one.alone_ms for one in found.batches})
        return cls(service, found.lanes, last.cores, max(0.0, slower / others) if others else 0.0)

    def speed(self, lanes: int, cores: float) -> float:
        """How fast each of so many lanes computes on so many cores, as a share of one that is alone."""
        share = 1.0 if self.lane_cores * lanes <= cores else cores / (self.lane_cores * lanes)
        return share / (1 + self.contention * (lanes - 1))


@dataclass(slots=True)
class _Batch:
    jobs: list[Job]
    began_s: float
    left_s: float


class SharedLanes:
    """A device's lanes for `VirtualWorker`: each takes its time, longer while cores are short.

    Attributes:
        count: How many there are.
        limit: How many may compute at once.
        busy_s: Time that they computed, summed over lanes, since it was last set to 0.
        batches: How many batches they began, likewise.
        frames: And of how many frames.
    """

    def __init__(self, device: Device, processor: Processor, extra: Percentiles, rng: Random) -> None:
        """All idle; `extra` is what a detection takes beside the device's own time, ms."""
        self.count = self.limit = device.lanes
        self.busy_s, self.batches, self.frames = 0.0, 0, 0
        self._device, self._processor = device, processor
        self._extra, self._rng = extra, rng
        self._running: list[_Batch] = []
        self._at_s = 0.0

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
        """When the next comes back if no other work comes, monotonic ns; None while none computes."""
        if not self._running:
            return None
        at_s, left_s = self._at_s, min(batch.left_s for batch in self._running)
        while True:
            speed, until_s = self._pace(at_s)
            if speed > 0 and left_s <= (until_s - at_s) * speed:
                return round((at_s + left_s / speed) * NS_PER_S) + 1
            left_s -= (until_s - at_s) * speed
            at_s = until_s

    def free_s(self, service_s: float, now_s: float) -> float:
        """When one will presumably take a picture, monotonic s; as `Lanes.free_s`."""
        if self.is_free or not self._running:
            return now_s
        return max(now_s, min(batch.began_s for batch in self._running) + service_s)

    def submit(self, jobs: list[Job], now_s: float) -> None:
        """Let one compute."""
        self._advance(now_s)
        work_ms = self._device.service.of_ms(len(jobs)) + draw(self._extra, self._rng)
        self._running.append(_Batch(jobs, now_s, work_ms / 1000))
        self.batches += 1
        self.frames += len(jobs)

    def collect(self, now_ns: int) -> list[list[Job]]:
        """The jobs of those that have come back."""
        self._advance(now_ns / NS_PER_S)
        done = [batch for batch in self._running if batch.left_s <= 1e-9]
        self._running = [batch for batch in self._running if batch.left_s > 1e-9]
        return [batch.jobs for batch in done]

    def _advance(self, now_s: float) -> None:
        while self._at_s < now_s and self._running:
            speed, until_s = self._pace(self._at_s)
            until_s = min(until_s, now_s)
            for batch in self._running:
                batch.left_s -= (until_s - self._at_s) * speed
            self.busy_s += (until_s - self._at_s) * len(self._running)
            self._at_s = until_s
        self._at_s = max(self._at_s, now_s)
        self._processor.forget(self._at_s)

    def _pace(self, at_s: float) -> tuple[float, float]:
        """How fast each computes at this time, and until when that is so."""
        cores, until_s = self._processor.left(at_s)
        return self._device.speed(len(self._running), cores), until_s


def draw(spread: Percentiles, rng: Random) -> float:
    """A time with these percentiles, ms: straight lines between them, from half the median on, p99 at most."""
    if spread.p99_ms == spread.p50_ms:
        return spread.p50_ms
    at, p50, p95, p99 = rng.random(), spread.p50_ms, spread.p95_ms, spread.p99_ms
    if at < 0.5:
        return p50 * (0.5 + at)
    if at < 0.95:
        return p50 + (p95 - p50) * (at - 0.5) / 0.45
    return p95 + (p99 - p95) * min(1.0, (at - 0.95) / 0.04)


def always(time_ms: float) -> Percentiles:
    """The spread of what always takes as long."""
    return Percentiles(p50_ms=time_ms, p95_ms=time_ms, p99_ms=time_ms)
