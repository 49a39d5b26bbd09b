"""Where a search gets its measurements from: real runs, made once and kept, within the time that it has."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from pipeline.errors import PipelineError
from pipeline.tune.figures import Figures
from pipeline.tune.goal import Goal
from pipeline.tune.journal import Journal
from pipeline.tune.setting import Setting

LONGEST_S = 20.0
"""A run is not made longer than this, however much runs differ: repeating it says more."""


class Runner(Protocol):
    """Runs the fleet."""

    def run(self, setting: Setting, seconds: float, goal: Goal) -> Figures:
        """The figures of the fleet under `setting`, measured for `seconds` once it has settled; blocks.

        Raises:
            PipelineError: The fleet cannot run so.
        """
        ...


class Watch(Protocol):
    """Is told how a search goes."""

    def step(self, words: str) -> None:
        """Something else is being looked at now."""
        ...

    def ran(self, setting: Setting, figures: Figures | None, why: str, left_s: float) -> None:
        """A run is over; `figures` is None where the fleet cannot run so, and `why` says why."""
        ...


@dataclass(slots=True)
class Silent:
    """Tells nobody."""

    def step(self, words: str) -> None:
        """Said to nobody."""

    def ran(self, setting: Setting, figures: Figures | None, why: str, left_s: float) -> None:
        """Said to nobody."""


class Lab:
    """Measures settings, and knows what is known and how much time is left.

    Attributes:
        goal: That the fleet is run for.
        seconds: How long a run is measured.
        failed: Settings that the fleet cannot run with, and why.
        runs: How many runs were made, those of before included.
        watch: Is told of every step.
        unknown: Why `known` last found nothing.
    """

    def __init__(
        self,
        runner: Runner,
        journal: Journal,
        goal: Goal,
        time_s: float,
        *,
        seconds: float,
        watch: Watch | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin; the time counts from now, and what was measured before counts as much as it took.

        Args:
            runner: Runs the fleet.
            journal: Keeps what is found.
            goal: What runs are made for.
            time_s: How long all of it may take, s.
            seconds: How long a run is measured at first, s.
            watch: Is told how it goes.
            clock: Monotonic time, s.
        """
        self._runner, self._journal, self._clock = runner, journal, clock
        self._time_s, self._began_s = time_s, clock()
        self._replayed_s = 0.0
        self._took_s: list[float] = []
        self.goal, self.seconds, self.watch = goal, seconds, watch or Silent()
        self.failed: dict[Setting, str] = {}
        self.runs = 0
        self.unknown = ""

    @property
    def left_s(self) -> float:
        """What is left of the time, s."""
        return self._time_s - self.spent_s

    @property
    def spent_s(self) -> float:
        """What all of it took so far, s; before an interruption, too."""
        return self._replayed_s + self._clock() - self._began_s

    def affords(self, runs: int, reserve_s: float = 0.0) -> bool:
        """Whether there is time for so many runs, and `reserve_s` beside."""
        return self.left_s - reserve_s >= runs * self.run_s

    @property
    def run_s(self) -> float:
        """How long a run takes, starting the fleet included, s; as the longest of the last ones."""
        return max(self._took_s[-5:], default=self.seconds)

    def measure(self, setting: Setting, goal: Goal | None = None) -> Figures | None:
        """One more run of this setting; None where the fleet cannot run so.

        Args:
            setting: How.
            goal: Another one than the search's.
        """
        if setting in self.failed:
            return None
        goal = goal or self.goal
        asked = {"run": setting.as_dict(), "seconds": self.seconds, "goal": str(goal)}
        answer = self._answer(msgspec.json.encode(asked).decode(), lambda: self._run(setting, goal))
        self.runs += 1
        figures = msgspec.convert(answer["figures"], Figures) if "figures" in answer else None
        if figures is None:
            self.failed[setting] = str(answer["failed"])
        else:
            self._took_s.append(float(answer["took_s"]))
        self.watch.ran(setting, figures, self.failed.get(setting, ""), self.left_s)
        return figures

    def known(self, what: str, find: Callable[[], float]) -> float | None:
        """A figure that is no run's, such as a model's loss, found once; None where it cannot be found."""

        def ask() -> dict[str, Any]:
            try:
                return {"value": find()}
            except PipelineError as error:
                return {"failed": _one_line(error)}

        answer = self._answer(what, ask)
        self.unknown = str(answer.get("failed", ""))
        return float(answer["value"]) if "value" in answer else None

    def longer(self) -> bool:
        """Measure twice as long from now on; False where runs are as long as they may be."""
        longer = min(2 * self.seconds, LONGEST_S)
        changed = longer > self.seconds
        self.seconds = longer
        return changed

    def end(self, how: str) -> None:
        """Note in the journal how the search ended."""
        self._journal.end(how, self._time_s)

    def _run(self, setting: Setting, goal: Goal) -> dict[str, Any]:
        try:
            return {"figures": msgspec.to_builtins(self._runner.run(setting, self.seconds, goal))}
        except PipelineError as error:
            return {"failed": _one_line(error)}

    def _answer(self, asked: str, find: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """From the journal, or found now and noted there."""
        known = self._journal.take(asked)
        if known is not None:
            self._replayed_s += float(known["took_s"])
            return known
        began_s = self._clock()
        answer = find()
        took_s = self._clock() - began_s
        self._journal.note(asked, answer, took_s)
        return {**answer, "took_s": took_s}


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
