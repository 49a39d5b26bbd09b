"""How much of the detector's time second looks may take while frames wait for it.

The problem: lanes that are never idle would never look, and lanes that looked whenever something is to be seen would
let frames wait: a crowd that walks in is two hundred crops. So looks take the time that no frame wants, and of the rest
a bounded share: each second of a lane brings a tenth of a second of credit, a look that frames had to wait for costs
what it took, and who is in debt has to wait.

Pure arithmetic: time is an argument.
"""

from __future__ import annotations

import math

SHARE = 0.1
"""Of a lane's time: what looks may take from frames that wait."""
MOST_S = 0.05
"""Of credit that is saved up: looks come in small bites, so that no frame waits for many of them."""


class Share:
    """Credit of second looks; times are monotonic s."""

    def __init__(self, now_s: float) -> None:
        self._credit_s = MOST_S
        self._at_s = now_s

    def may(self, lanes: int, now_s: float) -> bool:
        """Whether a look may go before frames that wait; `lanes` may compute at once."""
        self._credit_s = min(MOST_S, self._credit_s + SHARE * lanes * max(0.0, now_s - self._at_s))
        self._at_s = now_s
        return self._credit_s > 0

    def spend(self, seconds: float, *, pressing: bool) -> None:
        """Looks took so long; if no frame waited when they began, that is no debt for longer than a moment.

        They count all the same: where frames are short, gaps are short, too, and a frame comes before the look is done.
        """
        least_s = -math.inf if pressing else min(self._credit_s, -MOST_S)
        self._credit_s = max(least_s, self._credit_s - seconds)
