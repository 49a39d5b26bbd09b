"""What became of every frame of a session."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from pipeline.wire import Counts


class Account:
    """The books of one session: decoded = detected + filled + lost, after every frame."""

    def __init__(self) -> None:
        self._detected = 0
        self._filled: Counter[str] = Counter()
        self._lost: Counter[str] = Counter()
        self._lost_since: Counter[str] = Counter()

    def detect(self) -> None:
        """The detector ran on the next frame."""
        self._detected += 1

    def fill(self, reason: str) -> None:
        """It did not, because of `reason`, and the frame is published all the same."""
        self._filled[reason] += 1

    def lose(self, lost: Mapping[str, int]) -> None:
        """So many frames, by cause, are never published."""
        if lost:
            self._lost.update(lost)
            self._lost_since.update(lost)

    def counts(self, decoded: int) -> Counts:
        """Totals so far, beside the number of frames the camera says it has decoded."""
        return Counts(
            decoded=decoded,
            detected=self._detected,
            filled=dict(self._filled),
            lost=dict(self._lost),
        )

    def lost_since(self) -> dict[str, int]:
        """Frames lost since this was last asked, by cause."""
        if not self._lost_since:
            return {}
        lost, self._lost_since = dict(self._lost_since), Counter()
        return lost
