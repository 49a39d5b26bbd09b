"""A plan on a virtual clock, through the worker's own core.

Cameras, lanes and cores take the time that they were found to take; the core decides here as it will decide there:
strides, batches, what is given up.

How cameras' frames fall in step decides a good part of the oldest ages and is drawn anew by every start of a fleet. So
several draws are played; what is told is the median of them, as it is what most starts are like, with the best and the
worst p95. A plan is kept where the worst keeps the promise.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from pipeline.bench.figures import Percentiles
from pipeline.bench.fleet import percentiles
from pipeline.capacity.figures import Rehearsal, Sizing
from pipeline.capacity.processor import Device, Processor, SharedLanes, always, draw
from pipeline.capacity.task import Source, Task
from pipeline.link import Settings
from pipeline.plan import CameraPlan
from pipeline.wire import FrameResult
from pipeline.worker.core import Serving
from pipeline.worker.simulate import OFFERED
from pipeline.worker.virtual import VirtualWorker

NO_TIME = always(0.0)
SETTLE_S, MEASURE_S, DRAWS = 5.0, 10.0, 6
"""As long as strides need to be found; a few hundred frames of every camera; phases drawn so often."""
FIXED_SETTLE_S = 1.5
"""Where no stride is to be found: until every camera has shown its first pictures."""
DETECTED = 0.85
"""Of the detections planned for: fewer in time are no plan, even where every frame is young enough. Requests at random
on instances that are busy three quarters of the time are at 0.88 to 0.95, since the newest goes first. (Of the frames
offered it would say nothing: strides are chosen so that a quarter more is offered than can be served.)"""
START_S = 1.0
"""Within which cameras show their first pictures: longer than any stride lasts, as what falls in step are the frames
whose turn it is, and turns are counted from a camera's own first frame."""
MANY, LEAST_S = 2500, 2.0
"""Frames that are enough: with more in sight less is played, because a plan is answered while one waits."""


@dataclass(frozen=True, slots=True)
class Stage:
    """What is played.

    Attributes:
        sources: What comes in.
        device: What computes.
        max_batch: Frames in a batch at most.
        wait_s: How long a frame waits for others.
        deadline_s: What is promised.
        lag: From a frame's capture until the worker hears of it, while cores are free, ms; parts that follow each
            other.
        lane: What a detection takes beside the device's own time, ms.
        publish: From its boxes to its message, ms.
        cores: That there are; infinitely many where nothing was measured.
        frame_cpu_ms: CPU time of a frame beside the detector, by camera: decoding it and following it.
        turns: Whether the worker's loop hears ticks together, as it does on a real clock.
        planned_hz: Detections a second that are planned for; None: what the largest strides leave.
    """

    sources: tuple[Source, ...]
    device: Device
    max_batch: int
    wait_s: float
    deadline_s: float
    lag: tuple[Percentiles, ...] = ()
    lane: Percentiles = NO_TIME
    publish: Percentiles = NO_TIME
    cores: float = 1000.0
    frame_cpu_ms: Mapping[str, float] = field(default_factory=dict)
    turns: bool = False
    planned_hz: float | None = None

    @property
    def wanted_hz(self) -> float:
        """Detections a second, fewer than which are no plan."""
        least_hz = sum(source.fps / source.bounds.ceiling(source.fps) for source in self.sources)
        return DETECTED * (least_hz if self.planned_hz is None else self.planned_hz)


@dataclass(frozen=True, slots=True)
class Span:
    """How long to let it settle and to count, s, and how often."""

    settle_s: float
    measure_s: float
    draws: int

    @classmethod
    def usual(cls, sources: Sequence[Source]) -> Span:
        """For a plan of these sources."""
        finds_strides = any(source.bounds.ceiling(source.fps) > source.bounds.floor(source.fps) for source in sources)
        total_hz = max(1.0, sum(source.fps for source in sources))
        # Requests have no phases; among hundreds of cameras all phases are there at once.
        draws = DRAWS if all(source.regular for source in sources) else 1
        draws = max(1, min(draws, int(MANY / total_hz / LEAST_S)))
        enough_s = MANY / draws / total_hz
        most_s = MEASURE_S * DRAWS / draws
        return cls(SETTLE_S if finds_strides else FIXED_SETTLE_S, min(most_s, max(LEAST_S, enough_s)), draws)


def stage_of(task: Task, sizing: Sizing) -> Stage:
    """A plan by given service times and overheads: instances that take nothing from each other."""
    return Stage(
        sources=task.sources,
        device=Device(task.service, sizing.instances),
        max_batch=sizing.batch,
        wait_s=sizing.wait_ms / 1000,
        deadline_s=task.p95_ms / 1000,
        lag=(always(task.overheads.pre_ms + task.overheads.network_ms),),
        publish=always(task.overheads.post_ms),
        planned_hz=sizing.offered_hz,
    )


def rehearse(stage: Stage, span: Span | None = None) -> Rehearsal:
    """What the core makes of it; takes seconds, and comes out the same every time."""
    span = span or Span.usual(stage.sources)
    plays = [_Play(stage, Random(number)).run(span.settle_s, span.measure_s) for number in range(span.draws)]
    return _together(plays, stage, span.measure_s)


@dataclass(slots=True)
class _Seen:
    """What one draw gave."""

    ages_ms: list[float] = field(default_factory=list)
    detected_ms: list[float] = field(default_factory=list)
    strides: list[int] = field(default_factory=list)
    offered: int = 0
    busy: float = 0.0
    batches: int = 0
    frames: int = 0


class _Play:
    """One draw."""

    def __init__(self, stage: Stage, rng: Random) -> None:
        self._stage, self._rng = stage, rng
        self._processor = Processor(stage.cores)
        self._lanes = SharedLanes(stage.device, self._processor, stage.lane, rng)
        serving = Serving(("thing",), (64, 64), stage.max_batch, stage.device.lanes)
        settings = Settings(stage.deadline_s, stage.wait_s)
        self._worker = VirtualWorker(self._lanes, settings, serving=serving, turns=stage.turns)
        for source in rng.sample(stage.sources, len(stage.sources)):
            self._join(source)

    def run(self, settle_s: float, measure_s: float) -> _Seen:
        self._worker.run(settle_s)
        self._worker.messages.clear()
        self._lanes.busy_s, self._lanes.batches, self._lanes.frames = 0.0, 0, 0
        self._worker.run(settle_s + measure_s)
        seen = _Seen(
            busy=self._lanes.busy_s / measure_s / self._lanes.count,
            batches=self._lanes.batches,
            frames=self._lanes.frames,
        )
        for message in self._worker.messages:
            if isinstance(message, FrameResult):
                self._note(message, seen)
        return seen

    def _note(self, result: FrameResult, seen: _Seen) -> None:
        age_ms = result.age_ms + draw(self._stage.publish, self._rng)
        seen.ages_ms.append(age_ms)
        seen.strides.append(result.stride)
        seen.offered += result.filled_because in OFFERED
        if result.filled_because is None:
            seen.detected_ms.append(age_ms)

    def _join(self, source: Source) -> None:
        plan = source.plan or CameraPlan(camera_id=source.camera_id, stride=source.bounds)
        starts_s = self._rng.random() * max(START_S, 1 / source.fps)
        camera = self._worker.join(plan, self._intervals(source), starts_s=starts_s)
        work_s = self._stage.frame_cpu_ms.get(source.camera_id, 0.0) / 1000

        def lag_s(due_s: float) -> float:
            waited_s = self._processor.take(due_s, work_s) if work_s else 0.0
            camera.starved_ms = lambda at_s: 1000 * waited_s
            return waited_s + sum(draw(part, self._rng) for part in self._stage.lag) / 1000

        camera.lag_s = lag_s

    def _intervals(self, source: Source) -> Callable[[float], float]:
        """The frame rate at a time: what a camera has, or one over an interval of random length."""
        if source.regular:
            return lambda at_s: source.fps
        return lambda at_s: 1 / max(1e-6, self._rng.expovariate(source.fps))


def _together(plays: list[_Seen], stage: Stage, measure_s: float) -> Rehearsal:
    ages = [percentiles(seen.ages_ms) for seen in plays]
    published, detected = sum(len(seen.ages_ms) for seen in plays), sum(len(seen.detected_ms) for seen in plays)
    seconds, most_ms = measure_s * len(plays), max(age.p95_ms for age in ages)
    offered, batches = sum(seen.offered for seen in plays), sum(seen.batches for seen in plays)
    detected_share = detected / offered if offered else 1.0
    strides = [stride for seen in plays for stride in seen.strides]
    return Rehearsal(
        seconds=round(seconds, 1),
        draws=len(plays),
        age=_median(ages),
        detected_age=_median([percentiles(seen.detected_ms) for seen in plays]),
        p95_least_ms=min(age.p95_ms for age in ages),
        p95_most_ms=most_ms,
        published_hz=round(published / seconds, 2),
        detected_hz=round(detected / seconds, 2),
        detected_share=round(detected_share, 4),
        stride=round(statistics.fmean(strides), 2) if strides else 0.0,
        utilisation=round(min(1.0, statistics.fmean(seen.busy for seen in plays)), 4),
        batch=round(sum(seen.frames for seen in plays) / batches, 2) if batches else 0.0,
        in_flight=round(sum(sum(seen.ages_ms) for seen in plays) / 1000 / seconds, 2),
        kept=most_ms <= 1000 * stage.deadline_s and detected / seconds >= stage.wanted_hz,
    )


def _median(draws: list[Percentiles]) -> Percentiles:
    """Each percentile's median over the draws."""
    each = ([one.p50_ms for one in draws], [one.p95_ms for one in draws], [one.p99_ms for one in draws])
    p50, p95, p99 = (round(statistics.median(ms), 2) for ms in each)
    return Percentiles(p50_ms=p50, p95_ms=p95, p99_ms=p99)
