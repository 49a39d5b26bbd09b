"""How soon a process that died is started again, and when it is given up."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class RestartBudget:
    """At most `most` short lives in a row, each after a longer pause; pure arithmetic on the times it is told.

    A process that has run for a while is worth having, whoever ends it and how often: it is back at once.

    Attributes:
        most: Short lives in a row before the process is given up.
        well_s: A life of this length is not short, s.
        first_delay_s: Pause before the first restart, s; doubles with each short life.
        longest_delay_s: The longest pause, s.
    """

    most: int = 20
    well_s: float = 5.0
    first_delay_s: float = 0.1
    longest_delay_s: float = 10.0
    _short: int = 0

    def next_delay_s(self, lived_s: float) -> float | None:
        """The pause before the restart that is due now, or None: it died too often and is given up."""
        if lived_s >= self.well_s:
            self._short = 0
        if self._short >= self.most:
            return None
        delay_s: float = min(self.first_delay_s * 2**self._short, self.longest_delay_s)
        self._short += 1
        return delay_s
