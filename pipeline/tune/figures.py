"""What a run is judged by, and several runs of one setting together."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import msgspec

from pipeline.bench.figures import FleetRun
from pipeline.tune.goal import Goal

ALL = 0.985
"""Share of the frames that there are to detect from which nothing is left to gain."""


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """One run, or the medians of several.

    Attributes:
        detected_hz: Frames detected a second.
        wanted_hz: Frames a second at the smallest strides that are allowed: all there is to detect.
        published_hz: Frames published a second.
        p95_ms: Age of all published frames.
        detected_p95_ms: Age of detected frames.
        cores: What the fleet's processes took.
        memory_mb: What they add to the machine's memory.
        other_cores: What other programs took meanwhile; None where that cannot be known.
        restarts: Processes that died meanwhile.
        runs: How many runs these are.
    """

    detected_hz: float
    wanted_hz: float
    published_hz: float
    p95_ms: float
    detected_p95_ms: float = 0.0
    cores: float = 0.0
    memory_mb: float = 0.0
    other_cores: float | None = None
    restarts: int = 0
    runs: int = 1

    @classmethod
    def of(cls, run: FleetRun) -> Figures:
        """The figures that count, of a run."""
        return cls(
            detected_hz=run.detected_hz,
            wanted_hz=run.wanted_hz,
            published_hz=run.published_hz,
            p95_ms=run.age.p95_ms,
            detected_p95_ms=run.detected_age.p95_ms,
            cores=round(sum(process.cores for process in run.processes), 3),
            memory_mb=round(sum(process.memory_mb for process in run.processes), 1),
            other_cores=run.other_cores,
            restarts=run.restarts,
        )

    def keeps(self, goal: Goal) -> bool:
        """Whether the promised age is kept, and not by detecting nothing at all."""
        return self.p95_ms <= goal.p95_ms and self.detected_hz > 0

    def reaches(self, goal: Goal) -> bool:
        """Whether all that was asked for is there."""
        return self.keeps(goal) and self.detected_hz >= goal.detect_hz

    @property
    def all_detected(self) -> bool:
        """Whether nearly every frame is detected that the strides allow."""
        return self.wanted_hz > 0 and self.detected_hz >= ALL * self.wanted_hz

    def rank(self, goal: Goal) -> tuple[bool, float]:
        """Greater for the better one: the goal first, then detections a second; without it, the smaller age."""
        kept = self.keeps(goal)
        return kept, self.detected_hz if kept else -self.p95_ms


def median(runs: Sequence[Figures]) -> Figures:
    """Of each figure by itself; `runs` has at least one."""
    known = [run.other_cores for run in runs if run.other_cores is not None]
    return Figures(
        detected_hz=round(statistics.median(run.detected_hz for run in runs), 2),
        wanted_hz=round(statistics.median(run.wanted_hz for run in runs), 2),
        published_hz=round(statistics.median(run.published_hz for run in runs), 2),
        p95_ms=round(statistics.median(run.p95_ms for run in runs), 2),
        detected_p95_ms=round(statistics.median(run.detected_p95_ms for run in runs), 2),
        cores=round(statistics.median(run.cores for run in runs), 3),
        memory_mb=round(statistics.median(run.memory_mb for run in runs), 1),
        other_cores=round(statistics.median(known), 3) if known else None,
        restarts=sum(run.restarts for run in runs),
        runs=len(runs),
    )


def gain(before: Figures, after: Figures) -> float:
    """Detections a second more, as a share; 0 where there were none before."""
    return after.detected_hz / before.detected_hz - 1 if before.detected_hz > 0 else 0.0
