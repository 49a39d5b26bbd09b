"""Whether a fleet kept its promises: of whom it is known, for whom they were broken, and why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from pipeline.observe.promise import Promise
from pipeline.observe.tally import CameraTally, FleetTally
from pipeline.observe.words import age, sentence, some
from pipeline.wire import SEEING, State

Answer = Literal["kept", "not kept", "unknown"]

EXCUSED: frozenset[State] = frozenset({"removed", "paused"})
"""States that somebody wanted: nothing is promised of such a camera."""
BROKEN: frozenset[State] = frozenset({"blind", "failed"})
"""States that a run must not end in."""
TROUBLE: frozenset[State] = frozenset({"failed", "blind", "retrying", "degraded", "connecting"})
"""States to be explained at the end of a run."""
_PROMISED: frozenset[State] = frozenset({"live", "ended"})


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer.

    Attributes:
        answer: `kept`: by every camera of which something is promised. `unknown`: no camera delivered anything.
        kept_by: The cameras that kept it.
        broken_by: The others, each with the reason in a few words.
    """

    answer: Answer
    kept_by: tuple[str, ...]
    broken_by: dict[str, str]

    def __str__(self) -> str:
        if self.answer == "unknown":
            return "unknown: no camera was live"
        if self.answer == "kept":
            return f"kept by {_cameras(len(self.kept_by))}"
        return f"not kept: {some([f'{name} {why}' for name, why in self.broken_by.items()])}"


def judge(fleet: FleetTally, promise: Promise) -> Verdict:
    """Whether the promise of age was kept; a camera of which nothing is known has not kept it."""
    return _verdict(fleet, lambda camera: shortfall(camera, promise))


def judge_loss(fleet: FleetTally, max_loss: float) -> Verdict:
    """Whether no camera lost more points of HOTA than promised; one of which that is not known has not kept it."""
    return _verdict(fleet, lambda camera: excess(camera, max_loss))


def _verdict(fleet: FleetTally, why_not: Callable[[CameraTally], str]) -> Verdict:
    judged = {camera.camera_id: why_not(camera) for camera in fleet.cameras if camera.state not in EXCUSED}
    kept = tuple(name for name, why in judged.items() if not why)
    broken = {name: why for name, why in judged.items() if why}
    if not any(camera.decoded for camera in fleet.cameras if camera.camera_id in judged):
        return Verdict("unknown", (), broken)
    return Verdict("not kept" if broken else "kept", kept, broken)


def shortfall(camera: CameraTally, promise: Promise) -> str:
    """Why a camera does not keep the promise, such as "was never detected"; empty where it does."""
    if missing := _never(camera):
        return missing
    if camera.state not in _PROMISED:
        return f"is {camera.state}"
    if camera.age_p95_ms is None or camera.age_p95_ms > promise.p95_ms:
        return f"has a p95 of {age(camera.age_p95_ms)}"
    detection_ms = camera.detection_age_p95_ms
    if detection_ms is None or detection_ms > promise.detection_limit_ms(camera.camera_id):
        return f"went without a detection too long (p95 {age(detection_ms)})"
    return ""


def excess(camera: CameraTally, max_loss: float) -> str:
    """Why a camera loses more than it may, such as "loses 3.4 points at stride 6"; empty where it does not."""
    if missing := _never(camera):
        return missing
    if camera.state not in SEEING | {"ended"}:
        return f"is {camera.state}"
    if camera.loss is None:
        return "loses nobody knows how much: it was not detected twice"
    if camera.loss > max_loss:
        return f"loses {camera.loss:.1f} points at {camera.detected_hz:g} detections a second"
    return ""


def complaints(fleet: FleetTally) -> dict[str, str]:
    """What is wrong with cameras that never delivered, were never detected, or are blind or failed now, by camera.

    If there are any, `camfleet run` exits with 1.
    """
    asked = [camera for camera in fleet.cameras if camera.state not in EXCUSED]
    wrong = {camera.camera_id: (_never(camera) or _ends(camera), sentence(camera.detail)) for camera in asked}
    return {name: f"{what}: {why}" if why else what for name, (what, why) in wrong.items() if what}


def _ends(camera: CameraTally) -> str:
    return f"is {camera.state}" if camera.state in BROKEN else ""


def _never(camera: CameraTally) -> str:
    if not camera.decoded:
        return "never delivered a frame"
    return "" if camera.detected else "was never detected"


def _cameras(number: int) -> str:
    return "1 camera" if number == 1 else f"{number} cameras"
