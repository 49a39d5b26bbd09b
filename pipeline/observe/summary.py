"""What to say at the end of a run: nothing is praised that did not happen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from pipeline.observe.promise import Promise
from pipeline.observe.tally import CameraTally, FleetTally
from pipeline.observe.verdict import EXCUSED, TROUBLE, judge, judge_loss
from pipeline.observe.words import age, clock, sentence, span
from pipeline.wire import State

TOLD = 20
"""Cameras in trouble that are explained one by one; the rest is counted."""
WORST = 3
"""Cameras whose attainment is told."""


def summary_lines(fleet: FleetTally, promise: Promise) -> list[str]:
    """The account, the ages, the verdict on the promise, and each camera that is in trouble."""
    return [_account(fleet), *_figures(fleet, promise), *trouble_lines(fleet)]


def promise_lines(fleet: FleetTally, promise: Promise) -> list[str]:
    """The verdict on each promise: kept, or by whom it was broken and why."""
    return [f"the goal of p95 ≤ {promise.p95_ms:g} ms: {judge(fleet, promise)}", *_loss(fleet, promise)]


def trouble_lines(fleet: FleetTally) -> list[str]:
    """A line for each camera that is not well: since when, and why."""
    troubled = [camera for camera in fleet.cameras if camera.state in TROUBLE or camera.state in EXCUSED]
    lines = [trouble(camera) for camera in troubled[:TOLD]]
    if len(troubled) > TOLD:
        lines.append(f"… and {len(troubled) - TOLD} more: {states(camera.state for camera in troubled[TOLD:])}")
    return lines


def trouble(camera: CameraTally) -> str:
    """How one camera is, since when, and why."""
    at = clock(camera.since_ns)
    since = f" since {at} ({span(camera.state_for_s)})" if at else ""
    why = sentence(camera.detail) or ("nothing was heard of it" if camera.silent_s is None else "")
    return f"camera {camera.camera_id} is {camera.state}{since}{f': {why}' if why else ''}"


def states(found: Iterable[State]) -> str:
    """How many there are of each, such as "57 live, 3 ended"."""
    counted = Counter(found)
    return ", ".join(f"{number} {state}" for state, number in counted.most_common())


def _account(fleet: FleetTally) -> str:
    decoded = sum(camera.decoded for camera in fleet.cameras)
    detected = sum(camera.detected for camera in fleet.cameras)
    filled = _total(camera.filled for camera in fleet.cameras)
    lost = _total(camera.lost for camera in fleet.cameras)
    return (
        f"{decoded} frames decoded = {detected} detected + {filled.total()} filled{_by(filled)}"
        f" + {lost.total()} lost{_by(lost)}"
    )


def _figures(fleet: FleetTally, promise: Promise) -> list[str]:
    """Rates and ages, as far as there are frames; the verdict in any case."""
    verdicts = promise_lines(fleet, promise)
    if not any(camera.decoded for camera in fleet.cameras):
        return verdicts
    return [
        f"{fleet.published_hz:.1f} published a second, {fleet.detected_hz:.1f} detected a second",
        f"age p50 {age(fleet.age_p50_ms)}, p95 {age(fleet.age_p95_ms)}, p99 {age(fleet.age_p99_ms)}; "
        f"age of the last detection p95 {age(fleet.detection_age_p95_ms)}",
        *verdicts,
        _attainment(fleet, promise),
        *_detections(fleet),
    ]


def _loss(fleet: FleetTally, promise: Promise) -> list[str]:
    """The verdict on the promise of accuracy, and who loses most; nothing where nothing was promised."""
    if promise.max_loss is None:
        return []
    known = [camera for camera in fleet.cameras if camera.loss is not None]
    most = max(known, key=lambda camera: camera.loss or 0.0, default=None)
    words = "" if most is None else f"; most, as estimated: {most.camera_id} {most.loss:.1f}"
    verdict = judge_loss(fleet, promise.max_loss)
    return [f"the goal of ≤ {promise.max_loss:g} points of HOTA lost: {verdict}{words}"]


def _attainment(fleet: FleetTally, promise: Promise) -> str:
    short = [camera for camera in fleet.cameras if camera.decoded and _attained(camera) < 100]
    worst = [f"{camera.camera_id} {_attained(camera):g} %" for camera in sorted(short, key=_attained)[:WORST]]
    least = f"; least {', '.join(worst)}" if worst and len(fleet.cameras) > 1 else ""
    return f"attainment {fleet.attainment_percent:g} % (frames within {promise.p95_ms:g} ms with a detection){least}"


def _attained(camera: CameraTally) -> float:
    return camera.attainment_percent or 0.0


def _detections(fleet: FleetTally) -> list[str]:
    """The way of detected frames, who waited longest for one, how evenly they fell."""
    stages = ", ".join(f"{stage} {spent['p50']:.0f}/{spent['p95']:.0f}" for stage, spent in fleet.stages_ms.items())
    way = f"a detected frame's way, p50/p95 ms: {stages or 'none was detected'}"
    fairness = "" if fleet.jain_index is None else f"fairness of detections (Jain) {fleet.jain_index:.2f}; "
    worst = max(fleet.cameras, key=lambda camera: camera.longest_undetected_s)
    never = "" if worst.detected else ", never detected" if worst.decoded else ", never delivered"
    return [way, f"{fairness}longest without one {worst.longest_undetected_s:.1f} s ({worst.camera_id}{never})"]


def _total(books: Iterable[Mapping[str, int]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for book in books:
        total.update(book)
    return total


def _by(reasons: Mapping[str, int]) -> str:
    if not reasons:
        return ""
    return " (" + ", ".join(f"{reason} {frames}" for reason, frames in sorted(reasons.items())) + ")"
