"""From what a run has left to its report: figures and checks of every phase, and what holds over the whole run."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np

from pipeline.burst.judge import Facts, Named, Told, judge, named, passed, recovery_s
from pipeline.burst.lab import Record, Timing
from pipeline.burst.observed import Observed, ages, figures, observe
from pipeline.burst.plan import Plan
from pipeline.burst.result import (
    AgePercentiles,
    BurstReport,
    CameraFigures,
    Check,
    Event,
    FaultMark,
    PhaseReport,
    Surroundings,
)
from pipeline.burst.scenario import FaultPlan, Phase
from pipeline.burst.series import series, truth
from pipeline.clock import NS_PER_S

END_S = 1.0
"""The last second of a phase tells which cameras are there: those with this share of their recording's frames."""
LIVE_SHARE = 0.8


def assemble(plan: Plan, record: Record, surroundings: Surroundings) -> BurstReport:
    """The report of a run."""
    assert record.heard is not None and record.sampler is not None
    observed = observe(record.heard, plan.camera_ids, record.departures, record.zero_wall_ns)
    bench = _Bench(plan, record, observed)
    phases = [bench.phase(timing) for timing in record.timings]
    checks = [_nothing_left(record.left), _books(record.heard.unbalanced)]
    end_s = record.timings[-1].end_s - record.zero_s
    return BurstReport(
        scenario=plan.scenario.name,
        started_at=datetime.fromtimestamp(record.zero_wall_ns / NS_PER_S, UTC).isoformat(timespec="seconds"),
        duration_s=round(end_s, 2),
        passed=passed([*checks, *(check for phase in phases for check in phase.checks)]),
        slo_p95_ms=record.fleet.slo.p95_ms,
        phases=phases,
        checks=checks,
        faults=[_shifted(mark, record.zero_s) for mark in record.faults],
        events=_events(record),
        truth=truth(observed),
        series=series(observed, record.listening_s - record.zero_s, end_s),
        processes=record.sampler.series(record.zero_s),
        surroundings=surroundings,
    )


class _Bench:
    """Measures phases of one run; remembers the last steady one to compare with."""

    def __init__(self, plan: Plan, record: Record, observed: Observed) -> None:
        self._plan = plan
        self._record = record
        self._observed = observed
        self._steady_s: tuple[float, float] | None = None
        self._faults = iter(record.faults)

    def phase(self, timing: Timing) -> PhaseReport:
        """The report of one phase; phases come in their order."""
        phase, zero_s = timing.phase, self._record.zero_s
        start_s, end_s = timing.start_s - zero_s, timing.end_s - zero_s
        span_s = (start_s + phase.settle_s, end_s)
        present = self._plan.present(phase)
        fleet = figures(self._observed, present, span_s, self._offered(phase, present, span_s), "all")
        marks = [next(self._faults) for _ in phase.every_fault]
        back_s = self._recovery_s(phase, marks, end_s)
        others = self._others_p95_ms(phase, span_s)
        before = self._others_p95_ms(phase, self._steady_s) if self._steady_s is not None else None
        facts = Facts(
            fleet=fleet,
            live_cameras=self._live(present, end_s),
            recovery_s=back_s,
            others_p95_ms=others,
            others_p95_before_ms=before,
            difference=self._difference(span_s),
            error="; ".join(mark.error for mark in marks if mark.error),
            named=tuple(self._named(phase, marks, (start_s, end_s))),
        )
        if phase.kind == "steady":
            self._steady_s = span_s
        return PhaseReport(
            name=phase.name,
            kind=phase.kind,
            detail=_detail(phase, self._plan),
            start_s=round(start_s, 2),
            judged_s=round(span_s[0], 2),
            end_s=round(end_s, 2),
            fleet=fleet,
            cameras=[self._camera(phase, camera_id, span_s) for camera_id in present],
            checks=judge(phase.expect, facts),
            target=marks[0].camera if len(marks) == 1 else None,
            recovery_s=back_s,
            others_p95_ms=others,
            others_p95_before_ms=before if marks else None,
        )

    def _camera(self, phase: Phase, camera_id: str, span_s: tuple[float, float]) -> CameraFigures:
        return figures(self._observed, [camera_id], span_s, self._offered(phase, (camera_id,), span_s))

    def _offered(self, phase: Phase, cameras: tuple[str, ...], span_s: tuple[float, float]) -> float:
        """Frames that the cameras' recordings have in that time."""
        speed = phase.burst.speed if phase.burst is not None and phase.burst.speed is not None else 1.0
        return sum(self._record.rates_hz[camera_id] for camera_id in cameras) * speed * (span_s[1] - span_s[0])

    def _others_p95_ms(self, phase: Phase, span_s: tuple[float, float] | None) -> float | None:
        """The cameras that a phase's faults do not happen to."""
        if not phase.every_fault or span_s is None:
            return None
        if any(fault.name in ("kill_worker", "stop_worker") for fault in phase.every_fault):
            return None  # no camera is another one
        targets = [self._plan.target(fault) for fault in phase.every_fault]
        others = [camera_id for camera_id in self._plan.present(phase) if camera_id not in targets]
        return ages(self._observed.age_ms[self._observed.within(*span_s, others)]).p95 if others else None

    def _recovery_s(self, phase: Phase, marks: list[FaultMark], end_s: float) -> float | None:
        """The slowest recovery of those that a fault happened to."""
        if not marks or any(mark.error for mark in marks):
            return None
        found = []
        for mark in marks:
            fault_end_s = mark.end_s - self._record.zero_s
            for camera_id in [mark.camera] if mark.camera is not None else self._plan.present(phase):
                frames = self._observed.within(fault_end_s, end_s, [camera_id])
                found.append(
                    recovery_s(
                        self._observed.at_s[frames],
                        self._observed.age_ms[frames],
                        fault_end_s,
                        self._record.rates_hz[camera_id],
                        self._record.fleet.slo.p95_ms,
                    )
                )
        return None if None in found else max(one for one in found if one is not None)

    def _named(self, phase: Phase, marks: list[FaultMark], span_s: tuple[float, float]) -> Iterator[Named]:
        """What was told of the cameras that a state is expected of, while their faults lasted."""
        assert self._record.heard is not None
        zero_ns, zero_s = self._record.zero_wall_ns, self._record.zero_s
        for camera_id, wanted in phase.expect.states.items():
            told = [
                Told((change.at_ns - zero_ns) / NS_PER_S, change.state, change.detail)
                for change in self._record.heard.states
                if change.camera_id == camera_id
            ]
            own = [mark for mark in marks if mark.camera in (camera_id, None)]
            begin_s = min((mark.start_s - zero_s for mark in own), default=span_s[0])
            end_s = max((mark.end_s - zero_s for mark in own), default=span_s[1])
            yield named(camera_id, wanted, told, begin_s, end_s)

    def _live(self, cameras: tuple[str, ...], end_s: float) -> int:
        """Cameras that published at nearly their recording's rate in the last second."""
        needed = {camera_id: LIVE_SHARE * self._record.rates_hz[camera_id] * END_S for camera_id in cameras}
        return sum(
            int(self._observed.within(end_s - END_S, end_s, [camera_id]).sum()) >= needed[camera_id]
            for camera_id in cameras
        )

    def _difference(self, span_s: tuple[float, float]) -> AgePercentiles:
        frames = self._observed.within(*span_s)
        return ages(np.abs(self._observed.fleet_ms[frames] - self._observed.true_ms[frames]))


def _detail(phase: Phase, plan: Plan) -> str:
    """A burst or faults in words."""
    if phase.burst is not None:
        words = [f"{phase.burst.cameras} cameras instead of {plan.usual}"] if phase.burst.cameras else []
        return ", ".join([*words, *([f"{phase.burst.speed:g} × as fast"] if phase.burst.speed else [])])
    return "; ".join(_words(fault, plan) for fault in phase.every_fault)


def _words(fault: FaultPlan, plan: Plan) -> str:
    where = plan.target(fault)
    words = [fault.name.replace("_", " ") if where is None else f"{fault.name.replace('_', ' ')} at {where}"]
    if fault.end_s > fault.at_s:
        words.append(f"for {fault.end_s - fault.at_s:g} s")
    return ", ".join([*words, *(f"{name} {value}" for name, value in fault.parameters.items())])


def _nothing_left(left: list[str]) -> Check:
    found = ", ".join(left) if left else "nothing"
    expected = "no process and no shared memory left behind"
    return Check(what="nothing_left", expected=expected, found=found, passed=not left, miss=found if left else "")


def _books(unbalanced: int) -> Check:
    return Check(
        what="books",
        expected="decoded = detected + filled + lost in every message",
        found=f"{unbalanced} messages that do not add up" if unbalanced else "all add up",
        passed=not unbalanced,
        miss=f"{unbalanced} messages" if unbalanced else "",
    )


def _shifted(mark: FaultMark, zero_s: float) -> FaultMark:
    return FaultMark(
        name=mark.name,
        camera=mark.camera,
        start_s=round(mark.start_s - zero_s, 2),
        end_s=round(mark.end_s - zero_s, 2),
        error=mark.error,
    )


def _events(record: Record) -> list[Event]:
    """What the fleet told of its cameras, and which processes came back, in order of time."""
    assert record.heard is not None
    events = [
        Event(at_s=round(event.at_s - record.zero_s, 2), subject=event.subject, text=event.text)
        for event in record.events
    ]
    events += [
        Event(
            at_s=round((change.at_ns - record.zero_wall_ns) / NS_PER_S, 2),
            subject=f"camera {change.camera_id}",
            text=change.state + (f": {change.detail}" if change.detail else ""),
        )
        for change in record.heard.states
    ]
    return sorted(events, key=lambda event: event.at_s)
