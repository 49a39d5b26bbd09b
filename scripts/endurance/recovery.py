"""How soon each camera was back after the last fault on it, and where it was silent without one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from endurance.faults import Injected
from endurance.owner import SUPERVISOR

LIMITS_S = {"camera": 5.0, "worker": 6.0, SUPERVISOR: 10.0}
"""By when a camera has to be back, by the slowest kind of process that a fault was on; a supervisor's end is the
fleet's, and its owner has to start another."""
SILENT_S = 0.5
"""A camera is silent when nothing has come for so long: a dozen frames at 25 fps."""
UNDER_WAY_S = 1.0
"""Frames that were under way may still come so long after a fault."""
NEVER = float("inf")


@dataclass(frozen=True)
class Recovery:
    """Faults on a camera that overlapped or followed before it was back, and its coming back.

    Attributes:
        camera_id: Which camera.
        kind: The slowest kind of process that a fault was on.
        faults: How many.
        last: The last of them, in words.
        since_s: When the first began, monotonic s.
        over_s: When the last was over.
        back_s: When frames came again; `over_s` where it was not silent, infinite where none came.
    """

    camera_id: str
    kind: str
    faults: int
    last: str
    since_s: float
    over_s: float
    back_s: float

    @property
    def took_s(self) -> float:
        """From the end of the last fault to the first frame."""
        return self.back_s - self.over_s

    @property
    def is_late(self) -> bool:
        """Whether it took longer than it may."""
        return self.took_s > LIMITS_S[self.kind]


def recoveries(camera_id: str, arrivals_s: Sequence[float], injected: Sequence[Injected]) -> list[Recovery]:
    """Every coming back of a camera. What is cut short by a further fault counts with that one, unless it was late."""
    mine = sorted((one for one in injected if one.disturbs(camera_id)), key=lambda one: one.since_s)
    silences = _silences(arrivals_s)
    found: list[Recovery] = []
    chain: list[Injected] = []
    for one, following in zip(mine, [*mine[1:], None], strict=True):
        chain.append(one)
        over_s = max(each.over_s for each in chain)
        next_s = NEVER if following is None else following.since_s
        if next_s <= over_s:
            continue
        back_s = _back_s(silences, over_s)
        kind = max((_kind(each) for each in chain), key=LIMITS_S.__getitem__)
        if back_s <= next_s or next_s - over_s > LIMITS_S[kind]:
            words = f"{one.fault.signal.name} {one.name}"
            found.append(Recovery(camera_id, kind, len(chain), words, chain[0].since_s, over_s, back_s))
            chain = []
    return found


def unprovoked(arrivals_s: Sequence[float], found: Sequence[Recovery]) -> list[tuple[float, float]]:
    """Silences that no fault explains: when they began, monotonic s, and how long they lasted, s."""
    return [
        (began_s, ended_s - began_s)
        for began_s, ended_s in _silences(arrivals_s)
        if ended_s != NEVER and not any(one.since_s <= ended_s and began_s <= one.back_s for one in found)
    ]


def _silences(arrivals_s: Sequence[float]) -> list[tuple[float, float]]:
    """Where nothing came: from the last frame to the next one; what follows the last of all has no end."""
    return [(before, after) for before, after in pairwise([*arrivals_s, NEVER]) if after - before > SILENT_S]


def _back_s(silences: Sequence[tuple[float, float]], over_s: float) -> float:
    caused = [ended_s for began_s, ended_s in silences if began_s < over_s + UNDER_WAY_S and ended_s > over_s]
    return max(caused, default=over_s)


def _kind(injected: Injected) -> str:
    return injected.fault.kind if injected.fault.kind in LIMITS_S else "camera"
