"""How many objects are in a zone, and for how long that has been so many, or none.

Time in which the camera saw nothing at all, because it was away or blind, is no time in which nothing was there: it
begins anew.
"""

from __future__ import annotations

import msgspec

from pipeline.clock import NS_PER_S
from pipeline.config.condition import Condition

BLIND_S = 2.0
"""A longer gap between two frames that know something is one in which nobody knows how many there were."""
OVER_S = 1.0
"""So long must a number be wrong again until it is over: a box that flickers ends nothing."""


class Crowd(msgspec.Struct):
    """Whether a number of objects is what a condition speaks of; what can be kept on disk as it is.

    Attributes:
        since_ns: Since when it is; 0 while it is not.
        not_ns: Since when it is not any more, while that may be a flicker; 0 while it is.
        told_ns: When it was told last; 0 while it was not long enough for that.
        watched_ns: When something was known last.
        most: The most objects since then.
    """

    since_ns: int = 0
    not_ns: int = 0
    told_ns: int = 0
    watched_ns: int = 0
    most: int = 0

    def update(self, at_ns: int, count: int, condition: Condition) -> bool:
        """See how many there are now; whether what was told is over."""
        blind = at_ns - self.watched_ns > BLIND_S * NS_PER_S
        self.watched_ns = at_ns
        is_so = fits(condition, count)
        if not is_so and not self.since_ns:
            return False
        if blind and not self.told_ns:
            self.since_ns = self.not_ns = 0
        if is_so:
            if not self.since_ns:
                self.since_ns, self.most = at_ns, 0
            self.not_ns, self.most = 0, max(self.most, count)
            return False
        self.not_ns = self.not_ns or at_ns
        if not self.told_ns:
            self.since_ns = 0
            return False
        return at_ns - self.not_ns >= OVER_S * NS_PER_S or condition.happening == "nothing"

    def is_due(self, at_ns: int, condition: Condition) -> bool:
        """Whether it has been so for long enough, and was not told yet."""
        lasts_ns = at_ns - self.since_ns
        return bool(self.since_ns) and not self.told_ns and lasts_ns >= condition.lasts_s * NS_PER_S

    def end(self) -> int:
        """It is over; since when."""
        over_ns = self.not_ns or self.watched_ns
        self.since_ns = self.not_ns = self.told_ns = 0
        return over_ns


def fits(condition: Condition, count: int) -> bool:
    """Whether so many objects are what a condition speaks of."""
    return count == 0 if condition.happening == "nothing" else condition.least <= count <= condition.most
