"""How much of a detector is used: lanes that compute, averaged over about a second."""

from __future__ import annotations

EVERY_S = 1.0


class LaneUse:
    """Pure; the time is told. Not thread-safe."""

    def __init__(self, now_s: float) -> None:
        """Nothing computes."""
        self._busy, self._busy_s = 0, 0.0
        self._noted_s = self._began_s = now_s

    def note(self, busy: int, now_s: float) -> None:
        """So many lanes compute from now on."""
        self._busy_s += self._busy * (now_s - self._noted_s)
        self._busy, self._noted_s = busy, now_s

    def take(self, now_s: float) -> float | None:
        """How many computed on average since the last answer; None until a second is over."""
        if now_s - self._began_s < EVERY_S:
            return None
        self.note(self._busy, now_s)
        mean = self._busy_s / (now_s - self._began_s)
        self._busy_s, self._began_s = 0.0, now_s
        return mean
