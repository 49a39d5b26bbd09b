"""The whole fleet for a while, as `camfleet run` would run it: what is published, how old, and what it takes."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import psutil

from pipeline.bench import machine
from pipeline.bench.figures import FleetRun, Percentiles, ProcessUse
from pipeline.config.values import Fleet, Publish
from pipeline.errors import PipelineError
from pipeline.listen import Listener
from pipeline.plan import camera_plan
from pipeline.supervise.status import ProcessStatus
from pipeline.supervise.supervisor import Supervisor
from pipeline.wire import CameraState, FrameResult

TURN_S = 0.25
"""How often progress is told, s."""
PRIVATE = "tcp://127.0.0.1:0"
"""Where a bench publishes: not where a fleet of the same file may be publishing."""


@dataclass(frozen=True, slots=True)
class Span:
    """How long to let the fleet settle, and then to measure it, s."""

    settle_s: float
    measure_s: float


def measure_fleet(fleet: Fleet, span: Span, turn: Callable[[float], None]) -> FleetRun:
    """The fleet's figures; blocks until it has been started, measured and ended.

    Args:
        fleet: Published on a free local port and kept in no sink, whatever the file says.
        span: How long.
        turn: Called several times a second with the seconds that are over, settling included; for progress.

    Raises:
        PipelineError: The fleet cannot be started, or ended before the time was over.
    """
    private = fleet.model_copy(update={"publish": Publish(bind=PRIVATE), "sinks": {}})
    with Supervisor(private) as supervisor:
        endpoint = supervisor.open().inside
        supervisor.run(0)  # Starts the cameras, which takes seconds with sixty; settling is what comes after.
        _run(supervisor, span.settle_s, turn)
        heard: list[FrameOutcome] = []
        with Listener(endpoint, lambda message: _keep(message, heard)):
            before, first = Usage.read(supervisor.status()), len(heard)
            measured_s = _run(supervisor, span.measure_s, lambda spent_s: turn(span.settle_s + spent_s))
            after, frames = Usage.read(supervisor.status()), heard[first:]
        after = replace(after, memory_mb=memory_mb(after.pids))
    if measured_s < span.measure_s / 2:
        raise PipelineError(
            "the fleet ended before it was measured: every recording has come to its end, or every camera was given "
            "up; use `loop: true` or fewer --seconds"
        )
    return summarize(fleet, frames, before, after, measured_s)


def _run(supervisor: Supervisor, seconds: float, turn: Callable[[float], None]) -> float:
    """Let the fleet run, and tell of it; the seconds that it ran, fewer if every recording has ended."""
    began_s = time.monotonic()
    while (spent_s := time.monotonic() - began_s) < seconds:
        turn(spent_s)
        slice_s = min(TURN_S, seconds - spent_s)
        supervisor.run(slice_s)
        if time.monotonic() - began_s < spent_s + slice_s / 2:
            break
    return time.monotonic() - began_s


@dataclass(frozen=True, slots=True)
class FrameOutcome:
    """What is kept of a message."""

    camera_id: str
    age_ms: float
    detected: bool
    filled_because: str | None
    lost: Mapping[str, int]
    latency_ms: Mapping[str, float]
    stride: int = 1

    @classmethod
    def of(cls, result: FrameResult) -> FrameOutcome:
        """The message without its boxes."""
        return cls(
            result.camera_id,
            result.age_ms,
            result.origin == "detected",
            result.filled_because,
            result.lost,
            result.latency_ms,
            result.stride,
        )


def _keep(message: FrameResult | CameraState, heard: list[FrameOutcome]) -> None:
    if isinstance(message, FrameResult):
        heard.append(FrameOutcome.of(message))


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU time spent so far, s, and memory, MB; by process, of this one, and of the machine."""

    cpu_s: Mapping[str, float]
    own_cpu_s: float
    machine_cpu_s: float
    restarts: int
    pids: Mapping[str, int] = field(default_factory=dict)
    memory_mb: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def read(cls, processes: Iterable[ProcessStatus]) -> Usage:
        """What is known now, but for memory; processes that have just ended are left out."""
        cpu_s, pids, restarts = {}, {}, 0
        for process in processes:
            restarts += process.restarts
            with contextlib.suppress(psutil.NoSuchProcess):
                if process.pid is not None:
                    cpu_s[process.name] = machine.cpu_s(process.pid)
                    pids[process.name] = process.pid
        return cls(cpu_s, time.process_time(), machine.busy_s(), restarts, pids)


def memory_mb(pids: Mapping[str, int]) -> dict[str, float]:
    """Of each process that is still there. Slow, seconds with many of them, so it is no part of what is measured."""
    found = {}
    for name, pid in pids.items():
        with contextlib.suppress(psutil.NoSuchProcess):
            found[name] = machine.memory_mb(pid)
    return found


def summarize(fleet: Fleet, frames: list[FrameOutcome], before: Usage, after: Usage, seconds: float) -> FleetRun:
    """The figures of a run that took `seconds`; a process that was started anew counts from its start."""
    detected = [frame for frame in frames if frame.detected]
    filled = [frame for frame in frames if not frame.detected]
    processes = [
        ProcessUse(
            name=name,
            cores=round((spent_s - _spent_before(name, before, after)) / seconds, 4),
            memory_mb=round(after.memory_mb[name], 1),
        )
        for name, spent_s in after.cpu_s.items()
        if name in after.memory_mb
    ]
    observer_cores = (after.own_cpu_s - before.own_cpu_s) / seconds
    others = (after.machine_cpu_s - before.machine_cpu_s) / seconds - observer_cores
    others -= sum(process.cores for process in processes)
    owns = machine.owns_machine(machine.usable_cores())
    return FleetRun(
        seconds=round(seconds, 2),
        published_hz=round(len(frames) / seconds, 1),
        detected_hz=round(len(detected) / seconds, 1),
        wanted_hz=round(_wanted_hz(fleet, frames, seconds), 1),
        age=percentiles([frame.age_ms for frame in frames]),
        detected_age=percentiles([frame.age_ms for frame in detected]),
        stride=round(sum(frame.stride for frame in frames) / max(1, len(frames)), 2),
        detected_stages=_stages(detected),
        filled_stages=_stages(filled),
        lost=_total(frame.lost for frame in frames),
        filled=dict(Counter(frame.filled_because or "unknown" for frame in filled)),
        processes=processes,
        observer_cores=round(observer_cores, 3),
        other_cores=round(max(0.0, others), 3) if owns else None,
        restarts=after.restarts - before.restarts,
    )


def percentiles(times_ms: list[float]) -> Percentiles:
    """Of any number of times; 0 of none."""
    p50, p95, p99 = np.percentile(times_ms, (50, 95, 99)).tolist() if times_ms else (0.0, 0.0, 0.0)
    return Percentiles(p50_ms=round(p50, 2), p95_ms=round(p95, 2), p99_ms=round(p99, 2))


def _wanted_hz(fleet: Fleet, frames: list[FrameOutcome], seconds: float) -> float:
    """Frames a second that the smallest strides which the fleet file allows would give to the detector."""
    decoded: Counter[str] = Counter()
    for frame in frames:
        decoded[frame.camera_id] += 1 + sum(frame.lost.values())
    rates = {camera_id: count / seconds for camera_id, count in decoded.items()}
    return sum(fps / camera_plan(fleet.cameras[camera_id]).stride.floor(fps) for camera_id, fps in rates.items())


def _stages(frames: list[FrameOutcome]) -> dict[str, Percentiles]:
    """By stage, in the order in which the messages name them."""
    times_ms: dict[str, list[float]] = {}
    for frame in frames:
        for stage, spent_ms in frame.latency_ms.items():
            times_ms.setdefault(stage, []).append(spent_ms)
    return {stage: percentiles(spent_ms) for stage, spent_ms in times_ms.items()}


def _spent_before(name: str, before: Usage, after: Usage) -> float:
    return before.cpu_s.get(name, 0.0) if before.pids.get(name) == after.pids.get(name) else 0.0


def _total(books: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for book in books:
        total.update(book)
    return dict(total)
