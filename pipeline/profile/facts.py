"""What the words of a profile are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.bench.figures import FleetRun
from pipeline.geometry import WidthHeight
from pipeline.profile.figures import CameraSteps, ProcessCores, Stage, Way

ALL_SHARE = 0.95
"""Detections, as a share of what is wanted, from which nothing is missing."""
FULL_SHARE = 0.1
"""Idle cores, as a share of all, below which the machine is full."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the words are made of.

    Attributes:
        cores: That may be used.
        idle: That nobody used; None where that cannot be known.
        slo_p95_ms: The promise.
        input_wh: The model's, px.
        run: Rates and ages of the whole fleet.
        stages: Cores by stage.
        fleet: Cores of the fleet.
        ways: Where the time of frames went.
        lanes: Detections that may run at once.
        lanes_busy: How many did; None where it was not told.
        loop: The busiest worker's loop, cores.
        cameras: Each.
        processes: Each.
    """

    cores: float
    idle: float | None
    slo_p95_ms: float
    input_wh: WidthHeight
    run: FleetRun
    stages: dict[Stage, float]
    fleet: float
    ways: Sequence[Way]
    lanes: int
    lanes_busy: float | None
    loop: float
    cameras: Sequence[CameraSteps]
    processes: Sequence[ProcessCores]

    def of(self, stages: Sequence[Stage]) -> float:
        """Cores of these stages together."""
        return sum(self.stages.get(stage, 0.0) for stage in stages)

    def share(self, stages: Sequence[Stage]) -> float:
        """The same as a share of the fleet's."""
        return self.of(stages) / self.fleet if self.fleet > 0 else 0.0

    @property
    def full(self) -> bool:
        """Whether there is no core left."""
        if self.idle is not None:
            return self.idle < FULL_SHARE * self.cores
        return self.fleet + self.run.observer_cores > (1 - FULL_SHARE) * self.cores

    @property
    def kept(self) -> bool:
        """Whether the promise is kept."""
        return self.run.age.p95_ms <= self.slo_p95_ms

    @property
    def complete(self) -> bool:
        """Whether all that is wanted is detected."""
        return self.run.detected_hz >= ALL_SHARE * self.run.wanted_hz
