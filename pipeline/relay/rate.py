"""What strangers make happen is said in few lines: the first at once, then how many there were."""

from __future__ import annotations

APART_S = 10.0


class Rate:
    """Pure; the time is told."""

    def __init__(self, apart_s: float = APART_S) -> None:
        self._apart_s = apart_s
        self._next_s: float | None = None
        self._unsaid = 0

    def count(self, now_s: float) -> int | None:
        """It has happened; how many others were not said since, or None if this one is not to be said either."""
        if self._next_s is not None and now_s < self._next_s:
            self._unsaid += 1
            return None
        self._next_s = now_s + self._apart_s
        unsaid, self._unsaid = self._unsaid, 0
        return unsaid
