"""Where a goal cannot be reached within its budget: which budget would do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pipeline.tune.figures import Figures, median
from pipeline.tune.forms import TooDear
from pipeline.tune.goal import Goal
from pipeline.tune.lab import Lab
from pipeline.tune.outcome import Outcome, OverBudget
from pipeline.tune.setting import Setting

RELAXED = (1.5, 2.0, 3.0, 4.0)
"""Multiples of the promised age that are tried where it cannot be kept."""
RUNS = 2
"""Of each: what is told is where to look, not what was found."""


def look_beyond(outcome: Outcome, lab: Lab, too_dear: Sequence[TooDear]) -> None:
    """Run what is over the budget, the cheapest first, and the best setting under larger promises; note both."""
    lab.watch.step("which budget would do")
    for one in sorted(too_dear, key=lambda one: one.loss):
        if not lab.affords(RUNS):
            return
        figures = _medians(lab, one.setting, outcome.goal)
        if figures is None:
            continue
        outcome.over_budget.append(OverBudget(one.variant.words, one.setting, one.loss, figures))
        if figures.reaches(outcome.goal):
            break
    for times in RELAXED:
        if not lab.affords(RUNS):
            return
        goal = replace(outcome.goal, p95_ms=times * outcome.goal.p95_ms)
        figures = _medians(lab, outcome.best, goal)
        if figures is not None and figures.reaches(goal):
            outcome.relaxed_ms = goal.p95_ms
            return


def _medians(lab: Lab, setting: Setting, goal: Goal) -> Figures | None:
    made = [figures for _ in range(RUNS) if (figures := lab.measure(setting, goal)) is not None]
    return median(made) if made else None
