"""From what was measured to what it means: cores by stage, milliseconds by step, words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from pipeline.bench import machine
from pipeline.bench.figures import CameraCost, FleetRun
from pipeline.bench.fleet import FrameOutcome, Usage, summarize
from pipeline.config.values import Fleet
from pipeline.geometry import WidthHeight
from pipeline.profile import split, way
from pipeline.profile.facts import Facts
from pipeline.profile.figures import Alone, CameraSteps, ProcessCores, Profile, Sampled
from pipeline.profile.hear import Heard
from pipeline.profile.levers import LAG_S, find
from pipeline.profile.steps import kind_of, mean_cost
from pipeline.profile.threads import Spent, Use, between
from pipeline.supervise.status import ProcessStatus, role_of
from pipeline.wire import CameraState


@dataclass(frozen=True, slots=True)
class Window:
    """What was measured from outside."""

    before: Spent
    after: Spent
    heard: Heard
    members: list[ProcessStatus]

    @property
    def seconds(self) -> float:
        """How long."""
        return self.after.at_s - self.before.at_s

    @property
    def frames(self) -> list[FrameOutcome]:
        """Every frame that was heard."""
        return [frame for frame, _ in self.heard.frames]


@dataclass(frozen=True, slots=True)
class Conclusion:
    """From what was measured to what it means."""

    fleet: Fleet
    ours: bool
    cores: float
    window: Window
    input_wh: WidthHeight
    memory: Mapping[str, float]
    alone: Alone
    costs: Mapping[str, CameraCost]
    sampled: list[Sampled]

    def profile(self) -> Profile:
        """Everything."""
        run, uses = self._run(), between(self.window.before, self.window.after)
        rates = self._rates()
        by_process = {use.name: self._stages(use, rates, uses) for use in uses}
        stages = split.add(*by_process.values())
        workers = [use for use in uses if role_of(use.name) == "worker"]
        elsewhere = any(split.computes_elsewhere(use.parts) for use in workers)
        cameras = [self._camera(use, rates) for use in uses if role_of(use.name) == "camera"]
        processes = [self._process(use, by_process[use.name]) for use in uses]
        way_alone = self._way_alone(workers, rates, elsewhere=elsewhere)
        ways = way.ways(self.window.heard.frames, way_alone)
        fleet_cores = sum(use.cores for use in uses)
        others = run.other_cores
        idle = None if others is None else max(0.0, self.cores - fleet_cores - others - run.observer_cores)
        lanes_busy = self.window.heard.lanes_busy
        facts = Facts(
            cores=self.cores, idle=idle, slo_p95_ms=self.fleet.slo.p95_ms, input_wh=self.input_wh, run=run,
            stages=stages, fleet=fleet_cores, ways=ways, lanes=self.window.heard.lanes,
            lanes_busy=sum(lanes_busy) / len(lanes_busy) if lanes_busy else None,
            loop=max((use.parts.get("main", 0.0) for use in workers), default=0.0),
            cameras=cameras, processes=processes,
        )  # fmt: skip
        measured = sum(not cost.error for cost in self.costs.values())
        return Profile(
            fleet=self.fleet.name, machine=machine.name(), cores=self.cores,
            at=datetime.now(UTC).isoformat(timespec="seconds"), ours=self.ours,
            slo_p95_ms=self.fleet.slo.p95_ms, seconds=round(self.window.seconds, 2),
            published_hz=run.published_hz, detected_hz=run.detected_hz, wanted_hz=run.wanted_hz,
            filled=run.filled, lost=run.lost, age=run.age, ways=ways,
            steps=way.step_percentiles(self.window.heard.frames, way_alone),
            shares=split.shares(stages, measured, len(cameras), lanes_wait=elsewhere),
            fleet_cores=round(fleet_cores, 4), observer_cores=run.observer_cores, other_cores=others,
            idle_cores=None if idle is None else round(idle, 4), lanes=facts.lanes,
            lanes_busy=None if facts.lanes_busy is None else round(facts.lanes_busy, 3),
            processes=processes, cameras=cameras, alone=self.alone, findings=find(facts), sampled=self.sampled,
            notes=list(self._notes(run)),
        )  # fmt: skip

    def _run(self) -> FleetRun:
        """Rates, ages and the rest of the machine."""
        before, after = (
            Usage(
                spent.processes, spent.own_s, spent.machine_s, spent.restarts, {n: i[0] for n, i in spent.pids.items()}
            )
            for spent in (self.window.before, self.window.after)
        )
        return summarize(
            self.fleet, self.window.frames, before, replace(after, memory_mb=self.memory), self.window.seconds
        )

    def _rates(self) -> dict[str, split.Rates]:
        frames: dict[str, list[FrameOutcome]] = {name: [] for name in self.fleet.cameras}
        for frame in self.window.frames:
            frames.setdefault(frame.camera_id, []).append(frame)
        return {name: split.Rates.of(some, self.window.seconds) for name, some in frames.items()}

    def _stages(self, use: Use, rates: Mapping[str, split.Rates], uses: list[Use]) -> split.Stages:
        role = role_of(use.name)
        if role == "camera":
            camera_id = use.name.partition(" ")[2]
            return split.split_camera(use, rates.get(camera_id, split.Rates()), self._cost(camera_id)[0])
        if role == "worker":
            loops = sum(each.parts.get("main", 0.0) for each in uses if role_of(each.name) == "worker")
            # Which camera is served by which of several workers is not told; their loops' shares stand for it.
            share = use.parts.get("main", 0.0) / loops if loops > 0 else 1.0
            return split.split_worker(
                use, split.Rates.of(self.window.frames, self.window.seconds).times(share), self.alone
            )
        return split.split_other(use)

    def _cost(self, camera_id: str) -> tuple[CameraCost | None, str]:
        """What a camera's steps cost, and why these are not its own figures."""
        own = self.costs.get(camera_id)
        if own is not None and not own.error:
            return own, ""
        states = self.window.heard.states
        kind = kind_of(states[camera_id]) if camera_id in states else None
        alike = [cost for name, cost in self.costs.items() if name in states and kind_of(states[name]) == kind]
        why = own.error if own is not None else "not opened again"
        mean = mean_cost(alike)
        return mean, f"{why}; the mean of those like it" if mean is not None else f"{why}; not split"

    def _camera(self, use: Use, rates: Mapping[str, split.Rates]) -> CameraSteps:
        camera_id = use.name.partition(" ")[2]
        cost, like = self._cost(camera_id)
        state = self.window.heard.states.get(camera_id)
        return CameraSteps(
            camera_id=camera_id,
            codec=state.codec if state is not None else "",
            frame_wh=state.frame_wh if state is not None else (0, 0),
            frame_hz=round(rates.get(camera_id, split.Rates()).published, 2),
            cores=round(use.cores, 4),
            receive_ms=0.0 if cost is None else round(cost.receive_ms, 3),
            decode_ms=0.0 if cost is None else round(cost.decode_ms - cost.receive_ms, 3),
            resize_ms=0.0 if cost is None else round(cost.scale_ms, 3),
            like=like,
        )

    def _process(self, use: Use, stages: split.Stages) -> ProcessCores:
        return ProcessCores(
            name=use.name,
            cores=round(use.cores, 4),
            memory_mb=round(self.memory.get(use.name, 0.0), 1),
            stages={stage: round(cores, 4) for stage, cores in stages.items()},
            detail=self._detail(use.name),
        )

    def _detail(self, name: str) -> str:
        """What is wrong with a sink; empty where all is well."""
        member = next((member for member in self.window.members if member.name == name), None)
        if member is None or member.sink is None:
            return member.detail if member is not None and member.role == "sink" else ""
        told = member.sink
        return told.words if told.lost or told.missed or told.detail or told.lag_s > LAG_S else ""

    def _way_alone(self, workers: list[Use], rates: Mapping[str, split.Rates], *, elsewhere: bool) -> way.Alone:
        detections = sum(each.detected for each in rates.values())
        after_cores = sum(use.parts.get("lane", 0.0) for use in workers) if elsewhere else 0.0
        costs = {name: cost for name in rates if (cost := self._cost(name)[0]) is not None}
        return way.Alone(
            decode={name: cost.decode_ms - cost.receive_ms for name, cost in costs.items()},
            resize={name: cost.scale_ms for name, cost in costs.items()},
            after=1000 * after_cores / detections if detections > 0 else 0.0,
            track=self.alone.update_ms,
            predict=self.alone.predict_ms,
            encode=self.alone.encode_ms,
        )

    def _notes(self, run: FleetRun) -> Iterator[str]:
        if not self.ours:
            yield "The fleet ran already and was looked at as it is; nothing in it was switched on or off."
        if run.restarts:
            yield f"{run.restarts} processes were started again meanwhile; what they took before is missing."
        if run.other_cores is None:
            yield "This is a part of a larger machine: what others take of it, and what is idle, cannot be known."
        missing = set(self.fleet.cameras) - {frame.camera_id for frame in self.window.frames}
        if missing:
            states = {name: state for name, state in self.window.heard.states.items() if name in missing}
            yield f"No frame came of {', '.join(sorted(missing))}: {why(states)}."
        failed = [f"{cost.camera_id} ({cost.error})" for cost in self.costs.values() if cost.error]
        if failed:
            yield f"Could not be opened a second time: {'; '.join(failed)}."


def why(states: Mapping[str, CameraState]) -> str:
    """What cameras that do not deliver say of themselves."""
    told = [
        f"{name} is {state.state}" + (f" ({state.detail})" if state.detail else "") for name, state in states.items()
    ]
    return "; ".join(told[:3]) or "none has said a word"
