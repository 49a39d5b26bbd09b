"""The verdict: what was expected of a phase against what was seen. Pure arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.burst.result import AgePercentiles, CameraFigures, Check
from pipeline.burst.scenario import Expect

OTHERS_WORSE = 0.10
"""What a fault at one camera may add to the p95 of the others."""
WINDOW_S = 1.0
"""A camera is back when it keeps its usual rate for so long."""
GREEN = "live"
"""The state that says all is well."""
USUAL_SHARE = 0.9
"""What is left of the usual rate, at least, when a camera counts as there."""


@dataclass(frozen=True, slots=True)
class Told:
    """A state that messages told of a camera from a moment on, s after the first phase began, with its reason."""

    at_s: float
    state: str
    why: str


@dataclass(frozen=True, slots=True)
class Named:
    """What messages told of a camera that is expected to be in a state.

    Attributes:
        wanted: The state.
        after_s: How long it took until it was told, s; None where it never was.
        why: The reason that was told with it; empty without.
        last: The state that was told last while it was watched; empty without.
        green_s: When it was called live again after that, s; None where it was not.
    """

    camera_id: str
    wanted: str
    after_s: float | None
    why: str
    last: str
    green_s: float | None


@dataclass(frozen=True, slots=True)
class Facts:
    """What was seen in the judged part of a phase.

    Attributes:
        fleet: All cameras together.
        live_cameras: Cameras that publish at their usual rate at the end.
        recovery_s: From the fault's end until all that were hit are back; None if they are not.
        others_p95_ms: Of the cameras that no fault happened to; None without a fault, or without frames of theirs.
        others_p95_before_ms: The same in the steady phase before.
        difference: The fleet's own ages less the true ones.
        error: Why the fault could not be made; empty where it could.
        named: What messages told of the cameras that a state is expected of.
    """

    fleet: CameraFigures
    live_cameras: int
    recovery_s: float | None
    others_p95_ms: float | None
    others_p95_before_ms: float | None
    difference: AgePercentiles
    error: str = ""
    named: tuple[Named, ...] = ()


def judge(expect: Expect, facts: Facts) -> list[Check]:
    """One check for each expectation, in the order of the documentation; with the fault's own if it was not made."""
    fleet = facts.fleet
    missing = [Check(what="fault", expected="is made", found=facts.error, passed=False, miss="not tested")]
    checks = [
        _at_most("p95_ms", expect.p95_ms, fleet.age.p95, "ms"),
        _at_most("p99_ms", expect.p99_ms, fleet.age.p99, "ms"),
        _at_least("min_published_share", expect.min_published_share, share(fleet.published, fleet.offered)),
        _at_least("min_detected_share", expect.min_detected_share, share(fleet.detected, fleet.published)),
        _at_most("max_lost", expect.max_lost, sum(fleet.lost.values()), "frames"),
        _at_least("min_cameras", expect.min_cameras, facts.live_cameras),
        _at_most("max_recovery_s", expect.max_recovery_s, facts.recovery_s, "s", nothing="never came back"),
        _others(expect.others_unaffected, facts),
        _at_most("others_p95_ms", expect.others_p95_ms, facts.others_p95_ms, "ms"),
        _at_most("max_clock_difference_ms", expect.max_clock_difference_ms, _off(facts.difference), "ms"),
    ]
    states = [_state(named, expect.max_state_s) for named in facts.named]
    return [check for check in (*(missing if facts.error else ()), *checks, *states) if check is not None]


def named(camera_id: str, wanted: str, told: Sequence[Told], begin_s: float, end_s: float) -> Named:
    """When a camera was told to be as it is expected to be, from `begin_s` on, and whether it stayed so to `end_s`.

    Args:
        camera_id: Which camera.
        wanted: The state that is expected.
        told: All that was told of it, in order of time; what holds at `begin_s` was told before.
        begin_s: When what makes it so began.
        end_s: When that was over.
    """
    before = [one for one in told if one.at_s <= begin_s][-1:]
    watched = [*before, *(one for one in told if begin_s < one.at_s < end_s)]
    first = next((index for index, one in enumerate(watched) if one.state == wanted), None)
    last = watched[-1].state if watched else ""
    if first is None:
        return Named(camera_id, wanted, None, "", last, None)
    green = [one.at_s for one in watched[first + 1 :] if one.state == GREEN and wanted != GREEN]
    after_s = max(0.0, watched[first].at_s - begin_s)
    return Named(camera_id, wanted, after_s, watched[first].why, last, green[0] - begin_s if green else None)


def share(part: float, whole: float) -> float | None:
    """`part` of `whole`, at most 1, as the edges of a phase cut through a frame interval; None of nothing."""
    return min(1.0, part / whole) if whole > 0 else None


def recovery_s(
    at_s: NDArray[np.float64], age_ms: NDArray[np.float64], end_s: float, usual_hz: float, limit_ms: float
) -> float | None:
    """How long after `end_s` a camera was back: from the first frame on, for a second, at its usual rate and age.

    Args:
        at_s: (N,) when its frames were published, ascending.
        age_ms: (N,) their ages.
        end_s: When the fault was over.
        usual_hz: Frames a second before the fault.
        limit_ms: What the 95th percentile of ages may be.

    Returns:
        Seconds; None if it did not come back while it was watched.
    """
    needed = max(1.0, USUAL_SHARE * usual_hz * WINDOW_S)
    for first in range(int(np.searchsorted(at_s, end_s)), len(at_s)):
        after = int(np.searchsorted(at_s, at_s[first] + WINDOW_S))
        if after - first >= needed and np.percentile(age_ms[first:after], 95) <= limit_ms:
            return max(0.0, round(float(at_s[first] - end_s), 2))
    return None


def passed(checks: Sequence[Check]) -> bool:
    """Whether all of them hold."""
    return all(check.passed for check in checks)


def _state(named: Named, within_s: float) -> Check:
    expected = f"{named.wanted} within {within_s:g} s" + (", and why" if named.wanted != GREEN else "")
    found = f"{named.wanted} after {named.after_s:.1f} s" if named.after_s is not None else named.last or "nothing told"
    found += f": {named.why}" if named.why else ""
    if named.after_s is None:
        miss = "never told"
    elif named.after_s > within_s:
        miss = f"{named.after_s - within_s:.1f} s too late"
    elif not named.why and named.wanted != GREEN:
        miss = "no reason told"
    else:
        miss = f"called {GREEN} again after {named.green_s:.1f} s" if named.green_s is not None else ""
    return Check(what=f"state of {named.camera_id}", expected=expected, found=found, passed=not miss, miss=miss)


def _off(difference: AgePercentiles) -> float | None:
    return None if difference.p95 is None or difference.p50 is None else max(abs(difference.p95), abs(difference.p50))


def _others(wanted: bool | None, facts: Facts) -> Check | None:
    if not wanted:
        return None
    before, now = facts.others_p95_before_ms, facts.others_p95_ms
    if before is None:
        return _at_most("others_unaffected", 0.0, None, "ms")
    return _at_most("others_unaffected", round(before * (1 + OTHERS_WORSE), 1), now, "ms")


def _at_most(
    what: str, limit: float | None, found: float | None, unit: str, nothing: str = "nothing to judge by"
) -> Check | None:
    if limit is None:
        return None
    if found is None:
        return Check(what=what, expected=f"≤ {limit:g} {unit}", found=nothing, passed=False, miss=nothing)
    good = found <= limit
    miss = "" if good else f"{_figure(found - limit)} {unit} too much{_percent(found, limit)}"
    return Check(what=what, expected=f"≤ {limit:g} {unit}", found=f"{_figure(found)} {unit}", passed=good, miss=miss)


def _at_least(what: str, limit: float | None, found: float | None) -> Check | None:
    if limit is None:
        return None
    if found is None:
        return Check(what=what, expected=f"≥ {limit:g}", found="no frames", passed=False, miss="no frames")
    good = found >= limit
    miss = "" if good else f"{_figure(limit - found)} missing{_percent(found, limit)}"
    return Check(what=what, expected=f"≥ {limit:g}", found=_figure(found), passed=good, miss=miss)


def _percent(found: float, limit: float) -> str:
    return f" ({(found / limit - 1) * 100:+.0f} %)" if limit else ""


def _figure(value: float) -> str:
    """Three decimals for shares, one for milliseconds, none for whole numbers."""
    if float(value).is_integer():
        return f"{value:.0f}"
    return f"{value:.3f}" if abs(value) < 1 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
