"""Real runs: the fleet as `camfleet run` would run it, over recordings, published where nobody else listens."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipeline.bench.fleet import Span, measure_fleet
from pipeline.config import Fleet, load_fleet
from pipeline.tune.figures import Figures
from pipeline.tune.goal import Goal
from pipeline.tune.recordings import Footage
from pipeline.tune.setting import Setting

SETTLE_S = 2.5
"""Until strides and lanes have found their place; they are reconsidered four times a second."""


@dataclass(frozen=True, slots=True)
class RealRuns:
    """Runs a fleet file over recordings.

    Attributes:
        file: The fleet file.
        footage: In place of its cameras.
        turn: Called several times a second with the seconds of the run that are over.
        settle_s: Before it is measured, s.
    """

    file: Path
    footage: Footage
    turn: Callable[[float], None]
    settle_s: float = SETTLE_S

    def run(self, setting: Setting, seconds: float, goal: Goal) -> Figures:
        """As `lab.Runner`.

        The settings are laid under the file by the loader, as `camfleet run` does it with a profile: what is measured
        is what will run.
        """
        fleet = self.footage.in_place_of(load_fleet(self.file, overlay=setting.overlay))
        slo = fleet.slo.model_copy(update={"p95_ms": goal.p95_ms})
        promised = fleet.model_copy(update={"slo": slo})
        return Figures.of(measure_fleet(promised, Span(self.settle_s, seconds), self.turn))


def fleet_digest(fleet: Fleet) -> str:
    """What tells one fleet from another as far as a search goes: everything but where it publishes."""
    import hashlib

    body = fleet.model_dump(mode="json", exclude={"publish", "sinks", "page"})
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:16]
