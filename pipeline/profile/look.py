"""How a profile is drawn, on a page and in a terminal: which colour means what, where each piece of a bar begins."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pipeline.profile.figures import STAGE_WORDS, STEP_WORDS, Profile, Stage, Step, Way
from pipeline.profile.split import ORDER
from pipeline.profile.way import STEPS

COLOURS: dict[str, str] = {
    "capture": "#8b98ab",
    "receive": "#0ea5b7",
    "decode": "#2f6fed",
    "resize": "#7aa8f7",
    "slot": "#5b5fd6",
    "core": "#93a4bd",
    "wait": "#c9a13b",
    "decide": "#7c8a3a",
    "inference": "#f0883e",
    "after": "#d9480f",
    "track": "#2f9e5b",
    "turn": "#8fb89c",
    "encode": "#12806a",
    "publish": "#a855c7",
    "sinks": "#e0559a",
    "page": "#f191bd",
    "supervisor": "#7f7a8c",
    "others": "#5c6470",
    "idle": "#c4ccd6",
}
"""By stage and by step; what a frame waits for is drawn hatched besides (`WAITING`)."""
WAITING: frozenset[Step] = frozenset({"core", "wait", "turn"})
LEAST_CORES = 0.005
"""Less than that is not worth a row."""
MOST_PROCESSES = 14
"""More processes than that are shown with the cheap cameras together."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a bar.

    Attributes:
        key: The stage or step, for its colour.
        words: What it is.
        value: ms or cores.
        start: Where it begins, 0..1 of the axis.
        width: How wide it is, likewise.
        waiting: Whether nobody works meanwhile.
    """

    key: str
    words: str
    value: float
    start: float
    width: float
    waiting: bool = False


def pieces(
    values: Iterable[tuple[str, str, float]], whole: float, waiting: frozenset[str] = frozenset()
) -> list[Piece]:
    """Values one after the other on an axis of length `whole`; (key, words, value) each. Empty ones are left out."""
    found, at = [], 0.0
    for key, words, value in values:
        if value > 0 and whole > 0:
            found.append(Piece(key, words, value, at / whole, value / whole, key in waiting))
            at += value
    return found


def way_pieces(way: Way, whole_ms: float) -> list[Piece]:
    """A frame's way on an axis of `whole_ms`."""
    values = ((step, STEP_WORDS[step], way.steps[step]) for step in STEPS if step in way.steps)
    return pieces(values, whole_ms, frozenset(map(str, WAITING)))


def core_pieces(profile: Profile) -> list[Piece]:
    """The machine's cores: the fleet's stages, then others, this profile among them, then what is idle, if anything."""
    values: list[tuple[str, str, float]] = [
        (share.stage, STAGE_WORDS[share.stage], share.cores) for share in profile.shares
    ]
    others = profile.observer_cores + (profile.other_cores or 0.0)
    idle = profile.idle_cores or 0.0
    values += [("others", "other programs", others), ("idle", "idle", idle if idle >= LEAST_CORES else 0.0)]
    return pieces(values, max(profile.cores, sum(value for _, _, value in values)))


def stage_pieces(stages: Mapping[Stage, float], whole: float) -> list[Piece]:
    """A process's cores on an axis of `whole`."""
    return pieces(((stage, STAGE_WORDS[stage], stages.get(stage, 0.0)) for stage in ORDER), whole)


def axis_ms(ways: Sequence[Way], goal_ms: float) -> float:
    """How long the axis of ages is: all of the latest frames, and the goal unless that is far away."""
    longest = max((sum(way.steps.values()) for way in ways), default=1.0)
    return 1.04 * max(longest, goal_ms if goal_ms <= 4 * longest else 0.0)


def ticks(whole: float, most: int = 8) -> list[float]:
    """Round numbers on an axis from 0."""
    step = 10.0 ** math.floor(math.log10(whole / most)) if whole > 0 else 1.0
    for factor in (1, 2, 5, 10):
        if whole / (step * factor) <= most:
            step *= factor
            break
    return [step * number for number in range(int(whole / step) + 1)]


@dataclass(frozen=True, slots=True)
class Row:
    """A process, or cheap cameras together.

    Attributes:
        name: What it is.
        cores: Its own.
        memory_mb: Likewise.
        stages: What they went into.
        detail: What it says of itself.
    """

    name: str
    cores: float
    memory_mb: float
    stages: Mapping[Stage, float]
    detail: str = ""


def rows(profile: Profile, most: int = MOST_PROCESSES) -> list[Row]:
    """Every process; where there are many, the cheapest cameras as one row."""
    shown = [Row(one.name, one.cores, one.memory_mb, one.stages, one.detail) for one in profile.processes]
    cameras = sorted((row for row in shown if row.name.startswith("camera ")), key=lambda row: -row.cores)
    kept = max(3, most - (len(shown) - len(cameras)) - 1)
    if len(shown) <= most or len(cameras) <= kept + 1:
        return shown
    cheap = cameras[kept:]
    stages: dict[Stage, float] = {}
    for row in cheap:
        for stage, cores in row.stages.items():
            stages[stage] = stages.get(stage, 0.0) + cores
    together = Row(
        f"{len(cheap)} other cameras", sum(row.cores for row in cheap), sum(row.memory_mb for row in cheap), stages
    )
    return [*(row for row in shown if row not in cheap), together]


def way_name(way: Way) -> str:
    """What a bar of ages is called."""
    return f"{'typical' if way.rank == 'p50' else 'late'}, {way.frames}"
