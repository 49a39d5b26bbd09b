"""A plan checked by a run: the fleet is planned from its parts, then run, and both are shown side by side."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.bench.figures import FleetRun
from pipeline.bench.fleet import Span, measure_fleet
from pipeline.capacity import rehearse
from pipeline.capacity.figures import Check, Compared, Rehearsal
from pipeline.capacity.fleet import Measured, Turn, measure, plan_fleet
from pipeline.config.values import Fleet

SETTLE_S = 8.0
PLAYED_S, DRAWS = 3.0, 24
"""Many starts, each for a short while: ages differ far more from start to start than from second to second. Six
cameras at stride 2 on two lanes of 20 ms had a p95 of 24 to 52 ms in six starts of the fleet, and on the virtual clock.
"""


def check(fleet: Fleet, seconds: float, step: Callable[[str, float], Turn]) -> Check:
    """What was predicted for a fleet and what a run of it gave; blocks for both.

    Args:
        fleet: As it is; it publishes on a free local port meanwhile.
        seconds: How long the run is measured.
        step: Called with the words for each part and how long it takes; gives what is called with how far it is.

    Raises:
        PipelineError: A camera or the detector does not work, or the fleet cannot be run.
    """
    found = measure(fleet, step)
    turn = step("the plan on a virtual clock", 1)
    predicted = plan_fleet(fleet, found, as_it_is=True, span=_span(fleet))
    turn(1)
    run = measure_fleet(fleet, Span(SETTLE_S, seconds), step("the whole fleet", SETTLE_S + seconds))
    return Check(
        fleet=fleet.name,
        machine=found.constants.machine,
        cores=found.constants.cores,
        seconds=run.seconds,
        constants=found.constants,
        service=found.service,
        in_place=found.in_place,
        plan=predicted,
        other_cores=run.other_cores,
        figures=compare(predicted.rehearsal, run),
    )


def predict(fleet: Fleet, found: Measured) -> Rehearsal:
    """What `check` would predict for a fleet whose parts are known already."""
    return plan_fleet(fleet, found, as_it_is=True, span=_span(fleet)).rehearsal


def _span(fleet: Fleet) -> rehearse.Span:
    """As long as strides need to be found, where any is."""
    finds_strides = any(camera.stride.max > camera.stride.min for camera in fleet.cameras.values())
    settle_s = SETTLE_S if finds_strides else min(SETTLE_S, rehearse.FIXED_SETTLE_S)
    return rehearse.Span(settle_s, PLAYED_S, DRAWS)


def compare(predicted: Rehearsal, run: FleetRun) -> list[Compared]:
    """Figure by figure."""
    pairs = {
        "age p50, all frames, ms": (predicted.age.p50_ms, run.age.p50_ms),
        "age p95, all frames, ms": (predicted.age.p95_ms, run.age.p95_ms),
        "age p99, all frames, ms": (predicted.age.p99_ms, run.age.p99_ms),
        "age p50, detected, ms": (predicted.detected_age.p50_ms, run.detected_age.p50_ms),
        "age p95, detected, ms": (predicted.detected_age.p95_ms, run.detected_age.p95_ms),
        "age p99, detected, ms": (predicted.detected_age.p99_ms, run.detected_age.p99_ms),
        "published a second": (predicted.published_hz, run.published_hz),
        "detected a second": (predicted.detected_hz, run.detected_hz),
        "stride, mean": (predicted.stride, run.stride),
    }
    return [
        Compared(
            name=name,
            predicted=round(ours, 2),
            measured=round(theirs, 2),
            error_percent=round(100 * (ours - theirs) / theirs, 1) if theirs else None,
        )
        for name, (ours, theirs) in pairs.items()
    ]
