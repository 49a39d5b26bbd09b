"""What a search found, and what it means."""

from __future__ import annotations

from dataclasses import dataclass, field

from pipeline.tune.figures import Figures, gain
from pipeline.tune.goal import Budget, Goal
from pipeline.tune.setting import Setting

NEAR_POINTS = 5.0
"""A model that is so many points over the budget is near enough for better data to close the gap."""

DISTURBED = 0.2
"""Cores of other programs, the observer's own not among them, from which figures are worth less."""


@dataclass(frozen=True, slots=True)
class Tried:
    """A setting beside others, with what it costs; `figures` is None where the fleet cannot run so."""

    setting: Setting
    figures: Figures | None
    map_loss: float = 0.0
    hota_loss: float = 0.0
    why: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One lever.

    Attributes:
        name: Which.
        tried: What was compared, the setting that was to be beaten first.
        winner: What goes on from here.
        note: Why nothing was tried, or not all of it; empty otherwise.
    """

    name: str
    winner: Setting
    tried: tuple[Tried, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class OverBudget:
    """A model that costs more than the budget, run all the same: what a larger budget would bring."""

    words: str
    setting: Setting
    map_loss: float
    figures: Figures


@dataclass(slots=True)
class Outcome:
    """Everything that a search found.

    Attributes:
        goal: What was asked.
        budget: And at which cost.
        noise: How far equal runs differ, as a share of detections a second.
        seconds: How long a run was measured.
        best: The best setting; nothing in it where the file's own is.
        before: Medians of the file's own setting.
        after: Medians of the best, run in turns with it; the same as `before` where that is best.
        map_loss: Points that the best setting's model loses.
        hota_loss: Points that its strides lose.
        basis: On what accuracy was measured; empty where nothing that costs any was tried.
        steps: By lever, in the order of the search.
        over_budget: Models that cost too much, if the goal was not reached without.
        relaxed_ms: A p95 that the best setting keeps, where it does not keep the goal; None where none was found.
        out_of_time: Whether something was left to try when the time was over.
        runs: How many runs were made.
        spent_s: How long all of it took.
    """

    goal: Goal
    budget: Budget
    noise: float = 0.0
    seconds: float = 0.0
    best: Setting = field(default_factory=Setting)
    before: Figures | None = None
    after: Figures | None = None
    map_loss: float = 0.0
    hota_loss: float = 0.0
    basis: str = ""
    steps: list[Step] = field(default_factory=list)
    over_budget: list[OverBudget] = field(default_factory=list)
    relaxed_ms: float | None = None
    out_of_time: bool = False
    runs: int = 0
    spent_s: float = 0.0

    @property
    def reached(self) -> bool:
        """Whether the best setting does what was asked; the budget it keeps always."""
        return self.after is not None and self.after.reaches(self.goal)

    @property
    def enough_as_it_was(self) -> bool:
        """Whether the file's own setting leaves nothing to search for."""
        before = self.before
        return before is not None and before.reaches(self.goal) and (before.all_detected or self.goal.detect_hz > 0)

    @property
    def tells(self) -> bool:
        """Whether anything is known of which setting is best: something was compared, or nothing need be."""
        return self.enough_as_it_was or any(len(step.tried) > 1 for step in self.steps)

    @property
    def gain(self) -> float:
        """Detections a second more than the file's own setting, as a share."""
        return gain(self.before, self.after) if self.before and self.after else 0.0


def conclusions(outcome: Outcome) -> list[str]:
    """What follows, a sentence each."""
    if outcome.before is None or outcome.after is None:
        return ["The fleet could not be measured; nothing is known."]
    told = [_goal_words(outcome, outcome.after), _gain_words(outcome, outcome.before, outcome.after)]
    told += [*_budget_words(outcome), *_data_words(outcome)]
    if (after := outcome.after).other_cores is not None and after.other_cores > DISTURBED:
        told.append(
            f"Other programs took {after.other_cores:.1f} cores meanwhile: tune again when nothing else runs, these "
            "figures are theirs as well."
        )
    if outcome.out_of_time:
        told.append("The time was over before everything was tried: more --time goes on from here.")
    return [words for words in told if words]


def _goal_words(outcome: Outcome, after: Figures) -> str:
    if outcome.reached:
        return f"The goal is met within the budget: {outcome.goal} at a p95 of {after.p95_ms:.0f} ms."
    if after.keeps(outcome.goal):
        return (
            f"The goal is not met: p95 is {after.p95_ms:.0f} ms, and {after.detected_hz:.1f} detections a second are "
            f"fewer than {outcome.goal.detect_hz:g}."
        )
    if after.detected_hz <= 0:
        return f"The goal is not met: within {outcome.goal.p95_ms:g} ms nothing is detected at all."
    return f"The goal is not met: p95 is {after.p95_ms:.0f} ms at best, {outcome.goal} was asked."


def _gain_words(outcome: Outcome, before: Figures, after: Figures) -> str:
    if outcome.best == Setting():
        if not outcome.tells:
            return "Nothing else was run, so nothing is known of other settings, and no profile is written."
        if before.all_detected and before.keeps(outcome.goal):
            return "The file's own setting detects every frame, so nothing is left to gain."
        if outcome.enough_as_it_was:
            return f"The file's own setting is enough: {before.detected_hz:.1f} detections a second."
        return "The file's own setting is best here: nothing else beat it."
    kept = "" if before.keeps(outcome.goal) else "; before, the goal was not kept"
    return (
        f"{outcome.best.words}: {after.detected_hz:.1f} detections a second instead of {before.detected_hz:.1f} "
        f"({outcome.gain:+.0%}){kept}."
    )


def _budget_words(outcome: Outcome) -> list[str]:
    """Which budget would do, where this one does not."""
    if outcome.reached:
        return []
    told = []
    enough = [over for over in outcome.over_budget if over.figures.reaches(outcome.goal)]
    if enough:
        least = min(enough, key=lambda over: over.map_loss)
        told.append(
            f"map_loss<={_up(least.map_loss):g} would do: {least.words} keeps the goal with "
            f"{least.figures.detected_hz:.1f} detections a second, p95 {least.figures.p95_ms:.0f} ms."
        )
    if outcome.relaxed_ms is not None:
        told.append(f"p95<={outcome.relaxed_ms:.0f}ms would do within the same budget.")
    if not told:
        told.append("No budget that was tried would do: take fewer cameras, a larger machine, or --model smaller ones.")
    return told


def _data_words(outcome: Outcome) -> list[str]:
    """Where a model is fast enough and just not good enough, its data are the lever."""
    near = [
        over
        for over in outcome.over_budget
        if over.figures.reaches(outcome.goal) and over.map_loss - outcome.budget.map_loss <= NEAR_POINTS
    ]
    if outcome.reached or not near:
        return []
    best = min(near, key=lambda over: over.map_loss)
    return [
        f"The data is the lever here: {best.words} is fast enough and {best.map_loss - outcome.budget.map_loss:.1f} "
        "points short. A better data set (pictures of these cameras, labelled) beats the next smaller model."
    ]


def _up(points: float) -> float:
    """The next tenth that is not below."""
    return -(-round(points * 1000) // 100) / 10
