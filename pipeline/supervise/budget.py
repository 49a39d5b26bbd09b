"""How soon a process that died is started again, and when it is given up."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field


@dataclass(slots=True)
class RestartBudget:
    """At most `most` restarts in any `window_s`, each after a longer pause; pure arithmetic on the time it is told.

    A process that ran well for `window_s` starts with an empty book.

    Attributes:
        most: Restarts within the window before the process is given up.
        window_s: How long a restart is remembered, s.
        first_delay_s: Pause before the first restart in a window, s; doubles with each.
        longest_delay_s: The longest pause, s.
    """

    most: int = 20
    window_s: float = 300.0
    first_delay_s: float = 0.1
    longest_delay_s: float = 10.0
    _restarts_s: deque[float] = field(default_factory=deque)

    def next_delay_s(self, now_s: float) -> float | None:
        """The pause before the restart that is due now, or None: it died too often and is given up."""
        while self._restarts_s and now_s - self._restarts_s[0] > self.window_s:
            self._restarts_s.popleft()
        if len(self._restarts_s) >= self.most:
            return None
        delay_s: float = min(self.first_delay_s * 2 ** len(self._restarts_s), self.longest_delay_s)
        self._restarts_s.append(now_s)
        return delay_s
