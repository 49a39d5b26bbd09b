"""What a fleet promises of each frame and each camera, as far as a subscriber can judge it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from pipeline.config.values import Fleet

LIFE_MS = 1000.0
"""How long boxes live of a camera whose settings are not known: the default of `track.max_fill_ms`."""


@dataclass(frozen=True, slots=True)
class Promise:
    """The stated latency, how long boxes may live without a detection, and what may be lost by that.

    Attributes:
        p95_ms: The age that 95 of 100 frames stay below.
        life_ms: How long boxes live, by camera; `LIFE_MS` for others.
        max_loss: The points of HOTA that a camera may lose; None where nothing is promised.
    """

    p95_ms: float
    life_ms: Mapping[str, float] = field(default_factory=dict)
    max_loss: float | None = None

    @classmethod
    def of(cls, fleet: Fleet) -> Self:
        """That of a fleet file."""
        life_ms = {name: camera.track.max_fill_ms for name, camera in fleet.cameras.items()}
        return cls(fleet.slo.p95_ms, life_ms, fleet.slo.max_loss)

    def detection_limit_ms(self, camera_id: str) -> float:
        """How old a camera's newest detection may be: boxes live so long, after a frame that may itself be old."""
        return self.life_ms.get(camera_id, LIFE_MS) + self.p95_ms
