"""When a lost camera is tried again."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

SETTLED_S = 10.0
"""A camera that was live for so long starts again from the shortest pause; less is a camera that comes and goes."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pauses that double up to a limit, each drawn between nothing and all of it.

    Full jitter, so that cameras lost together (a switch restarts) do not come back together:
    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/

    Attributes:
        initial_s: Upper limit of the first pause, seconds.
        max_s: Upper limit of any pause, seconds.
        failures: How often it was lost or could not be opened since it was last settled.
    """

    initial_s: float
    max_s: float
    failures: int = 0

    def pause_s(self, rng: random.Random) -> float:
        """Seconds to wait before the next try; at least a tenth of the limit, so that refusals do not come at once."""
        # The exponent is bounded: 2.0 ** 1024 is an OverflowError, a day after the camera went.
        limit_s = min(self.max_s, self.initial_s * 2.0 ** min(max(0, self.failures - 1), 60))
        return max(limit_s * rng.random(), limit_s / 10)

    def lost(self, live_s: float) -> Backoff:
        """The state after a camera was lost that had been live for `live_s`, 0 where it was not at all."""
        return replace(self, failures=1 if live_s >= SETTLED_S else self.failures + 1)
