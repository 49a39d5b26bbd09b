"""Runs a scenario: servers, fleet, an independent subscriber, one phase after the other, and ends everything."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from operator import itemgetter
from pathlib import Path

import psutil

from pipeline.burst.fleet import FleetProcess
from pipeline.burst.listen import Book, Heard
from pipeline.burst.mischief import Mischief
from pipeline.burst.observed import CameraDepartures
from pipeline.burst.plan import Plan
from pipeline.burst.result import Event, FaultMark
from pipeline.burst.sample import Sampler
from pipeline.burst.scenario import Phase
from pipeline.burst.stage import Stage
from pipeline.config import Fleet
from pipeline.errors import PipelineError
from pipeline.listen import Hear, Listener
from pipeline.replay.faults import Fault
from pipeline.runscope import SHARED_MEMORY
from pipeline.wire import CameraState, FrameResult

READY_S = 300.0
"""What the first export of a model may take."""
CALM_S = 2.0
"""Between the last camera's first frame and the first phase: connecting costs more than running."""
LOOK_S = 0.1
END_S = 3.0
"""What processes may take to be gone once their supervisor has ended: a fork server notices by itself."""
FAREWELL_S = 0.5
"""What the last frames of the last phase may take."""


@dataclass(frozen=True, slots=True)
class Timing:
    """When a phase took place, seconds of the monotonic clock."""

    phase: Phase
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Snapshot:
    """How far a run is.

    Attributes:
        doing: In words.
        phase: Index of the phase; -1 before the first and after the last.
        elapsed_s: Since it began.
        published_hz: Frames a second of late.
        age_p95_ms: By the fleet's own clock, of late.
    """

    doing: str
    phase: int
    elapsed_s: float
    published_hz: float
    age_p95_ms: float


@dataclass(slots=True)
class Record:
    """Everything a run leaves for its report.

    Attributes:
        zero_wall_ns: Wall time when the first phase began; `zero_s` is the same on the monotonic clock.
        listening_s: When the subscriber began to listen, monotonic.
        timings: One for each phase.
        faults: Those that were made, or could not be; times on the monotonic clock.
        events: Times on the monotonic clock.
        family: Every process that ever ran for it.
        left: What was left behind, in words.
    """

    fleet: Fleet
    rates_hz: dict[str, float]
    zero_wall_ns: int = 0
    zero_s: float = 0.0
    listening_s: float = 0.0
    timings: list[Timing] = field(default_factory=list)
    faults: list[FaultMark] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    heard: Heard | None = None
    sampler: Sampler | None = None
    family: list[psutil.Process] = field(default_factory=list)
    departures: dict[str, CameraDepartures] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)


class Lab:
    """One run of a plan. `run` belongs to one thread; `snapshot` may be called from any."""

    def __init__(
        self,
        plan: Plan,
        folder: Path,
        tell: Callable[[str], None] = lambda text: None,
        hear: Hear = lambda message: None,
    ) -> None:
        """Prepare.

        Args:
            plan: What to run.
            folder: For the fleet's log and files of the run.
            tell: Called with a line for each thing that begins.
            hear: Called with every frame and state of a camera, from the listener's thread.
        """
        self._plan = plan
        self._folder = folder
        self._tell, self._hear = tell, hear
        self._doing = ("starting", -1, 0.0)
        self._book = Book(plan.camera_ids)
        self._restarts: dict[str, int] = {}
        self._waiting = threading.Event()  # never set: what interrupts a wait is an exception

    @property
    def log(self) -> Path:
        """Where the fleet's log is."""
        return self._folder / "fleet.log"

    def snapshot(self) -> Snapshot:
        """How far it is."""
        doing, phase, since_s = self._doing
        hz, p95_ms = self._book.recent()
        return Snapshot(doing, phase, time.monotonic() - since_s if phase >= 0 else 0.0, hz, p95_ms)

    def run(self) -> Record:
        """Run all phases and end everything; blocks.

        Raises:
            PipelineError: The fleet or the cameras cannot start.
        """
        with Stage(self._plan, self._folder) as stage:
            fleet = self._plan.fleet(stage.urls)
            record = Record(fleet, stage.rates_hz())
            with FleetProcess(fleet, self.log) as process:
                self._run_fleet(stage, process, record)
        # The servers have ended, too.
        record.left = _left_behind(record.family, process.pid)
        record.departures = dict(stage.departures())
        self._doing = ("done", -1, 0.0)
        return record

    def _run_fleet(self, stage: Stage, process: FleetProcess, record: Record) -> None:
        self._begin("loading the model")
        endpoint = process.open(READY_S)
        with ExitStack() as stack:
            stack.enter_context(Listener(endpoint, self._note))
            record.listening_s = time.monotonic()
            record.sampler = stack.enter_context(Sampler(lambda: self._processes(stage, process, record)))
            mischiefs = [self._mischiefs(phase, endpoint, stage) for phase in self._plan.scenario.phases]
            self._await_cameras()
            record.zero_s, record.zero_wall_ns = time.monotonic(), time.time_ns()
            for index, phase in enumerate(self._plan.scenario.phases):
                self._begin(phase.name, index)
                record.timings.append(self._play(phase, mischiefs[index], stage, process, record))
            self._begin("ending")
            self._waiting.wait(FAREWELL_S)
            record.heard = self._book.heard()
            record.family = [*record.sampler.seen, *psutil.Process(process.pid).children(recursive=True)]

    def _note(self, message: FrameResult | CameraState) -> None:
        self._book.hear(message)
        self._hear(message)

    def _begin(self, doing: str, phase: int = -1) -> None:
        self._doing = (doing, phase, time.monotonic())
        self._tell(doing)

    def _await_cameras(self) -> None:
        """Wait until all usual cameras publish, or the time for that is over; whatever is missing then is seen."""
        self._begin("waiting for the cameras")
        until_s = time.monotonic() + self._plan.scenario.warmup_s
        while self._book.cameras_seen < self._plan.usual and time.monotonic() < until_s:
            self._waiting.wait(LOOK_S)
        self._waiting.wait(CALM_S)

    def _mischiefs(self, phase: Phase, endpoint: str, stage: Stage) -> list[Mischief]:
        found = [Mischief(one, self._plan.target(one), endpoint, self._folder) for one in phase.every_fault]
        for mischief in found:
            mischief.prepare(stage)
        return found

    def _play(
        self, phase: Phase, mischiefs: list[Mischief], stage: Stage, process: FleetProcess, record: Record
    ) -> Timing:
        """One phase from its beginning to its end."""
        start_s = time.monotonic()

        def begin(mischief: Mischief) -> None:
            record.faults.append(_make(mischief, stage, process))

        moments: list[tuple[float, Callable[[], None]]]
        moments = [(mischief.plan.at_s, partial(begin, mischief)) for mischief in mischiefs]
        moments += [(mischief.plan.end_s, mischief.end) for mischief in mischiefs]
        try:
            if phase.burst is not None:
                self._begin_burst(phase, stage, process, record)
            for at_s, act in sorted(moments, key=itemgetter(0)):
                self._until(start_s + at_s)
                act()
            self._until(start_s + phase.seconds)
        finally:
            for mischief in mischiefs:
                mischief.end()
        # Before the cameras of a burst are taken away, which takes a moment.
        timing = Timing(phase, start_s, time.monotonic())
        if phase.burst is not None and phase.burst.cameras is not None:
            usual = {camera_id: stage.urls[camera_id] for camera_id in self._plan.camera_ids[: self._plan.usual]}
            self._let_join_or_leave(usual, process, record)
            stage.end_burst()
        return timing

    def _begin_burst(self, phase: Phase, stage: Stage, process: FleetProcess, record: Record) -> None:
        assert phase.burst is not None
        if phase.burst.cameras is not None:
            stage.begin_burst(phase.burst.cameras)
            self._let_join_or_leave(stage.urls, process, record)
        if phase.burst.speed is not None:
            for camera_id in self._plan.present(phase):
                fps = record.rates_hz[camera_id] * phase.burst.speed
                stage.inject(camera_id, Fault("frame_rate", phase.seconds, fps=fps))

    def _let_join_or_leave(self, urls: Mapping[str, str], process: FleetProcess, record: Record) -> None:
        """Let the running fleet have these cameras, and note who joined and left."""
        changes = process.become(self._plan.fleet(urls))
        now_s = time.monotonic()
        for what, cameras in (("joined", changes.added), ("left", changes.removed)):
            if cameras:
                record.events.append(Event(at_s=now_s, subject="fleet", text=f"cameras {what}: {', '.join(cameras)}"))

    def _until(self, at_s: float) -> None:
        self._waiting.wait(max(0.0, at_s - time.monotonic()))

    def _processes(self, stage: Stage, process: FleetProcess, record: Record) -> dict[str, int]:
        """Names and ids of everything that runs; notes on the way what was started again."""
        found = {"burst lab": os.getpid(), "supervisor": process.pid, **stage.pids()}
        for status in process.status():
            if status.restarts > self._restarts.get(status.name, 0):
                record.events.append(Event(at_s=time.monotonic(), subject=status.name, text="was started again"))
            self._restarts[status.name] = status.restarts
            if status.pid is not None:
                found[status.name] = status.pid
        return found


def _make(mischief: Mischief, stage: Stage, process: FleetProcess) -> FaultMark:
    """Make the fault; one that cannot be made is noted, and the run goes on."""
    error = ""
    try:
        mischief.begin(stage, process)
    except PipelineError as refusal:
        error = str(refusal)
    now_s = time.monotonic()
    lasts_s = mischief.plan.end_s - mischief.plan.at_s
    name = mischief.plan.name
    return FaultMark(name=name, camera=mischief.camera_id, start_s=now_s, end_s=now_s + lasts_s, error=error)


def _left_behind(family: list[psutil.Process], supervisor_pid: int) -> list[str]:
    """What should be gone with the fleet and is not."""
    others = {process.pid: process for process in family if process.pid != os.getpid()}
    _, alive = psutil.wait_procs(list(others.values()), END_S)
    files = [str(path) for path in SHARED_MEMORY.glob(f"camfleet-{supervisor_pid}-*")]
    return files + [f"process {process.pid}" for process in alive if process.status() != psutil.STATUS_ZOMBIE]
