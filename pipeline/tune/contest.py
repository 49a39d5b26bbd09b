"""Which of several settings is best: in turns, by medians, the worse half out, and a verdict on fresh runs.

The machine is not the same from one minute to the next: a neighbour works, the processor gets warm. So who is compared
runs in turns, the setting that is to be beaten among them each time; what it did an hour ago does not count. The first
rounds only say who is worth a closer look, and most often nobody is. Whoever looks best then runs in turns with what it
is to beat, and wins by these runs alone: those by which it was chosen were lucky, or it would not have been.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.tune.figures import Figures, gain, median
from pipeline.tune.goal import Goal
from pipeline.tune.lab import Lab
from pipeline.tune.noise import LEAST_GAIN, Noise
from pipeline.tune.setting import Setting

ROUNDS = 2
"""In which settings are chosen for a verdict."""
LEAST_RUNS, MOST_RUNS = 3, 6
"""Turns of a verdict: at least, and where it is close."""
OUT = 2.0
"""Behind by more than so many standard deviations, a setting is out after its first run."""


@dataclass(frozen=True, slots=True)
class Contest:
    """How a comparison ended.

    Attributes:
        winner: The best setting; the one to be beaten unless another is clearly better.
        tried: Medians by setting, the one to be beaten first; of the verdict where there was one.
        failed: Settings that the fleet cannot run with, and why.
        whole: Whether there was time for all of it.
    """

    winner: Setting
    tried: Mapping[Setting, Figures]
    failed: Mapping[Setting, str] = field(default_factory=dict)
    whole: bool = True


def compare(lab: Lab, best: Setting, others: Sequence[Setting], noise: Noise, reserve_s: float = 0.0) -> Contest:
    """The best of `others`, if it clearly beats `best`; else `best`.

    Args:
        lab: Measures.
        best: To be beaten.
        others: Who may beat it.
        noise: How far equal runs differ; learns from the runs that are made.
        reserve_s: Time not to be spent, s.
    """
    runs: dict[Setting, list[Figures]] = {best: []}
    hopeful = [setting for setting in dict.fromkeys(others) if setting != best]
    whole = True
    for _ in range(ROUNDS):
        if not hopeful:
            break
        if not lab.affords(len(hopeful) + 1, reserve_s):
            whole = False
            break
        _turn(lab, (best, *hopeful), runs)
        hopeful = _left(lab.goal, best, [setting for setting in hopeful if runs.get(setting)], runs, noise)
    for made in runs.values():
        noise.learn(made)
    tried = {setting: median(made) for setting, made in runs.items() if made}
    failed = {setting: lab.failed[setting] for setting in others if setting in lab.failed}
    winner = best
    if hopeful and whole and best in tried and _promises(lab.goal, tried[hopeful[0]], tried[best]):
        decided = verdict(lab, best, hopeful[0], noise, reserve_s)
        winner, whole, tried = decided.winner, decided.whole, {**tried, **decided.tried}
    return Contest(winner, tried, failed, whole)


def verdict(
    lab: Lab,
    best: Setting,
    other: Setting,
    noise: Noise,
    reserve_s: float = 0.0,
) -> Contest:
    """Whether `other` beats `best`, by runs in turns that are made now; more of them where it is close."""
    runs: dict[Setting, list[Figures]] = {best: [], other: []}
    for turn in range(MOST_RUNS):
        if turn >= LEAST_RUNS and _decided(lab.goal, runs, best, other, noise):
            break
        if not lab.affords(2, reserve_s):
            break
        # Whoever runs second meets a warmer machine: both do.
        _turn(lab, (best, other) if turn % 2 == 0 else (other, best), runs)
    for made in runs.values():
        noise.learn(made)
    tried = {setting: median(made) for setting, made in runs.items() if made}
    whole = min(map(len, runs.values())) >= LEAST_RUNS
    won = whole and beats(lab.goal, tried[other], tried[best], noise)
    return Contest(other if won else best, tried, whole=whole)


def beats(goal: Goal, one: Figures, other: Figures, noise: Noise) -> bool:
    """Whether medians of one setting are better than those of another by more than chance."""
    kept, was_kept = one.keeps(goal), other.keeps(goal)
    if kept != was_kept:
        return kept
    margin = noise.margin(min(one.runs, other.runs))
    return gain(other, one) > margin if kept else one.p95_ms < other.p95_ms * (1 - margin)


def _turn(lab: Lab, settings: Sequence[Setting], runs: dict[Setting, list[Figures]]) -> None:
    for setting in settings:
        figures = lab.measure(setting)
        if figures is not None:
            runs.setdefault(setting, []).append(figures)


def _left(
    goal: Goal, best: Setting, others: list[Setting], runs: Mapping[Setting, list[Figures]], noise: Noise
) -> list[Setting]:
    """The better half of those that may still win, the best first."""
    if not runs[best]:  # What all others start from cannot run any more.
        return []
    medians = {setting: median(runs[setting]) for setting in (best, *others)}
    behind = max(OUT * noise.spread, LEAST_GAIN)
    was_kept = medians[best].keeps(goal)
    hopeful = [
        setting
        for setting in others
        if not was_kept or (medians[setting].keeps(goal) and gain(medians[best], medians[setting]) > -behind)
    ]
    hopeful.sort(key=lambda setting: medians[setting].rank(goal), reverse=True)
    return hopeful[: (len(hopeful) + 1) // 2]


def _promises(goal: Goal, one: Figures, best: Figures) -> bool:
    """Whether a verdict is worth its runs."""
    if not best.keeps(goal):
        return one.rank(goal) > best.rank(goal)
    return one.keeps(goal) and gain(best, one) > LEAST_GAIN


def _decided(goal: Goal, runs: Mapping[Setting, list[Figures]], best: Setting, other: Setting, noise: Noise) -> bool:
    """Whether more turns would change nothing: it has won, or is not even ahead."""
    if not all(runs.values()):
        return True
    one, two = median(runs[other]), median(runs[best])
    return beats(goal, one, two, noise) or one.rank(goal) <= two.rank(goal)
