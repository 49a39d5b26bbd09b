"""When a lost camera is tried again."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

SETTLED_S = 10.0
"""A camera that was live for so long starts again from the shortest pause; less is a camera that comes and goes."""
LOGIN_TRIES = 3
LOGIN_PAUSE_S = 300.0
"""How often a password that is refused is tried at the usual pace, and the pause from then on: many cameras lock an
account, or an address, for minutes after five to ten wrong tries, and each further one makes that longer."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pauses that double up to a limit, each drawn between nothing and all of it.

    Full jitter, so that cameras lost together (a switch restarts) do not come back together:
    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/

    Attributes:
        initial_s: Upper limit of the first pause, seconds.
        max_s: Upper limit of any pause, seconds.
        failures: How often it was lost or could not be opened since it was last settled.
        refusals: How often in a row it has refused user or password.
    """

    initial_s: float
    max_s: float
    failures: int = 0
    refusals: int = 0

    @property
    def words(self) -> str:
        """What to add to the reason where the pauses are long for another one; empty where they are as always."""
        if self.refusals < LOGIN_TRIES:
            return ""
        return (
            f"; after {LOGIN_TRIES} refusals it is tried every {self._login_pause_s / 60:.0f} minutes only, since "
            "cameras lock those who try too often; put it right in the fleet file and reload: then it is tried at once"
        )

    @property
    def _login_pause_s(self) -> float:
        return max(self.max_s, LOGIN_PAUSE_S)

    def pause_s(self, rng: random.Random) -> float:
        """Seconds to wait before the next try; at least a tenth of the limit, so that refusals do not come at once."""
        if self.refusals >= LOGIN_TRIES:
            return self._login_pause_s
        # The exponent is bounded: 2.0 ** 1024 is an OverflowError, a day after the camera went.
        limit_s = min(self.max_s, self.initial_s * 2.0 ** min(max(0, self.failures - 1), 60))
        return max(limit_s * rng.random(), limit_s / 10)

    def lost(self, live_s: float, *, refused: bool = False) -> Backoff:
        """The state after a camera was lost that had been live for `live_s`, 0 where it was not at all.

        Args:
            live_s: Seconds.
            refused: It has not let us in: user or password are wrong.
        """
        failures = 1 if live_s >= SETTLED_S else self.failures + 1
        return replace(self, failures=failures, refusals=self.refusals + 1 if refused else 0)
