"""How far equal runs differ, learned from every setting that ran more than once.

Three runs say little of it, and a search asks many questions: with a spread of 2 %, some of twenty settings that change
nothing look 2 % better in three runs of each. So the spread is pooled over all repeated runs, believed the less the
fewer there are, and what looked best at first has to be better in runs that were not looked at when it was chosen.

Sixty searches each on a machine that is arithmetic, with proposals, runs of normally distributed noise, and one value
of one lever that truly brings more; how often a search of 15 minutes ended with it, and how often with another setting:

    brings                0 %    3 %    6 %    12 %     another, where it brings nothing
    noise of 2 %           –     17 %   90 %   100 %    none of 60
    noise of 4 %           –      0 %   10 %    88 %    none of 60

Without proposals, one of 60 took another setting at 4 %: it is rare, not impossible.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.tune.figures import Figures

LEAST_GAIN = 0.015
"""More detections a second that are worth another setting, however little runs differ."""
SURE, SURE_OF_FEW = 2.0, 4.0
"""Standard errors that a difference has to exceed: so many, and so many more over the degrees of freedom (an upper
bound of Student's t at 97.5 % from two degrees on)."""
OF_MEDIANS = 1.25
"""Standard error of a median over that of a mean."""


@dataclass(slots=True)
class Noise:
    """The spread of detections a second over equal runs, as a share.

    Attributes:
        squares: Sum of squared deviations from the mean of their setting.
        freedom: Runs less settings.
    """

    squares: float = 0.0
    freedom: int = 0

    def learn(self, runs: Sequence[Figures]) -> None:
        """Runs of one setting, close to each other in time."""
        rates = [run.detected_hz for run in runs]
        mean = sum(rates) / len(rates) if rates else 0.0
        if len(rates) < 2 or mean <= 0:
            return
        self.squares += sum((rate / mean - 1) ** 2 for rate in rates)
        self.freedom += len(rates) - 1

    @property
    def spread(self) -> float:
        """Standard deviation of a run; 0 before anything was repeated."""
        return math.sqrt(self.squares / self.freedom) if self.freedom else 0.0

    def margin(self, runs: int) -> float:
        """By what share medians of so many runs each have to differ until that is no chance."""
        if not self.freedom:
            return LEAST_GAIN
        sure = SURE + SURE_OF_FEW / self.freedom
        return max(LEAST_GAIN, sure * self.spread * OF_MEDIANS * math.sqrt(2 / runs))
